"""Curves of one class's scores as small multiples, and the card of a threshold and its cost."""

import json
from typing import Any

import numpy as np
from dash import dcc, html

from dashboard.reports.curves import CurvesReport, Line, Scored, cost_at, middle
from dashboard.reports.performance import PerformanceQuery
from layouts import formats, links_menu, parts, theme
from layouts.links import base, view_link

_CHIPS = 8
_TABLE = 11


def render(report: CurvesReport | str, path: str, query: PerformanceQuery) -> Any:
    """Two cards side by side, or the reason why there are none; nothing for an empty reason."""
    if isinstance(report, str):
        return (
            html.Div(parts.card("Curves", html.P(report, className="muted mb-0")), className="mt-3") if report else None
        )
    told = html.Div(report.note, className="notice info", role="status") if report.note else None
    chips = _classes(report, path, query)
    if not report.scored.n:
        text = "The filter or slice selects no row with a label and a score."
        section = parts.card("Curves", html.Div([told, chips, html.P(text, className="muted mb-0")]))
        return html.Div(section, className="mt-3", **base(query))
    curves = parts.card("Curves", html.Div([told, chips, _multiples(report), _table(report.scored)]), _note(report), 7)
    cost = parts.card("Threshold and cost", _threshold(report), _cost_note(report), 5)
    return html.Div([curves, cost], className="grid mt-3", **base(query))


def _classes(report: CurvesReport, path: str, query: PerformanceQuery) -> Any:
    name = report.scored.class_name
    if len(report.classes) > _CHIPS:
        options = {other: other for other in report.classes}
        return html.Div(
            links_menu.menu(path, query, "Scores of", "curve", options, name), className="toolbar mb-2 chrome"
        )
    links = []
    for other in report.classes:
        link = view_link(path, query, other, "chip", curve=other)
        setattr(link, "aria-current", "true" if other == name else "false")
        links.append(link)
    return html.Div([html.Span("Scores of", className="field-label"), *links], className="toolbar mb-2 chrome")


def _note(report: CurvesReport) -> str:
    found, lines = report.scored, (report.scored.roc, report.scored.precision_recall, report.scored.lift)
    drawn, computed = max(len(line.x) for line in lines), max(line.computed for line in lines)
    left = f", {formats.plural(found.left_out, 'row')} without label or score left out" if found.left_out else ""
    thinned = ""
    if drawn < computed:
        off = max(line.deviation for line in lines)
        points = f"{formats.count(drawn)} of {formats.count(computed)} points"
        thinned = f" Drawn with {points}, off by less than {max(off, 1e-4):.2%} of an axis."
    return (
        f"{formats.plural(found.n, 'row')}, {formats.count(found.n_positive)} of them {found.class_name}{left}."
        f" All of them are counted, by score: AUC exact to"
        f" {_bound(found.auc_error)}, average precision to {_bound(found.average_precision_error)}.{thinned}"
    )


def _bound(error: float) -> str:
    return "the last digit" if error < 1e-9 else f"±{error:.1g}"


def _multiples(report: CurvesReport) -> html.Div:
    found, chosen = report.scored, report.chosen
    area, precision = parts.stat("", found.auc), parts.stat("", found.average_precision)
    del area.children[0], precision.children[0]
    ece = html.Div([html.Span(formats.number(found.ece), className="stat-value")], className="stat")
    assert chosen is not None
    negatives = found.n - found.n_positive
    roc = _roc(found.roc, (chosen.fp / negatives if negatives else 0.0, chosen.recall.value))
    at = (chosen.recall.value, 1.0 if chosen.precision.undefined else chosen.precision.value)
    recall = _recall(found.precision_recall, found.n_positive / found.n, at)
    return html.Div(
        [
            _multiple("ROC", "AUC", area, roc, "roc"),
            _multiple("Precision and recall", "AP", precision, recall, "recall"),
            _multiple("Lift", "", None, _lift(found.lift)),
            _multiple("Calibration", "expected error", ece, _calibration(found)),
        ],
        className="multiples two",
    )


def _multiple(title: str, measure: str, value: Any, figure: dict[str, Any], name: str = "") -> html.Div:
    head = [html.H3(title), html.Span(measure, className="card-note"), value]
    return html.Div([html.Div(head, className="multiple-head"), _graph(figure, name)], className="multiple")


def _graph(figure: dict[str, Any], name: str = "") -> html.Div:
    """A figure; by its name the browser finds it to move the chosen threshold's point."""
    graph = dcc.Graph(figure=figure, config=theme.CONFIG, responsive=True, style={"height": figure["layout"]["height"]})
    return html.Div(graph, className="curve", **{"data-curve": name})


