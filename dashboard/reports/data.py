"""What the Data page shows, and the pure functions that compute it; row pages are used by other pages too."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.cache import cache_key
from dashboard.errors import BadQuery
from dashboard.metrics.coded_cube import chosen_mask
from dashboard.metrics.coded_rows import coded_page, column_key
from dashboard.metrics.codes import Codes, open_codes
from dashboard.metrics.columns import quoted
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.rows import Rows, fetch_rows
from dashboard.metrics.slices import Slice
from dashboard.metrics.summary import ColumnSummary as ColumnSummary
from dashboard.metrics.summary import duplicates, summarize
from dashboard.metrics.tables import Tables, source
from dashboard.reports.row_pages import RowPage as RowPage
from dashboard.reports.row_pages import as_page, require_table, subject_of, tables_of
from dashboard.reports.selection import Selection, condition_of, conditions_of, selection_of, slices_of
from mlflow_runs.records import Evaluation, Problem, RunRow

if TYPE_CHECKING:
    from dashboard.services import Services

CODE_VERSION = 1


@dataclass(frozen=True)
class DataQuery:
    """The Data page's URL; every field is a URL parameter of the same name."""

    run: str = ""
    filter: str = ""
    slice: str = ""
    sort: str = ""
    order: str = "asc"
    offset: int = 0
    limit: int = 25
    column: str = ""
    view: str = "table"


@dataclass(frozen=True)
class SliceCount:
    """A slice and how many of the filtered rows it holds."""

    name: str
    kind: str
    description: str
    n: int


@dataclass(frozen=True)
class DataReport:
    """The evaluation's table at a glance; counts are exact over the rows that filter and slice select, those of
    `slices` over the rows that the filter selects."""

    run: RunRow
    artifact: str
    n: int
    total: int
    duplicates: int
    columns: tuple[ColumnSummary, ...]
    label: ColumnSummary | None
    text: ColumnSummary | None
    image_column: str | None
    preprocessing: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    slices: tuple[SliceCount, ...] = ()
    age: float = 0.0


@dataclass(frozen=True)
class Glance:
    """The part of the report that depends on table and selection only, and is cached."""

    n: int
    total: int
    duplicates: int
    columns: tuple[ColumnSummary, ...] = field(default_factory=tuple)
    slices: tuple[SliceCount, ...] = ()
    problems: tuple[Problem, ...] = ()


def data_report(services: "Services", query: DataQuery) -> DataReport:
    """The report of a run's table under the query's filter and slice; DataMissing where the run has no table."""
    run, evaluation = services.runs.run(query.run), services.predictions.evaluation(query.run)
    tables, selection = tables_of(services), selection_of(services, evaluation, query.filter, query.slice)
    key = cache_key("data", CODE_VERSION, subject_of(evaluation), (evaluation.roles, evaluation.task, selection))
    cached = services.cache.compute(key, lambda: glance(tables, evaluation, selection))
    return report_of(run, evaluation, cached.value, cached.age)


def report_of(run: RunRow, evaluation: Evaluation, found: Glance, age: float) -> DataReport:
    """The report from its parts."""
    by_name = {column.name: column for column in found.columns}
    roles = evaluation.roles
    return DataReport(
        run=run,
        artifact=evaluation.artifact,
        n=found.n,
        total=found.total,
        duplicates=found.duplicates,
        columns=found.columns,
        label=by_name.get(roles.label or ""),
        text=by_name.get(roles.text or ""),
        image_column=_image_column(evaluation, [c.name for c in found.columns if c.kind == "image"]),
        preprocessing=evaluation.preprocessing,
        problems=(*evaluation.problems, *found.problems),
        slices=found.slices,
        age=age,
    )


def glance(tables: Tables, evaluation: Evaluation, selection: Selection) -> Glance:
    """Column summaries and exact duplicates (over features, texts and images) of the selected rows, and the slices."""
    path = require_table(evaluation).table
    assert path is not None
    types, roles = tables.columns(path), evaluation.roles
    slices, problems = slices_of(tables, evaluation, selection.slices_file, selection.others)
    rows = f"{source(path)} WHERE {condition_of(tables, evaluation, selection)}"
    classes = [name for name in (roles.label, roles.prediction) if name and evaluation.task != "regression"]
    columns = tuple(summarize(tables, rows, types, roles, classes))
    compared = [*roles.features, *(name for name in (roles.text, roles.image) if name)]
    total = int(tables.first(f"SELECT count(*) AS n FROM {source(path)}")["n"])
    return Glance(
        n=columns[0].n if columns else 0,
        total=total,
        duplicates=duplicates(tables, rows, types, compared),
        columns=columns,
        slices=_slice_counts(tables, f"{source(path)} WHERE {parse_filter(selection.filter, types).sql}", slices),
        problems=(*problems, *selection.problems),
    )


def _slice_counts(tables: Tables, rows: str, slices: Sequence[Slice]) -> tuple[SliceCount, ...]:
    """How many of the rows every slice holds."""
    if not slices:
        return ()
    counted = ", ".join(f"count(*) FILTER (WHERE {item.condition}) AS s{i}" for i, item in enumerate(slices))
    found = tables.first(f"SELECT {counted} FROM {rows}")
    return tuple(SliceCount(item.name, item.kind, item.description, found[f"s{i}"]) for i, item in enumerate(slices))


def _image_column(evaluation: Evaluation, found: list[str]) -> str | None:
    return evaluation.roles.image or (found[0] if found else None)


def row_page(services: "Services", query: DataQuery) -> RowPage:
    """One page of the rows that the query's filter and slice select, sorted by its column (missing values last)."""
    evaluation = require_table(services.predictions.evaluation(query.run))
    selection = selection_of(services, evaluation, query.filter, query.slice)
    return page_of(tables_of(services), evaluation, query, selection)


def page_of(tables: Tables, evaluation: Evaluation, query: DataQuery, selection: Selection) -> RowPage:
    """The page of a query over an evaluation's table; BadQuery for an unknown column or order."""
    path = require_table(evaluation).table
    assert path is not None
    types, codes = tables.columns(path), open_codes(tables, evaluation)
    if codes is not None and (found := _coded(tables, evaluation, codes, query, selection)):
        return as_page(found, query.offset, query.limit)
    where, order = condition_of(tables, evaluation, selection), sort_order(query.sort, query.order, types)
    return as_page(fetch_rows(tables, evaluation, where, order, query.offset, query.limit), query.offset, query.limit)


def _coded(tables: Tables, evaluation: Evaluation, codes: Codes, query: DataQuery, selection: Selection) -> Rows | None:
    """The same page from the code sidecar; None where the order is that of texts which only the table has."""
    if query.order not in ("asc", "desc"):
        return None
    mask = chosen_mask(tables, evaluation, codes, conditions_of(tables, evaluation, selection))
    rows = None if mask is None else np.flatnonzero(mask)
    key = column_key(codes, query.sort, rows) if query.sort else None
    if query.sort and key is None:
        return None
    order = (*key, query.order == "desc") if key else None
    return coded_page(tables, evaluation, codes, rows, order, query.offset, query.limit)


def sort_order(column: str, order: str, types: dict[str, str]) -> str:
    """The ORDER BY text of a column, missing values last; empty for the table's own order."""
    if order not in ("asc", "desc"):
        raise BadQuery(f"The order {order[:40]!r} is not known; accepted are asc and desc.")
    if not column:
        return ""
    if column not in types:
        raise BadQuery(f"The table has no column {column[:80]!r} to sort by.")
    return f"{quoted(column)} {order.upper()} NULLS LAST"
