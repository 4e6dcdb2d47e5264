"""The words that drawn rules and events are made of: fields, pieces of text, modifiers with the values they take."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

FIELDS = ("CommandLine", "Image", "EventID", "proc.args", "User Name", "a.b.c", "Üser")
NAMES = ("selection", "selection_a", "sel_b", "filter", "keywords", "_hidden", "note", "org-unit")
PATTERNS = ("selection*", "sel*", "*", "*_*", "f*r", "_h*", "them")
PLACEHOLDERS: dict[str, str | list[str | int]] = {"admins": ["root", "adm*n", 7], "one": "K", "weird": [r"C:\x", "a?c"]}

PIECES = (
    *("a", "A", "b", "curl", "Curl", "/tmp/", "\\Temp\\", "\\", "\\\\", " ", " -r", "x=1", "\n", "'", '"', "{0}", "#"),
    *(
        "K",
        "k",
        "\u212a",
        "İ",
        "i",
        "ſ",
        "s",
        "ß",
        "SS",
        "Σ",
        "σ",
        "ς",
        "é",
        "\u0301",
        "1",
        "10",
        "1.0",
        "true",
        "null",
        "%",
    ),
)
WILD_PIECES = ("*", "?", "**", "*?", "\\*", "\\?", "\\\\*", "\\\\\\*")
DASH_PIECES = ("-a", "/a", "–a", "—b", "―b", " -x", "a-b", "--y", "a", " ", "*", "é-é")
BYTE_PIECES = ("a", "B", "cmd", " /c ", "C:\\x", "foo", "1", "\n", "é", "\u212a", "\\*")
ASCII_PIECES = ("a", "B", "cmd", " /c ", "\\", "foo", "1", "\n")

plain_text = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
short_text = st.lists(st.sampled_from(PIECES), min_size=1, max_size=2).map("".join)
wild_text = st.lists(st.sampled_from(PIECES + WILD_PIECES), max_size=5).map("".join)
dash_text = st.lists(st.sampled_from(DASH_PIECES), min_size=1, max_size=3).map("".join)
ascii_text = st.lists(st.sampled_from(ASCII_PIECES), min_size=1, max_size=4).map("".join)
byte_text = st.lists(st.sampled_from(BYTE_PIECES), min_size=1, max_size=4).map("".join)
field_text = st.sampled_from(FIELDS)
integers = st.sampled_from((0, 1, -1, 7, 10, 22, 443, 4096, 2**53, 2**63, -5))
numbers = st.one_of(integers, st.sampled_from((0.5, -1.5, 1.0, 10.0, 2.25, 1e22)))
time_numbers = st.sampled_from((0, 1, 3, 5, 7, 9, 12, 23, 30, 53, 59, 1970, 2024))
networks = st.sampled_from(("10.0.0.0/8", "192.168.1.0/24", "192.168.1.7", "fe80::/10", "::1/128", "0.0.0.0/0"))
placeholder_text = st.sampled_from(
    ("%admins%", "x%one%y", "%weird%", "%one%%admins%", "no placeholder", "100%", "*%one%")
)

# Each pattern with texts that it finds and that it does not.
REGEXES = {
    r"^cur+l\s": ("curl x", "curr", "CURL x", "\ncurl x"),
    r"[ab]{2,3}$": ("xab", "xAB", "ab\n", "abc"),
    r"\bK\d+\b": ("K1", "x K22 y", "k1", "\u212a1"),
    r"a.b": ("a\nb", "a-b", "A-B", "ab"),
    r"(?:/tmp|\\Temp)\\?": ("/tmp/x", "C:\\Temp\\x", "/TMP"),
    r"ſ|ß": ("s", "ſ", "S", "ß", "SS"),
    r"'\"#\{\}": ("'\"#{}", "'\"#"),
    r"^$": ("", "\n", "x"),
}
regexes = st.sampled_from(tuple(REGEXES))

ADDRESSES = (
    "10.1.2.3",
    "192.168.1.7",
    "192.168.1.300",
    "fe80::1",
    "fe80::1%eth0",
    "::1",
    "::ffff:10.0.0.1",
    "11.0.0.1",
    "10",
)
MOMENTS = (
    *(
        "2024-02-29T23:59:30Z",
        "2024-01-01T03:05:07+05:00",
        "2024-12-30 12:30:00",
        "1970-01-01",
        "24:00",
        "2023-07-09T07:07",
    ),
    *(0, 1_709_251_170, 1_709_251_170_000, 1_709_251_170_123_456, 1_709_251_170.5, "1709251170", -1, 10**30),
)

# Chains of modifiers with the kind of value they take. ``all`` and ``neq`` are added to any of them.
CHAINS = {
    "mixed": ("", "", "", ""),
    "wild": (
        *("", "", "contains", "contains", "startswith", "endswith", "startswith|endswith", "cased", "contains|cased"),
        *("cased|contains", "cased|startswith", "endswith|cased"),
    ),
    "affix": (
        *("startswith", "endswith", "contains", "startswith|cased", "endswith|cased", "contains|cased", "cased", ""),
    ),
    "dash": (
        "windash",
        "windash|contains",
        "contains|windash",
        "windash|startswith",
        "endswith|windash",
        "cased|windash|contains",
    ),
    "encoded": (
        *(
            "wide|base64offset|contains",
            "wide|base64",
            "wide",
            "utf16le|base64offset|contains",
            "utf16be|base64|contains",
        ),
        *("utf16be|contains", "utf16|base64offset|contains", "utf16|base64", "cased|wide|contains"),
    ),
    "bytes": ("base64", "base64|contains", "base64offset|contains", "base64|base64", "base64offset", "base64|cased"),
    "regex": ("re", "re", "re|i", "re|m", "re|s", "re|i|m|s", "re|contains", "re|ignorecase|dotall"),
    "network": ("cidr",),
    "exists": ("exists",),
    "number": ("lt", "lte", "gt", "gte"),
    "time": (
        *(
            "minute",
            "hour",
            "day",
            "week",
            "month",
            "year",
            "hour|gte",
            "minute|lt",
            "week|lte",
            "year|gt",
            "day|gte",
            "month|lt",
        ),
    ),
    "field": ("fieldref", "fieldref|startswith", "fieldref|endswith", "fieldref|contains"),
    "placeholder": ("expand", "contains|expand", "expand|endswith", "cased|expand"),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "mixed": st.one_of(wild_text, numbers, st.booleans(), st.none()),
    "wild": wild_text,
    "affix": short_text,
    "dash": dash_text,
    "encoded": ascii_text,
    "bytes": byte_text,
    "regex": regexes,
    "network": networks,
    "exists": st.booleans(),
    "number": numbers,
    "time": time_numbers,
    "field": field_text,
    "placeholder": placeholder_text,
}
FIELD_KINDS = (*CHAINS, "mixed", "mixed", "wild", "affix", "affix", "affix", "affix", "affix", "affix")
KEYWORD_KINDS = ("wild", "wild", "dash", "encoded", "bytes", "regex", "placeholder")
