"""Figures from files: what draws stays, what acts or loads goes."""

import pytest

from numerics.report.drawings import interval, safe_svg
from theory.errors import InputError

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'


def safe(inner: str) -> str:
    return str(safe_svg(SVG.format(inner).encode(), "p-", "a.svg"))


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        '<g onload="alert(1)"/>',
        '<g onclick="alert(1)"><path d="M0 0"/></g>',
        '<a xlink:href="javascript:alert(1)"><text>x</text></a>',
        '<image xlink:href="https://example.org/a.png"/>',
        '<image href="data:image/svg+xml;base64,AAAA"/>',
        '<use xlink:href="other.svg#a"/>',
        '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>',
        "<style>* { background: url(https://example.org) }</style>",
        '<rect style="fill: url(https://example.org/#a)"/>',
        "<rect style=\"fill: url( 'https://example.org' )\"/>",
        '<rect style="fill: \\75rl(https://example.org)"/>',
        '<animate attributeName="href" to="javascript:alert(1)"/>',
        '<set attributeName="onload" to="alert(1)"/>',
    ],
)
def test_what_acts_or_loads_is_left_out(inner):
    found = safe(inner).lower()
    for word in ("script", "alert", "example.org", "onload", "onclick", "other.svg", "svg+xml"):
        assert word not in found
    assert "<style" not in found
    assert "foreignobject" not in found


def test_what_draws_stays_with_names_of_its_own():
    found = safe(
        '<defs><clipPath id="a"><rect width="3"/></clipPath></defs>'
        '<g clip-path="url(#a)"><use xlink:href="#b"/><text>5 &lt; 6</text></g>'
        '<image xlink:href="data:image/png;base64,iVBORw0KGgo="/>'
    )
    for part in (
        'id="p-a"',
        'clip-path="url(#p-a)"',
        'href="#p-b"',
        "5 &lt; 6",
        'href="data:image/png;base64,iVBORw0KGgo="',
    ):
        assert part in found


@pytest.mark.parametrize("content", [b"", b"<svg", b"<html/>", b"\xff\xfe\x00", b"\x89PNG"])
def test_no_drawing_is_an_input_error(content):
    with pytest.raises(InputError, match="SVG document"):
        safe_svg(content, "p-", "a.svg")


@pytest.mark.parametrize(
    "numbers",
    [(0.0, 0.0, 0.0, None, None), (1e300, -1e300, 1e300, 0.0, 1.0), (5.0, 4.0, 6.0, 5.0, None)],
)
def test_an_interval_of_any_size_is_drawn_within_its_frame(numbers):
    import re

    drawn = interval(*numbers)
    assert "nan" not in drawn
    assert "inf" not in drawn
    for x in re.findall(r' (?:x1|x2|cx)="([^"]+)"', drawn):
        assert 0 <= float(x) <= 360
