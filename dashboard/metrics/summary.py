"""Column summaries and exact duplicates, counted over all filtered rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from dashboard.metrics.columns import class_text, is_number, is_text, quoted
from dashboard.metrics.rows import json_safe
from dashboard.metrics.tables import Tables
from mlflow_runs.records import Roles

Kind = Literal["number", "category", "classes", "text", "boolean", "time", "image", "other"]
BINS = 30
TOP = 12
SETS = "VARCHAR[]"
_COUNTED = ("category", "text", "boolean")
_LONG_TEXT = 40
_MANY = 50


@dataclass(frozen=True)
class ColumnSummary:
    """One column over the filtered rows. Numbers: `edges`/`counts` histogram, min, mean, max, std.

    Categories, booleans, texts: `top` (value, n), most frequent first, at most 12, and `distinct`; "classes" are sets
    of several classes per row, counted one by one. Texts: length statistics in characters (min, mean, max) and a
    histogram of lengths; times: minimum and maximum as text. `role` is the column's role or "feature".
    """

    name: str
    kind: Kind
    role: str
    n: int
    missing: int
    distinct: int
    minimum: float | str | None
    mean: float | None
    maximum: float | str | None
    std: float | None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()


def role_of(name: str, roles: Roles) -> str:
    """The part a column plays: a role's name, "score", "slice" or "feature"."""
    for role in ("label", "prediction", "id", "time", "text", "image", "boxes", "predicted_boxes", "score"):
        if getattr(roles, role) == name:
            return role
    if name in roles.scores.values():
        return "score"
    return "slice" if name in roles.slices else "feature"


def summarize(
    tables: Tables, rows: str, types: Mapping[str, str], roles: Roles, classes: Iterable[str] = ()
) -> list[ColumnSummary]:
    """Summaries of every column of `rows` (a FROM item with its WHERE), in two scans and one more per text column.

    Columns in `classes` hold class names even where they are stored as numbers.
    """
    if not types:
        return []
    facts = _facts(tables, rows, types, roles)
    kinds = {name: _kind(name, types[name], roles, facts[name]) for name in types}
    kinds.update(dict.fromkeys([name for name in classes if kinds.get(name) == "number"], "category"))
    histograms = _histograms(tables, rows, types, kinds, facts)
    return [_summary(tables, rows, name, types[name], roles, kinds[name], facts[name], histograms) for name in types]


def _measure(name: str, type_name: str) -> str | None:
    """SQL of the number that a column's histogram counts: its finite values, or its length for texts."""
    if is_number(type_name):
        value = f"CAST({quoted(name)} AS DOUBLE)"
        return f"CASE WHEN isfinite({value}) THEN {value} END"
    return f"CAST(length({quoted(name)}) AS DOUBLE)" if is_text(type_name) else None


def _facts(tables: Tables, rows: str, types: Mapping[str, str], roles: Roles) -> dict[str, dict[str, Any]]:
    """Counts and moments of every column, keyed n, present, distinct, low, mean, high, std."""
    chosen = ["count(*) AS n"]
    for index, (name, type_name) in enumerate(types.items()):
        value = quoted(name)
        chosen.append(f"count({value}) AS present{index}")
        # pictures and nested values are only counted, because comparing them costs more than it tells
        flat = is_number(type_name) or is_text(type_name) or _is_moment(type_name) or type_name == "BOOLEAN"
        chosen.append(f"{f'count(DISTINCT {value})' if flat else '0'} AS distinct{index}")
        measure = _measure(name, type_name)
        if measure is not None:
            for word, function in (("low", "min"), ("mean", "avg"), ("high", "max"), ("std", "stddev_samp")):
                chosen.append(f"{function}({measure}) AS {word}{index}")
        elif _is_moment(type_name):
            chosen += [f"CAST(min({value}) AS VARCHAR) AS low{index}", f"CAST(max({value}) AS VARCHAR) AS high{index}"]
    row = tables.first(f"SELECT {', '.join(chosen)} FROM {rows}")
    words = ("present", "distinct", "low", "mean", "high", "std")
    return {
        name: {"n": row["n"], **{word: json_safe(row.get(f"{word}{index}")) for word in words}}
        for index, name in enumerate(types)
    }


def _is_moment(type_name: str) -> bool:
    return type_name.startswith(("DATE", "TIME"))


def _kind(name: str, type_name: str, roles: Roles, facts: Mapping[str, Any]) -> Kind:
    if name == roles.image or type_name == "BLOB" or type_name.startswith("STRUCT(bytes BLOB"):
        return "image"
    if type_name == "BOOLEAN":
        return "boolean"
    if is_number(type_name):
        return "number"
    if _is_moment(type_name):
        return "time"
    if type_name == SETS and name in (roles.label, roles.prediction):
        return "classes"
    if not is_text(type_name):
        return "other"
    long = facts["distinct"] > _MANY and (facts["mean"] or 0) > _LONG_TEXT
    return "text" if name == roles.text or long else "category"


