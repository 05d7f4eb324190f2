"""From a model's raw output tensors to predictions: class probabilities, a value, or the raw answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.inference.cards import ModelCard
from dashboard.inference.detections import Box, answers_boxes, raw_boxes
from dashboard.inference.pictures import picture
from dashboard.inference.protocol import Array, Tensors
from mlflow_runs.errors import ModelUnavailable

_LABELS = ("label", "prediction", "predictions", "predicted", "class", "output", "output_0")
_SCORES = ("score_", "proba_", "probability_")
_RAW_LIMIT = 1000
_CHOSEN = 0.5


@dataclass(frozen=True)
class Prediction:
    """The answer for one input: a label with probabilities (highest first), a value, a picture (a PNG file), or boxes.

    `labels` are several classes at once (none at all is an answer too), each with a probability of its own.
    Boxes are raw, before any suppression, best first. `raw` is what came out of the model.
    """

    label: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    value: float | None = None
    raw: Any = None
    image: bytes | None = None
    boxes: tuple[Box, ...] | None = None
    labels: tuple[str, ...] | None = None


def predictions(card: ModelCard, outputs: Tensors, facts: Mapping[str, Any], rows: int) -> tuple[Prediction, ...]:
    """One prediction per row; `facts` may name the output's `classes`. Raises ModelUnavailable for garbage."""
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != rows:
            raise ModelUnavailable(
                f"{card.name} answered {rows} inputs with an output {name!r} of shape {list(array.shape)}; "
                f"the first number should be {rows}."
            )
    classes = tuple(str(name) for name in facts.get("classes", ())) or card.classes
    if answers_boxes(card, outputs):
        return tuple(Prediction(boxes=boxes) for boxes in raw_boxes(card, outputs, classes))
    if card.task == "multilabel" and (several := _several(card, outputs, classes)) is not None:
        return several
    if "probabilities" in outputs:
        return _classified(card, outputs["probabilities"], classes)
    if len(outputs) > 1:
        return _from_columns(card, outputs, classes)
    (array,) = outputs.values() or (np.empty((rows, 0)),)
    if card.pictures or (array.ndim == 4 and array.dtype == np.uint8 and not classes):
        return _pictures(card, array)
    return _from_array(card, array, classes)


def _from_array(card: ModelCard, array: Array, classes: tuple[str, ...]) -> tuple[Prediction, ...]:
    flat = array.reshape(array.shape[0], -1)
    if array.dtype.kind not in "biuf":
        return tuple(Prediction(label=str(row[0]) if len(row) == 1 else None, raw=row.tolist()) for row in flat)
    if card.task == "regression" or (card.task is None and not classes and flat.shape[1] == 1):
        return _valued(card, flat)
    if array.ndim <= 2 and flat.shape[1] == 1:
        return _from_single(card, flat[:, 0], classes)
    if array.ndim == 2 and (classes or card.task == "classification") and len(classes) in (0, flat.shape[1]):
        return _classified(card, flat, classes)
    return tuple(Prediction(raw=_trim(row)) for row in array)


def _several(card: ModelCard, outputs: Tensors, classes: tuple[str, ...]) -> tuple[Prediction, ...] | None:
    """Several labels per row from one column of scores, logits or 0 and 1 per class; None for anything else."""
    array = outputs.get("probabilities", next(iter(outputs.values())) if len(outputs) == 1 else np.empty(0))
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        return None
    _check(card, array)
    exact = array.astype(np.float64)
    shares = exact if exact.min(initial=0) >= 0 and exact.max(initial=0) <= 1 else 1 / (1 + np.exp(-exact))
    names = classes if len(classes) == array.shape[1] else tuple(str(n) for n in range(array.shape[1]))
    return tuple(_labelled(row, names) for row in shares)


def _labelled(row: Array, names: Sequence[str]) -> Prediction:
    ranked = {names[index]: float(row[index]) for index in np.argsort(-row, kind="stable")}
    chosen = tuple(name for name, share in ranked.items() if share >= _CHOSEN)
    return Prediction(labels=chosen, probabilities=ranked, raw=_trim(row))


