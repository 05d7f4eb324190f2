"""Pages of rows: sorted and cut in the database, with values that JSON can carry."""

import base64
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard.metrics.columns import class_text, quoted, string
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation, Roles

LONGEST_PAGE = 1000
_SAFE_INTEGER = 2**53
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


@dataclass(frozen=True)
class Rows:
    """A page of rows: column names, JSON-safe values, 0-based positions in the table, and how many rows match."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    numbers: tuple[int, ...]
    total: int


def fetch_rows(tables: Tables, evaluation: Evaluation, where: str, order: str, offset: int, limit: int) -> Rows:
    """Rows where checked SQL holds, by an ORDER BY text (ties by position); `total` counts all of them."""
    assert evaluation.table is not None
    rows, names = (
        source(evaluation.table, numbered=True),
        shown_columns(evaluation.roles, tables.columns(evaluation.table)),
    )
    total = int(tables.first(f"SELECT count(*) AS n FROM {rows} WHERE {where}")["n"])
    sort = f"{order}, " if order else ""
    # the page's positions first, because sorting whole rows reads every column of the table
    numbers = tables.query(
        f"SELECT file_row_number AS i FROM {rows} WHERE {where}"
        f" ORDER BY {sort}file_row_number LIMIT {max(0, min(limit, LONGEST_PAGE))} OFFSET {max(0, offset)}"
    )["i"].to_pylist()
    return Rows(names, _values(tables, rows, names, numbers), tuple(numbers), total)


def _values(tables: Tables, rows: str, names: Sequence[str], numbers: Sequence[int]) -> tuple[tuple[Any, ...], ...]:
    """The JSON-safe values of rows by position, in that order."""
    if not (numbers and names):
        return tuple(() for _ in numbers)
    chosen, wanted = ", ".join(quoted(name) for name in names), ", ".join(map(str, numbers))
    page = tables.query(f"SELECT file_row_number, {chosen} FROM {rows} WHERE file_row_number IN ({wanted})")
    # by position, because a file may hold names that differ in case only
    number, *columns = (page.column(index).to_pylist() for index in range(page.num_columns))
    found = dict(zip(number, zip(*columns, strict=True), strict=True))
    return tuple(tuple(json_safe(value) for value in found[i]) for i in numbers)


def shown_columns(roles: Roles, columns: Mapping[str, str]) -> tuple[str, ...]:
    """Columns in reading order: id, time, text and image, label and prediction, then the rest as in the file."""
    first = (roles.id, roles.time, roles.text, roles.image, roles.label, roles.prediction)
    return tuple(dict.fromkeys([*(name for name in first if name is not None and name in columns), *columns]))


def confidence(evaluation: Evaluation, columns: Mapping[str, str]) -> str | None:
    """SQL of the score which the row's prediction got, or None where the evaluation has no usable scores."""
    roles = evaluation.roles
    if roles.prediction is None or evaluation.task == "multilabel":
        return None
    predicted = class_text(quoted(roles.prediction), columns[roles.prediction])
    if roles.scores:
        cases = (f" WHEN {string(name)} THEN {quoted(column)}" for name, column in roles.scores.items())
        return f"CASE {predicted}{''.join(cases)} END"
    if roles.score and evaluation.positive_class is not None:
        score = quoted(roles.score)
        return f"CASE WHEN {predicted} = {string(evaluation.positive_class)} THEN {score} ELSE 1 - {score} END"
    return None


def json_safe(value: Any) -> Any:
    """A value for JSON: NaN and infinity are None, pictures data URIs, integers beyond 2**53 and the rest text."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < _SAFE_INTEGER else str(value)
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, bytes):
        return picture(value) or f"{len(value)} bytes"
    if isinstance(value, dict):
        inside = value.get("bytes")
        shown = picture(inside) if isinstance(inside, bytes) else None
        return shown or {str(key): json_safe(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(part) for part in value]
    return value.isoformat() if isinstance(value, dt.datetime | dt.date | dt.time) else str(value)


def picture(data: bytes) -> str | None:
    """A data URI for PNG, JPEG, GIF or WebP bytes; None for anything else, whatever its name says."""
    kind = next((mime for start, mime in _SIGNATURES.items() if data.startswith(start)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "image/webp"
    return None if kind is None else f"data:{kind};base64,{base64.b64encode(data).decode()}"
