"""Rows counted by two groupings: label, prediction, right or wrong, or the groups of any slicing column."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dashboard.errors import BadQuery
from dashboard.metrics.breakdown import Mask, filter_mask
from dashboard.metrics.codes import Codes
from dashboard.metrics.coding import Column, columns_of
from dashboard.metrics.columns import class_text, quoted
from dashboard.metrics.cube import Ints, needed
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

_CHUNK = 1_000_000


@dataclass(frozen=True)
class Axis:
    """A grouping. Values of "label" and "prediction" are classes, of "column" its groups (see Column), of "outcome"
    right and wrong (where `sql` is false and true, if given); group i is selected by `filters[i]` of the filter
    language ("" where no filter can say it). Of "other", another
    run's predictions, `sql` gives the class and `rows` the rows joined with it."""

    role: Literal["label", "prediction", "outcome", "other", "column"]
    name: str
    values: tuple[str, ...]
    filters: tuple[str, ...] = ()
    column: Column | None = None
    sql: str = ""
    rows: str = ""


OUTCOME = Axis("outcome", "outcome", ("right", "wrong"))


def column_axis(column: Column) -> Axis:
    """The groups of a slicing column."""
    return Axis("column", column.name, column.values, column.filters, column)


def one_column(tables: Tables, evaluation: Evaluation, name: str, codes: Codes | None) -> Column:
    """A slicing column by name, from the sidecar or looked up; BadQuery names those there are."""
    roles = evaluation.roles
    known = (*roles.slices, *roles.features)
    if name in known:
        # only this column's values are looked up, because all of them may take seconds
        only = replace(evaluation, roles=replace(roles, slices=(), features=(name,)))
        found = [c for c in codes.columns if c.name == name] if codes else columns_of(tables, only)
        if found:
            return found[0]
        raise BadQuery(f"Column {name[:80]!r} has too many different values, or none, to be grouped by.")
    names = ", ".join(repr(item) for item in ("label", "prediction", *known)[:12])
    raise BadQuery(f"There is no column {name[:80]!r} to group by; accepted: {names}.")


def count_rows(tables: Tables, evaluation: Evaluation, y: Axis, x: Axis, where: str, codes: Codes | None) -> Ints:
    """Rows with label and prediction by the groups of two axes (y x x) where checked SQL holds.

    From the code sidecar where it is there (same figures, faster), else from the table. Classes that an axis of
    classes does not name are left out.
    """
    joined = y.rows or x.rows
    if codes is not None and not joined:
        return _from_codes(codes, y, x, filter_mask(tables, evaluation, where))
    path, label, prediction = needed(evaluation)
    types = tables.columns(path)
    found = tables.query(
        f"SELECT {_expression(y, evaluation, types)} AS y, {_expression(x, evaluation, types)} AS x, count(*) AS n"
        f" FROM {joined or source(path)} WHERE ({where}) AND ({class_text(quoted(label), types[label])}) IS NOT NULL"
        f" AND ({class_text(quoted(prediction), types[prediction])}) IS NOT NULL GROUP BY 1, 2"
    )
    result = np.zeros((len(y.values), len(x.values)), np.int64)
    rows, columns = _places(y), _places(x)
    for a, b, n in zip(found["y"].to_pylist(), found["x"].to_pylist(), found["n"].to_pylist(), strict=True):
        i, j = rows(a), columns(b)
        if i is not None and j is not None:
            result[i, j] += n
    return result


def _expression(axis: Axis, evaluation: Evaluation, types: dict[str, str]) -> str:
    """SQL that tells the groups of an axis apart."""
    _, label, prediction = needed(evaluation)
    actual, predicted = class_text(quoted(label), types[label]), class_text(quoted(prediction), types[prediction])
    if axis.sql:
        return axis.sql
    if axis.column is None:
        return {"label": actual, "prediction": predicted, "outcome": f"({actual}) <> ({predicted})"}[axis.role]
    name = quoted(axis.column.name)
    if axis.column.kind == "category":
        return name
    above = "".join(f" + (CAST({name} AS DOUBLE) >= {edge!r})::INT" for edge in axis.column.edges)
    return f"CASE WHEN {name} IS NULL THEN 0 ELSE 1{above} END"


def _places(axis: Axis) -> Callable[[Any], int | None]:
    """From a value that the expression gives to the group's index."""
    if axis.column is None:
        known: dict[Any, int] = (
            {False: 0, True: 1} if axis.role == "outcome" else {v: i for i, v in enumerate(axis.values)}
        )
        return known.get
    if axis.column.kind == "number":
        return int
    keys = {None: 0} | {key: i + 1 for i, key in enumerate(axis.column.keys)}
    other = len(axis.values) - 1 if axis.column.grouped else None
    return lambda value: keys.get(value, other)


def _from_codes(codes: Codes, y: Axis, x: Axis, mask: Mask | None) -> Ints:
    shape = (len(y.values), len(x.values))
    cells, total = codes.cells(), np.zeros((shape[0] + 1) * (shape[1] + 1), np.int64)
    rows, columns = _coder(codes, y), _coder(codes, x)
    for start in range(0, codes.n, _CHUNK):
        part = slice(start, start + _CHUNK)
        used = np.asarray(cells[part]) > 0
        if mask is not None:
            used &= mask[part]
        # the extra last row and column take what the axis does not name
        key = rows(part) * (shape[1] + 1) + columns(part)
        total += np.bincount(key[used], minlength=total.size)
    return total.reshape(shape[0] + 1, shape[1] + 1)[:-1, :-1]


def _coder(codes: Codes, axis: Axis) -> Callable[[slice], Ints]:
    """Group indices of a chunk of rows."""
    if axis.column is not None:
        array = codes.codes(axis.column.name)
        return lambda part: array[part].astype(np.int64)
    row, col = np.array((0, *codes.row), np.int64), np.array((0, *codes.col), np.int64)
    if axis.role == "outcome":
        table = (row != col).astype(np.int64)
    else:
        place = {value: index for index, value in enumerate(axis.values)}
        index = np.array([place.get(name, len(axis.values)) for name in codes.classes] or [0], np.int64)
        table = index[row if axis.role == "label" else col]
    cells = codes.cells()
    return lambda part: table[cells[part]]
