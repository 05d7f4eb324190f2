"""Predictions tables in the formats that runs hold (Parquet, CSV, MLflow's JSON tables), made into one Parquet file."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from mlflow_runs.class_sets import SETS, blank_is_empty, sets_of
from mlflow_runs.errors import ArtifactUnreadable
from mlflow_runs.figures import read_json
from mlflow_runs.roles import SLICE_PREFIX, class_text

_NULLS = [*csv.ConvertOptions().null_values, "None", "<NA>"]
_BATCH_BYTES = 64 * 2**20
MOST_COLUMNS = 2000


@dataclass(frozen=True)
class Scan:
    """A readable Parquet file, every page of it read once: unique names, and what must change when it is copied.

    `schema` is what the copy will have; `changes` maps column position to its new type ("NaN" alone is a change too);
    `blanks` are the positions of columns of sets whose missing values are the empty set.
    """

    path: Path
    schema: pa.Schema
    n_rows: int
    changes: dict[int, pa.DataType]
    notes: tuple[str, ...]
    blanks: frozenset[int] = frozenset()


def to_parquet(source: Path, artifact: str, scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """A Parquet file with the artifact's rows (itself, or written to `scratch`), and notes for the page.

    Raises ArtifactUnreadable with the reason.
    """
    ending = artifact.rsplit(".", 1)[-1].lower()
    if ending == "parquet":
        return source, ()
    reader = {"csv": _from_csv, "json": _from_json}.get(ending)
    if reader is None:
        raise ArtifactUnreadable("is not a table format that is read here; expected .parquet, .csv or .json")
    table, notes = reader(source)
    _check_width(table.num_columns)
    pq.write_table(table, scratch)
    return scratch, notes


def _check_width(columns: int) -> None:
    """Raise where a table has more columns than a page can describe in seconds."""
    if columns > MOST_COLUMNS:
        raise ArtifactUnreadable(f"has {columns:,} columns; at most {MOST_COLUMNS:,} are read, log those of interest")


def _from_csv(source: Path) -> tuple[pa.Table, tuple[str, ...]]:
    data, notes = _utf8(source)
    header = data[:65536].split(b"\n", 1)[0]
    delimiter = max(b",;\t", key=lambda mark: (header.count(mark), mark == ord(",")))
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            parse_options=csv.ParseOptions(delimiter=chr(delimiter), newlines_in_values=True),
            convert_options=csv.ConvertOptions(null_values=_NULLS),
        )
    except (pa.ArrowException, ValueError) as exc:
        raise ArtifactUnreadable(f"is not a CSV table: {_first_line(exc)}") from exc
    if data.count(b'"') % 2:
        raise ArtifactUnreadable("is not a CSV table: a quoted value never ends, the file may be half-written")
    columns = [_without_empty(column) for column in table.columns]
    names = [name or ("index" if at == 0 else f"column_{at + 1}") for at, name in enumerate(table.column_names)]
    return pa.Table.from_arrays(columns, names=names), notes


def _utf8(source: Path) -> tuple[bytes, tuple[str, ...]]:
    """The file's bytes as UTF-8, with a note when they had to be converted."""
    data = source.read_bytes()
    if not data.strip():
        raise ArtifactUnreadable("is empty")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").encode(), ("is UTF-16, read as such",)
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as exc:
        note = f"is not UTF-8 (byte {exc.start}); read as Windows-1252, so accented letters may be wrong"
        return data.decode("cp1252", "replace").encode(), (note,)
    return data, ()


def _without_empty(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text with empty values as null, because CSV cannot tell the two apart."""
    if not pa.types.is_string(column.type):
        return column
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _from_json(source: Path) -> tuple[pa.Table, tuple[str, ...]]:
    data = read_json(source)
    names, rows = _split(data)
    wrong = next((at for at, row in enumerate(rows) if len(row) != len(names)), None)
    if wrong is not None:
        raise ArtifactUnreadable(f"row {wrong} has {len(rows[wrong])} values for {len(names)} columns")
    columns = [_json_column([row[at] for row in rows]) for at in range(len(names))]
    return pa.Table.from_arrays(columns, names=names), ()


def _split(data: Any) -> tuple[list[str], list[list[Any]]]:
    if isinstance(data, list) and all(isinstance(row, dict) for row in data):
        names = list(dict.fromkeys(key for row in data for key in row))
        return names, [[row.get(name) for name in names] for row in data]
    if isinstance(data, dict) and isinstance(data.get("columns"), list) and isinstance(data.get("data"), list):
        rows = [row if isinstance(row, list) else [row] for row in data["data"]]
        return [_column_name(name) for name in data["columns"]], rows
    raise ArtifactUnreadable("is JSON but no table; expected an object with columns and data, or a list of objects")


def _column_name(name: Any) -> str:
    return " ".join(map(str, name)) if isinstance(name, list) else str(name)


def _json_column(values: list[Any]) -> pa.Array:
    """One typed column; MLflow's logged images become their artifact path, mixed types become text."""
    values = [_image_path(value) for value in values]
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError):
        return pa.array([None if value is None else _json_text(value) for value in values], pa.string())


def _image_path(value: Any) -> Any:
    is_image = isinstance(value, dict) and value.get("type") == "image" and "filepath" in value
    return value["filepath"] if is_image else value


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else class_text(value)