def _dot(x: float, y: float) -> dict[str, Any]:
    """The chosen threshold on a curve; a shape, because moving one costs a tenth of drawing a trace again."""
    size = {
        "xsizemode": "pixel",
        "ysizemode": "pixel",
        "x0": -6,
        "x1": 6,
        "y0": -6,
        "y1": 6,
        "xanchor": x,
        "yanchor": y,
    }
    ring = {"width": 2, "color": "#fff"}
    return {"type": "circle", "xref": "x", "yref": "y", "fillcolor": theme.WORSE, "line": ring, **size}


def _line(x: Any, y: Any, css: str = theme.ACCENT, **more: Any) -> dict[str, Any]:
    style = {"color": css, "width": 2}
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "line": style, "hoverinfo": "skip", **more}


def _guide(x: list[float], y: list[float]) -> dict[str, Any]:
    return _line(x, y, line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"})


def _thresholds(line: Line) -> list[str]:
    return [f"{value:.4g}" if np.isfinite(value) else "none" for value in line.thresholds]


def _small(traces: list[dict[str, Any]], x: str, y: str, **layout: Any) -> dict[str, Any]:
    unit = {"range": [-0.02, 1.02], "dtick": 0.25, "tickfont": {"size": 11}}
    xaxis = {**unit, "title": {"text": x, "standoff": 6, "font": {"size": 11}}, **layout.pop("xaxis", {})}
    yaxis = {**unit, "title": {"text": y, "standoff": 6, "font": {"size": 11}}, **layout.pop("yaxis", {})}
    margin = {"l": 44, "r": 8, "t": 6, "b": 36}
    return theme.figure(traces, 230, xaxis=xaxis, yaxis=yaxis, margin=margin, **layout)


def _roc(line: Line, at: tuple[float, float]) -> dict[str, Any]:
    hover = "from score %{text}<br>%{y:.3f} of the class found<br>%{x:.3f} of the others taken for it<extra></extra>"
    curve = _line(line.x, line.y, text=_thresholds(line), hoverinfo="all", hovertemplate=hover)
    return _small([_guide([0, 1], [0, 1]), curve], "false-positive rate", "true-positive rate", shapes=[_dot(*at)])


def _recall(line: Line, share: float, at: tuple[float, float]) -> dict[str, Any]:
    hover = "from score %{text}<br>recall %{x:.3f}<br>precision %{y:.3f}<extra></extra>"
    curve = _line(line.x, line.y, text=_thresholds(line), hoverinfo="all", hovertemplate=hover)
    return _small([_guide([0, 1], [share, share]), curve], "recall", "precision", shapes=[_dot(*at)])


def _lift(line: Line) -> dict[str, Any]:
    hover = "first %{x:.1%} of the rows:<br>%{y:.2f} times the overall share<extra></extra>"
    curve = _line(line.x, line.y, hoverinfo="all", hovertemplate=hover)
    yaxis = {"range": None, "dtick": None, "rangemode": "tozero", "nticks": 6}
    return _small([_guide([0, 1], [1, 1]), curve], "share of rows, highest scores first", "lift", yaxis=yaxis)


def _calibration(found: Scored) -> dict[str, Any]:
    groups = found.groups
    low, high = found.counts.low, found.counts.high
    marks = {
        "type": "scatter", "mode": "markers", "x": [g.score for g in groups], "y": [g.share for g in groups],
        "marker": {"size": 7, "color": theme.ACCENT}, "customdata": [g.n for g in groups],
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1.5, "width": 0, "color": theme.ACCENT,
            "array": [g.high - g.share for g in groups], "arrayminus": [g.share - g.low for g in groups],
        },
        "hovertemplate": "mean score %{x:.3f}<br>share of the class %{y:.3f}<br>%{customdata} rows<extra></extra>",
    }  # fmt: skip
    numbers = {
        "type": "scatter", "mode": "text", "x": [g.score for g in groups], "y": [-0.09] * len(groups),
        "text": [_brief(g.n) for g in groups], "textfont": {"size": 10}, "hoverinfo": "skip", "cliponaxis": False,
    }  # fmt: skip
    unit = {"range": [low, high]} if (low, high) == (0.0, 1.0) else {"range": [low, high], "dtick": None}
    yaxis = {"range": [-0.15, 1.02], "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    return _small(
        [_guide([0, 1], [0, 1]), marks, numbers],
        "mean score (n of each group above)",
        "share of the class",
        xaxis=unit,
        yaxis=yaxis,
    )


def _brief(n: int) -> str:
    return str(n) if n < 10_000 else f"{n / 1000:.0f}k" if n < 1_000_000 else f"{n / 1e6:.1f}M"


