"""Columns that hold several classes per row (multi-label), made into one form: sorted lists of distinct class texts."""

import ast
import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlflow_runs.roles import class_text

SETS = pa.list_(pa.string())
_MARKS = ("|", ";")


def is_sets(kind: pa.DataType) -> bool:
    """Whether a column type holds lists of texts, whole numbers or booleans: several classes per row."""
    if not _is_list(kind):
        return False
    inner = kind.value_type.value_type if pa.types.is_dictionary(kind.value_type) else kind.value_type
    texts = pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner)
    return bool(texts or pa.types.is_integer(inner) or pa.types.is_boolean(inner) or pa.types.is_null(inner))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def sets_of(column: pa.Array) -> pa.Array:
    """The column as SETS. Missing entries of a list are no class; a text is a JSON array or `a|b`, `a;b`.

    A null row stays null, an empty list (or text) is the empty set; what is neither list nor text is a set of one.
    """
    if not _is_list(column.type):
        return _parsed(column)
    lists = column.cast(pa.large_list(column.type.value_type))
    n, parents, values = len(lists), pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    coded = values.dictionary_encode()
    texts = [None if text is None or text != text else class_text(text) for text in coded.dictionary.to_pylist()]
    names = sorted({text for text in texts if text is not None})
    place = {text: at for at, text in enumerate(names)}
    codes = np.array([*(place.get(text, -1) if text is not None else -1 for text in texts), -1], np.int64)
    found = codes[pc.fill_null(coded.indices, len(texts)).to_numpy()]
    kept = found >= 0
    pairs = np.unique(parents[kept].astype(np.int64) * max(1, len(names)) + found[kept])
    return _assembled(lists, n, pairs // max(1, len(names)), pairs % max(1, len(names)), names)


def _assembled(
    lists: pa.Array, n: int, rows: NDArray[np.int64], codes: NDArray[np.int64], names: list[str]
) -> pa.Array:
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int32)
    values = pa.array(names, pa.string()).take(pa.array(codes))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values, mask=lists.is_null())


def blank_is_empty(values: Iterable[object]) -> bool:
    """Whether an empty cell among these values of a CSV column is the empty set: where sets are texts such as `a|b`.

    Where they are JSON arrays the empty set is written `[]`, so that an empty cell is a missing value.
    """
    known = [value for value in values if value is not None and value == value]
    return all(isinstance(value, str) and not value.lstrip().startswith("[") for value in known) and bool(known)


def _parsed(column: pa.Array) -> pa.Array:
    """Sets from texts, each distinct text read once; numbers are one class each."""
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    sets = [None if value is None or value != value else _set_of(value) for value in coded.dictionary.to_pylist()]
    return pa.array(sets, SETS).take(coded.indices)


def _set_of(value: object) -> list[str]:
    if not isinstance(value, str):
        return [class_text(value)]
    text = value.strip()
    if text.startswith("[") and text.endswith("]"):
        return sorted({class_text(item) for item in _items(text) if item is not None})
    mark = next((mark for mark in _MARKS if mark in text), None)
    parts = text.split(mark) if mark else [text]
    return sorted({part.strip() for part in parts if part.strip()})


def _items(text: str) -> list[object]:
    """A JSON array's items; also of the form that pandas writes lists in (`['a', 'b']`); else the text itself."""
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [text]
    return found if isinstance(found, list) else [text]
