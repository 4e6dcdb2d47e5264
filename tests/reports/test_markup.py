"""HTML building: text is escaped exactly once, elements nest, links lead to web addresses only."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma.pyeval.output import printable
from sigma.pyeval.reports.markup import Html, element, escape, join, link

from .samples import HOSTILE


class Seen(HTMLParser):
    """Collects the tags, attributes and texts of a document."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (element("p", "a < b & 'c'"), "<p>a &lt; b &amp; &#x27;c&#x27;</p>"),
        (element("p", "&lt;"), "<p>&amp;lt;</p>"),
        (element("p", element("b", "<")), "<p><b>&lt;</b></p>"),
        (element("a", "x", class_="y", aria_label='"', hidden=True, id=None, open=False), '<a class="y" aria-label="&quot;" hidden>x</a>'),
        (element("th", "x", name="n", tabindex=0), '<th name="n" tabindex="0">x</th>'),
        (element("br"), "<br>"),
        (element("p"), "<p></p>"),
        (join("<", Html("<b>"), ""), "&lt;<b>"),
        (escape("a\u202eb\n\x1b"), "a\\u202eb\\n\\x1b"),
    ],
)  # fmt: skip
def test_elements(built: Html, expected: str) -> None:
    """Text is escaped, Html is not, attributes are written out."""
    assert built == expected


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "JAVASCRIPT:x", "data:text/html,x", " https://x", "//x", "file:///etc", ""]
)
def test_only_web_addresses_become_links(address: str) -> None:
    """Anything else is shown as text."""
    assert Seen(link(address, "text")).tags == []
    assert Seen(link("HTTPS://example.org/\"'", "text")).attributes[0] == ("href", "HTTPS://example.org/\"'")


@given(st.text() | st.sampled_from(HOSTILE))
def test_any_text_reads_back_as_text(text: str) -> None:
    """In content and in an attribute, a parser finds the text and no further tag or attribute."""
    seen = Seen(element("p", text, title=text))
    assert seen.tags == ["p"]
    assert seen.attributes == [("title", printable(text))]
    assert seen.text == printable(text)
