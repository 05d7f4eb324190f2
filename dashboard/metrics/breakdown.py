"""Counts for every value of every slicing column, and for pairs of columns, from the code sidecar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.codes import Codes
from dashboard.metrics.cube import Counts, Cube, Ints
from dashboard.metrics.regression import Errors
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

Mask = NDArray[np.bool_]
_CHUNK = 2**20
_JOINT = 2**16


def cells_of(codes: Codes) -> Counts:
    """All cells of a sidecar, for estimates of many slices over them; their own counts are of no meaning."""
    row, col = (np.array(axis, dtype=np.int64) for axis in (codes.row, codes.col))
    return Counts(codes.classes, row, col, np.ones(len(row), np.int64))


@dataclass(frozen=True, eq=False)
class Breakdown:
    """Rows by code of one or two columns and by cell (last axis; 0: unlabelled), as in the sidecar."""

    codes: Codes
    columns: tuple[str, ...]
    table: Ints

    def counts(self, *code: int) -> Counts:
        """The confusion matrix of the rows with these codes."""
        n: Ints = self.table[code][1:]
        kept = n > 0
        row, col = (np.array(axis, dtype=np.int64)[kept] for axis in (self.codes.row, self.codes.col))
        return Counts(self.codes.classes, row, col, n[kept])


def filter_mask(tables: Tables, evaluation: Evaluation, where: str) -> Mask | None:
    """Which rows checked SQL selects, by position; None for all."""
    if where == "true" or evaluation.table is None:
        return None
    seen = evaluation.table.stat()
    return _mask(tables, evaluation.table, where, seen.st_mtime_ns, seen.st_size)


@lru_cache(4)
def _mask(tables: Tables, path: Path, where: str, _mtime: int, _size: int) -> Mask:
    """Kept (one byte per row), because one click asks for the same rows once per column."""
    found = tables.query(f"SELECT coalesce({where}, false) AS m FROM {source(path)}")["m"]
    mask: Mask = found.to_numpy()
    mask.flags.writeable = False
    return mask


def break_down(codes: Codes, columns: tuple[str, ...], mask: Mask | None = None) -> Breakdown:
    """Count rows by the codes of some columns and by cell, in one pass over the codes."""
    sizes = [len(next(c for c in codes.columns if c.name == name).values) for name in columns]
    shape = (*sizes, len(codes.row) + 1)
    cells, arrays = codes.cells(), [codes.codes(name) for name in columns]
    total = np.zeros(int(np.prod(shape)), np.int64)
    # a chunk's keys and a small table stay in the processor's cache; a large table is better added up seldom
    chunk = _CHUNK if total.size > _JOINT else _CHUNK // 16
    for start in range(0, codes.n, chunk):
        part = slice(start, start + chunk)
        key: NDArray[Any] = arrays[0][part].astype(np.uint32 if total.size < 2**32 else np.int64)
        for size, array in zip(shape[1:], (*arrays[1:], cells), strict=True):
            key *= size
            key += array[part]
        total += np.bincount(key if mask is None else key[mask[part]], minlength=total.size)
    return Breakdown(codes, columns, total.reshape(shape))


def break_down_all(
    codes: Codes, mask: Mask | None = None, columns: Sequence[str] | None = None
) -> dict[str, Breakdown]:
    """The breakdown by every slicing column, or by each of some. Small columns are counted together in one pass."""
    sizes = {c.name: len(c.values) for c in codes.columns if columns is None or c.name in columns}
    result = {}
    for bundle in _bundles(sizes, len(codes.row) + 1):
        table = break_down(codes, bundle, mask).table
        for place, name in enumerate(bundle):
            others = tuple(axis for axis in range(len(bundle)) if axis != place)
            result[name] = Breakdown(codes, (name,), table.sum(axis=others))
    return {name: result[name] for name in sizes}


def right_and_wrong(codes: Codes, mask: Mask | None = None, columns: Sequence[str] | None = None) -> dict[str, Ints]:
    """Right and wrong rows (second axis) by the codes of every column, or of some; rows without label are left out."""
    right = np.array(codes.row, dtype=np.int64) == np.array(codes.col, dtype=np.int64)
    found = break_down_all(codes, mask, columns)
    tables = {name: item.table[:, 1:] for name, item in found.items()}
    return {name: np.stack([t[:, right].sum(1), t[:, ~right].sum(1)], axis=1) for name, t in tables.items()}


def near_and_far(codes: Codes, limit: float, mask: Mask | None, columns: Sequence[str]) -> dict[str, Ints]:
    """Rows of a regression with an absolute error below `limit` and the others (second axis) by columns' codes."""
    sizes = {c.name: len(c.values) for c in codes.columns if c.name in columns}
    result = {name: np.zeros((size, 2), np.int64) for name, size in sizes.items()}
    errors, arrays = codes.errors(), {name: codes.codes(name) for name in sizes}
    for start in range(0, codes.n, _CHUNK):
        part = slice(start, start + _CHUNK)
        e = np.abs(np.asarray(errors[part]))
        used = ~np.isnan(e) if mask is None else ~np.isnan(e) & mask[part]
        far = (e >= limit)[used].astype(np.int64)
        for name, size in sizes.items():
            key = arrays[name][part][used].astype(np.int64) * 2 + far
            result[name] += np.bincount(key, minlength=2 * size).reshape(size, 2)
    return result


def _bundles(sizes: Mapping[str, int], cells: int) -> list[tuple[str, ...]]:
    """Columns in groups whose joint table is small enough for the processor's cache."""
    bundles: list[tuple[str, ...]] = []
    bundle: tuple[str, ...] = ()
    total = cells
    for name in sorted(sizes, key=lambda name: sizes[name]):
        if bundle and total * sizes[name] > _JOINT:
            bundles.append(bundle)
            bundle, total = (), cells
        bundle, total = (*bundle, name), total * sizes[name]
    return [*bundles, bundle] if bundle else bundles


def whole_cube(codes: Codes, mask: Mask | None = None) -> Cube:
    """The cube without slices, from the cells alone."""
    n = np.zeros(len(codes.row) + 1, np.int64)
    for start in range(0, codes.n, _CHUNK):
        part = slice(start, start + _CHUNK)
        cells = codes.cells()[part]
        n += np.bincount(cells if mask is None else cells[mask[part]], minlength=n.size)
    row, col = (np.array(axis, dtype=np.int64) for axis in (codes.row, codes.col))
    return Cube(codes.classes, row, col, n[1:], np.zeros((0, len(row)), np.int64), n[:1])


def break_down_errors(codes: Codes, column: str, mask: Mask | None = None) -> list[Errors]:
    """A regression's error sums for every code of a column."""
    size = len(next(c for c in codes.columns if c.name == column).values)
    sums = np.zeros((5, size))
    array, errors = codes.codes(column), codes.errors()
    for start in range(0, codes.n, _CHUNK):
        part = slice(start, start + _CHUNK)
        e, key = np.asarray(errors[part]), np.asarray(array[part])
        if mask is not None:
            e, key = e[mask[part]], key[mask[part]]
        used = ~np.isnan(e)
        sums[1] += np.bincount(key[~used], minlength=size)
        e, key = e[used], key[used]
        sums[0] += np.bincount(key, minlength=size)
        for place, weight in ((2, np.abs(e)), (3, e * e), (4, e**4)):
            sums[place] += np.bincount(key, weights=weight, minlength=size)
    return [Errors(int(n), int(gone), a, s, q) for n, gone, a, s, q in sums.T.tolist()]
