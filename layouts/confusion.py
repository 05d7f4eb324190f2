"""The confusion matrix, and the matrix of any two groupings: a table of links up to 25 groups, a heat map beyond."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dash import dcc, html

from dashboard.reports.confusion import ARRANGEMENTS, LABEL, PREDICTION, SHARES, MatrixReport, Side
from dashboard.reports.performance import PerformanceQuery
from layouts import formats, links_menu, parts, theme
from layouts.links import download, view_link

LARGEST_TABLE = 25
_HOT = 0.5
_TOP = 20
_FREE: dict[str, Any] = {"label": "", "predicted": "", "open": "", "offset": 0}


@dataclass(frozen=True)
class _Counts:
    """Counts by (down, across) with their sums; a share of `full` is shaded most."""

    n: dict[tuple[int, int], int]
    down: list[int]
    across: list[int]
    full: float = 1.0

    def share(self, row: int, column: int, of: str) -> float:
        """Of the row, or of the column."""
        whole = self.across[column] if of == "column" else self.down[row]
        return self.n.get((row, column), 0) / whole if whole else 0.0


def _counts(report: MatrixReport, query: PerformanceQuery) -> _Counts:
    n = {(row, column): count for row, column, count in report.cells}
    down, across = [0] * len(report.down.values), [0] * len(report.across.values)
    for (row, column), count in n.items():
        down[row] += count
        across[column] += count
    found = _Counts(n, down, across)
    if not (query.dim and report.classes):
        return found
    # with the diagonal dimmed the largest error is shaded most, so that errors differ from each other
    errors = [found.share(*place, query.shares) for place in n if not _same(report, place)]
    return replace(found, full=max(errors, default=1.0))


def card(report: MatrixReport, path: str, query: PerformanceQuery, graph_type: str, span: int) -> html.Section:
    """The matrix with its axes, shares and order to choose from."""
    sides = f"{_title(report.down)} against {_title(report.across)}"
    title = "Confusion matrix" if report.classes else sides[0].upper() + sides[1:]
    told = html.P(report.note, className="notice info mb-2", role="status") if report.note else None
    body = html.Div([_controls(report, path, query), told, render(report, path, query, graph_type)])
    tools = download("confusion", query) if report.classes else None
    return parts.card(title, body, _note(report, query), span, tools, "confusion")


def _note(report: MatrixReport, query: PerformanceQuery) -> list[Any]:
    share = "share of the column" if query.shares == "column" else "share of the row"
    if _is_large(report):
        of = share if query.shares else "number of rows"
        return [f"Coloured by the logarithm of the {of}", parts.opens("; a cell opens the rows behind it"), "."]
    wrong = ", errors in orange" if report.classes else ""
    return [f"Shaded by {share}{wrong}", parts.opens("; a cell, row or column opens the rows behind it"), "."]


def _is_large(report: MatrixReport) -> bool:
    return max(len(report.down.values), len(report.across.values)) > LARGEST_TABLE


def _title(side: Side) -> str:
    return side.name.removeprefix("slice_").replace("_", " ")


def _controls(report: MatrixReport, path: str, query: PerformanceQuery) -> html.Div:
    names = {name: report.titles.get(name) or name.removeprefix("slice_").replace("_", " ") for name in report.choices}
    return html.Div(
        [
            links_menu.menu(path, query, "Rows", "down", names, LABEL),
            links_menu.menu(path, query, "Columns", "across", names, PREDICTION),
            links_menu.menu(path, query, "Show", "shares", SHARES),
            links_menu.menu(path, query, "Order", "arrange", ARRANGEMENTS),
            links_menu.switch(path, query, "Dim diagonal", "dim") if report.classes else None,
        ],
        className="toolbar mb-2 chrome",
    )


def render(report: MatrixReport, path: str, query: PerformanceQuery, graph_type: str) -> Any:
    """The matrix; each cell leads to the rows behind it (assets/vitrine.js marks the open one). `graph_type` is the
    type in the heat map's id."""
    if not report.cells:
        return html.P("No row has both values.", className="muted mb-0")
    counts = _counts(report, query)
    if _is_large(report):
        graph = dcc.Graph(
            id={"type": graph_type, "index": 0}, figure=_heatmap(report, counts, query), config=theme.CONFIG
        )
        return html.Div([html.Div(graph, className="heat-map"), _top(report, counts, path, query)])
    heads = [_head(report.across, i, "col", counts.across[i], path, query) for i in range(len(report.across.values))]
    corner = html.Td(html.Span(f"{_title(report.down)} ↓ {_title(report.across)} →", className="axis-name"))
    body = [
        html.Tr(
            [
                _head(report.down, row, "row", counts.down[row], path, query),
                *(_cell(report, counts, row, column, path, query) for column in range(len(heads))),
            ]
        )
        for row in range(len(report.down.values))
    ]
    table = html.Table([html.Thead(html.Tr([corner, *heads])), html.Tbody(body)], className="confusion")
    region = {"role": "region", "aria-label": "Confusion matrix", "tabIndex": 0}
    return html.Div(table, className="table-scroll", **region)


def _select(query: PerformanceQuery, *chosen: tuple[Side, int]) -> dict[str, Any]:
    """What a click changes: the page's label or prediction, or its filter, and that all rows behind it are shown."""
    changes = dict(_FREE)
    filters = []
    for side, place in chosen:
        if side.parameter:
            changes[side.parameter] = side.values[place]
        elif side.filters[place]:
            filters.append(side.filters[place])
            changes["open"] = "all"
    return {**changes, "filter": narrowed(query.filter, filters)} if filters else changes


