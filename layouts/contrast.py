"""Paired histograms: how wrong rows are spread over a feature, against right rows."""

from typing import Any

from dash import html

from dashboard.reports.contrast import ContrastReport, Paired
from dashboard.reports.performance import PerformanceQuery
from layouts import formats, parts
from layouts.confusion import narrowed
from layouts.links import base, view_link

_CHANCE = 0.05


def render(report: ContrastReport | None, path: str, query: PerformanceQuery) -> Any:
    """A card of at most six features; nothing for tasks without right and wrong, or without features."""
    if report is None or not report.tested or not (report.right or report.wrong):
        return None
    section = parts.card("Where errors gather", _body(report, path, query), _note(report))
    return html.Div(section, className="mt-3", **base(query))


def _note(report: ContrastReport) -> str:
    rows = f"{formats.plural(report.wrong, 'wrong row')} against {formats.plural(report.right, 'right one')}"
    how = "Features by Cramér's V corrected for chance (0: no difference, 1: the feature tells them apart)"
    return f"{rows}, all rows used. {how}, {formats.plural(report.tested, 'feature')} tested."


def _body(report: ContrastReport, path: str, query: PerformanceQuery) -> Any:
    if not report.features:
        return html.P("No feature differs between wrong and right rows beyond chance.", className="muted mb-0")
    legend = html.Div(
        [html.Span("of the wrong rows", className="key wrong"), html.Span("of the right rows", className="key")]
    )
    panels = [_panel(feature, report, path, query) for feature in report.features]
    return html.Div([html.Div(legend, className="card-note mb-2"), html.Div(panels, className="multiples")])


def _panel(feature: Paired, report: ContrastReport, path: str, query: PerformanceQuery) -> html.Div:
    wrong = [n / report.wrong if report.wrong else 0.0 for n in feature.wrong]
    right = [n / report.right if report.right else 0.0 for n in feature.right]
    top = max([*wrong, *right], default=1.0) or 1.0
    bars = [_bar(feature, i, wrong[i] / top, right[i] / top) for i in range(len(feature.values))]
    chance = parts.pill("may be chance", "few") if feature.p > _CHANCE else None
    head = html.Div([html.H3(feature.name, title=feature.name), chance], className="toolbar")
    figure = f"V {formats.number(feature.v)}, {_p(feature.p)}"
    ends = [html.Span(feature.values[0]), html.Span(feature.values[-1] if len(feature.values) > 1 else "")]
    axis = html.Div(ends, className="mini-axis") if feature.kind == "number" else None
    spoken = {"role": "img", "aria-label": f"Wrong and right rows by {feature.name}; the table is in the tooltips"}
    return html.Div(
        [
            head,
            html.P(figure + _missing(feature), className="card-note"),
            html.Div([html.Div(bars, className="paired-bars"), axis], **spoken),
            _worst(feature, path, query),
        ],
        className="multiple",
    )


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {formats.number(p)}"


def _missing(feature: Paired) -> str:
    return f"; {formats.plural(feature.missing, 'row')} without a value" if feature.missing else ""


def _bar(feature: Paired, place: int, wrong: float, right: float) -> html.Span:
    n = feature.wrong[place] + feature.right[place]
    told = f"{feature.values[place]}: {formats.count(feature.wrong[place])} of {formats.plural(n, 'row')} wrong"
    pair = [
        html.I(className="wrong", style={"height": f"{100 * wrong:.1f}%"}),
        html.I(style={"height": f"{100 * right:.1f}%"}),
    ]
    return html.Span(pair, title=told, className="worst" if place == feature.worst else None)


def _worst(feature: Paired, path: str, query: PerformanceQuery) -> Any:
    """The link to the errors of the bin with the highest share of them."""
    if feature.worst is None or not feature.filters[feature.worst]:
        return None
    wrong, n = feature.wrong[feature.worst], feature.wrong[feature.worst] + feature.right[feature.worst]
    text = f"{feature.values[feature.worst]}: {formats.percent(wrong / n)} of {formats.plural(n, 'row')} wrong"
    filter_ = narrowed(query.filter, [feature.filters[feature.worst]])
    return view_link(path, query, text, "small", filter=filter_, open="errors", label="", predicted="", offset=0)
