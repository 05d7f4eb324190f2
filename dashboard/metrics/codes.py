"""The code sidecar: one byte per row and slicing column, beside the table, memory-mapped and shared by all processes;
and plain columns for single rows (see row_store).

Chosen over a DuckDB table of codes because counting with numpy is faster and its pages are shared by all workers.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dashboard.metrics.coding import Column, code_of, columns_of, plain_of, positions
from dashboard.metrics.columns import class_text, quoted
from dashboard.metrics.cube import Cube, count_cube, needed
from dashboard.metrics.row_store import RowStore, RowWriter, kept_columns
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

FOLDER = "codes"
VERSION = 2
_BATCH = 131_072
_HEADER = 128  # bytes of an array file before its entries
_SMALL_TABLE = 1_000_000
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Codes:
    """An opened sidecar of n rows. A code of 0 means missing; `cells` of classification are cube cells + 1."""

    folder: Path
    n: int
    columns: tuple[Column, ...]
    classes: tuple[str, ...]
    row: tuple[int, ...]
    col: tuple[int, ...]
    store: RowStore

    def codes(self, name: str) -> NDArray[np.uint8]:
        """The codes of a slicing column, one byte per row."""
        place = [column.name for column in self.columns].index(name)
        return _mapped(self.folder / f"{place}.npy")

    def cells(self) -> NDArray[np.unsignedinteger]:
        """Per row the index of its (label, prediction) cell plus 1, and 0 where one of them is missing."""
        return _mapped(self.folder / "cells.npy")

    def errors(self) -> NDArray[np.float64]:
        """Per row prediction - label of a regression, of sets of classes 1 where they differ and else 0; NaN where one
        of them is missing."""
        return _mapped(self.folder / "errors.npy")


def _mapped(path: Path) -> NDArray[Any]:
    """An array in a file; an empty one cannot be mapped."""
    found: NDArray[Any] = np.load(path, mmap_mode="r" if path.stat().st_size > _HEADER else None)
    return found


def codes_folder(tables: Tables, evaluation: Evaluation) -> Path:
    """Where an evaluation's sidecar lies: named by the table's digest and by what else decides its content."""
    kind = hashlib.blake2b(repr((VERSION, evaluation.task, evaluation.roles)).encode(), digest_size=6).hexdigest()
    return tables.folder / FOLDER / f"{evaluation.digest or evaluation.run_id}-{kind}"


def open_codes(tables: Tables, evaluation: Evaluation) -> Codes | None:
    """The sidecar, or None when it is not built yet; marks it as used."""
    folder = codes_folder(tables, evaluation)
    try:
        found = json.loads((folder / "codes.json").read_text(encoding="utf-8"))
        os.utime(folder)
    except FileNotFoundError:
        return None
    columns = tuple(
        Column(**{**item, **{name: tuple(item[name]) for name in ("values", "filters", "edges", "keys")}})
        for item in found["columns"]
    )
    store = RowStore(folder, tuple(found["kept"]), tuple(found["starts"]))
    return Codes(folder, found["n"], columns, tuple(found["classes"]), tuple(found["row"]), tuple(found["col"]), store)


def build_codes(tables: Tables, evaluation: Evaluation, progress: Progress = lambda share: None) -> Codes:
    """Build the sidecar, once for all who ask; `progress` is told the share done and may raise to cancel."""
    folder = codes_folder(tables, evaluation)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder.with_suffix(".lock")):
        found = open_codes(tables, evaluation)
        if found is None:
            _write(tables, evaluation, folder, progress)
            found = open_codes(tables, evaluation)
    assert found is not None
    return found


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a file's lock, which the system frees when the process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(tables: Tables, evaluation: Evaluation, folder: Path, progress: Progress) -> None:
    """Write all files under a temporary name and rename the folder, so that readers see all or nothing."""
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        _fill(tables, evaluation, scratch, progress)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(tables: Tables, evaluation: Evaluation, scratch: Path, progress: Progress) -> None:
    path, label, prediction = needed(evaluation)
    columns = columns_of(tables, evaluation)
    cube = None if evaluation.task in ("regression", "multilabel") else count_cube(tables, evaluation, "true", [])
    target = _Target(tables, evaluation, cube, columns)
    exact = [column.name for column in columns if column.kind == "category" and not column.grouped]
    known = tables.columns(path)
    kept = [name for name in kept_columns(path, exact) if name in known]
    names = list(dict.fromkeys([label, prediction, *(column.name for column in columns), *kept]))
    # texts come as dictionaries, so that each distinct value is looked up once per batch and not once per row
    with pq.ParquetFile(path, read_dictionary=target.texts, pre_buffer=False) as table, ExitStack() as files:
        n, done = table.metadata.num_rows, 0
        store = files.enter_context(RowWriter(scratch, pq.read_schema(path), kept))
        outputs = [files.enter_context((scratch / name).open("wb")) for name in target.files]
        for output, dtype in zip(outputs, target.dtypes, strict=True):
            _start(output, dtype, n)
        # one thread and no buffering ahead, because those hold the whole file in memory
        for batch in table.iter_batches(batch_size=_BATCH, columns=names, use_threads=False):
            for output, dtype, part in zip(outputs, target.dtypes, target.coded(batch), strict=True):
                output.write(np.ascontiguousarray(part, dtype).data)
            store.write(batch)
            done += batch.num_rows
            progress(done / n)
    found = {
        "n": done,
        "columns": [asdict(column) for column in columns],
        "classes": list(cube.classes) if cube else [],
        "row": cube.row.tolist() if cube else [],
        "col": cube.col.tolist() if cube else [],
        "kept": kept,
        "starts": store.starts,
    }
    (scratch / "codes.json").write_text(json.dumps(found), encoding="utf-8")


class _Target:
    """The arrays to be written, and how a batch of rows is coded into them."""

    def __init__(self, tables: Tables, evaluation: Evaluation, cube: Cube | None, columns: list[Column]) -> None:
        path, self.label, self.prediction = needed(evaluation)
        self.columns, self.cube = columns, cube
        types = tables.columns(path)
        used = (self.label, self.prediction, *(column.name for column in columns))
        self.texts = [name for name in dict.fromkeys(used) if types[name] == "VARCHAR"]
        self.files = [*(f"{i}.npy" for i in range(len(columns))), "errors.npy" if cube is None else "cells.npy"]
        result = np.dtype(np.float64) if cube is None else np.min_scalar_type(len(cube.n) + 1)
        self.dtypes = [*(np.dtype(np.uint8) for _ in columns), result]
        self.differ = _differing(tables, evaluation) if evaluation.task == "multilabel" else None
        self.done = 0
        if cube is None:
            return
        self.raw = {
            name: _classes(tables, path, name, types[name], cube.classes) for name in (self.label, self.prediction)
        }
        self.keys = cube.row * len(cube.classes) + cube.col

    def coded(self, batch: pa.RecordBatch) -> Iterator[NDArray[np.generic]]:
        """The batch's part of every array."""
        for column in self.columns:
            yield code_of(column, batch.column(batch.schema.get_field_index(column.name)))
        if self.differ is not None:
            self.done += batch.num_rows
            yield self.differ[self.done - batch.num_rows : self.done]
            return
        y, p = (batch.column(batch.schema.get_field_index(name)) for name in (self.label, self.prediction))
        yield self._errors(y, p) if self.cube is None else self._cells(y, p, len(self.cube.classes))

    def _errors(self, y: pa.Array, p: pa.Array) -> NDArray[np.float64]:
        error = _floats(p) - _floats(y)
        return np.where(np.isfinite(error), error, np.nan)

    def _cells(self, y: pa.Array, p: pa.Array, classes: int) -> NDArray[np.int64]:
        row, col = self._class_index(self.label, y), self._class_index(self.prediction, p)
        used = (row >= 0) & (col >= 0)
        if classes**2 > _SMALL_TABLE:
            return np.where(used, np.searchsorted(self.keys, row * classes + col) + 1, 0)
        place = np.zeros(classes**2 + 1, np.int64)
        place[self.keys] = np.arange(1, len(self.keys) + 1)
        return place[np.where(used, row * classes + col, classes**2)]

    def _class_index(self, name: str, values: pa.Array) -> NDArray[np.int64]:
        raw, index = self.raw[name]
        classes: NDArray[np.int64] = index[positions(values, raw)]
        return classes