def _pictures(card: ModelCard, array: Array) -> tuple[Prediction, ...]:
    """Pictures where the arrays are some; the raw answer where not."""
    if array.dtype.kind == "f":
        _check(card, array.reshape(len(array), -1))
    drawn = [picture(row, card.pictures) for row in array]
    about = {"shape": list(array.shape[1:]), "dtype": str(array.dtype)}
    return tuple(
        Prediction(raw=_trim(row)) if image is None else Prediction(raw=about, image=image)
        for row, image in zip(array, drawn, strict=True)
    )


def _from_single(card: ModelCard, values: Array, classes: tuple[str, ...]) -> tuple[Prediction, ...]:
    if values.dtype.kind != "f":
        whole = [int(value) for value in values]
        known = all(0 <= value < len(classes) for value in whole)
        return tuple(Prediction(label=classes[n] if known and classes else str(n), raw=n) for n in whole)
    if len(classes) in (0, 2):
        _check(card, values[:, np.newaxis])
        bounded = bool(((values >= 0) & (values <= 1)).all())
        positive = values if bounded else 1 / (1 + np.exp(-values.astype(np.float64)))
        return _classified(card, np.stack([1 - positive, positive], axis=1), classes or ("0", "1"))
    return tuple(Prediction(label=str(value.item()), raw=value.item()) for value in values)


def _classified(card: ModelCard, scores: Array, classes: tuple[str, ...]) -> tuple[Prediction, ...]:
    _check(card, scores)
    names = classes if len(classes) == scores.shape[1] else tuple(str(n) for n in range(scores.shape[1]))
    return tuple(_ranked(row, names) for row in probabilities(scores))


def probabilities(scores: Array) -> NDArray[np.float64]:
    """Rows that already are probabilities unchanged, all others through softmax (in float64)."""
    exact = scores.astype(np.float64)
    if exact.size and exact.min() >= 0 and np.allclose(exact.sum(axis=1), 1, atol=1e-3):
        return exact
    shifted = np.exp(exact - exact.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float64)


def _ranked(row: Array, names: Sequence[str]) -> Prediction:
    order = np.argsort(-row, kind="stable")
    ranked = {names[index]: float(row[index]) for index in order}
    return Prediction(label=names[order[0]], probabilities=ranked, raw=_trim(row))


def _valued(card: ModelCard, flat: Array) -> tuple[Prediction, ...]:
    _check(card, flat)
    return tuple(Prediction(value=float(row[0]), raw=_trim(row)) for row in flat)


def _from_columns(card: ModelCard, outputs: Tensors, classes: tuple[str, ...]) -> tuple[Prediction, ...]:
    scores = {name: next((name.removeprefix(p) for p in _SCORES if name.startswith(p)), name) for name in outputs}
    chosen = [name for name, short in scores.items() if short != name or short in classes]
    if len(chosen) > 1 and all(outputs[name].dtype.kind in "iuf" for name in chosen):
        table = np.concatenate([outputs[name].reshape(len(outputs[name]), -1)[:, :1] for name in chosen], axis=1)
        return _classified(card, table, tuple(scores[name] for name in chosen))
    named = next((name for name in _LABELS if name in outputs), next(iter(outputs)))
    first = _from_array(card, outputs[named], classes)
    rows = [{name: _trim(array[index]) for name, array in outputs.items()} for index in range(len(first))]
    score = outputs.get("score", np.full(len(first), None))
    return tuple(_with_score(*given) for given in zip(first, rows, score, strict=True))


def _with_score(prediction: Prediction, row: dict[str, Any], score: Any) -> Prediction:
    known = prediction.label is not None and np.asarray(score).dtype.kind == "f"
    shown = {str(prediction.label): float(np.asarray(score).ravel()[0])} if known else prediction.probabilities
    return Prediction(prediction.label, shown, prediction.value, row)


def _check(card: ModelCard, values: Array) -> None:
    if not np.isfinite(values).all():
        at = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ModelUnavailable(
            f"{card.name} answered {values[at].ravel()[0]} for input {at}; a finite number is needed."
        )


def _trim(row: Any) -> Any:
    array = np.asarray(row)
    return array.tolist() if array.size <= _RAW_LIMIT else {"shape": list(array.shape), "dtype": str(array.dtype)}
