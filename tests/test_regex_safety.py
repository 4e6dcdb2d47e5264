"""Regular expressions: how long they can take is known beforehand, and what is searched instead finds the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sigma.pyeval import ExpressionError, Ruleset, compile_expression, parse_rules
from sigma.pyeval.codegen import emit_standalone
from sigma.pyeval.errors import RuleLoadError
from sigma.pyeval.expression import parse_expression
from sigma.pyeval.matchers import keyword_regex_within, regex_within
from sigma.pyeval.matchers.regexes import UNDECIDED, flag_bits
from sigma.pyeval.regex_safety import BOUNDS, Growth, PatternRefusedError, check_pattern, classify

from .backtracking import CountingSearch, TooManyStepsError

SHARED = Path(os.environ.get("PYEVAL_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "sigmahq"

# Searched as they are.
LINEAR_AS_WRITTEN = [
    (r"net\s+user", ""),
    (r"^(?:[^/]+/)+x", ""),
    (r"x(?:a|b|[cd])*y", ""),
    (r"^(\d+\.)*\d+$", ""),
    (r'"[^"]*"', ""),
    (r"^(?=.*a)(?=.*b).*c", ""),
    (r"(?<=a|b)c+d", ""),
    (r"^.*$", ""),
    (r"<a>[^<]*</a>", "i"),
    (r"^C:\\Users\\[^\\]+\\NTUSER\.DAT$", "i"),
    (r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", ""),
    (r"-x.{6,64}echo", ""),
    (r"", ""),
]
# (pattern, flags, the same in linear time)
LINEAR_REWRITTEN = [
    (r".*foo.*", "", "foo"),
    (r".*?foo.+?", "s", "foo."),
    (r"[\s\S]*foo", "", "foo"),
    (r"(a+)+$", "", "a$"),
    (r"(a*)*b", "", "b"),
    (r"(a|a)*b", "", "b"),
    (r"(a|ab)*c", "", "c"),
    (r"([a-zA-Z]+)*$", "", "$"),
    (r"(?:ab|ac)+x", "", "a[bc]x"),
    (r"(?:[^/]+/)+x", "", "[^/]/x"),
    (r"\s+$", "", r"\s$"),
    (r"^\s+|\s+$", "", r"^\s|\s$"),
    (r"[^/]{100,}$", "", r"(?<![^/])[^/]{100,}$"),
    (r".{1000,}", "", r"(?<!.).{1000,}"),
    (r"a.*b", "", r"(?<!.)(?>.*?a)(?>.*?b)"),
    (r"(?i)a.*(?:b.)*.*c", "", r"(?i)(?<!.)(?>.*?a)(?>.*?c)"),
    (r"(x+)(x+)y", "", r"(?<!x)(?>x*?xx)(?>x*?y)"),
    (r"(x+x+)+y", "", r"(?<!x)(?>x*?xx)(?>x*?y)"),
    (r"\d+\d+x", "", r"(?<!\d)(?>\d*?\d\d)(?>\d*?x)"),
    (r"(.*a){3}", "", r"(?<!.)(?>.*?a)(?>.*?a)(?>.*?a)"),
    (r"cmd.{0,5}/c.+x", "", r"(?<!.)(?>.*?cmd.{0,5}?/c.)(?>.*?x)"),
    (r"a\sb.*c", "", r"(?<!.)(?>.*?a[^\S\n]b)(?>.*?c)|(?<!.)(?>.*?a\nb)(?>.*?c)"),
    (r"\\(v|p(.+)?)\\l", "", r"\\v\\l|(?<!.)(?>.*?\\p)(?>.*?\\l)"),
    (r".*.*=.*", "", "="),
]
# (pattern, flags, degree)
POLYNOMIAL = [
    (r"\bfoo\b.*\bbar\b", "", 2),
    (r"foo(?!bar).*x", "", 2),
    (r"a++b", "", 2),
    (r"x(\w+)\1y", "", 3),
    (r"(a+)\1", "", 3),
    (r"a[^b]*c[^d]*e", "", 2),
    (r"x.{1,64}x.{1,64}y", "", 1),
]
EXPONENTIAL = [
    r"^(a+)+$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$",
    r"x(?:a+)+y",
    r"x(a|a)*y",
    r"x(a|ab|b)*y",
    r"x(a|a?)+y",
    r"x(\w|\dz?)*y",
    r"x(.|\s)*y",
    r"x(?:(?:a?)*b)*y",
    r"^(a?){30}a{30}$",
    r"x((a+)\2)*y",
    "".join("(a|a)" for _ in range(30)) + "b",
    r"x(a{1000}){1000}b",
    r"(?=(a+)+b)x",
    r"^(?:\s*\w+\s*)*;$",
    r"^(\w+\s?)*$",
    r"^(?:.*,)*x$",
]


@pytest.mark.parametrize(("pattern", "flags"), LINEAR_AS_WRITTEN)
def test_harmless_patterns_stay_as_they_are(pattern: str, flags: str) -> None:
    found = classify(pattern, flags)
    assert (found.growth, found.degree, found.pattern, found.characters) == (Growth.LINEAR, 1, pattern, None)


@pytest.mark.parametrize(("pattern", "flags", "same"), LINEAR_REWRITTEN)
def test_patterns_that_are_linear_when_written_otherwise(pattern: str, flags: str, same: str) -> None:
    found = classify(pattern, flags)
    assert (found.growth, found.pattern) == (Growth.LINEAR, same)
    assert classify(same, flags).pattern == same


@pytest.mark.parametrize(("pattern", "flags", "degree"), POLYNOMIAL)
def test_polynomial_patterns_name_the_part_and_the_bound(pattern: str, flags: str, degree: int) -> None:
    found = classify(pattern, flags)
    assert (found.growth, found.degree) == (Growth.POLYNOMIAL, degree)
    assert found.characters is not None
    assert 0 < found.characters <= BOUNDS[degree]
    assert found.reason


@pytest.mark.parametrize("pattern", EXPONENTIAL)
def test_exponential_patterns_name_the_part_and_are_not_searched(pattern: str) -> None:
    found = classify(pattern)
    assert found.characters == 0
    assert found.reason


@pytest.mark.parametrize(
    ("pattern", "finding"),
    [
        ("a(b", r"missing \), unterminated subpattern at position 1"),
        ("a(?i)b", "global flags not at the start"),
        ("x[[:alpha:]]", r"\[:alpha:\] at position 2: Python has no POSIX classes"),
        ("[[ab]]", "nested set"),
        (r"\pL", r"bad escape \\p at position 0"),
        (r"(?<name>x)", "unknown extension"),
        ("a" * 50_001, "longer than 50000"),
        ("a{99999999999999}", "repeated too often"),
    ],
)
def test_patterns_that_python_reads_otherwise_are_refused_with_the_place(pattern: str, finding: str) -> None:
    with pytest.raises(PatternRefusedError, match=finding):
        check_pattern(pattern, "")
    check_pattern(r"[\[:a]+", "")


# -- what is searched instead finds the same -------------------------------------------------------------------------

_ATOMS = st.sampled_from(["a", "b", "ab", ".", r"\s", "[ab]", "[^a]", r"\w", r"\n", "-", r"\b", "^", "$", "é", "[é-ü]"])
_COUNTS = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}", "*?", "+?", "{16,}"])
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        inner.map(lambda one: f"({one}|)"),
        st.tuples(inner, _COUNTS).map(lambda one: f"(?:{one[0]}){one[1]}"),
    ),
    max_leaves=6,
)
_CHAINS = st.lists(_PATTERNS, min_size=1, max_size=4).map(".*".join)
_TEXTS = st.text(alphabet="aabbc- \né", max_size=24)


@settings(max_examples=60, deadline=None)
@given(_CHAINS, st.sampled_from(["", "i", "m", "s"]), st.lists(_TEXTS, min_size=5, max_size=20))
def test_rewritten_patterns_are_found_in_the_same_texts(pattern: str, flags: str, values: list[str]) -> None:
    rewritten = classify(pattern, flags).pattern
    before = re.compile(pattern, flag_bits(flags))
    after = re.compile(rewritten, flag_bits(flags))
    assert [value for value in values if before.search(value)] == [value for value in values if after.search(value)]
    assert classify(rewritten, flags).pattern == rewritten


@settings(max_examples=40, deadline=None)
@given(_CHAINS, st.tuples(*[st.sampled_from(["", "a", "b", "ab", "aab", "\n", "a\n", "b "])] * 3))
def test_linear_patterns_take_linearly_many_steps(pattern: str, parts: tuple[str, str, str]) -> None:
    found = classify(pattern)
    assume(found.growth is Growth.LINEAR and parts[1])
    assume("?+" not in found.pattern and r"\A" not in found.pattern)
    search = CountingSearch(found.pattern, 0, limit=400_000)
    counts = []
    for times in (12, 24):
        search.found(parts[0] + parts[1] * times + parts[2])
        counts.append(search.steps + times)
    assert counts[1] <= 3 * counts[0]


@pytest.mark.parametrize("pattern", ["^(a+)+$", "x(?:a+)+y", "x(a|a)*y", "x(a|a?)+y"])
def test_the_counting_search_sees_exponential_growth(pattern: str) -> None:
    with pytest.raises(TooManyStepsError):
        CountingSearch(pattern, 0, limit=50_000).found("x" * (pattern[0] == "x") + "a" * 30 + "!")


# -- matchers --------------------------------------------------------------------------------------------------------


def test_a_bounded_search_counts_what_it_leaves_undecided() -> None:
    UNDECIDED.clear()
    event = {"A": "aaab" + "." * 10, "B": ["." * 30, "b"]}
    assert regex_within(event, "A", "b", "", 4)
    assert not regex_within(event, "A", "b", "", 3)
    assert not regex_within(event, "A", "c", "", 14)
    assert regex_within(event, "B", "b", "", 5)
    assert not keyword_regex_within(event, "C", "", 14)
    assert keyword_regex_within(event, "B", "i", 14)
    assert UNDECIDED == {"b": 1, "C": 1}
    assert Ruleset([]).undecided == {"b": 1, "C": 1}
    UNDECIDED.clear()


# -- expressions -----------------------------------------------------------------------------------------------------

BOUNDED = r"\bfoo\b.*\bbar\b"


@pytest.mark.parametrize(
    "source",
    [
        "regex(event, 'A', 'xa+b')",
        "regex(event, 'A', 'foo', 'i')",
        f"regex_within(event, 'A', {BOUNDED!r}, '', 1024)",
        f"keyword_regex_within(event, {BOUNDED!r}, '', 100)",
    ],
)
def test_expressions_admit_what_ends_in_time(source: str) -> None:
    parse_expression(source)


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("regex(event, 'A', '.*x.*')", "'x' is found in the same values"),
        ("regex_within(event, 'A', '.*x.*', '', 10)", "'x' is found in the same values"),
        (f"regex(event, 'A', {BOUNDED!r})", "search at most .* characters, with regex_within"),
        (f"keyword_regex(event, {BOUNDED!r})", "search at most .* characters, with keyword_regex_within"),
        (f"regex_within(event, 'A', {BOUNDED!r}, '', 4097)", "search at most"),
        ("regex(event, 'A', '^(a+)+$')", r"can take too long: '\(\?:a\+\)\+' can take up the same text"),
        ("regex_within(event, 'A', '^(a+)+$', '', 30)", "can take too long"),
        ("regex_unbounded(event, 'A', 'x')", "only a source that is trusted"),
        ("keyword_regex_unbounded(event, 'x')", "only a source that is trusted"),
        ("regex_within(event, 'A', 'x', '', 0)", "characters: a number of characters is needed"),
        ("regex_within(event, 'A', 'x', '', True)", "characters"),
        ("regex(event, 'A', 'x(')", "pattern: not a regular expression of Python: .* at position 1"),
    ],
)
def test_expressions_refuse_what_may_not_end_in_time(source: str, finding: str) -> None:
    with pytest.raises(ExpressionError, match=finding):
        compile_expression(source)


def test_a_trusted_source_may_search_without_a_bound() -> None:
    source = "regex_unbounded(event, 'A', '^(a+)+$')"
    assert compile_expression(source, unsafe_regex=True)({"A": "aaa"})


# -- rules -----------------------------------------------------------------------------------------------------------

RULE = """
title: T
logsource: {{category: test}}
detection:
    s:
        A|re: {}
    condition: s