def scan(path: Path) -> Scan:
    """Read every page of a Parquet file once; raises ArtifactUnreadable when it is none, cut off or damaged."""
    try:
        with pq.ParquetFile(path) as file:
            _check_width(len(file.schema_arrow))
            schema, notes = _unique(file.schema_arrow)
            changes = {at: new for at, field in enumerate(schema) if (new := _plain(field.type)) != field.type}
            flags = {at: True for at, field in enumerate(schema) if _may_be_slice(field)}
            for batch in _batches(file):
                for at, column in enumerate(batch.columns):
                    if pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py():
                        changes.setdefault(at, schema.field(at).type)
                    if flags.get(at):
                        flags[at] = set(pc.unique(column.drop_null()).to_pylist()) <= {0, 1}
            changes |= {at: pa.bool_() for at, flag in flags.items() if flag}
            return Scan(path, _changed(schema, changes), file.metadata.num_rows, changes, notes)
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise ArtifactUnreadable(f"is not a readable Parquet file: {_first_line(exc)}") from exc


def _batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    size = sum(file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups))
    per_row = max(1, size // max(1, file.metadata.num_rows))
    return iter(file.iter_batches(batch_size=int(min(131072, max(16, _BATCH_BYTES // per_row)))))


def _unique(schema: pa.Schema) -> tuple[pa.Schema, tuple[str, ...]]:
    """Names made unique regardless of case, because DuckDB does not tell `A` from `a`; none is empty."""
    seen: set[str] = set()
    names, notes = [], []
    for at, name in enumerate(schema.names):
        name = name or f"column_{at + 1}"
        new, n = name, 1
        while new.casefold() in seen:
            n += 1
            new = f"{name} ({n})"
        seen.add(new.casefold())
        names.append(new)
        if new != schema.names[at]:
            reason = f"the column name {name!r} occurs more than once" if schema.names[at] else "a column has no name"
            notes.append(f"{reason}; it is shown as {new!r}")
    fields = [field.with_name(new) for field, new in zip(schema, names, strict=True)]
    return pa.schema(fields), tuple(notes)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that other readers of Parquet understand."""
    if pa.types.is_null(kind):
        return pa.string()
    return pa.float32() if pa.types.is_float16(kind) else kind


def _may_be_slice(field: pa.Field) -> bool:
    return bool(field.name.startswith(SLICE_PREFIX) and pa.types.is_integer(field.type))


def _changed(schema: pa.Schema, changes: dict[int, pa.DataType]) -> pa.Schema:
    for at, new in changes.items():
        schema = schema.set(at, schema.field(at).with_type(new))
    return schema


def column(found: Scan, name: str) -> pa.ChunkedArray:
    """One whole column with its original values, NaN as null."""
    at = found.schema.get_field_index(name)
    with pq.ParquetFile(found.path) as file:
        original = file.schema_arrow.names
        nth = original[:at].count(original[at])
        batches = [_null_nan(batch.column(nth)) for batch in file.iter_batches(columns=[original[at]])]
    return pa.chunked_array(batches, type=None if batches else found.schema.field(at).type)


def _null_nan(column: pa.Array) -> pa.Array:
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def with_sets(found: Scan, names: Sequence[str], from_csv: bool = False) -> Scan:
    """The scan of a table whose named columns hold several classes per row: copied as sorted lists of texts."""
    places = {found.schema.get_field_index(name): SETS for name in names}
    blanks = [name for name in names if from_csv and blank_is_empty(pc.unique(column(found, name)).to_pylist())]
    return replace(
        found,
        schema=_changed(found.schema, places),
        changes=found.changes | places,
        blanks=frozenset(found.schema.get_field_index(name) for name in blanks),
    )


def class_names(found: Scan, name: str) -> set[str]:
    """The classes that occur in a column of sets; ArtifactUnreadable where its values are no sets of classes."""
    at = found.schema.get_field_index(name)
    try:
        with pq.ParquetFile(found.path) as file:
            nth = file.schema_arrow.names[:at].count(file.schema_arrow.names[at])
            batches = file.iter_batches(columns=[file.schema_arrow.names[at]])
            parts = [pc.unique(sets_of(batch.column(nth)).flatten()).to_pylist() for batch in batches]
    except (pa.ArrowException, TypeError) as exc:
        raise ArtifactUnreadable(f"column {name!r} does not hold sets of classes: {_first_line(exc)}") from exc
    return {text for part in parts for text in part}


def copy(found: Scan, target: Path) -> None:
    """Write the normalised table: unique names, NaN as null, 0/1 slices as booleans, classes as sets; else the file."""
    if not found.changes and not found.notes:
        shutil.copyfile(found.path, target)
        return
    with pq.ParquetFile(found.path) as file, pq.ParquetWriter(target, found.schema, compression="zstd") as writer:
        for batch in _batches(file):
            columns = [
                _normal(part.fill_null("") if at in found.blanks else part, found.schema.field(at).type)
                if at in found.changes
                else part
                for at, part in enumerate(batch.columns)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=found.schema))


def _normal(part: pa.Array, kind: pa.DataType) -> pa.Array:
    return sets_of(part) if kind == SETS else _null_nan(part).cast(kind)


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]
