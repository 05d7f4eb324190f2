"""The Data page: the evaluation's rows, every column at a glance, label balance, images."""

from enum import StrEnum
from typing import Any

from dash import html

from dashboard.metrics.found_rows import DUPLICATES, LABEL_ERRORS
from dashboard.reports.data import ColumnSummary, DataQuery, DataReport, RowPage, SliceCount
from layouts import column_roles, filter_box, formats, page, parts, rows, run_picker, sparkline
from layouts.links import Path, download, page_link, view_link

PATH = Path.DATA
QUESTION = "What was this run evaluated on, and is that data sound?"
_VIEWS = {"table": "Rows", "images": "Images"}


class Ids(StrEnum):
    """Ids of this page; `data-filter` is a control of the query's `filter`."""

    QUERY = "data-query"
    MODEL = "data-model"
    RUN = "data-run"
    FILTER = "data-filter"
    BODY = "data-body"
    ROWS = "data-rows"


def build(**query: str) -> html.Div:
    """The empty page."""
    tools = run_picker.build(Ids.MODEL, Ids.RUN)
    filters = filter_box.build("data", query.get("filter", ""))
    slots = html.Div([page.slot(Ids.BODY, 100, 220), column_roles.section(), page.slot(Ids.ROWS, 400)])
    return page.build(Ids.QUERY, query, "Data", QUESTION, tools, filters, slots)


def render(report: DataReport, query: DataQuery) -> Any:
    """Counts, label balance, text lengths, columns, preprocessing."""
    grid: list[Any] = [_glance(report, query)]
    if report.label is not None:
        grid.append(parts.card("Label balance", _balance(report.label), _balance_note(report.label), 6))
    if report.text is not None:
        grid.append(parts.card("Text length", _histogram(report.text), _length_note(report.text), 6))
    grid.append(_columns(report, query))
    if report.preprocessing:
        grid.append(_preprocessing(report.preprocessing))
    head = [run_picker.facts(report.run), parts.problems(report.problems), _chips(report, query)]
    return html.Div([*head, html.Div(grid, className="grid")])


def _chips(report: DataReport, query: DataQuery) -> html.Div | None:
    """The slices with their rows: one more way to choose what the page shows."""
    if not report.slices:
        return None
    chips = [_chip("All rows", "", None, query), *(_slice_chip(item, query) for item in report.slices)]
    return html.Div([html.Span("Slice", className="field-label"), *chips], className="toolbar mb-3 chrome")


def _slice_chip(item: SliceCount, query: DataQuery) -> html.A:
    count = html.Span(formats.count(item.n), className="muted figure-number")
    return _chip([formats.slice_name(item.name), count], item.name, item.description or None, query)


def _chip(text: Any, name: str, description: str | None, query: DataQuery) -> html.A:
    link = view_link(PATH, query, text, "chip", slice=name, offset=0)
    setattr(link, "aria-current", "true" if query.slice == name else "false")
    link.title = description
    return link


def _found(report: DataReport, query: DataQuery, name: str, text: str) -> Any:
    """The number of rows that were found, as a link to them."""
    found = next((item for item in report.slices if item.name == name and item.n), None)
    return view_link(PATH, query, text, slice=name, offset=0) if found else text


def _glance(report: DataReport, query: DataQuery) -> html.Section:
    missing = sum(column.missing for column in report.columns)
    facts = [
        parts.fact("Rows", formats.count(report.n)),
        parts.fact("Columns", formats.count(len(report.columns))),
        parts.fact("Missing values", formats.count(missing)),
        parts.fact("Exact duplicates", _found(report, query, DUPLICATES, formats.count(report.duplicates))),
    ]
    doubtful = next((item.n for item in report.slices if item.name == LABEL_ERRORS), 0)
    if doubtful and not query.slice:
        facts.append(parts.fact("Suspected label errors", _found(report, query, LABEL_ERRORS, formats.count(doubtful))))
    part = f" of {formats.plural(report.total, 'row')} match" if report.n != report.total else ""
    note = f"{formats.plural(report.n, 'row')}{part}, from {report.artifact}."
    return parts.card("At a glance", html.Div(facts, className="stat-row"), note)


def _balance_note(label: ColumnSummary) -> str:
    if label.kind == "classes":
        classes = formats.plural(label.distinct, "class", "classes")
        return f"{classes} of {label.name}, each with its share of the rows: a row may have several."
    return f"{formats.plural(label.distinct, 'value')} of {label.name}, {formats.count(label.missing)} missing."


def _balance(label: ColumnSummary) -> Any:
    if not label.top:
        return _histogram(label)
    shares = [(name, n, n / label.n if label.n else 0.0) for name, n in label.top]
    largest = max((share for _, _, share in shares), default=1.0) or 1.0
    lines = [
        html.Div(
            [
                html.Span(name, className="cell-text", title=name),
                parts.share_bar(share / largest),
                html.Span(f"{formats.count(n)} · {formats.percent(share)}", className="num"),
            ],
            className="probability wide-end",
        )
        for name, n, share in shares
    ]
    rest = label.distinct - len(label.top)
    more = html.P(f"and {formats.plural(rest, 'more value')}", className="card-note mt-1") if rest > 0 else None
    return html.Div([*lines, more])


def _length_note(text: ColumnSummary) -> str:
    return f"Characters of {text.name}: {formats.number(text.mean)} on average, at most {formats.plain(_float(text))}."


def _float(text: ColumnSummary) -> float | None:
    return text.maximum if isinstance(text.maximum, float | int) else None


