"""A page of evaluation rows as a table: sorting heads, images, texts, pager."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from dash import html

from dashboard.reports.data import RowPage
from layouts import formats, parts
from layouts.links import view_link

_LONGEST = 160
_SHORT = 24
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00)?")


def render(rows: RowPage, path: str, query: Any, row_link: Callable[[int], Any], sortable: bool = True) -> html.Div:
    """The table with a pager; `row_link(row number)` gives the first cell of a row."""
    if not rows.total:
        return parts.empty("No rows", "Nothing matches; loosen the filter.")
    heads = ["Open", *(_head(name, path, query, sortable) for name in rows.columns)]
    columns = [_column([values[i] for values in rows.rows]) for i in range(len(rows.columns))]
    cells = [[row_link(number), *(column[at] for column in columns)] for at, number in enumerate(rows.row_numbers)]
    numeric = [i + 1 for i in range(len(rows.columns)) if _is_numeric([values[i] for values in rows.rows])]
    return html.Div([parts.table(heads, cells, numeric, "Rows"), pager(rows, path, query)], className="rows")


def _column(values: Sequence[Any]) -> list[Any]:
    """The cells of one column: numbers with fractions get equally many decimals."""
    if not (_is_numeric(values) and any(isinstance(value, float) for value in values)):
        return [cell(value) for value in values]
    texts = iter(formats.alike(*(value for value in values if value is not None)))
    return [cell(None) if value is None else next(texts) for value in values]


def _head(name: str, path: str, query: Any, sortable: bool) -> Any:
    if not sortable:
        return name
    active = query.sort == name
    order = "desc" if active and query.order == "asc" else "asc"
    sign = {"asc": " ▲", "desc": " ▼"}[query.order] if active else ""
    return view_link(path, query, f"{name}{sign}", sort=name, order=order, offset=0)


def _is_numeric(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)


def cell(value: Any) -> Any:
    """One value: a dash if missing, numbers shortened, images as thumbnails, long texts cut with a tooltip."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return formats.plain(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        if not value:
            return html.Span("none", className="muted")  # a row without any class
        value = ", ".join(value)
    text = str(value)
    if text.startswith("data:image/"):
        return html.Img(src=text, className="thumb", alt="image of this row")
    if _MOMENT.fullmatch(text):
        return text[:19].replace("T", " ")
    if len(text) <= _SHORT:
        return text
    return html.Td(formats.short(text, _LONGEST), className="cell-text", title=formats.short(text, 2000), dir="auto")


def pager(rows: RowPage, path: str, query: Any) -> html.Nav:
    """Where in the rows this page is, with links to the neighbours."""
    last = min(rows.offset + rows.limit, rows.total)
    where = f"{formats.count(rows.offset + 1)} to {formats.count(last)} of {formats.plural(rows.total, 'row')}"
    steps = [
        _step("← Previous", path, query, rows.offset - rows.limit, rows.offset > 0),
        html.Span(where, className="card-note figure-number"),
        _step("Next →", path, query, rows.offset + rows.limit, last < rows.total),
    ]
    return html.Nav(steps, className="toolbar mt-2", **{"aria-label": "Pages of rows"})


def _step(text: str, path: str, query: Any, offset: int, possible: bool) -> Any:
    if not possible:
        return html.Span(text, className="btn-quiet", **{"aria-disabled": "true"})
    return view_link(path, query, text, "btn-quiet", offset=max(0, offset))
