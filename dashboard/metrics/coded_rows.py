"""Pages of rows from the code sidecar: which rows and in which order from arrays, their values from the row store."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.breakdown import Mask
from dashboard.metrics.codes import Codes
from dashboard.metrics.coding import Column
from dashboard.metrics.columns import quoted
from dashboard.metrics.cube import Ints
from dashboard.metrics.rows import LONGEST_PAGE, Rows, json_safe, shown_columns
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

Key = NDArray[Any]
_CHUNK = 2**20


def cell_rows(codes: Codes, label: str, predicted: str, wrong: bool, mask: Mask | None) -> Ints:
    """The rows of a confusion cell, row or column ("": any class), ascending; `wrong` leaves out right ones."""
    row, col = np.array(codes.row, np.int64), np.array(codes.col, np.int64)
    names = np.array(codes.classes, object)
    wanted = np.ones(len(row), np.bool_)
    for name, side in ((label, row), (predicted, col)):
        if name:
            wanted &= names[side] == name if len(row) else wanted
    if wrong:
        wanted &= row != col
    table, cells = np.concatenate(([False], wanted)), codes.cells()
    parts = []
    for start in range(0, codes.n, _CHUNK):
        part = slice(start, start + _CHUNK)
        held = table[cells[part]]
        parts.append(np.flatnonzero(held if mask is None else held & mask[part]) + start)
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def confidences(codes: Codes, evaluation: Evaluation, rows: Ints) -> Key | None:
    """The score that each row's prediction got (NaN: none), as `rows.confidence` says it in SQL; None where the scores
    are not kept."""
    roles = evaluation.roles
    predicted = np.array((-1, *codes.col), np.int64)[codes.cells()[rows]]
    if roles.scores:
        found = np.full(len(rows), np.nan)
        for index in np.unique(predicted).tolist():
            column = roles.scores.get(codes.classes[index]) if index >= 0 else None
            if column is not None:
                here = predicted == index
                values = _floats(codes, column, rows[here])
                if values is None:
                    return None
                found[here] = values
        return found
    if not roles.score or evaluation.positive_class is None:
        return None
    values = _floats(codes, roles.score, rows)
    positive = np.array([name == evaluation.positive_class for name in codes.classes], np.bool_)
    return None if values is None else np.where(positive[predicted], values, 1 - values)


def _floats(codes: Codes, name: str, rows: Ints | None) -> Key | None:
    found = codes.store.numbers(name, rows) if name in codes.store.names else None
    if found is None or found[0].dtype.kind != "f":
        return None
    values, missing = found
    return values if missing is None else np.where(missing, np.nan, values)


def column_key(codes: Codes, name: str, rows: Ints | None) -> tuple[Key, Mask | None] | None:
    """What sorts rows by a column, and where it is missing; None where that takes the table."""
    if name in codes.store.names:
        return codes.store.numbers(name, rows)
    column = exact_column(codes, name)
    if column is None:
        return None
    order = sorted(range(len(column.keys)), key=lambda place: column.keys[place])
    rank = np.zeros(len(column.keys) + 1, np.uint8)
    rank[np.array(order, np.int64) + 1] = np.arange(len(order))
    found = codes.codes(name)
    code = np.asarray(found) if rows is None else found[rows]
    return rank[code], code == 0


def exact_column(codes: Codes, name: str) -> Column | None:
    """The slicing column of a name, if its codes tell its values."""
    return next((c for c in codes.columns if c.name == name and c.kind == "category" and not c.grouped), None)


def page_places(key: Key, missing: Mask | None, descending: bool, offset: int, limit: int) -> Ints:
    """The places of a page by a key, missing and NaN last, ties by place."""
    if missing is not None and missing.any():
        present = np.flatnonzero(~missing)
        places = present[page_places(key[present], None, descending, offset, limit)]
        gone = np.flatnonzero(missing)[max(0, offset - len(present)) :]
        return np.concatenate([places, gone[: limit - len(places)]])
    if descending:  # every bit the other way round, because the smallest integer has no negative
        key = -key if key.dtype.kind == "f" else ~key
    stop = min(offset + limit, len(key))
    if not 0 < stop * 4 < len(key):
        return np.argsort(key, kind="stable")[offset:stop]
    edge = np.partition(key, stop - 1)[stop - 1]
    near = np.flatnonzero(key <= edge) if edge == edge else np.arange(len(key))
    return near[np.argsort(key[near], kind="stable")][offset:stop]


def coded_page(
    tables: Tables,
    evaluation: Evaluation,
    codes: Codes,
    rows: Ints | None,
    order: tuple[Key, Mask | None, bool] | None,
    offset: int,
    limit: int,
) -> Rows:
    """The page of ascending row numbers (None: all) in the order of (key, missing, descending) (None: as they are)."""
    assert evaluation.table is not None
    offset, limit = max(0, offset), max(0, min(limit, LONGEST_PAGE))
    total = codes.n if rows is None else len(rows)
    places = np.arange(min(offset, total), min(offset + limit, total))
    if order is not None:
        places = page_places(*order, offset, limit)
    numbers = (places if rows is None else rows[places]).tolist()
    names = shown_columns(evaluation.roles, tables.columns(evaluation.table))
    return Rows(names, values_at(tables, evaluation, codes, names, numbers), tuple(numbers), total)


def values_at(
    tables: Tables, evaluation: Evaluation, codes: Codes, names: Sequence[str], numbers: Sequence[int]
) -> tuple[tuple[Any, ...], ...]:
    """The JSON-safe values of rows: from the row store and the codes, and from the table what neither of them has."""
    stored = [name for name in names if name in codes.store.names]
    found = dict(zip(stored, codes.store.at(stored, numbers), strict=True))
    for name in names:
        column = exact_column(codes, name) if name not in found else None
        if column is not None:
            keys = (None, *column.keys)
            found[name] = [keys[code] for code in codes.codes(name)[numbers].tolist()]
    rest = [name for name in names if name not in found]
    found |= zip(rest, _from_table(tables, evaluation, rest, numbers), strict=True)
    rows = zip(*(found[name] for name in names), strict=True) if names else (() for _ in numbers)
    return tuple(tuple(json_safe(value) for value in row) for row in rows)


def _from_table(
    tables: Tables, evaluation: Evaluation, names: Sequence[str], numbers: Sequence[int]
) -> list[list[Any]]:
    if not (names and numbers):
        return [[] for _ in names]
    assert evaluation.table is not None
    chosen, wanted = ", ".join(quoted(name) for name in names), ", ".join(map(str, numbers))
    rows = source(evaluation.table, numbered=True)
    page = tables.query(f"SELECT file_row_number, {chosen} FROM {rows} WHERE file_row_number IN ({wanted})")
    number, *columns = (page.column(index).to_pylist() for index in range(page.num_columns))
    place = {row: index for index, row in enumerate(number)}
    return [[column[place[row]] for row in numbers] for column in columns]
