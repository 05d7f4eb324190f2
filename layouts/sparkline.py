"""Small pictures for cards and table cells, each one inline SVG: a page of hundreds of boxes would render slowly."""

import math
from collections.abc import Sequence
from urllib.parse import quote

from dash import html

from dashboard.metrics.estimate import Estimate
from layouts import formats, theme

_WIDTH, _HEIGHT, _EDGE = 180, 44, 5


def build(points: Sequence[Estimate | None], name: str) -> html.Img:
    """An inline SVG; versions without a figure leave a gap in the line's points, the text alternative lists all."""
    known = [(i, p) for i, p in enumerate(points) if p is not None and math.isfinite(p.value)]
    spoken = ", ".join(formats.number(p.value) for _, p in known) or "no figures"
    return _image(_svg(known, len(points)), (_WIDTH, _HEIGHT), f"{name} over versions: {spoken}")


def bars(counts: Sequence[int], spoken: str, width: int = 150, height: int = 26) -> html.Img:
    """A histogram with one bar per count; `spoken` is its text alternative."""
    top, step = max(counts, default=0) or 1, width / max(1, len(counts))
    heights = [max(1.0, height * n / top) if n else 0.0 for n in counts]
    boxes = "".join(
        f'<rect x="{i * step:.1f}" y="{height - tall:.1f}" width="{max(0.5, step - 1):.1f}" height="{tall:.1f}"/>'
        for i, tall in enumerate(heights)
    )
    return _image(f'<g fill="{theme.ACCENT}">{boxes}</g>', (width, height), spoken)


def shares(parts: Sequence[float], spoken: str, width: int = 150, height: int = 10) -> html.Img:
    """Shares of a whole side by side, in three alternating tints."""
    boxes, left = "", 0.0
    for i, share in enumerate(parts):
        tint, wide = (1, 0.6, 0.35)[i % 3], width * share
        boxes += f'<rect x="{left:.1f}" width="{max(0.5, wide - 1):.1f}" height="{height}" opacity="{tint}"/>'
        left += wide
    return _image(f'<g fill="{theme.ACCENT}">{boxes}</g>', (width, height), spoken)


def _image(body: str, size: tuple[int, int], alt: str) -> html.Img:
    width, height = size
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{body}</svg>'
    return html.Img(src="data:image/svg+xml," + quote(svg), className="spark", width=width, height=height, alt=alt)


def _svg(known: Sequence[tuple[int, Estimate]], total: int) -> str:
    if not known:
        return ""
    lows = [p.low if math.isfinite(p.low) else p.value for _, p in known]
    highs = [p.high if math.isfinite(p.high) else p.value for _, p in known]
    bottom, top = min(lows), max(highs)
    extent = (top - bottom) or 1.0

    def x(index: int) -> float:
        return _EDGE + (_WIDTH - 2 * _EDGE) * (index / (total - 1) if total > 1 else 0.5)

    def y(value: float) -> float:
        return _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (value - bottom) / extent

    line = " ".join(f"{x(i):.1f},{y(p.value):.1f}" for i, p in known)
    upper = [f"{x(i):.1f},{y(high):.1f}" for (i, _), high in zip(known, highs, strict=True)]
    lower = [f"{x(i):.1f},{y(low):.1f}" for (i, _), low in zip(known, lows, strict=True)]
    band = " ".join(upper + lower[::-1])
    dots = "".join(f'<circle cx="{x(i):.1f}" cy="{y(p.value):.1f}" r="2" fill="{theme.ACCENT}"/>' for i, p in known)
    last, newest = known[-1]
    return (
        f'<polygon points="{band}" fill="{theme.ACCENT}" opacity="0.18"/>'
        f'<polyline points="{line}" fill="none" stroke="{theme.ACCENT}" stroke-width="1.75" stroke-linejoin="round"/>'
        f'{dots}<circle cx="{x(last):.1f}" cy="{y(newest.value):.1f}" r="4" fill="{theme.ACCENT}"/>'
    )
