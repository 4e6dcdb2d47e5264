"""Classic patterns of denial of service against values of 100 kB: what is searched, and how many milliseconds it takes."""

from __future__ import annotations

import time

from sigma.pyeval.matchers.regexes import UNDECIDED, regex, regex_within
from sigma.pyeval.regex_safety import classify

SIZE = 100_000
# (pattern, what the value repeats, what it ends in)
CLASSICS = [
    (r"(a+)+$", "a", "!"),
    (r"^(a+)+$", "a", "!"),
    (r"x(?:a+)+y", "xa", "!"),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a", "!"),
    (r"(.*a){11}", "a", ""),
    (r"\s+$", " ", "x"),
    (r"[^/]{100,}$", "a", "/"),
    (r"(x+)(x+)y", "x", ""),
    (r"a.*b.*c", "ab", ""),
    (r"a.*b.*c", "a", "\n"),
    (r"(?i)set.*&&\s?set.*(invoke|input).*&&", "set&&set ", ""),
    (r"\bfoo\b.*\bbar\b", "foo ", ""),
    (r"foo(?!bar).*x", "foo", ""),
    (r"a++b", "a", ""),
    (r"x(\w+)\1y", "x", ""),
    (r"a[^b]*c[^d]*e", "ac", ""),
    (r"x.{1,64}x.{1,64}y", "x", ""),
    (r"(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)b", "a", ""),
    (r"(?=.*a.*b)c", "a", ""),
    (r"https?://(?:(?:25[0-5]|(?:2[0-4]|1\d|[1-9])?\d)(?:\.|\b)){4}", "http://1.1.1.", ""),
]


def main() -> None:
    print(f"{'ms':>8}  {'growth':<14} {'characters':>10}  pattern")
    for pattern, unit, end in CLASSICS:
        found = classify(pattern)
        event = {"A": unit * (SIZE // len(unit)) + end}
        growth = f"{found.growth.value} {found.degree or ''}"
        if found.characters == 0:
            print(f"{'refused':>8}  {growth:<14} {0:>10}  {pattern}")
            continue
        started = time.perf_counter()
        if found.characters is None:
            regex(event, "A", found.pattern)
        else:
            regex_within(event, "A", found.pattern, "", found.characters)
        taken = (time.perf_counter() - started) * 1000
        print(f"{taken:8.1f}  {growth:<14} {found.characters or 'all':>10}  {pattern}")
    print(f"{sum(UNDECIDED.values())} undecided")


if __name__ == "__main__":
    main()