def _differing(tables: Tables, evaluation: Evaluation) -> NDArray[np.float32]:
    """Per row whether its two sets of classes differ, NaN where one of them is missing."""
    path, label, prediction = needed(evaluation)
    found = tables.query(f"SELECT ({quoted(label)} <> {quoted(prediction)})::FLOAT AS e FROM {source(path)}")["e"]
    differ: NDArray[np.float32] = found.to_numpy()
    return differ


def _start(file: BinaryIO, dtype: np.dtype, n: int) -> None:
    """Begin an array file of n entries, which are then appended: mapped pages would count as this process's memory."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (n,)}
    np.lib.format.write_array_header_1_0(file, header)


def _classes(
    tables: Tables, path: Path, name: str, type_name: str, classes: tuple[str, ...]
) -> tuple[pa.Array, NDArray[np.int64]]:
    """The stored values of a label or prediction column, and each one's class; -1 (also the last entry) for none."""
    found = tables.query(
        f"SELECT v_, {class_text('v_', type_name)} AS text FROM"
        f" (SELECT DISTINCT {quoted(name)} AS v_ FROM {source(path)} WHERE {quoted(name)} IS NOT NULL)"
    )
    place = {text: index for index, text in enumerate(classes)}
    index = np.array([*(place.get(text, -1) for text in found["text"].to_pylist()), -1], dtype=np.int64)
    return found["v_"].combine_chunks(), index


def _floats(values: pa.Array) -> NDArray[np.float64]:
    plain = plain_of(values)
    if pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type):
        plain = pc.cast(pc.if_else(pc.match_substring_regex(plain, _NUMERIC), plain, None), pa.float64())
    return np.asarray(pc.cast(plain, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


_NUMERIC = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def prune_codes(tables: Tables, limit_mb: int) -> int:
    """Delete the sidecars used longest ago until the rest fits; returns how many went."""
    folders = sorted((tables.folder / FOLDER).glob("[!.]*-*[!k]"), key=lambda path: path.stat().st_mtime, reverse=True)
    total, gone = 0, 0
    for folder in filter(Path.is_dir, folders):
        total += sum(file.stat().st_size for file in folder.iterdir())
        if total > limit_mb * 2**20:
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone
