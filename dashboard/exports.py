"""GET /export/<table>.csv?<query>: the table behind a panel, with the figures unrounded and every row in it."""

import base64
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import flask
import orjson

from dashboard.api.flags import FlagShape, flag_document
from dashboard.flags import Flag
from dashboard.metrics.estimate import Estimate
from dashboard.reports.data import DataQuery, data_report, row_page
from dashboard.reports.flags import FlagsQuery, all_flags
from dashboard.reports.performance import PerformanceQuery, PerformanceReport, error_rows, performance_report
from dashboard.reports.query import from_params
from dashboard.reports.row_pages import RowPage
from dashboard.reports.runs import file_stem
from dashboard.services import Services
from dashboard.spreadsheet import lines
from mlflow_runs.errors import DashboardError

_CHUNK = 1000


@dataclass(frozen=True)
class Table:
    """Column names and rows."""

    heads: Sequence[str]
    rows: Iterable[Sequence[Any]]


def register(server: flask.Flask, services: Services) -> None:
    """Add the route to the Flask server."""

    @server.get("/export/<name>.csv")
    def export(name: str) -> flask.Response:
        if name not in TABLES:
            flask.abort(404)
        try:
            table = TABLES[name](services, flask.request.args.to_dict())
        except DashboardError as error:
            return flask.Response(str(error), status=error.status, mimetype="text/plain")
        response = flask.Response(lines(table.heads, table.rows), mimetype="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{_stem(services)}{name}.csv"'
        return response

    @server.get("/export/flags.jsonl")
    def export_flags() -> flask.Response:
        try:
            found = flag_lines(services, flask.request.args.to_dict())
        except DashboardError as error:
            return flask.Response(str(error), status=error.status, mimetype="text/plain")
        response = flask.Response(found, mimetype="application/x-ndjson")
        response.headers["Content-Disposition"] = 'attachment; filename="flags.jsonl"'
        return response


def _stem(services: Services) -> str:
    """The run's part of a file name; nothing where the table is of no single run."""
    run = flask.request.args.get("run", "")
    return f"{file_stem(services.runs.run(run))}-" if run else ""


def _estimates(names: Sequence[str]) -> list[str]:
    return [f"{name}{part}" for name in names for part in ("", "_low", "_high")]


def _figures(estimates: Sequence[Estimate | None]) -> list[Any]:
    values = (value for e in estimates for value in ((e.value, e.low, e.high) if e else (math.nan,) * 3))
    return [value if math.isfinite(value) else None for value in values]


def _report(services: Services, params: Mapping[str, str]) -> PerformanceReport:
    return performance_report(services, from_params(PerformanceQuery, params))


def overall_table(services: Services, params: Mapping[str, str]) -> Table:
    """One row per overall metric."""
    report = _report(services, params)
    rows = ([name, estimate.n, *_figures([estimate])] for name, estimate in report.overall.items())
    return Table(["metric", "n", "value", "low", "high"], rows)


def classes_table(services: Services, params: Mapping[str, str]) -> Table:
    """One row per class; of a detection with the averages that the page shows."""
    found = _report(services, params).classes
    more = list(dict.fromkeys(name for row in found for name in row.averages))
    rows = (
        [row.name, row.n, row.n_predicted, *_figures([row.precision, row.recall, row.f1, *map(row.averages.get, more)])]
        for row in found
    )
    return Table(["class", "n", "n_predicted", *_estimates(["precision", "recall", "f1", *more])], rows)


def slices_table(services: Services, params: Mapping[str, str]) -> Table:
    """One row per slice, with the verdict against the rows outside it."""
    found = _report(services, params).slices
    metrics = list(dict.fromkeys(name for row in found for name in row.metrics))
    rows = (
        [row.name, row.kind, row.filter, row.n, *_figures([row.metrics.get(name) for name in metrics])]
        + ([row.verdict.word, row.verdict.difference] if row.verdict else [None, None])
        for row in found
    )
    return Table(["slice", "kind", "filter", "n", *_estimates(metrics), "verdict", "difference"], rows)


def confusion_table(services: Services, params: Mapping[str, str]) -> Table:
    """One row per pair of label and prediction that occurs."""
    confusion = _report(services, params).confusion
    cells = confusion.cells if confusion else ()
    labels = confusion.labels if confusion else ()
    return Table(["label", "prediction", "n"], ((labels[row], labels[column], n) for row, column, n in cells))


def columns_table(services: Services, params: Mapping[str, str]) -> Table:
    """One row per column of the evaluation."""
    heads = ["column", "role", "kind", "n", "missing", "distinct", "minimum", "mean", "maximum", "std"]
    report = data_report(services, from_params(DataQuery, params))
    return Table(heads, ([getattr(column, _FIELDS.get(head, head)) for head in heads] for column in report.columns))


_FIELDS = {"column": "name"}


def rows_table(services: Services, params: Mapping[str, str]) -> Table:
    """Every row of the Data page under its filter and order; pictures stay out."""
    query = replace(from_params(DataQuery, params), limit=_CHUNK)
    return _all_rows(lambda offset: row_page(services, replace(query, offset=offset)))


def error_rows_table(services: Services, params: Mapping[str, str]) -> Table:
    """Every row behind a class or a confusion cell."""
    query = from_params(PerformanceQuery, params)
    return _all_rows(lambda offset: error_rows(services, replace(query, offset=offset), _CHUNK))


def flags_table(services: Services, params: Mapping[str, str]) -> Table:
    """One row per flag; pictures stay out."""
    found = [flag_document(flag) for flag in all_flags(services, from_params(FlagsQuery, params))]
    heads = list(FlagShape.__annotations__)
    return Table(heads, ([_plain(document[head]) for head in heads] for document in map(dict, found)))


def _plain(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


def flag_lines(services: Services, params: Mapping[str, str]) -> Iterator[bytes]:
    """One JSON object per flag and line, as in the API; `image` is a picture's content in base64."""
    return (_flag_line(services, flag) for flag in all_flags(services, from_params(FlagsQuery, params)))


def _flag_line(services: Services, flag: Flag) -> bytes:
    image = base64.b64encode(services.flags.picture(flag.id)).decode() if flag.picture else None
    return orjson.dumps({**flag_document(flag), "image": image}) + b"\n"


def _all_rows(read: Callable[[int], RowPage]) -> Table:
    first = read(0)
    return Table(["row", *first.columns], _pages(read, first))


def _pages(read: Callable[[int], RowPage], page: RowPage) -> Iterator[list[Any]]:
    while page.rows:
        for number, row in zip(page.row_numbers, page.rows, strict=True):
            yield [number, *("[image]" if str(cell)[:11] == "data:image/" else cell for cell in row)]
        page = read(page.offset + len(page.rows))


TABLES: dict[str, Callable[[Services, Mapping[str, str]], Table]] = {
    "overall": overall_table,
    "classes": classes_table,
    "slices": slices_table,
    "confusion": confusion_table,
    "columns": columns_table,
    "rows": rows_table,
    "error-rows": error_rows_table,
    "flags": flags_table,
}
