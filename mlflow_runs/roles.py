"""Which column of a predictions table plays which part: declared in evaluation.json, else guessed from names."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, cast, get_args

import pyarrow as pa
import pyarrow.compute as pc

from mlflow_runs.records import Problem, Roles, Task

MANY_NUMBERS = 50  # more distinct numeric labels than this mean regression
INDEX_COLUMNS = ("index", "__index_level_0__", "unnamed: 0")
SLICE_PREFIX = "slice_"
SCORE_PREFIXES = ("score_", "proba_")
NAMES: dict[str, tuple[str, ...]] = {
    "label": ("label", "target", "y_true", "ground_truth", "labels", "targets"),
    "prediction": ("prediction", "y_pred", "predicted", "predictions", "predicted_label"),
    "score": ("score", "y_pred_proba", "y_score", "y_proba", "proba", "probability"),
    "id": ("id", "example_id", "sample_id", "uid"),
    "time": ("timestamp", "created_on", "date", "datetime", "created_at"),
    "text": ("text", "description", "sentence", "content", "document"),
    "image": ("image", "image_path", "img"),
    "boxes": ("boxes", "bboxes"),
    "predicted_boxes": ("predicted_boxes", "pred_boxes", "predicted_bboxes", "detections"),
}
_SINGLE = tuple(name for name in (f.name for f in fields(Roles)) if name not in ("scores", "slices", "features"))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers; booleans do not."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def class_texts(column: pa.ChunkedArray) -> list[str]:
    """The distinct classes of a column as texts in sorted order; null and NaN are no class, 1.0 reads as "1"."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    values = pc.unique(column.cast(kind) if kind != column.type else column).drop_null().to_pylist()
    return sorted({class_text(value) for value in values if value == value})


def class_text(value: object) -> str:
    """The text of one class value: True -> "True", 1 -> "1", 1.0 -> "1", b"a" -> "a"."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def infer_task(column: pa.ChunkedArray) -> Task:
    """Regression for numbers with fractions or more than 50 distinct numbers, else classification."""
    if not is_number(column.type):
        return "classification"
    numbers = pc.unique(column.cast(pa.float64())).drop_null()
    finite = numbers.filter(pc.is_finite(numbers))
    if len(finite) > MANY_NUMBERS:
        return "regression"
    return "regression" if any(not value.is_integer() for value in finite.to_pylist()) else "classification"


def _fits(role: str, kind: pa.DataType) -> bool:
    if role == "score":
        return is_number(kind)
    if role == "text":
        return _is_text(kind)
    if role == "image":
        return _is_text(kind) or bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
    return True


def _named(role: str, schema: Mapping[str, pa.DataType], taken: Iterable[str]) -> str | None:
    lowered = {name.lower(): name for name in reversed(list(schema)) if name not in set(taken)}
    matches = (lowered[name] for name in NAMES[role] if name in lowered)
    return next((name for name in matches if _fits(role, schema[name])), None)


def declared_roles(
    columns: Mapping[str, Any], schema: Mapping[str, pa.DataType], artifact: str
) -> tuple[Roles, list[Problem]]:
    """Roles from evaluation.json's `columns`; what names no column of the table becomes a problem."""
    problems: list[Problem] = []

    def known(role: str, name: object) -> str | None:
        if isinstance(name, str) and name in schema:
            return name
        if name is not None:
            have = ", ".join(list(schema)[:20])
            problems.append(Problem(artifact, f"{role} column {name!r} is not in the table; it has: {have}"))
        return None

    if "scores" in columns and isinstance(columns["scores"], str):
        columns = {**columns, "score": columns["scores"]}
    single = {role: known(role, columns[role]) for role in _SINGLE if role in columns}
    given = columns.get("scores")
    pairs = given.items() if isinstance(given, dict) else ()
    scores = {str(key): name for key, value in pairs if (name := known(f"score of {key!r}", value))}
    unknown = sorted(set(columns) - set(_SINGLE) - {"scores", "slices", "features"})
    problems.extend(Problem(artifact, f"unknown role {role!r}; roles are {', '.join(_SINGLE)}") for role in unknown)
    return Roles(scores=scores, **cast(dict[str, Any], single)), problems


def complete_roles(declared: Roles, schema: Mapping[str, pa.DataType], omitted: Iterable[str] = ()) -> Roles:
    """Declared roles plus a guess by name for each that is neither declared nor omitted (scores: see `with_scores`)."""
    found: dict[str, str | None] = {role: getattr(declared, role) for role in _SINGLE}
    taken = {name for name in found.values() if name is not None} | set(declared.scores.values())
    for role in ("label", "prediction", "id", "time", "text", "image", "boxes", "predicted_boxes"):
        if found[role] is None and role not in omitted:
            found[role] = _named(role, schema, taken)
            taken |= {name for name in (found[role],) if name is not None}
    slices = tuple(name for name, kind in schema.items() if _is_slice(name, kind) and name not in taken)
    rest = tuple(name for name in schema if name not in taken and name not in slices)
    features = tuple(name for name in rest if name.lower() not in INDEX_COLUMNS)
    return Roles(scores=dict(declared.scores), slices=slices, features=features, **cast(dict[str, Any], found))


def _is_slice(name: str, kind: pa.DataType) -> bool:
    return name.startswith(SLICE_PREFIX) and len(name) > len(SLICE_PREFIX) and bool(pa.types.is_boolean(kind))


def with_scores(roles: Roles, schema: Mapping[str, pa.DataType], classes: Iterable[str], single: bool = True) -> Roles:
    """Add guessed score columns: `score_<class>` where a suffix is a class, else (`single`) one `score` of two."""
    known = set(classes)
    if roles.scores or roles.score or (roles.prediction is None and not known):
        return roles
    for prefix in SCORE_PREFIXES:
        found = {
            name[len(prefix) :]: name
            for name in roles.features
            if name.lower().startswith(prefix) and len(name) > len(prefix) and is_number(schema[name])
        }
        if known & set(found):
            return _without_features(roles, scores=found)
    one = _named("score", {name: schema[name] for name in roles.features}, ()) if single and len(known) <= 2 else None
    return _without_features(roles, score=one) if one else roles


def _without_features(roles: Roles, **found: Any) -> Roles:
    used = set(found.get("scores", {}).values()) | {found.get("score")}
    return replace(roles, features=tuple(name for name in roles.features if name not in used), **found)


def checked_task(value: object) -> Task | None:
    """The task if it is one that Vitrine knows, else None."""
    return cast(Task, value) if value in get_args(Task) else None