def _histograms(
    tables: Tables, rows: str, types: Mapping[str, str], kinds: Mapping[str, Kind], facts: Mapping[str, Any]
) -> dict[str, dict[int, int]]:
    """Counts by bin of every number and text length, in one scan."""
    chosen = []
    for name, kind in kinds.items():
        measure, low, high = _measure(name, types[name]), facts[name]["low"], facts[name]["high"]
        if kind in ("number", "text") and measure is not None and low is not None:
            width = (high - low) / BINS or 1.0
            if not isfinite(width):
                continue
            place = f"CAST(least(floor(({measure} - {low!r}) / {width!r}), {BINS - 1}) AS INTEGER)"
            # the filter, because least() of a missing value is the other one
            chosen.append((name, f"histogram({place}) FILTER (WHERE {measure} IS NOT NULL)"))
    if not chosen:
        return {}
    bins = ", ".join(f"{text} AS h{index}" for index, (_, text) in enumerate(chosen))
    row = tables.first(f"SELECT {bins} FROM {rows}")
    return {name: dict(row[f"h{index}"] or []) for index, (name, _) in enumerate(chosen)}


def _summary(
    tables: Tables,
    rows: str,
    name: str,
    type_name: str,
    roles: Roles,
    kind: Kind,
    facts: Mapping[str, Any],
    histograms: Mapping[str, dict[int, int]],
) -> ColumnSummary:
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    if name in histograms:
        low, width = facts["low"], (facts["high"] - facts["low"]) / BINS or 1.0
        edges = (*(low + width * k for k in range(BINS)), facts["high"] if facts["high"] > low else low + BINS)
        counts = tuple(histograms[name].get(k, 0) for k in range(BINS))
    measured = kind in ("number", "text", "time")
    role = role_of(name, roles)
    top, distinct = _top(tables, rows, name, type_name) if kind in _COUNTED else (), facts["distinct"]
    if kind == "classes":
        top, distinct = _classes(tables, rows, name)
    return ColumnSummary(
        name,
        kind,
        role,
        facts["n"],
        facts["n"] - facts["present"],
        distinct,
        facts["low"] if measured else None,
        facts["mean"] if measured else None,
        facts["high"] if measured else None,
        facts["std"] if measured else None,
        edges,
        counts,
        top,
    )


def _top(tables: Tables, rows: str, name: str, type_name: str) -> tuple[tuple[str, int], ...]:
    """The most frequent values as class texts with their counts, most frequent first, ties by text."""
    result = tables.query(
        f"SELECT {class_text('v_', type_name)} AS value, sum(n_)::BIGINT AS n FROM"
        f" (SELECT {quoted(name)} AS v_, count(*) AS n_ FROM {rows} GROUP BY 1)"
        f" WHERE v_ IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {TOP}"
    )
    return tuple(zip(result["value"].to_pylist(), result["n"].to_pylist(), strict=True))


def _classes(tables: Tables, rows: str, name: str) -> tuple[tuple[tuple[str, int], ...], int]:
    """The most frequent classes of sets with the number of rows that hold them, and how many classes there are."""
    result = tables.query(
        f"SELECT v_, count(*) AS n_, count(*) OVER () AS all_ FROM (SELECT unnest({quoted(name)}) AS v_ FROM {rows})"
        f" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {TOP}"
    )
    names, counts = result["v_"].to_pylist(), result["n_"].to_pylist()
    return tuple(zip(names, counts, strict=True)), result["all_"][0].as_py() if names else 0


def duplicates(tables: Tables, rows: str, types: Mapping[str, str], names: Iterable[str]) -> int:
    """How many rows repeat an earlier one exactly in the named columns; 0 where there are none to compare."""
    expressions = _comparable(types, names)
    if not expressions:
        return 0
    found = tables.first(
        f"SELECT sum(n_ - 1)::BIGINT AS n FROM (SELECT count(*) AS n_ FROM {rows} GROUP BY {', '.join(expressions)})"
    )
    return int(found["n"] or 0)


def compared(types: Mapping[str, str], roles: Roles) -> list[str]:
    """SQL of what two rows must share to be duplicates: features, texts and images."""
    return _comparable(types, [*roles.features, *(name for name in (roles.text, roles.image) if name)])


def _comparable(types: Mapping[str, str], names: Iterable[str]) -> list[str]:
    return [f"md5({quoted(name)})" if _heavy(types[name]) else quoted(name) for name in names if name in types]


def _heavy(type_name: str) -> bool:
    """Types compared by their digest, so that long texts and pictures are not held in memory."""
    return type_name in ("VARCHAR", "BLOB")
