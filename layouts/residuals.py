"""Regression pictures: prediction against label, and the histogram of residuals."""

from typing import Any

from dash import dcc, html

from dashboard.reports.performance import Residuals
from layouts import formats, parts, theme


def render(found: Residuals) -> list[Any]:
    """Two cards."""
    sample = len(found.points)
    note = f"Every one of {formats.plural(sample, 'row')}."
    if sample < found.sampled_from:
        note = f"An even sample of {formats.count(sample)} of {formats.plural(found.sampled_from, 'row')}."
    scatter = dcc.Graph(figure=_scatter(found), config=theme.CONFIG)
    histogram = dcc.Graph(figure=_histogram(found), config=theme.CONFIG)
    return [
        parts.card("Prediction against label", scatter, f"On the line the prediction is exact. {note}", 6),
        parts.card("Residuals", html.Div(histogram), "Prediction minus label, all rows.", 6),
    ]


def _scatter(found: Residuals) -> dict[str, Any]:
    xs, ys = [p[0] for p in found.points], [p[1] for p in found.points]
    ends = [min([*xs, *ys], default=0.0), max([*xs, *ys], default=1.0)]
    marks = {
        "type": "scatter", "mode": "markers", "x": xs, "y": ys,
        "marker": {"size": 6, "color": theme.ACCENT, "opacity": 0.55},
        "hovertemplate": "label %{x}<br>prediction %{y}<extra></extra>",
    }  # fmt: skip
    exact = {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip"}
    line = {**exact, "line": {"color": theme.NEUTRAL, "width": 1, "dash": "dot"}}
    return theme.figure([line, marks], 320, xaxis={"title": {"text": "label"}}, yaxis={"title": {"text": "prediction"}})


def _histogram(found: Residuals) -> dict[str, Any]:
    middles = [(a + b) / 2 for a, b in zip(found.edges, found.edges[1:], strict=False)]
    widths = [b - a for a, b in zip(found.edges, found.edges[1:], strict=False)]
    bars = {
        "type": "bar", "x": middles, "y": list(found.counts), "width": widths, "marker": {"color": theme.ACCENT},
        "hovertemplate": "%{x:.3~g}: %{y} rows<extra></extra>",
    }  # fmt: skip
    return theme.figure([bars], 320, xaxis={"title": {"text": "prediction − label"}}, yaxis={"title": {"text": "rows"}})
