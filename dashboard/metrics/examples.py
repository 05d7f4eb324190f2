"""Rows worth trying on the model: some right, some wrong, some where the recorded scores were nearly equal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.metrics.columns import class_text, number, quoted
from dashboard.metrics.cube import needed
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation, Roles

_EACH = 4
_LONGEST = 200


@dataclass(frozen=True)
class Example:
    """One row: its 0-based number, the shown columns (texts cut), label and prediction as texts."""

    row: int
    values: dict[str, Any]
    label: str
    prediction: str


def find_examples(
    tables: Tables, evaluation: Evaluation, columns: Sequence[str], each: int = _EACH, where: str = "true"
) -> dict[str, tuple[Example, ...]]:
    """At most `each` rows per kind, the same on every call; kinds that have no rows are left out.

    `where` is checked SQL of the rows to choose from.

    Classes: "correct" (of different labels), "wrong" (highest score first), "least certain" (smallest difference
    between the two highest scores). Numbers: "closest" and "furthest off" by absolute error.
    """
    path, label, prediction = needed(evaluation)
    types = tables.columns(path)
    shown = ", ".join(f"{_value(name, types[name])} AS {quoted(f'v{i}')}" for i, name in enumerate(columns))
    texts = f"{class_text(quoted(label), types[label])} AS y, {class_text(quoted(prediction), types[prediction])} AS p"
    rows = source(path, numbered=True)
    base = f"SELECT file_row_number AS i, {texts}, {_scores(evaluation, types)} FROM {rows} WHERE {where}"
    found = {}
    for kind, (condition, order) in _KINDS[evaluation.task == "regression"].items():
        chosen = f"SELECT i, y, p FROM ({base}) WHERE y IS NOT NULL AND {condition} ORDER BY {order}, i LIMIT {each}"
        chosen_rows = tables.query(
            f"SELECT c.i, c.y, c.p, {shown} FROM ({chosen}) c JOIN {rows} t ON c.i = t.file_row_number ORDER BY c.i"
        ).to_pylist()
        found[kind] = tuple(_example(row, columns) for row in chosen_rows)
    return {kind: rows for kind, rows in found.items() if rows}


_SPREAD = "row_number() OVER (PARTITION BY y ORDER BY hash(i))"
_KINDS: tuple[Mapping[str, tuple[str, str]], ...] = (
    {
        "correct": ("y = p", f"{_SPREAD}, hash(y)"),
        "wrong": ("y <> p", "confidence DESC NULLS LAST, hash(i)"),
        "least certain": ("gap IS NOT NULL", "gap"),
    },
    {"closest": ("gap IS NOT NULL", "gap"), "furthest off": ("gap IS NOT NULL", "gap DESC")},
)


def _scores(evaluation: Evaluation, types: Mapping[str, str]) -> str:
    """SQL of `confidence` (highest score) and `gap` (to the second highest; for numbers the absolute error)."""
    roles: Roles = evaluation.roles
    if evaluation.task == "regression":
        error = f"abs({number(quoted(roles.label or ''))} - {number(quoted(roles.prediction or ''))})"
        return f"NULL AS confidence, {error} AS gap"
    if roles.score:
        score = number(quoted(roles.score))
        return f"greatest({score}, 1 - {score}) AS confidence, abs(2 * {score} - 1) AS gap"
    if evaluation.task == "multilabel" and roles.scores:
        nearest = ", ".join(f"abs({number(quoted(name))} - 0.5)" for name in roles.scores.values())
        return f"NULL AS confidence, least({nearest}) AS gap"
    if len(roles.scores) < 2:
        return "NULL AS confidence, NULL AS gap"
    ranked = f"list_reverse_sort([{', '.join(number(quoted(name)) for name in roles.scores.values())}])"
    return f"{ranked}[1] AS confidence, {ranked}[1] - {ranked}[2] AS gap"


def _value(name: str, type_name: str) -> str:
    column = f"t.{quoted(name)}"
    return f"left({column}, {_LONGEST})" if type_name == "VARCHAR" else column


def _example(row: Mapping[str, Any], columns: Sequence[str]) -> Example:
    values = {name: _plain(row[f"v{i}"]) for i, name in enumerate(columns)}
    return Example(int(row["i"]), values, str(row["y"]), str(row["p"]))


def _plain(value: Any) -> Any:
    return value["bytes"] if isinstance(value, Mapping) and "bytes" in value else value
