"""From what a user gives (text, row, picture) to a model's input tensors; imports no torch and no mlflow."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dashboard.errors import BadInput
from dashboard.inference.cards import InputField, ModelCard, TensorSpec
from dashboard.inference.images import image_tensor, open_image
from dashboard.inference.protocol import Array, Tensors

Given = str | bytes | Mapping[str, Any] | Sequence[Any] | float | int | bool | None
Layout = tuple[tuple[str, str, tuple[int, ...]], ...]
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_WHOLE = {"long": "int64", "integer": "int32"}
_REAL = {"double": "float64", "float": "float32"}


def decode_input(card: ModelCard, given: Given) -> Tensors:
    """One input as tensors with a leading dimension of 1; raises BadInput naming the value and what is accepted."""
    if isinstance(given, bytes):
        return _picture(card, given)
    if card.kind == "image" and isinstance(given, str):
        raise BadInput(f"{card.name} takes a picture, not the text {_short(given)}; upload a PNG or JPEG file.")
    if card.columns:
        return _row(card, given)
    if card.tensors:
        return _tensors(card, given)
    return _untyped(_bare(card, given))


def digest(tensors: Tensors) -> str:
    """A content digest of one decoded input: names, types, shapes and values."""
    state = hashlib.blake2b(digest_size=16)
    for name, array in tensors.items():
        state.update(f"{name}\0{array.dtype}\0{array.shape}\0".encode())
        text = array.dtype.kind in "OUS"
        state.update(json.dumps(array.ravel().tolist(), default=str).encode() if text else array.tobytes())
    return state.hexdigest()


def join(samples: Sequence[Tensors]) -> Tensors:
    """Several decoded inputs of one shape as one batch."""
    return {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]}


def layout(tensors: Tensors) -> Layout:
    """What two inputs must share to be joined in one batch."""
    return tuple((name, array.dtype.str, array.shape[1:]) for name, array in tensors.items())


def _picture(card: ModelCard, data: bytes) -> Tensors:
    if card.kind != "image":
        raise BadInput(f"{card.name} does not take pictures but {_accepted(card)}.")
    spec = card.tensors[0] if card.tensors else TensorSpec("input_0", "float32", ())
    return {spec.name: image_tensor(open_image(data), spec.shape, spec.dtype, card.preprocessing)}


def _row(card: ModelCard, given: Given) -> Tensors:
    row = _named(card, given)
    unknown = [str(name) for name in row if str(name) not in {field.name for field in card.inputs}]
    missing = [field.name for field in card.inputs if field.required and _empty(row.get(field.name), field)]
    if unknown or missing:
        parts = [f"unknown: {_listed(unknown)}"] * bool(unknown) + [f"missing: {_listed(missing)}"] * bool(missing)
        raise BadInput(f"The columns do not fit ({'; '.join(parts)}); {card.name} takes {_accepted(card)}.")
    return {field.name: _column(field, row.get(field.name)) for field in card.inputs}


def _named(card: ModelCard, given: Given) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    values = [given] if isinstance(given, (str, int, float, bool)) else given
    if isinstance(values, Sequence) and len(values) == len(card.inputs):
        return {field.name: value for field, value in zip(card.inputs, values, strict=True)}
    raise BadInput(f"{_short(given)} is not a row; {card.name} takes {_accepted(card)}.")


def _empty(value: Any, field: InputField) -> bool:
    return value is None or (value == "" and field.type != "string")


def _column(field: InputField, value: Any) -> Array:
    if field.type in _REAL:
        return _real(field, value)
    if field.type in _WHOLE:
        return _whole(field, value)
    if field.type == "boolean":
        return np.array([[_boolean(field, value)]])
    if isinstance(value, (Mapping, list)):
        raise BadInput(f"Column {field.name!r} takes one value of type {field.type}, not {_short(value)}.")
    return np.array([[None if value is None else str(value)]], dtype=object)


def _number(field: InputField, value: Any) -> float:
    if _empty(value, field) or (not field.required and isinstance(value, float) and math.isnan(value)):
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as exc:
        raise BadInput(f"Column {field.name!r} takes a number such as 3.5, not {_short(value)}.") from exc
    if not math.isfinite(number):
        kind = "whole number such as 3" if field.type in _WHOLE else "finite number such as 3.5"
        raise BadInput(f"Column {field.name!r} takes a {kind}, not {_short(value)}.")
    return number


def _real(field: InputField, value: Any) -> Array:
    number, dtype = _number(field, value), _REAL[field.type]
    if math.isfinite(number) and abs(number) > float(np.finfo(dtype).max):
        raise BadInput(f"Column {field.name!r} takes numbers up to {np.finfo(dtype).max:.4g}, not {_short(value)}.")
    return np.array([[number]], dtype=dtype)


def _whole(field: InputField, value: Any) -> Array:
    number = _number(field, value)
    limits = np.iinfo(_WHOLE[field.type])
    if math.isnan(number):
        return np.array([[math.nan]])  # because an optional column of whole numbers has no other empty value
    if number != int(number):
        raise BadInput(f"Column {field.name!r} takes a whole number such as 3, not {_short(value)}.")
    exact = int(value) if isinstance(value, (int, str)) and str(value).strip().lstrip("+-").isdigit() else int(number)
    if not limits.min <= exact <= limits.max:
        raise BadInput(f"Column {field.name!r} takes whole numbers up to {limits.max}, not {_short(value)}.")
    return np.array([[exact]], dtype=_WHOLE[field.type])


def _boolean(field: InputField, value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE + _FALSE:
        raise BadInput(f"Column {field.name!r} takes true or false, not {_short(value)}.")
    return text in _TRUE


def _tensors(card: ModelCard, given: Given) -> Tensors:
    names = {spec.name for spec in card.tensors}
    if isinstance(given, Mapping) and set(map(str, given)) != names:
        raise BadInput(f"The inputs {_listed(map(str, given))} do not fit; {card.name} takes {_accepted(card)}.")
    if not isinstance(given, Mapping) and len(card.tensors) != 1:
        raise BadInput(f"{_short(given)} is not one value per input; {card.name} takes {_accepted(card)}.")
    values = given if isinstance(given, Mapping) else {card.tensors[0].name: given}
    return {spec.name: _tensor(spec, values[spec.name]) for spec in card.tensors}


def _tensor(spec: TensorSpec, given: Any) -> Array:
    if np.dtype(spec.dtype).kind in "OUS":
        return np.array([str(given)], dtype=object).reshape((1,) * max(1, len(spec.shape)))
    wanted = f"{spec.dtype} numbers of shape {list(spec.shape[1:])}"
    try:
        array = _cast(_parsed(given) if isinstance(given, str) else given, spec.dtype)
    except (ValueError, TypeError, ArithmeticError) as exc:
        raise BadInput(f"Input {spec.name!r} takes {wanted}, not {_short(given)}.") from exc
    rest = spec.shape[1:]
    if array.ndim == len(rest) + 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != len(rest) or any(n not in (-1, m) for n, m in zip(rest, array.shape, strict=True)):
        raise BadInput(f"Input {spec.name!r} takes {wanted}, not numbers of shape {list(array.shape)}.")
    return array[np.newaxis]


def _parsed(text: str) -> Any:
    """Numbers written as JSON, or as lines of comma-separated values."""
    if text.lstrip()[:1] in ("[", "{", '"'):
        return json.loads(text)
    rows = [[float(cell) for cell in line.replace(";", ",").split(",")] for line in text.strip().splitlines()]
    return rows[0] if len(rows) == 1 else rows


def _cast(values: Any, dtype: str) -> Array:
    """The values in the type; raises rather than cut a fraction off or take what is no finite number."""
    found = np.asarray(values)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError("not finite")
    if np.dtype(dtype).kind in "iu" and found.dtype.kind == "f" and not (found == np.trunc(found)).all():
        raise ValueError("fractions in whole numbers")
    numbers = found if found.dtype.kind == "f" == np.dtype(dtype).kind else values  # because a long list takes long
    with np.errstate(over="raise", invalid="raise"):
        return np.asarray(numbers, dtype=dtype)


def _bare(card: ModelCard, given: Given) -> Given:
    """What the only field of a model without signature holds: numbers and objects as written, else a text."""
    if not isinstance(given, Mapping) or [field.name for field in card.inputs] != list(given) or len(given) != 1:
        return given
    (field,), (value,) = card.inputs, given.values()
    if field.type != "any" or not isinstance(value, str):
        return value if field.type == "any" else given
    try:
        return _parsed(value) if card.kind == "tensor" or value.lstrip()[:1] in ("[", "{") else value
    except ValueError as exc:
        raise BadInput(f"{_short(value)} is not JSON such as [1, 2.5, 3], nor numbers with commas between.") from exc


def _untyped(given: Given) -> Tensors:
    given = _single(given)
    if isinstance(given, Mapping):
        return {str(name): _cell(str(name), value) for name, value in given.items()}
    if given is None or isinstance(given, str):
        return {"input": np.array([given], dtype=object)}
    try:
        array = np.asarray(given, dtype=np.float64)
    except (ValueError, TypeError) as exc:
        raise BadInput(f"{_short(given)} is neither text, nor a row, nor numbers.") from exc
    return {"input": array[np.newaxis]}


def _single(given: Given) -> Given:
    """A batch of one row, as MLflow's examples are written, is that row."""
    one = given[0] if isinstance(given, list) and len(given) == 1 else given
    flat = isinstance(one, list) and not any(isinstance(value, list | Mapping) for value in one)
    return one if flat or isinstance(one, Mapping) else given


def _cell(name: str, value: Any) -> Array:
    if value is None or isinstance(value, str):
        return np.array([[value]], dtype=object)
    if isinstance(value, (bool, int, float)) and (isinstance(value, float) or -(2**63) <= value < 2**63):
        return np.array([[value]])
    raise BadInput(f"Column {name!r} takes one text, number or truth value, not {_short(value)}.")


def _accepted(card: ModelCard) -> str:
    if card.kind == "image":
        return "a picture"
    fields = [f"{field.name} ({field.type}{'' if field.required else ', optional'})" for field in card.inputs]
    return _listed(fields, 12)


def _listed(names: Any, limit: int = 6) -> str:
    texts = [str(name) for name in names]
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return (", ".join(text[:80] for text in texts[:limit]) or "nothing") + more


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
