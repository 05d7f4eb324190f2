"""The Performance page: overall, per class, per slice, and the rows behind every figure."""

from dataclasses import replace
from enum import StrEnum
from typing import Any

from dash import html

from dashboard.reports.confusion import MatrixReport
from dashboard.reports.measured import LOWER_IS_BETTER
from dashboard.reports.performance import (
    ClassRow,
    LoggedMetric,
    PerformanceQuery,
    PerformanceReport,
    SliceRow,
)
from dashboard.reports.row_pages import RowPage
from dashboard.reports.version_verdict import Against
from layouts import (
    confusion,
    detection_errors,
    filter_box,
    formats,
    page,
    parts,
    residuals,
    rows,
    run_picker,
    slice_finder,
)
from layouts.links import Path, base, download, page_link, view_link

PATH = Path.PERFORMANCE
QUESTION = "How good is this run: overall, for each class, for each slice?"
_ROWS_FIELDS = ("run", "filter", "slice", "label", "predicted", "open")
_FREE: dict[str, Any] = {"label": "", "predicted": "", "open": "", "offset": 0}
_MATRIX_FIELDS = ("down", "across", "shares", "arrange", "dim")
_CLASS_SORTS = {"name": "Class", "n": "n", "precision": "Precision", "recall": "Recall", "f1": "F1"}


class Ids(StrEnum):
    """Ids of this page; `performance-filter` is a control of the query's `filter`."""

    QUERY = "performance-query"
    MODEL = "performance-model"
    RUN = "performance-run"
    FILTER = "performance-filter"
    BODY = "performance-body"
    AGAINST = "performance-against"
    ROWS = "performance-rows"
    HEATMAP = "performance-heatmap"
    CURVES = "performance-curves"
    CONTRAST = "performance-contrast"
    BODY_VIEW = "performance-body-view"
    ROWS_VIEW = "performance-rows-view"
    CURVES_VIEW = "performance-curves-view"
    CONTRAST_VIEW = "performance-contrast-view"


def build(**query: str) -> html.Div:
    """The empty page."""
    tools = run_picker.build(Ids.MODEL, Ids.RUN)
    filters, finder = filter_box.build("performance", query.get("filter", "")), slice_finder.section()
    views = [
        page.view(Ids.BODY_VIEW, ("run", "filter", "slice", *_MATRIX_FIELDS, "sort", "order")),
        page.view(Ids.ROWS_VIEW, (*_ROWS_FIELDS, "offset")),
        page.view(Ids.CONTRAST_VIEW, ("run", "filter", "slice")),
        page.view(Ids.CURVES_VIEW, ("run", "filter", "slice", "curve")),
    ]
    slots = [page.slot(Ids.BODY, 120, 320, 260, first=True), page.slot(Ids.ROWS, first=True)]
    slots += [page.slot(Ids.CONTRAST), page.slot(Ids.CURVES)]
    boxes = detection_errors.build()
    against = html.Div(id=Ids.AGAINST, **{"aria-live": "polite"})
    body = (filters, against, slots[0], boxes, finder, *slots[1:], *views)
    return page.build(Ids.QUERY, query, "Performance", QUESTION, tools, *body)


def render(report: PerformanceReport, query: PerformanceQuery, matrix: MatrixReport | None = None) -> Any:
    """The whole report; `matrix` is there for classifications with predictions.

    Which rows are open is none of its business: links open them from wherever the page is then."""
    query = replace(query, **_FREE)
    blocks = [
        run_picker.facts(report.run),
        parts.problems(report.problems),
        _slice_chips(report, query),
        html.Div(_sections(report, query, matrix), className="grid"),
    ]
    return html.Div(blocks, **base(query))


def render_against(found: Against | None) -> html.P | None:
    """The Overview's verdict on this run, beside a link to the version it was compared with."""
    if found is None:
        return None
    before, metric = found.previous, formats.title(found.metric)
    name = f"v{before.version}" if before.version else before.run_name
    link = page_link(PATH, name, run=before.run_id)
    lower = "; lower is better" if found.metric in LOWER_IS_BETTER else ""
    told = [parts.verdict_pill(found.verdict), f" {metric} {parts.verdict_text(found.verdict)}{lower}"]
    return html.P(["Against ", link, ", all rows: ", *told], className="against")


def _sections(report: PerformanceReport, query: PerformanceQuery, matrix: MatrixReport | None) -> list[Any]:
    if not report.n and report.source == "predictions":
        text = "The filter or slice selects no labelled row. Loosen it or choose another slice."
        return [parts.empty("No rows to measure", text)]
    sections = [_overall(report, query)]
    if report.task == "detection" and report.source == "predictions":
        sections.append(detection_errors.classes(report.classes, download("classes", query)))
    elif report.classes:
        wide = matrix is None or len(matrix.across.values) > 8
        table = _sets if report.task == "multilabel" and report.source == "predictions" else _classes
        sections.append(table(report, query, 12 if wide else 6))
        if matrix is not None:
            sections.append(confusion.card(matrix, PATH, query, Ids.HEATMAP, 12 if wide else 6))
    if report.residuals is not None:
        sections += residuals.render(report.residuals)
    sections.append(_slices(report, query))
    if report.logged:
        sections.append(_logged(report.logged))
    return sections


def _overall(report: PerformanceReport, query: PerformanceQuery) -> html.Section:
    head = report.overall.get(report.headline)
    others = [(name, e) for name, e in report.overall.items() if name != report.headline]
    left = parts.headline(formats.title(report.headline), head) if head else None
    stats = [parts.stat(formats.title(name), estimate) for name, estimate in others]
    if report.source == "predictions":
        stats.append(parts.fact("Rows", formats.count(report.n)))
    body = html.Div([left, html.Div(stats, className="stat-row")], className="stat-row", style={"columnGap": "48px"})
    return parts.card("Overall", body, _provenance(report), tools=download("overall", query))


def _provenance(report: PerformanceReport) -> str:
    if report.source == "figures":
        return " ".join([f"Figures that the run logged in {report.artifact}.", *report.notes])
    pieces = [f"Computed from {formats.plural(report.n, 'row')} of {report.artifact}"]
    if report.n_unlabelled:
        pieces.append(f"{formats.plural(report.n_unlabelled, 'row')} without label or prediction left out")
    if report.n_filtered_out:
        pieces.append(f"{formats.plural(report.n_filtered_out, 'row')} filtered out")
    if report.age >= 60:
        pieces.append(f"computed {formats.age(report.age)}")
    return "; ".join([*pieces, *report.notes]) + "."


def _slice_chips(report: PerformanceReport, query: PerformanceQuery) -> html.Div | None:
    if report.source == "figures" or not (report.slices or query.slice):
        return None
    names = list(dict.fromkeys([*(s.name for s in report.slices), *([query.slice] if query.slice else [])]))
    chips = [_chip("All rows", "", query), *(_chip(formats.slice_name(name), name, query) for name in names)]
    return html.Div([html.Span("Slice", className="field-label"), *chips], className="toolbar mb-3 chrome")


def _chip(text: str, name: str, query: PerformanceQuery) -> html.A:
    link = view_link(PATH, query, text, "chip", slice=name, label="", predicted="", offset=0)
    setattr(link, "aria-current", "true" if query.slice == name else "false")
    return link


def _classes(report: PerformanceReport, query: PerformanceQuery, span: int) -> html.Section:
    heads = [_class_head(key, query) for key in _CLASS_SORTS]
    cells = [
        [
            view_link(PATH, query, row.name, **(_FREE | {"label": row.name})),
            formats.count(row.n),
            parts.estimate_cell(row.precision),
            parts.estimate_cell(row.recall),
            parts.estimate_cell(row.f1),
        ]
        for row in _ordered(report, query)
    ]
    note = ["n is the number of rows with that label", parts.opens("; a class opens its rows"), "."]
    table = parts.table(heads, cells, [1], "Per class")
    return parts.card("Per class", table, note, span, download("classes", query))


def _ordered(report: PerformanceReport, query: PerformanceQuery) -> list[ClassRow]:
    return sorted(report.classes, key=lambda row: _class_key(row, query.sort), reverse=query.order == "desc")


def _sets(report: PerformanceReport, query: PerformanceQuery, span: int) -> html.Section:
    """Every class of a multi-label evaluation against all others: its 2 x 2 table in four columns, and its figures."""
    heads: list[Any] = [_class_head(key, query) for key in _CLASS_SORTS]
    heads[2:2] = ["Hits", "Missed", "False alarms", "Rightly absent"]
    cells = [[*_set_counts(row, report.n, query), *map(parts.estimate_cell, (row.precision, row.recall, row.f1))]
             for row in _ordered(report, query)]  # fmt: skip
    how = "A row may have several classes: each class is measured against all others. n is the number of rows labelled"
    note = [f"{how} with it", parts.opens("; a count opens its rows"), "."]
    table = parts.table(heads, cells, [1, 2, 3, 4, 5], "Per class")
    return parts.card("Per class", table, note, span, download("classes", query))