def narrowed(filter_: str, more: Sequence[str]) -> str:
    """A filter with further conditions; one that it already names is not added again."""
    fresh = [text for text in more if text not in filter_]
    return " AND ".join([f"({filter_})" if filter_.strip() and fresh else filter_.strip(), *fresh]).removeprefix(
        " AND "
    )


def _head(side: Side, place: int, scope: str, n: int, path: str, query: PerformanceQuery) -> html.Th:
    value, changes = side.values[place], _select(query, (side, place))
    if not (side.parameter or side.filters[place]):
        return html.Th(value, scope=scope, title=value)
    link = view_link(path, query, value, **changes)
    link.title = f"{_title(side)} {value}: {formats.plural(n, 'row')}"
    return html.Th(link, scope=scope)


def _cell(report: MatrixReport, counts: _Counts, row: int, column: int, path: str, query: PerformanceQuery) -> html.Td:
    n, heat = counts.n.get((row, column), 0), counts.share(row, column, query.shares)
    names = report.down.values[row], report.across.values[column]
    changes = _select(query, (report.down, row), (report.across, column))
    right = report.classes and names[0] == names[1]
    dimmed = bool(query.dim) and right
    marks = {
        "wrong": report.classes and not right,
        "zero": not n,
        "hot": heat / counts.full > _HOT and not dimmed,
        "dimmed": dimmed,
    }
    text = formats.percent(heat) if query.shares and n else formats.count(n)
    link: Any = view_link(path, query, text, **changes)
    if not all(side.parameter or side.filters[place] for side, place in ((report.down, row), (report.across, column))):
        link = html.Span(text)  # because a link could select the rows of one side only
    link.title = _spoken(report, counts, row, column)
    style = {"--heat": f"{_shade(heat / counts.full):.2f}" if n and not dimmed else "0"}
    css = " ".join(name for name, on in marks.items() if on)
    return html.Td(link, className=css, style=style)


def _spoken(report: MatrixReport, counts: _Counts, row: int, column: int) -> str:
    words = {LABEL: "labelled", PREDICTION: "predicted"}
    rows = formats.plural(counts.n.get((row, column), 0), "row")
    pairs = ((report.down, row), (report.across, column))
    named = ", ".join(f"{words.get(side.name, _title(side))} {side.values[place]}" for side, place in pairs)
    of_row, of_column = (formats.percent(counts.share(row, column, of)) for of in ("row", "column"))
    return f"{rows} {named}: {of_row} of the {_title(report.down)}, {of_column} of the {_title(report.across)}"


def _shade(heat: float) -> float:
    """Opacity of a cell; it jumps where the text turns light, so that both stay legible."""
    return 0.06 + 0.5 * heat if heat <= _HOT else 0.82 + 0.18 * heat


def _top(report: MatrixReport, counts: _Counts, path: str, query: PerformanceQuery) -> html.Details:
    """The heat map's table: its largest cells, without the diagonal of classes."""
    off = [place for place in counts.n if not (report.classes and _same(report, place))]
    largest = sorted(off, key=lambda place: -counts.n[place])[:_TOP]
    cells = []
    for row, column in largest:
        changes = _select(query, (report.down, row), (report.across, column))
        values = report.down.values[row], report.across.values[column]
        share = formats.percent(counts.share(row, column, "row"))
        link = view_link(path, query, f"{values[0]} → {values[1]}", **changes)
        cells.append([link, formats.count(counts.n[(row, column)]), share])
    name = "Most frequent confusions" if report.classes else "Largest cells"
    heads = [f"{_title(report.down)} → {_title(report.across)}", "Rows", f"Share of {_title(report.down)}"]
    table = parts.table(heads, cells, [1, 2], name)
    return html.Details([html.Summary(f"{name} ({len(largest)} of {formats.count(len(off))})"), table], open=True)


def _same(report: MatrixReport, place: tuple[int, int]) -> bool:
    return report.down.values[place[0]] == report.across.values[place[1]]


def _heatmap(report: MatrixReport, counts: _Counts, query: PerformanceQuery) -> dict[str, Any]:
    """Colour by the logarithm, so that one error in a thousand rows shows; axes of categories, whatever the names."""
    shown: list[list[int | None]] = [[None] * len(report.across.values) for _ in report.down.values]
    shade: list[list[float | None]] = [[None] * len(report.across.values) for _ in report.down.values]
    for (row, column), n in counts.n.items():
        shown[row][column] = n
        if not (query.dim and report.classes and _same(report, (row, column))):
            value = 1000 * counts.share(row, column, query.shares) if query.shares else n
            shade[row][column] = round(math.log10(1 + value), 4)
    names = f"{_title(report.down)} %{{y}}<br>{_title(report.across)} %{{x}}"
    trace = {
        "type": "heatmap",
        "x": list(report.across.values),
        "y": list(report.down.values),
        "z": shade,
        "customdata": shown,
        "hovertemplate": f"{names}<br>%{{customdata}} rows<extra></extra>",
        "colorscale": [[0, "rgba(91,110,225,.12)"], [1, theme.ACCENT]],
        "showscale": False,
    }
    axis = {"type": "category", "showgrid": False, "tickfont": {"size": 10}}
    return theme.figure(
        [trace],
        height=min(900, max(560, 14 * len(report.down.values) + 80)),
        xaxis={**axis, "title": {"text": _title(report.across)}},
        yaxis={**axis, "autorange": "reversed", "title": {"text": _title(report.down)}},
        meta={"y": _choices(report.down), "x": _choices(report.across)},
    )


def _choices(side: Side) -> dict[str, Any]:
    """What a click on the heat map needs to know of a side."""
    if side.parameter:
        return {"parameter": side.parameter}
    return {"filters": dict(zip(side.values, side.filters, strict=True))}
