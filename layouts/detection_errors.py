"""Detection on the Performance page: averages per class, and false positives and misses with the boxes behind them."""

from enum import StrEnum
from typing import Any

from dash import html

from dashboard.reports.detection_errors import (
    PAGE,
    DetectionErrorsQuery,
    DetectionErrorsReport,
    ErrorBox,
    OutcomeRow,
)
from dashboard.reports.measured import ClassRow
from layouts import formats, page, parts
from layouts.links import Path, base, page_link, view_link

PATH = Path.PERFORMANCE
_AVERAGES = ("map", "ap50", "ap75", "ar1", "ar100")
_HEADS = {"map": "AP", "ap50": "AP at 0.50", "ap75": "AP at 0.75", "ar1": "AR at 1", "ar100": "AR at 100"}
_CONFIDENCES, _OVERLAPS = ("0.1", "0.25", "0.5", "0.75", "0.9"), ("0.5", "0.75", "0.9")


class Ids(StrEnum):
    """Ids of the card."""

    VIEW = "detection-errors-view"
    CARD = "detection-errors-card"


def build() -> html.Div:
    """The empty card and the view that it follows."""
    fields = ("run", "filter", "slice", "object", "outcome", "confidence", "iou", "start")
    return html.Div([page.view(Ids.VIEW, fields), page.slot(Ids.CARD)])


def classes(rows: tuple[ClassRow, ...], tools: Any) -> html.Section:
    """COCO's averages per class, the weakest first."""
    weakest = sorted(rows, key=lambda row: (row.averages["map"].undefined, row.averages["map"].value))
    cells = [
        [
            html.Span(row.name, dir="auto"),
            formats.count(row.n),
            *(parts.estimate_cell(row.averages[name]) for name in _AVERAGES),
        ]
        for row in weakest
    ]
    note = (
        "The weakest first; n counts true objects. AP and AR as COCO defines them, over overlaps of 0.50 to 0.95;"
        " intervals from 200 draws of the pictures."
    )
    table = parts.table(["Class", "n", *(_HEADS[name] for name in _AVERAGES)], cells, [1], "Per class")
    return parts.card("Per class", table, note, 12, tools)


def render(report: DetectionErrorsReport | None, query: DetectionErrorsQuery) -> Any:
    """Counts at the chosen thresholds, and the boxes behind one of them."""
    if report is None:
        return None
    tools = html.Div(
        [
            _chips("Confidence from", "confidence", _CONFIDENCES, query),
            _chips("Overlap from", "iou", _OVERLAPS, query),
        ],
        className="toolbar chrome",
    )
    heads = ["Class", "True", "Found", "Missed", "False positives", "Precision", "Recall"]
    cells = [_cells(row, query) for row in (report.total, *report.classes)]
    right = "A detection is right where it overlaps a free true box of its class enough."
    note = [right, parts.opens(" A count opens its boxes.")]
    table = parts.table(heads, cells, [1, 2, 3, 4], "False positives and misses")
    body = [tools, table, _boxes(report, query) if query.outcome else None]
    return html.Div(
        parts.card("False positives and misses", html.Div(body), note), className="mt-3", **base(query)
    )  # fmt: skip


def _chips(title: str, name: str, values: tuple[str, ...], query: DetectionErrorsQuery) -> html.Span:
    links = []
    for value in values:
        link = view_link(PATH, query, value, "chip", **{name: value, "start": 0})
        setattr(link, "aria-current", "true" if getattr(query, name) == value else "false")
        links.append(link)
    return html.Span([html.Span(title, className="field-label"), *links], className="toolbar me-3")


def _cells(row: OutcomeRow, query: DetectionErrorsQuery) -> list[Any]:
    counts = row.counts
    return [
        html.Span(row.name, dir="auto") if row.name else html.B("All"),
        formats.count(counts.tp + counts.fn),
        formats.count(counts.tp),
        _count(counts.fn, row, "missed", query),
        _count(counts.fp, row, "false", query),
        parts.estimate_cell(row.precision),
        parts.estimate_cell(row.recall),
    ]


def _count(n: int, row: OutcomeRow, outcome: str, query: DetectionErrorsQuery) -> Any:
    if not n:
        return "0"
    chosen = (query.outcome, query.object) == (outcome, row.name)
    link = view_link(PATH, query, formats.count(n), object=row.name, outcome=outcome, start=0)
    setattr(link, "aria-current", "true" if chosen else "false")
    return link


def _boxes(report: DetectionErrorsReport, query: DetectionErrorsQuery) -> html.Div:
    what = "False positives" if query.outcome == "false" else "Missed objects"
    title = f"{what} of class {query.object}" if query.object else what
    close = view_link(PATH, query, "Close", "btn-quiet", object="", outcome="", start=0)
    head = html.Div([html.H3(title), close], className="toolbar mt-3 mb-2")
    if not report.boxes:
        return html.Div([head, html.P("There are none at these thresholds.", className="muted mb-0")])
    gallery = html.Div([_box(box, query) for box in report.boxes], className="box-gallery")
    orange = "Orange: the box in question; white: boxes of the other side."
    return html.Div([head, html.P(orange, className="card-note mb-2"), gallery, _pager(report, query)])


def _box(box: ErrorBox, query: DetectionErrorsQuery) -> html.Div:
    about = f"{box.label}" if box.score is None else f"{box.label} · {box.score:.2f}"
    shown = html.Img(src=box.image, alt=f"{about} in row {box.row}") if box.image else html.Span(f"row {box.row}")
    opened = page_link(
        Path.INFERENCE,
        [shown, html.B(about, dir="auto"), html.Span(box.why)],
        "box-card",
        run=query.run,
        row=str(box.row),
        confidence=query.confidence,
    )
    opened.title = f"Open row {box.row}"
    return html.Div(opened)


def _pager(report: DetectionErrorsReport, query: DetectionErrorsQuery) -> html.Nav:
    last = min(query.start + PAGE, report.n)
    words = f"{formats.count(query.start + 1)} to {formats.count(last)} of {formats.plural(report.n, 'box', 'boxes')}"
    steps = [
        _step("← Previous", query, query.start - PAGE, query.start > 0),
        html.Span(words, className="card-note figure-number"),
        _step("Next →", query, query.start + PAGE, last < report.n),
    ]
    return html.Nav(steps, className="toolbar mt-2", **{"aria-label": "Pages of boxes"})


def _step(text: str, query: DetectionErrorsQuery, start: int, possible: bool) -> Any:
    if not possible:
        return html.Span(text, className="btn-quiet", **{"aria-disabled": "true"})
    return view_link(PATH, query, text, "btn-quiet", start=max(0, start))