def _set_counts(row: ClassRow, n: int, query: PerformanceQuery) -> list[Any]:
    hits = row.hits or 0
    missed, false = row.n - hits, row.n_predicted - hits
    both = {"label": row.name, "predicted": row.name}
    counts = (
        (row.name, {"label": row.name}), (formats.count(row.n), {"label": row.name}), (formats.count(hits), both),
        (formats.count(missed), {"label": row.name, "open": "errors"}),
        (formats.count(false), {"predicted": row.name, "open": "errors"}),
    )  # fmt: skip
    return [*(view_link(PATH, query, text, **(_FREE | changes)) for text, changes in counts),
            html.Span(formats.count(n - row.n - false), className="muted")]  # fmt: skip


def _class_head(key: str, query: PerformanceQuery) -> html.A:
    order = "desc" if query.sort == key and query.order == "asc" else "asc"
    sign = {"asc": " ▲", "desc": " ▼"}[query.order] if query.sort == key else ""
    return view_link(PATH, query, _CLASS_SORTS[key] + sign, sort=key, order=order)


def _class_key(row: ClassRow, sort: str) -> Any:
    if sort in ("precision", "recall", "f1"):
        return getattr(row, sort).value
    return row.n if sort == "n" else row.name


def _slices(report: PerformanceReport, query: PerformanceQuery) -> html.Section:
    if not report.slices:
        text = "Log boolean columns named slice_<name>, or name a slices.yaml, and each becomes a row here."
        return parts.card("Per slice", html.P(text, className="muted mb-0"))
    metrics = list(report.slices[0].metrics)
    heads = ["Slice", "n", *(formats.title(metric) for metric in metrics), "Against the other rows"]
    cells = [_slice_cells(row, metrics, query, report.source) for row in report.slices]
    lower = "; lower is better" if report.headline in LOWER_IS_BETTER else ""
    note = f"The verdict compares {formats.title(report.headline)} of the slice with the rows outside it{lower}."
    table = parts.table(heads, cells, [1], "Per slice")
    return parts.card("Per slice", table, note, tools=download("slices", query))


def _slice_cells(row: SliceRow, metrics: list[str], query: PerformanceQuery, source: str) -> list[Any]:
    name = formats.slice_name(row.name)
    opened = view_link(PATH, query, name, slice=row.name, label="", predicted="", offset=0)
    description = html.Div(row.description, className="card-note") if row.description else None
    verdict: Any = html.Span("no verdict: found by being wrong" if row.kind == "found" else "–", className="muted")
    if row.verdict is not None:
        text = html.Span(parts.verdict_text(row.verdict, versions=False), className="stat-range")
        verdict = html.Div([parts.verdict_pill(row.verdict), " ", text])
    values = [parts.estimate_cell(row.metrics[metric]) if metric in row.metrics else "–" for metric in metrics]
    return [html.Div([name if source == "figures" else opened, description]), formats.count(row.n), *values, verdict]


def _logged(logged: tuple[LoggedMetric, ...]) -> html.Section:
    cells = [
        [
            html.Span(metric.name, className="mono"),
            formats.number(metric.logged),
            formats.number(metric.ours) if metric.ours is not None else "–",
            parts.pill("differs", "worse") if metric.differs else ("" if metric.ours is None else parts.pill("agrees")),
        ]
        for metric in logged
    ]
    note = "What the run itself recorded, beside the figure computed here from its predictions."
    return parts.card(
        "Logged by the run", parts.table(["Metric", "Logged", "Computed", "Verdict"], cells, [1, 2]), note
    )


def render_rows(found: RowPage, query: PerformanceQuery) -> html.Section:
    """The rows behind a class or a confusion cell."""
    one_sided = query.open == "errors" and bool(query.label) != bool(query.predicted)
    words = [
        f"labelled {query.label}" if query.label else "",
        f"predicted {query.predicted}" if query.predicted else "",
        f"without {query.label or query.predicted} on the other side" if one_sided else "",
        f"in slice {formats.slice_name(query.slice)}" if query.slice else "",
        f"where {query.filter}" if query.filter and query.open else "",
    ]
    close = view_link(PATH, query, "Close", "btn-quiet", label="", predicted="", open="", offset=0)

    tools = html.Div([download("error-rows", query), close], className="toolbar")

    def open_row(number: int) -> html.A:
        return page_link(Path.INFERENCE, "Try", run=query.run, row=number)

    wrong = query.open == "errors" and not (query.label or query.predicted)
    title = ("Wrong rows " if wrong else "Rows ") + ", ".join(word for word in words if word)
    table = rows.render(found, PATH, query, open_row, sortable=False)
    return html.Div(
        parts.card(title, table, "Most confident first where scores exist.", tools=tools, panel="rows"),
        className="mt-3",
        **base(query),
    )
