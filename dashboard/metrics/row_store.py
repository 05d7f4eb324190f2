"""Plain columns of a table beside its codes, uncompressed and memory-mapped: single rows without unpacking it all."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dashboard.metrics.coding import plain_of
from dashboard.metrics.cube import Ints

FILE = "rows.arrow"
_LONGEST = 64  # bytes of a text on average; longer ones are left in the table


def kept_columns(path: Path, coded: Collection[str]) -> list[str]:
    """The columns to keep: numbers, truth values, dates and short texts, but for those that codes tell exactly."""
    with pq.ParquetFile(path) as file:
        rows, sizes = max(1, file.metadata.num_rows), _sizes(file)
        flat = [field for field in file.schema_arrow if field.name in sizes and field.name not in coded]
        return [f.name for f in flat if _is_fixed(f.type) or (_is_text(f.type) and sizes[f.name] <= _LONGEST * rows)]


def _sizes(file: pq.ParquetFile) -> dict[str, int]:
    """Bytes of every flat column before compression."""
    found: dict[str, int] = {}
    for group in range(file.metadata.num_row_groups):
        row_group = file.metadata.row_group(group)
        for place in range(row_group.num_columns):
            column = row_group.column(place)
            found[column.path_in_schema] = found.get(column.path_in_schema, 0) + column.total_uncompressed_size
    return found


def _is_fixed(kind: pa.DataType) -> bool:
    number = pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind)
    moment = pa.types.is_date32(kind) or kind == pa.timestamp("us")
    return bool(number or moment or pa.types.is_boolean(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


class RowWriter:
    """Writes batches of some columns, one after the other; `starts` says at which row each batch begins."""

    def __init__(self, folder: Path, schema: pa.Schema, names: Sequence[str]) -> None:
        self.starts: list[int] = []
        self._schema = pa.schema([schema.field(name).remove_metadata() for name in names])
        self._sink = pa.OSFile(str(folder / FILE), "wb")
        self._writer = ipc.new_file(self._sink, self._schema)
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the columns' part of a batch."""
        arrays = [
            pc.cast(plain_of(batch.column(batch.schema.get_field_index(field.name))), field.type)
            for field in self._schema
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self.starts.append(self._rows)
        self._rows += batch.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._sink.close()


@dataclass(frozen=True)
class RowStore:
    """The kept columns of a sidecar's folder; opened by each call, so that no pages stay with the process."""

    folder: Path
    names: tuple[str, ...]
    starts: tuple[int, ...]

    def at(self, names: Sequence[str], numbers: Sequence[int]) -> list[list[Any]]:
        """The values of some kept columns at row numbers, as Python values."""
        if not names or not len(numbers):
            return [[] for _ in names]
        wanted = np.asarray(numbers, np.int64)
        order = np.argsort(wanted, kind="stable")
        back = np.argsort(order, kind="stable")
        with pa.memory_map(str(self.folder / FILE)) as file:
            batches = [
                batch.select(list(names)).take(pa.array(rows)) for batch, rows in self._parts(file, wanted[order])
            ]
            found = pa.Table.from_batches(batches)
            return [_in_order(found.column(place).to_pylist(), back) for place in range(len(names))]

    def numbers(self, name: str, rows: Ints | None = None) -> tuple[NDArray[Any], NDArray[np.bool_] | None] | None:
        """A column of numbers, truth values or dates at ascending row numbers (None: all rows), and where it is
        missing (None: nowhere); None for texts."""
        with pa.memory_map(str(self.folder / FILE)) as file:
            place = ipc.open_file(file).schema.get_field_index(name)
            kind = ipc.open_file(file).schema.field(place).type
            if _is_text(kind):
                return None
            parts = [
                batch.column(place) if taken is None else batch.column(place).take(pa.array(taken))
                for batch, taken in self._parts(file, rows)
            ]
            values = [_plain_numbers(part) for part in parts]
            missing = [np.asarray(part.is_null()) for part in parts] if any(p.null_count for p in parts) else None
            dtype = _plain_numbers(pa.array([], kind)).dtype
            joined = np.concatenate(values) if values else np.zeros(0, dtype)
            return joined, None if missing is None else np.concatenate(missing)

    def number_parts(self, name: str) -> Iterator[tuple[int, NDArray[Any], NDArray[np.bool_] | None]]:
        """A column of numbers batch by batch: its first row, its values, and where they are missing (None: nowhere)."""
        with pa.memory_map(str(self.folder / FILE)) as file:
            reader = ipc.open_file(file)
            place = reader.schema.get_field_index(name)
            for index, start in enumerate(self.starts):
                values = reader.get_batch(index).column(place)
                yield start, _plain_numbers(values), np.asarray(values.is_null()) if values.null_count else None

    def _parts(self, file: pa.MemoryMappedFile, rows: Ints | None) -> Any:
        """Batches with the places in them of ascending row numbers."""
        reader = ipc.open_file(file)
        if rows is None:
            yield from ((reader.get_batch(index), None) for index in range(len(self.starts)))
            return
        ends = np.searchsorted(rows, [*self.starts[1:], np.iinfo(np.int64).max])
        begin = 0
        for index, end in enumerate(ends.tolist()):
            if end > begin:
                yield reader.get_batch(index), rows[begin:end] - self.starts[index]
            begin = end


def _in_order(values: list[Any], places: Ints) -> list[Any]:
    return [values[place] for place in places.tolist()]


def _plain_numbers(values: pa.Array) -> NDArray[Any]:
    """Values as numpy numbers that sort as they do, anything where they are missing."""
    if pa.types.is_boolean(values.type):
        values = pc.cast(values, pa.uint8())
    elif pa.types.is_date32(values.type):
        values = values.view(pa.int32())
    elif pa.types.is_timestamp(values.type):
        values = values.view(pa.int64())
    filled = pc.fill_null(values, 0) if values.null_count else values
    found: NDArray[Any] = filled.to_numpy(zero_copy_only=False)
    return found
