"""The page is whole, safe and needs nothing from outside."""

import re
from html.parser import HTMLParser

from throughtime.plots import training_curves
from throughtime.report import Figure, Report, Section, Table, render

REPORT = Report(
    title="A <title> & more",
    outcome="It worked.",
    sections=(
        Section("Text", "Words.", sample="<script>alert('x')</script>\n  indented"),
        Section(
            "Rows", table=Table(("name", "value"), [("a", "1"), ("b", "2")], "Cap")
        ),
        Section(
            "Picture",
            figure=Figure(
                lambda dark: training_curves([], dark=dark), "What it shows", "Caption"
            ),
        ),
    ),
)
VOID = {"meta", "img", "source", "br", "link"}


class Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_well_formed_accessible_and_self_contained():
    html = render(REPORT)
    outline = Outline()
    outline.feed(html)
    assert outline.open == []
    assert "script" not in outline.seen
    assert ("html", "lang", "en") in outline.attributes
    assert ("img", "alt", "What it shows") in outline.attributes
    for tag, name, value in outline.attributes:
        if name in ("src", "srcset", "href"):
            assert value.startswith("data:image/svg+xml;base64,"), tag
    assert not re.search(r"url\(|@import", html)
    assert html.count("prefers-color-scheme: dark") == 2


def test_text_is_escaped():
    html = render(REPORT)
    assert "&lt;script&gt;alert" in html
    assert "<script" not in html
    assert "A &lt;title&gt; &amp; more" in html
    assert "\n  indented</pre>" in html


def test_light_and_dark_pictures_differ():
    light, dark = re.findall(r'srcset="([^"]+)"|<img src="([^"]+)"', render(REPORT))
    assert light[0] != dark[1]
