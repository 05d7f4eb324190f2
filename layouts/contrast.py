"""Paired histograms: how wrong rows are spread over a feature, against right rows."""

from typing import Any

from dash import html

from dashboard.reports.contrast import ContrastReport, Paired
from dashboard.reports.performance import PerformanceQuery
from layouts import formats, parts
from layouts.confusion import narrowed
from layouts.links import base, view_link

_CHANCE = 0.05
_WORDS = (("wrong rows", "right rows"), ("rows far off", "other rows"))


def render(report: ContrastReport | None, path: str, query: PerformanceQuery) -> Any:
    """A card of at most six features; nothing for tasks without right and wrong, or without features."""
    if report is None or not report.tested or not (report.right or report.wrong):
        return None
    section = parts.card("Where errors gather", _body(report, path, query), _note(report))
    return html.Div(section, className="mt-3", **base(query))


def _note(report: ContrastReport) -> str:
    rows = f"{formats.plural(report.wrong, 'wrong row')} against {formats.plural(report.right, 'right one')}"
    if report.limit is not None:
        far = f"{formats.plural(report.wrong, 'row')} with an error of at least {formats.number(report.limit)}"
        rows = f"The worst tenth ({far}) against {formats.plural(report.right, 'other')}"
    how = "Features by Cramér's V corrected for chance (0: no difference, 1: the feature tells them apart)"
    return f"{rows}, all rows used. {how}, {formats.plural(report.tested, 'feature')} tested."


def _body(report: ContrastReport, path: str, query: PerformanceQuery) -> Any:
    if not report.features:
        one, other = _WORDS[report.limit is not None]
        return html.P(f"No feature differs between {one} and {other} beyond chance.", className="muted mb-0")
    names = _WORDS[report.limit is not None]
    legend = html.Div(
        [html.Span(f"of the {names[0]}", className="key wrong"), html.Span(f"of the {names[1]}", className="key")]
    )
    panels = [_panel(feature, report, path, query) for feature in report.features]
    return html.Div([html.Div(legend, className="card-note mb-2"), html.Div(panels, className="multiples")])


def _panel(feature: Paired, report: ContrastReport, path: str, query: PerformanceQuery) -> html.Div:
    wrong = [n / report.wrong if report.wrong else 0.0 for n in feature.wrong]
    right = [n / report.right if report.right else 0.0 for n in feature.right]
    top = max([*wrong, *right], default=1.0) or 1.0
    word = "wrong" if report.limit is None else "far off"
    bars = [_bar(feature, i, wrong[i] / top, right[i] / top, word) for i in range(len(feature.values))]
    chance = parts.pill("may be chance", "few") if feature.p > _CHANCE else None
    head = html.Div([html.H3(feature.name, title=feature.name), chance], className="toolbar")
    figure = f"V {formats.number(feature.v)}, {_p(feature.p)}"
    ends = [html.Span(feature.values[0]), html.Span(feature.values[-1] if len(feature.values) > 1 else "")]
    each = [html.Span(value, title=value) for value in feature.values]
    axis = html.Div(ends, className="mini-axis") if feature.kind == "number" else html.Div(each, className="bar-names")
    names = _WORDS[report.limit is not None]
    told = f"{names[0].capitalize()} and {names[1]} by {feature.name}; the table is in the tooltips"
    spoken = {"role": "img", "aria-label": told}
    return html.Div(
        [
            head,
            html.P(figure + _missing(feature), className="card-note"),
            html.Div([html.Div(bars, className="paired-bars"), axis], **spoken),
            _worst(feature, path, query, word),
        ],
        className="multiple",
    )


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {formats.number(p)}"


def _missing(feature: Paired) -> str:
    return f"; {formats.plural(feature.missing, 'row')} without a value" if feature.missing else ""


def _bar(feature: Paired, place: int, wrong: float, right: float, word: str) -> html.Span:
    n = feature.wrong[place] + feature.right[place]
    told = f"{feature.values[place]}: {formats.count(feature.wrong[place])} of {formats.plural(n, 'row')} {word}"
    pair = [
        html.I(className="wrong", style={"height": f"{100 * wrong:.1f}%"}),
        html.I(style={"height": f"{100 * right:.1f}%"}),
    ]
    return html.Span(pair, title=told, className="worst" if place == feature.worst else None)


def _worst(feature: Paired, path: str, query: PerformanceQuery, word: str) -> Any:
    """The link to the errors of the bin with the highest share of them."""
    if feature.worst is None or not feature.filters[feature.worst]:
        return None
    wrong, n = feature.wrong[feature.worst], feature.wrong[feature.worst] + feature.right[feature.worst]
    text = f"{feature.values[feature.worst]}: {formats.percent(wrong / n)} of {formats.plural(n, 'row')} {word}"
    filter_ = narrowed(query.filter, [feature.filters[feature.worst]])
    return view_link(path, query, text, "small", filter=filter_, open="errors", label="", predicted="", offset=0)
