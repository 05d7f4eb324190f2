"""How a column becomes one byte per row: dictionary codes of categories, bins of numbers with round edges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, log10
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dashboard.metrics.columns import is_number, is_text, quoted, string
from dashboard.metrics.filters import filter_text
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

MISSING, OTHER = "(missing)", "(other)"
_MOST = 254
_FEW = 20
_BINS = 10
_SAMPLE = 100_000
_BATCH = 131_072


@dataclass(frozen=True)
class Column:
    """A slicing column. Code c stands for `values[c]`, selected by `filters[c]` ("" where no filter can say it).

    Code 0 is a missing value. `edges` bound the bins of numbers: bin i holds edges[i-1] <= x < edges[i].
    `grouped` is the number of rare values that share the last code, "(other)".
    """

    name: str
    kind: Literal["category", "number"]
    values: tuple[str, ...]
    filters: tuple[str, ...]
    edges: tuple[float, ...] = ()
    keys: tuple[Any, ...] = ()
    grouped: int = 0


def columns_of(tables: Tables, evaluation: Evaluation) -> list[Column]:
    """The slicing columns: features and declared slices, but for texts that hardly repeat, which are no groups."""
    assert evaluation.table is not None
    types, rows = tables.columns(evaluation.table), source(evaluation.table)
    names = [name for name in (*evaluation.roles.slices, *evaluation.roles.features) if _codable(types.get(name, ""))]
    if not names:
        return []
    facts = _facts(evaluation.table, types, names)
    numbers = {name for name in names if is_number(types[name]) and facts[name].distinct > _FEW * 1.2}
    texts = [name for name in names if is_text(types[name]) and facts[name].distinct > 1000]
    loose = _unrepeated(tables, rows, texts)
    coded = _coded(tables, rows, [name for name in names if name not in numbers and name not in loose])
    return [_binned(name, facts[name].edges) if name in numbers else coded[name] for name in names if name not in loose]


@dataclass(frozen=True)
class _Facts:
    """About how many distinct values an even sample of a column holds, and bin edges from its deciles."""

    distinct: int
    edges: tuple[float, ...]


def _facts(path: Path, types: Mapping[str, str], names: Sequence[str]) -> dict[str, _Facts]:
    """What an even sample tells of every column: good enough for edges that are rounded anyway; codes are made from
    all rows."""
    result = {}
    for name, values in _sample(path, [name for name in names if is_text(types[name])], names).items():
        edges = round_edges(_deciles(values)) if is_number(types[name]) else ()
        result[name] = _Facts(len(pc.unique(values.drop_null())), edges)
    return result


def _deciles(values: pa.Array) -> list[float]:
    x = pc.cast(values.drop_null(), pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    finite = x[np.isfinite(x)]
    return [float(q) for q in np.quantile(finite, np.arange(1, _BINS) / _BINS)] if len(finite) else []


def _sample(path: Path, texts: Sequence[str], names: Sequence[str]) -> dict[str, pa.Array]:
    """At most twice a hundred thousand rows: one drawn from each of as many equal stretches of the table."""
    with pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
        n = file.metadata.num_rows
        step = max(1, n // _SAMPLE)
        drawn = np.random.default_rng(0).integers(0, step, n // step) + np.arange(n // step) * step
        parts: dict[str, list[pa.Array]] = {
            name: [file.schema_arrow.empty_table()[name].combine_chunks()] for name in names
        }
        start = 0
        for batch in file.iter_batches(batch_size=_BATCH, columns=list(names), use_threads=False):
            stop = start + batch.num_rows
            rows = pa.array(drawn[np.searchsorted(drawn, start) : np.searchsorted(drawn, stop)] - start)
            for name in names:
                parts[name].append(plain_of(batch.column(batch.schema.get_field_index(name)).take(rows)))
            start = stop
    return {name: pa.concat_arrays(plain_of(part) for part in found) for name, found in parts.items()}


def _unrepeated(tables: Tables, rows: str, names: Sequence[str]) -> set[str]:
    """Texts that hardly repeat. Only those with many values in the sample can be: else a tenth of it would differ."""
    if not names:
        return set()
    counted = ", ".join(f"approx_count_distinct({quoted(name)}) AS d{i}" for i, name in enumerate(names))
    facts = tables.first(f"SELECT count(*) AS n, {counted} FROM {rows}")
    return {name for i, name in enumerate(names) if facts[f"d{i}"] > max(1000, facts["n"] / 10)}


def _codable(type_name: str) -> bool:
    number = is_number(type_name) and not type_name.startswith("DECIMAL")
    return number or is_text(type_name) or type_name == "BOOLEAN"


def round_edges(quantiles: list[float]) -> tuple[float, ...]:
    """Distinct ascending edges with two or three significant digits of their spread."""
    if not quantiles:
        return ()
    spread = max(quantiles) - min(quantiles)
    digits = 1 - floor(log10(spread)) if spread > 0 else 6
    return tuple(sorted({round(q, digits) + 0.0 for q in quantiles}))


def _binned(name: str, edges: tuple[float, ...]) -> Column:
    column = filter_text(name)
    ends = [_shown(edge) for edge in edges]
    if not ends:
        return Column(name, "number", (MISSING, "any"), (f"{column} IS NULL", f"{column} IS NOT NULL"))
    bins = [
        (MISSING, f"{column} IS NULL"),
        (f"below {ends[0]}", f"{column} < {ends[0]}"),
        *((f"{low} to {high}", f"{column} >= {low} AND {column} < {high}") for low, high in pairwise(ends)),
        (f"{ends[-1]} and above", f"{column} >= {ends[-1]}"),
    ]
    values, filters = zip(*bins, strict=True)
    return Column(name, "number", values, filters, edges)


def _shown(edge: float) -> str:
    """A number as a filter reads it back to the same value."""
    return str(int(edge)) if edge == int(edge) and abs(edge) < 1e15 else repr(edge)


def _coded(tables: Tables, rows: str, names: Sequence[str]) -> dict[str, Column]:
    """Categories: their values by frequency; beyond 254 the rare ones share a code."""
    result = {}
    for name in names:
        found = tables.query(
            f"SELECT {quoted(name)} AS v, count(*) AS n, count(*) OVER () AS d FROM {rows}"
            f" WHERE {quoted(name)} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_MOST}"
        )
        distinct = found["d"][0].as_py() if found.num_rows else 0
        result[name] = _category(name, found["v"].to_pylist(), distinct)
    return result


def _category(name: str, frequent: list[Any], distinct: int) -> Column:
    kept = frequent if distinct <= _MOST else frequent[: _MOST - 1]
    column, grouped = filter_text(name), distinct - len(kept)
    values = (MISSING, *map(str, kept), *((OTHER,) if grouped else ()))
    filters = (f"{column} IS NULL", *(f"{column} = {_literal(v)}" for v in kept), *(("",) if grouped else ()))
    return Column(name, "category", values, filters, keys=tuple(kept), grouped=grouped)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return string(value) if isinstance(value, str) else repr(value)


def code_of(column: Column, values: pa.Array) -> NDArray[np.uint8]:
    """The codes of a batch of the column's values."""
    if column.kind == "number":
        x = np.asarray(pc.cast(plain_of(values), pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        found: NDArray[np.uint8] = (x == x).view(np.uint8)  # 0 for NaN
        # comparing with every edge in turn is many times faster than a binary search, because it needs no branches
        for edge in column.edges:
            found += (x >= edge).view(np.uint8)
        return found
    if pa.types.is_dictionary(values.type):
        of_entry = np.append(code_of(column, values.dictionary), np.uint8(0))
        coded: NDArray[np.uint8] = of_entry[pc.fill_null(values.indices, -1).to_numpy(zero_copy_only=False)]
        return coded
    places = positions(values, pa.array(column.keys)) + 1
    if column.grouped:
        places = np.where(places == 0, len(column.keys) + 1, places)
    return np.where(np.asarray(values.is_null()), 0, places).astype(np.uint8)


def positions(values: pa.Array, known: pa.Array) -> NDArray[np.int64]:
    """The position of every value among the known ones, -1 where it is missing or none of them."""
    if pa.types.is_dictionary(values.type):
        of_entry = np.append(positions(values.dictionary, known), -1)
        found: NDArray[np.int64] = of_entry[pc.fill_null(values.indices, -1).to_numpy(zero_copy_only=False)]
        return found
    place = pc.fill_null(pc.index_in(values, value_set=known.cast(values.type), skip_nulls=True), -1)
    return np.asarray(place.to_numpy(zero_copy_only=False), dtype=np.int64)


def plain_of(values: pa.Array) -> pa.Array:
    """Values without a dictionary of their own."""
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
