"""Declared slices: boolean columns of the table, and a model's slices.yaml (name, description, filter)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml  # type: ignore[import-untyped]

from dashboard.errors import BadQuery
from dashboard.metrics.columns import condition
from dashboard.metrics.filters import filter_text, parse_filter
from mlflow_runs.records import Problem

_MOST = 200


@dataclass(frozen=True)
class Slice:
    """A named subset of rows; `filter` is its text, `condition` checked SQL.

    `kind` is "declared", "file", "saved" (by someone, on a page) or "found" (by a look at all rows).
    """

    name: str
    kind: str
    description: str
    filter: str
    condition: str


def declared_slices(columns: Sequence[str]) -> list[Slice]:
    """The slices of boolean columns named `slice_<name>`."""
    return [
        Slice(column.removeprefix("slice_") or column, "declared", "", filter_text(column), condition(column))
        for column in columns
    ]


def file_slices(text: str, columns: Mapping[str, str], name: str = "slices.yaml") -> tuple[list[Slice], list[Problem]]:
    """The slices of a file, checked against the table's columns; what cannot be used is a problem, not an error.

    Accepted: a list of {name, description, filter}, or that list below the key `slices`.
    """
    slices, problems = _file_slices(text, tuple(columns.items()), name)
    return list(slices), list(problems)


@lru_cache(32)
def _file_slices(
    text: str, types: tuple[tuple[str, str], ...], name: str
) -> tuple[tuple[Slice, ...], tuple[Problem, ...]]:
    """Kept, because each click needs the file several times and reading it costs more than counting a slice."""
    slices, problems = _read_slices(text, dict(types), name)
    return tuple(slices), tuple(problems)


def _read_slices(text: str, columns: Mapping[str, str], name: str) -> tuple[list[Slice], list[Problem]]:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as exc:
        return [], [Problem(name, f"it is not YAML: {str(exc).splitlines()[0][:120]}")]
    entries = found.get("slices") if isinstance(found, dict) else found
    if not isinstance(entries, list):
        return [], [Problem(name, "expected is a list of slices, each with name, filter and optionally description")]
    results = [_entry(entry, columns, name) for entry in entries[:_MOST]]
    slices = [result for result in results if isinstance(result, Slice)]
    problems = [result for result in results if isinstance(result, Problem)]
    if len(entries) > _MOST:
        problems.append(Problem(name, f"it holds {len(entries)} slices; the first {_MOST} are shown"))
    return slices, problems


def _entry(entry: Any, columns: Mapping[str, str], name: str) -> Slice | Problem:
    if not isinstance(entry, dict) or not str(entry.get("name") or "") or not isinstance(entry.get("filter"), str):
        return Problem(name, f"the entry {str(entry)[:80]!r} needs a name and a filter, both text")
    title = str(entry["name"])[:200]
    try:
        checked = parse_filter(entry["filter"], columns)
    except BadQuery as exc:
        return Problem(name, f"slice {title!r}: {exc}")
    return Slice(title, "file", str(entry.get("description") or ""), entry["filter"], checked.sql)


def find_slice(slices: Sequence[Slice], name: str) -> int:
    """The index of a slice by name, or by its column's name; BadQuery lists the names there are."""
    for index, item in enumerate(slices):
        if name in (item.name, item.filter):
            return index
    names = ", ".join(repr(item.name) for item in slices[:12]) or "none"
    raise BadQuery(f"This evaluation has no slice {name[:80]!r}; its slices are: {names}.")
