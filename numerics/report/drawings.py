"""Drawings on the page: intervals that are drawn here, and figures of others that are made safe.

A figure file may come from anywhere. Only elements and attributes of a list are kept of it, so that
no script, no style sheet and no address of another document enters the page.
"""

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

from theory.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_DRAWING = (
    "svg g defs path rect circle ellipse line polyline polygon text tspan use clipPath "
    "linearGradient radialGradient stop title desc symbol marker pattern mask image"
)
_KEPT = frozenset(_DRAWING.split())
"""Elements that draw. ``image`` is kept with data of its own only."""
_DRAWN = (
    "id d x y x1 y1 x2 y2 cx cy r rx ry dx dy width height points viewBox transform style "
    "fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-dasharray "
    "stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit opacity clip-path "
    "clip-rule clipPathUnits font-size font-family font-weight font-style text-anchor "
    "dominant-baseline offset stop-color stop-opacity gradientUnits gradientTransform "
    "preserveAspectRatio marker-start marker-mid marker-end markerWidth markerHeight refX "
    "refY orient patternUnits maskUnits mask"
)
_ATTRIBUTES = frozenset(_DRAWN.split())
_ADDRESS = re.compile(r"url\(\s*['\"]?(?!#)|@import|expression\(|\\", re.IGNORECASE)
"""What a style could load something with."""
_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=\s]+")
_WIDTH, _EDGE = 360.0, 14.0


def interval(
    value: float, low: float, high: float, expected: float | None, tolerance: float | None
) -> Markup:
    """A value with its interval, and the band in which the interval must lie.

    Examples
    --------
    >>> drawn = interval(0.01, -0.01, 0.03, 0.0, 0.05)
    >>> "95 % interval from −0.01 to 0.03; asked: 0 ± 0.05" in drawn
    True
    """
    ends = [value, low, high]
    if expected is not None:
        ends += [expected - (tolerance or 0.0), expected + (tolerance or 0.0)]
    least, most = min(ends), max(ends)
    reach = (most - least) or max(abs(most), 1.0) * 1e-3

    def at(number: float) -> float:
        return round(_EDGE + (number - least) / reach * (_WIDTH - 2 * _EDGE), 2)

    told = f"value {_n(value)}, 95 % interval from {_n(low)} to {_n(high)}"
    parts = [Markup('<line class="axis" x1="4" x2="356" y1="22" y2="22"/>')]
    if expected is not None:
        told += f"; asked: {_n(expected)}"
        if tolerance:
            told += f" ± {_n(tolerance)}"
            left, right = at(expected - tolerance), at(expected + tolerance)
            wide = max(right - left, 1.0)
            parts.append(_m('<rect class="band" x="{}" y="8" width="{}" height="28"/>', left, wide))
        parts.append(_m('<line class="asked" x1="{0}" x2="{0}" y1="5" y2="39"/>', at(expected)))
    parts.append(
        _m('<line class="reach" x1="{}" x2="{}" y1="22" y2="22"/>', at(low), at(high))
        + _m('<line class="end" x1="{0}" x2="{0}" y1="17" y2="27"/>', at(low))
        + _m('<line class="end" x1="{0}" x2="{0}" y1="17" y2="27"/>', at(high))
        + _m('<circle class="value" cx="{}" cy="22" r="4.5"/>', at(value))
    )
    head = _m('<svg class="interval" viewBox="0 0 360 44" role="img" aria-label="{}">', told)
    return head + Markup("").join(parts) + Markup("</svg>")


def from_figure(figure: "Figure", prefix: str) -> Markup:
    """A figure of matplotlib as part of the page."""
    from numerics.figures.style import svg

    return safe_svg(svg(figure).encode(), prefix, "the figure")


def safe_svg(content: bytes, prefix: str, source: str) -> Markup:
    """A drawing without anything that acts or loads, its names made its own by a prefix.

    Raises
    ------
    InputError
        If ``content`` is no SVG document.

    Examples
    --------
    >>> bad = b'<svg xmlns="http://www.w3.org/2000/svg"><script>x</script><g onload="y" id="a"/>'
    >>> str(safe_svg(bad + b"</svg>", "f1-", "a.svg"))
    '<svg stroke-linejoin="round" role="img"><g id="f1-a" /></svg>'
    """
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{source} must be an SVG document: {error}") from None
    if root.tag != f"{_SVG}svg":
        raise InputError(f"{source} must be an SVG document, and its root is {root.tag!r:.60}")
    cleaned = _cleaned(root, prefix)
    # Matplotlib says this in a style sheet, which would hold for the whole page.
    cleaned.set("stroke-linejoin", "round")
    cleaned.set("role", "img")
    return Markup(ElementTree.tostring(cleaned, encoding="unicode"))


def _cleaned(element: ElementTree.Element, prefix: str) -> ElementTree.Element:
    new = ElementTree.Element(element.tag.removeprefix(_SVG))
    for name, value in element.attrib.items():
        if name in (_HREF, "href"):
            if value.startswith("#"):
                new.set("href", f"#{prefix}{value[1:]}")
            elif new.tag == "image" and _PICTURE.fullmatch(value):
                new.set("href", value)
        elif name == "id":
            new.set("id", prefix + value)
        elif name in _ATTRIBUTES and not _ADDRESS.search(value):
            new.set(name, re.sub(r"url\(\s*(['\"]?)#", rf"url(\1#{prefix}", value))
    new.text, new.tail = element.text, element.tail
    for child in element:
        if isinstance(child.tag, str) and child.tag.removeprefix(_SVG) in _KEPT:
            new.append(_cleaned(child, prefix))
    return new


def _m(text: str, *values: object) -> Markup:
    return Markup(text).format(*values)


def _n(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")