def _table(found: Scored) -> html.Details:
    """The same curves as figures."""
    thin = np.linspace(0, len(found.roc.x) - 1, min(_TABLE, len(found.roc.x))).round().astype(int)
    recall = dict(zip(found.precision_recall.thresholds, found.precision_recall.y, strict=True))
    precision = [recall.get(threshold) for threshold in found.roc.thresholds]
    columns = (_thresholds(found.roc), *(list(map(formats.number, x)) for x in (found.roc.y, found.roc.x, precision)))
    points = [[column[i] for column in columns] for i in thin]
    groups = [
        [formats.number(g.score), formats.number(g.share), formats.span(g.low, g.high), formats.count(g.n)]
        for g in found.groups
    ]
    return html.Details(
        [
            html.Summary("Figures as tables"),
            parts.table(
                ["From score", "Recall", "False-positive rate", "Precision"], points, [0, 1, 2, 3], "Thresholds"
            ),
            parts.table(["Mean score", "Share of the class", "95% interval", "n"], groups, [0, 1, 2, 3], "Calibration"),
        ]
    )


def _cost_note(report: CurvesReport) -> str:
    return (
        f"Cost per row if {report.scored.class_name} is predicted from a score on: what false positives and false"
        f" negatives cost, over all rows, with its 95% interval. The optimum is sought over every score."
    )


def _threshold(report: CurvesReport) -> html.Div:
    """Slider, costs, counts and the cost curve; assets/threshold.js fills in what follows the slider."""
    counts, chosen = report.scored.counts, report.chosen
    assert chosen is not None
    # the slider itself is made in the browser, because Dash's own wakes every component of the page while it moves
    slider = html.Span(className="threshold-range")
    exact = dcc.Input(
        type="number", step="any", value=chosen.threshold, debounce=True, className="form-control threshold-exact"
    )
    name = report.scored.class_name
    return html.Div(
        [
            html.Div(
                [
                    html.Label(
                        [html.Span(f"Predict {name} from score", className="field-label"), slider], className="field"
                    ),
                    html.Label([html.Span("Exactly", className="field-label"), exact], className="field"),
                ],
                className="threshold-fields mb-2",
            ),
            html.Div(
                [_cost("A false positive costs", "fp", report.fp), _cost("A false negative costs", "fn", report.fn)],
                className="cost-fields mb-3",
            ),
            html.Div(className="threshold-read", **{"aria-live": "polite"}),
            _graph(_cost_figure(report), "cost"),
        ],
        className="threshold-card",
        **{
            "data-steps": _steps(report),
            "data-threshold": f"{chosen.threshold:.6g}",
            "data-class": report.scored.class_name,
            "data-first": f"{middle(counts):.6g}",
        },
    )


def _cost(text: str, name: str, value: float) -> html.Label:
    box = dcc.Input(
        type="number", min=0, step="any", value=value, debounce=True, className=f"form-control threshold-{name}"
    )
    return html.Label([html.Span(text, className="field-label"), box], className="field")


def _steps(report: CurvesReport) -> str:
    """The histogram by non-empty bin, from which the browser follows the slider."""
    counts = report.scored.counts
    at = np.flatnonzero(counts.positive + counts.negative)
    steps = {
        "edges": counts.lower_edges[at].tolist(),
        "p": counts.positive[at].tolist(),
        "q": counts.negative[at].tolist(),
        "low": counts.low,
        "high": counts.high,
        "width": counts.width,
        "name": report.scored.class_name,
    }
    return json.dumps(steps)


def _cost_figure(report: CurvesReport) -> dict[str, Any]:
    """Cost with interval, optimum, and the chosen threshold; drawn at 401 thresholds and the optimum."""
    chosen, best = report.chosen, report.optimum
    assert chosen is not None and best is not None
    x = np.sort(np.append(np.linspace(report.scored.counts.low, report.scored.counts.high, 401), best.threshold))
    points = [cost_at(report.scored.counts, float(t), report.fp, report.fn) for t in x]
    band_y = [high for _, _, high in points] + [low for _, low, _ in reversed(points)]
    band = _line([*x, *x[::-1]], band_y, fill="toself", fillcolor="rgba(91,110,225,.18)", line={"width": 0})
    hover = "from score %{x:.4~g}: %{y:.4~g} per row<extra></extra>"
    cost = _line(x, [value for value, _, _ in points], hoverinfo="all", hovertemplate=hover)
    lowest = {
        "type": "scatter", "mode": "markers+text", "x": [best.threshold], "y": [best.cost.value], "text": ["optimum"],
        "textposition": "top center", "textfont": {"size": 11},
        "marker": {"size": 9, "symbol": "diamond", "color": theme.BETTER}, "hovertemplate": hover,
    }  # fmt: skip
    free = {"range": None, "dtick": None, "nticks": 6}
    shapes = [_dot(chosen.threshold, chosen.cost.value)]
    return _small(
        [band, cost, lowest],
        "threshold",
        "cost per row",
        xaxis=free,
        yaxis={**free, "rangemode": "tozero"},
        shapes=shapes,
    )