"""


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        ("net\\s+user", r"regex(event, 'A', 'net\\s+user')"),
        (".*foo.*", "regex(event, 'A', 'foo')"),
        (BOUNDED, r"regex_within(event, 'A', '\\bfoo\\b.*\\bbar\\b', '', 2048)"),
    ],
)
def test_rules_show_in_their_expression_what_is_searched(pattern: str, expression: str) -> None:
    assert [rule.expression for rule in parse_rules(RULE.format(json.dumps(pattern))).rules] == [expression]


def test_rules_of_exponential_time_are_refused_unless_trusted() -> None:
    text = RULE.format("^(a+)+$")
    with pytest.raises(
        RuleLoadError, match=r"field 'A': regular expression .* exponential time .*\(\?:a\+\)\+.*unsafe_regex"
    ):
        parse_rules(text)
    trusted = parse_rules(text, unsafe_regex=True)
    assert [rule.expression for rule in trusted.rules] == ["regex_unbounded(event, 'A', '^(a+)+$')"]
    assert len(trusted.match({"A": "aaa"})) == 1


def test_a_standalone_module_bounds_and_reports_as_the_runtime_does(tmp_path: Path) -> None:
    module = tmp_path / "rules.py"
    module.write_text(emit_standalone(parse_rules(RULE.format(json.dumps(BOUNDED))).rules), encoding="utf-8")
    lines = "".join(json.dumps({"A": value}) + "\n" for value in ("foo bar", "." * 9000 + "foo bar", "foo"))
    done = subprocess.run([sys.executable, module], input=lines, capture_output=True, text=True, check=True)
    assert [json.loads(line)["source"]["line"] for line in done.stdout.splitlines()] == [1]
    assert "1 values undecided" in done.stderr


def _regexes(node: Any) -> list[tuple[str, str]]:
    if isinstance(node, list):
        return [found for item in node for found in _regexes(item)]
    if not isinstance(node, dict):
        return []
    found = []
    for key, value in node.items():
        _, *modifiers = str(key).split("|")
        if "re" in modifiers:
            flags = "".join(sorted(set(modifiers) & set("ims")))
            found += [(str(pattern), flags) for pattern in (value if isinstance(value, list) else [value])]
        found += _regexes(value)
    return found


@pytest.mark.skipif(not SHARED.is_dir(), reason="the SigmaHQ rules are not here (PYEVAL_SHARED)")
def test_no_published_rule_is_refused_and_few_are_bounded() -> None:
    patterns: set[tuple[str, str]] = set()
    for path in sorted(SHARED.glob("*/**/*.yml")):
        text = path.read_text(encoding="utf-8")
        if "|re" in text:
            for document in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                patterns.update(_regexes(document))
    verdicts = [classify(*pattern) for pattern in sorted(patterns)]
    assert len(verdicts) > 100
    assert [verdict for verdict in verdicts if verdict.characters == 0] == []
    assert len([verdict for verdict in verdicts if verdict.growth is not Growth.LINEAR]) <= 4


def test_a_list_of_words_is_linear() -> None:
    """Each word is tried once at each character, however many there are; doubled readings of a long chain are not that."""
    words = "|".join(f"word{number}x" for number in range(2_000))
    assert classify(words, "i").characters is None
    assert classify(f"^(?:{words})$").characters is None
    assert classify("(a|a)" * 20 + "b").characters != classify("(a|b)x" * 8).characters