def _histogram(column: ColumnSummary) -> html.Div:
    """Bars made of boxes; the table of counts stands in each bar's tooltip."""
    top = max(column.counts, default=0) or 1
    bars = [
        html.Span(style={"height": f"{100 * n / top:.1f}%"}, title=f"{_between(low, high)}: {formats.plural(n, 'row')}")
        for n, low, high in zip(column.counts, column.edges, column.edges[1:], strict=False)
    ]
    ends = [formats.plain(column.edges[0]), formats.plain(column.edges[-1])] if column.edges else ["", ""]
    axis = html.Div([html.Span(ends[0]), html.Span(ends[1])], className="mini-axis")
    spoken = f"Histogram of {column.name} from {ends[0]} to {ends[1]}"
    return html.Div([html.Div(bars, className="mini-bars"), axis], role="img", **{"aria-label": spoken})


def _between(low: float, high: float) -> str:
    return f"{formats.plain(low)} to {formats.plain(high)}"


def _columns(report: DataReport, query: DataQuery) -> html.Section:
    heads = ["Column", "Role", "Kind", "Missing", "Distinct", "Range or most frequent", "Distribution"]
    cells = [
        [
            html.Span(column.name, className="mono"),
            column.role,
            column.kind,
            formats.count(column.missing) if column.missing else html.Span("0", className="muted"),
            formats.count(column.distinct) if column.kind != "image" else "–",
            _spread(column),
            _sketch(column),
        ]
        for column in report.columns
    ]
    body = html.Div(parts.table(heads, cells, [3, 4], "Columns"), className="tall")
    return parts.card("Columns", body, "Computed over all matching rows.", tools=download("columns", query))


def _spread(column: ColumnSummary) -> str:
    if column.kind == "number" and column.mean is not None:
        low, high = _ends(column)
        return f"{low} to {high}, mean {formats.number(column.mean)}"
    if column.kind == "time":
        return f"{_text(column.minimum)} to {_text(column.maximum)}"
    if column.kind == "text" and column.mean is not None:
        return f"{formats.number(column.mean)} characters on average"
    return formats.short(", ".join(f"{_value(column, value)} ({formats.count(n)})" for value, n in column.top[:3]), 70)


def _value(column: ColumnSummary, value: str) -> str:
    """A value as the rows show it."""
    return {"true": "yes", "false": "no"}.get(value.lower(), value) if column.kind == "boolean" else value


def _ends(column: ColumnSummary) -> tuple[str, str]:
    """Smallest and largest number, both with the decimals that the larger of them needs."""
    ends = [end for end in (column.minimum, column.maximum) if isinstance(end, float | int)]
    if len(ends) < 2:
        return _text(column.minimum), _text(column.maximum)
    low, high = formats.alike(*ends)
    return low, high


def _text(value: float | str | None) -> str:
    return formats.plain(value) if isinstance(value, float | int) else formats.short(str(value or "–"), 19)


def _sketch(column: ColumnSummary) -> Any:
    if column.counts:
        return sparkline.bars(column.counts, f"Histogram of {column.name}")
    if not column.top or not column.n:
        return ""
    spoken = f"{column.name}: " + ", ".join(f"{value} {formats.count(n)}" for value, n in column.top[:8])
    return sparkline.shares([n / column.n for _, n in column.top[:8]], spoken)


def _preprocessing(found: dict[str, Any]) -> html.Section:
    cells = [[html.Span(name, className="mono"), formats.short(str(value), 200)] for name, value in found.items()]
    return parts.card("Preprocessing", parts.table(["Setting", "Value"], cells), "As recorded with the run.")


def render_rows(found: RowPage, query: DataQuery, image_column: str | None) -> html.Section:
    """The rows as a table, or their images as a gallery."""

    def open_row(number: int) -> html.A:
        return page_link(Path.INFERENCE, "Try", run=query.run, row=number)

    gallery = query.view == "images" and image_column is not None
    body = _gallery(found, query, image_column or "") if gallery else rows.render(found, PATH, query, open_row)
    note = "Sorted and filtered on the server over all rows; a column head sorts."
    section = parts.card("Images" if gallery else "Rows", body, note, tools=_tools(query, image_column))
    return html.Div(section, className="mt-3")


def _tools(query: DataQuery, image_column: str | None) -> html.Div:
    return html.Div([_views(query) if image_column else None, download("rows", query)], className="toolbar")


def _views(query: DataQuery) -> html.Div:
    links = []
    for view, name in _VIEWS.items():
        link = view_link(PATH, query, name, "chip", view=view)
        setattr(link, "aria-current", "true" if query.view == view else "false")
        links.append(link)
    return html.Div(links, className="toolbar")


def _gallery(found: RowPage, query: DataQuery, image_column: str) -> Any:
    if image_column not in found.columns or not found.total:
        return parts.empty("No images", "No row matches; loosen the filter.")
    place = found.columns.index(image_column)
    figures = []
    for number, values in zip(found.row_numbers, found.rows, strict=True):
        link = page_link(Path.INFERENCE, rows.cell(values[place]), run=query.run, row=number)
        figures.append(html.Figure([link, html.Figcaption(_caption(found, values, place))]))
    return html.Div([html.Div(figures, className="gallery"), rows.pager(found, PATH, query)])


def _caption(found: RowPage, values: tuple[Any, ...], place: int) -> str:
    texts = [str(value) for i, value in enumerate(values) if i != place and value is not None]
    return formats.short(" · ".join(texts[:2]), 40)
