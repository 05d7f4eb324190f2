"""From a detector's raw tensors to boxes on the picture that was given; no suppression happens before they are shown.

What a detector may answer, for n pictures with at most m boxes each, boxes of score 0 being padding:

- named arrays `boxes` (n, m, 4), `scores` (n, m) and `labels` (n, m), as torchvision names them, or a list of one such
  mapping per picture with as many boxes as there are, or a frame with these columns;
- one array (n, m, 6): four numbers of the box, score, class.

Classes are indices into the model's `id2label`, or texts. The four numbers are x1, y1, x2, y2 in pixels of the input
tensor unless the model's metadata says otherwise: {"boxes": {"format": "xywh" | "cxcywh", "unit": "share"}}.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dashboard.inference.cards import ModelCard
from dashboard.inference.images import channels_last, upright_size
from dashboard.inference.protocol import Array, Tensors
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.suppression import CONFIDENCE, OVERLAP, suppressed

MOST = 300
LEAST_SCORE = 0.01
_PARTS = ("boxes", "scores", "labels")


class Box(NamedTuple):
    """One detection: its class, the corner at the top left, width and height in pixels, and its score."""

    label: str
    x: float
    y: float
    w: float
    h: float
    score: float


def answers_boxes(card: ModelCard, outputs: Tensors) -> bool:
    """Whether a model's tensors are detections."""
    if "boxes" in outputs and "scores" in outputs:
        return True
    (first, *others) = outputs.values() or (np.empty(0),)
    return card.boxes is not None and not others and first.ndim == 3 and first.shape[2] == 6


def raw_boxes(card: ModelCard, outputs: Tensors, classes: Sequence[str]) -> list[tuple[Box, ...]]:
    """Each picture's boxes, best first, in pixels of the input tensor (or shares of it, as the model has them).

    At most 300 of score 0.01 or more. Raises ModelUnavailable naming a shape or number that cannot be one.
    """
    places, scores, labels = _tensors(card, outputs)
    if places.ndim != 3 or places.shape[2] != 4 or not places.shape[:2] == scores.shape[:2] == labels.shape[:2]:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        raise ModelUnavailable(
            f"{card.name} answered {shapes}; boxes [n, m, 4], scores [n, m] and labels [n, m] are needed."
        )
    corner = _as_corner(places.astype(np.float64), str((card.boxes or {}).get("format", "xyxy")))
    return [
        _of_picture(card, *one, classes) for one in zip(corner, scores.astype(np.float64), labels.tolist(), strict=True)
    ]


def _tensors(card: ModelCard, outputs: Tensors) -> tuple[Array, Array, Array]:
    if "boxes" in outputs:
        labels = outputs.get("labels", np.zeros(outputs["scores"].shape[:2], np.int64))
        return outputs["boxes"], outputs["scores"], labels
    (whole,) = outputs.values()
    return whole[..., :4], whole[..., 4], whole[..., 5].astype(np.int64)


def _as_corner(places: NDArray[np.float64], form: str) -> NDArray[np.float64]:
    """x, y, w, h from the model's four numbers."""
    first, second = places[..., :2], places[..., 2:]
    if form == "xywh":
        return places
    if form == "cxcywh":
        return np.concatenate([first - second / 2, second], axis=-1)
    return np.concatenate([first, second - first], axis=-1)


def _of_picture(
    card: ModelCard, places: NDArray[np.float64], scores: NDArray[np.float64], labels: list[Any], classes: Sequence[str]
) -> tuple[Box, ...]:
    order = [at for at in np.argsort(-scores, kind="stable") if scores[at] >= LEAST_SCORE][:MOST]
    if not np.isfinite(places[order]).all():
        raise ModelUnavailable(f"{card.name} answered a box that is not finite; four finite numbers are needed.")
    kept = np.concatenate([places[order, :2], np.maximum(places[order, 2:], 0)], axis=1).tolist()
    return tuple(
        Box(_name(labels[at], classes), x, y, w, h, float(scores[at]))
        for at, (x, y, w, h) in zip(order, kept, strict=True)
    )


def _name(label: Any, classes: Sequence[str]) -> str:
    known = isinstance(label, int) and 0 <= label < len(classes)
    return classes[label] if known else str(label)


def on_picture(card: ModelCard, boxes: Sequence[Box], given: object, sample: Tensors) -> tuple[Box, ...]:
    """The boxes in pixels of the picture as it was given, upright; unchanged where no picture was given."""
    if not isinstance(given, bytes):
        return tuple(boxes)
    width, height = upright_size(given)
    high, wide = _frame(card, sample)
    across, down = width / wide, height / high
    return tuple(Box(box.label, box.x * across, box.y * down, box.w * across, box.h * down, box.score) for box in boxes)


def _frame(card: ModelCard, sample: Tensors) -> tuple[int, int]:
    """Height and width of what the boxes are measured in."""
    if (card.boxes or {}).get("unit") == "share":
        return 1, 1
    shape = next(iter(sample.values())).shape
    return (shape[1], shape[2]) if channels_last(shape) else (shape[-2], shape[-1])


def shown(boxes: Sequence[Box], confidence: float = CONFIDENCE, overlap: float = OVERLAP) -> tuple[Box, ...]:
    """What is left at a confidence and an overlap; the browser does the same (assets/detection.js)."""
    scored = [box for box in boxes if box.score >= confidence]
    index = {label: at for at, label in enumerate(dict.fromkeys(box.label for box in scored))}
    places = np.array([box[1:5] for box in scored], dtype=np.float64).reshape(-1, 4)
    labels = np.array([index[box.label] for box in scored], dtype=np.int64)
    return tuple(scored[at] for at in suppressed(places, np.array([box.score for box in scored]), labels, overlap))


def padded(answer: Any) -> dict[str, Array] | None:
    """Arrays from a list of mappings, or a frame's columns, with as many boxes per picture as it has; else None."""
    columns = getattr(answer, "columns", None)
    if columns is not None and {"boxes", "scores"} <= set(columns):
        rows: list[Mapping[str, Any]] = answer.to_dict("records")
    elif isinstance(answer, list) and answer and all(isinstance(row, Mapping) and "boxes" in row for row in answer):
        rows = answer
    else:
        return None
    parts = [{name: _plain(row[name]) for name in _PARTS if name in row} for row in rows]
    texts = any(part["labels"].dtype.kind in "OUS" for part in parts if "labels" in part)
    size = (len(rows), MOST)
    arrays: dict[str, Array] = {"boxes": np.zeros((*size, 4)), "scores": np.zeros(size)}
    arrays["labels"] = np.full(size, "" if texts else 0, object if texts else int)
    for at, part in enumerate(parts):
        best = np.argsort(-part["scores"], kind="stable")[:MOST]
        for name, values in part.items():
            if len(values):
                arrays[name][at, : len(best)] = values[best]
    return arrays


def _plain(value: Any) -> Array:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
