"""The cube from the code sidecar: what only depends on coded columns is decided per combination of codes, not per row.

A condition is evaluated by the database on the distinct values of its columns; the rows are then only counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.breakdown import Mask, break_down, break_down_all, filter_mask
from dashboard.metrics.codes import Codes
from dashboard.metrics.coding import Column
from dashboard.metrics.columns import quoted, string
from dashboard.metrics.cube import Cube, Ints
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

_CHUNK = 2**16
_LARGEST = 2**16


@dataclass(frozen=True)
class Condition:
    """Checked SQL, and the columns that it reads; None where that is not known."""

    sql: str
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Decision:
    """Whether a condition holds, by the joint codes of some columns (one axis for each)."""

    columns: tuple[str, ...]
    holds: NDArray[np.bool_]

    def rows(self, codes: Codes) -> Mask:
        """Which rows the condition holds for."""
        arrays, flat = [codes.codes(name) for name in self.columns], self.holds.ravel()
        found = np.empty(codes.n, np.bool_)
        for start in range(0, codes.n, _CHUNK):
            part = slice(start, start + _CHUNK)
            key = np.zeros(len(found[part]), np.intp)
            for size, array in zip(self.holds.shape, arrays, strict=True):
                key *= size
                key += array[part]
            found[part] = flat[key]
        return found


def decide(tables: Tables, evaluation: Evaluation, codes: Codes, condition: Condition) -> Decision | None:
    """The condition by codes; None unless it reads nothing but coded columns, each code of which is one value."""
    columns = [c for name in condition.columns or () for c in codes.columns if c.name == name]
    exact = all(c.kind == "category" and not c.grouped for c in columns)
    shape = tuple(len(c.values) for c in columns)
    if not columns or len(columns) < len(condition.columns or ()) or not exact or prod(shape) > _LARGEST:
        return None
    assert evaluation.table is not None
    types = tables.columns(evaluation.table)
    parts = ", ".join(_values(i, column, types[column.name]) for i, column in enumerate(columns))
    order = ", ".join(f"i{i}" for i in range(len(columns)))
    asked = f"SELECT coalesce({condition.sql}, false) AS m FROM {parts} ORDER BY {order}"
    return Decision(tuple(c.name for c in columns), _decided(tables, asked).reshape(shape))


@lru_cache(256)
def _decided(tables: Tables, asked: str) -> NDArray[np.bool_]:
    """Kept: the question holds all values itself, and each click asks it for every slice."""
    found: NDArray[np.bool_] = tables.query(asked)["m"].to_numpy()
    return found


def _values(index: int, column: Column, type_name: str) -> str:
    """A column's distinct values as a small table of its own type, by code."""
    values = ["NULL", *(string(str(key)) for key in column.keys)]
    rows = ", ".join(f"({code}, CAST({value} AS {type_name}))" for code, value in enumerate(values))
    return f"(VALUES {rows}) t{index}(i{index}, {quoted(column.name)})"


def condition_rows(tables: Tables, evaluation: Evaluation, codes: Codes, condition: Condition) -> Mask | None:
    """Which rows a condition holds for, by position; None for all."""
    decision = decide(tables, evaluation, codes, condition)
    return decision.rows(codes) if decision else filter_mask(tables, evaluation, condition.sql)


def chosen_mask(tables: Tables, evaluation: Evaluation, codes: Codes, conditions: Sequence[Condition]) -> Mask | None:
    """Which rows meet all conditions, by position; None for all."""
    masks = [condition_rows(tables, evaluation, codes, condition) for condition in conditions]
    used = [mask for mask in masks if mask is not None]
    return np.logical_and.reduce(used) if len(used) > 1 else (used[0] if used else None)


def coded_cube(
    tables: Tables, evaluation: Evaluation, codes: Codes, where: Condition, conditions: Sequence[Condition]
) -> Cube:
    """The same cube as `count_cube` gives, from the codes; only columns that are not coded are read from the table."""
    mask = condition_rows(tables, evaluation, codes, where)
    decisions = [decide(tables, evaluation, codes, condition) for condition in conditions]
    every = np.zeros((1 + len(conditions), len(codes.row) + 1), np.int64)
    every[0] = _counted(codes, mask)
    names = dict.fromkeys(d.columns[0] for d in decisions if d and len(d.columns) == 1)
    single = break_down_all(codes, mask, tuple(names))
    for i, decision in enumerate(decisions, 1):
        if decision is None:
            continue
        small = decision.holds.size * every.shape[1] <= 2**20
        if len(decision.columns) == 1:
            every[i] = decision.holds.astype(np.int64) @ single[decision.columns[0]].table
        elif small:
            table = break_down(codes, decision.columns, mask).table
            every[i] = decision.holds.ravel().astype(np.int64) @ table.reshape(-1, every.shape[1])
        else:
            every[i] = _counted(codes, _both(mask, decision.rows(codes)))
    others = [i for i, decision in enumerate(decisions) if decision is None]
    for i, rows in zip(others, _masks(tables, evaluation, [conditions[i].sql for i in others]), strict=True):
        every[1 + i] = _counted(codes, _both(mask, rows))
    return _cube(codes, every)


def _masks(tables: Tables, evaluation: Evaluation, conditions: Sequence[str]) -> list[Mask]:
    """Which rows each condition selects, from one scan of the table."""
    if not conditions or evaluation.table is None:
        return []
    chosen = ", ".join(f"coalesce({text}, false) AS m{i}" for i, text in enumerate(conditions))
    found = tables.query(f"SELECT {chosen} FROM {source(evaluation.table)}")
    return [found[f"m{i}"].to_numpy() for i in range(len(conditions))]


def _both(one: Mask | None, other: Mask) -> Mask:
    return other if one is None else one & other


def _counted(codes: Codes, mask: Mask | None) -> Ints:
    """Rows by cell; the first entry is rows without label or prediction."""
    total, cells = np.zeros(len(codes.row) + 1, np.int64), codes.cells()
    for start in range(0, codes.n, _CHUNK):
        part = slice(start, start + _CHUNK)
        total += np.bincount(cells[part] if mask is None else cells[part][mask[part]], minlength=total.size)
    return total


def _cube(codes: Codes, every: Ints) -> Cube:
    """The cube without classes and cells that no selected row is in."""
    kept = every[0, 1:] > 0
    row, col = (np.array(axis, dtype=np.int64)[kept] for axis in (codes.row, codes.col))
    seen = np.unique(np.concatenate([row, col]))
    classes = tuple(codes.classes[i] for i in seen)
    n = every[:, 1:][:, kept]
    return Cube(classes, np.searchsorted(seen, row), np.searchsorted(seen, col), n[0], n[1:], every[:, 0])
