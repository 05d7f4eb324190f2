"""What people say an answer should have been: a class, a number, boxes, or JSON; checked before it is kept."""

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from dashboard.errors import BadInput
from dashboard.inference.outputs import Prediction
from mlflow_runs.suppression import CONFIDENCE

NO_BOXES = "none"
MOST_BOXES = 1000
_BOX = '[{"label": "7", "x": 4, "y": 8, "w": 12, "h": 16}]'


@dataclass(frozen=True)
class FlagOffer:
    """How an answer can be corrected: a class of `choices` (any text where there are none), a number, boxes of these
    classes, or JSON."""

    kind: Literal["class", "number", "boxes", "json"]
    choices: tuple[str, ...] = ()


def offer_for(prediction: Prediction, classes: Sequence[str]) -> FlagOffer:
    """What fits the answer that was given."""
    if prediction.boxes is not None:
        drawn = (box.label for box in prediction.boxes if box.score >= CONFIDENCE)
        return FlagOffer("boxes", tuple(dict.fromkeys([*classes, *drawn])))
    if prediction.value is not None:
        return FlagOffer("number")
    if prediction.label is None:
        return FlagOffer("json")
    return FlagOffer("class", tuple(dict.fromkeys([*classes, *prediction.probabilities])))


def checked_correction(offer: FlagOffer, given: Any, size: tuple[int, int] | None = None) -> Any:
    """The correction as JSON value, None for none; BadInput names what is accepted. `size` is the picture's, for boxes:
    width and height."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    if offer.kind == "number":
        with suppress(ValueError, TypeError):
            if math.isfinite(number := float(given)):
                return number
        raise BadInput(f"The corrected value {str(given)[:40]!r} is not a number such as 3.5.")
    if offer.kind == "class":
        if offer.choices and str(given) not in offer.choices:
            raise BadInput(f"The corrected class {str(given)[:60]!r} is none of {_listed(offer.choices)}.")
        return str(given)
    if offer.kind == "boxes":
        return _boxes(offer, given, size)
    return _parsed(given) if isinstance(given, str) else given


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadInput(f"The correction {text[:60]!r} is not JSON such as {_BOX}.") from exc


def _boxes(offer: FlagOffer, given: Any, size: tuple[int, int] | None) -> list[dict[str, Any]]:
    """Boxes from JSON, or from one line each: class, x, y, width, height in pixels; `none` where there is nothing."""
    if isinstance(given, str):
        given = _parsed(given) if given.lstrip()[:1] in ("[", "{") else _lines(given)
    if not isinstance(given, list) or len(given) > MOST_BOXES:
        raise BadInput(f"Corrected boxes are a list of at most {MOST_BOXES:,}, such as {_BOX}.")
    return [_box(offer, box, size) for box in given]


def _lines(text: str) -> list[dict[str, Any]]:
    lines = [line for line in text.splitlines() if line.strip() and line.strip() != NO_BOXES]
    return [_line(line) for line in lines]


def _line(line: str) -> dict[str, Any]:
    label, *numbers = line.strip().rsplit(maxsplit=4)
    if len(numbers) != 4:
        raise BadInput(
            f"The line {line[:60]!r} is no box; class, x, y, width and height are needed, as in 7 4 8 12 16."
        )
    return {"label": label, **dict(zip("xywh", numbers, strict=True))}


def _box(offer: FlagOffer, given: Any, size: tuple[int, int] | None) -> dict[str, Any]:
    shown = str(given if not isinstance(given, dict) else " ".join(map(str, given.values())))[:60]
    numbers: list[float] = []
    with suppress(KeyError, TypeError, ValueError):
        numbers = [float(given[name]) for name in "xywh"]
    if not isinstance(given, dict) or "label" not in given or not all(map(math.isfinite, numbers)) or not numbers:
        raise BadInput(f"The box {shown!r} lacks a class or one of the numbers x, y, width and height.")
    label = str(given["label"])
    if offer.choices and label not in offer.choices:
        raise BadInput(f"The class {label[:60]!r} of the box {shown!r} is none of {_listed(offer.choices)}.")
    x, y, w, h = numbers
    if w <= 0 or h <= 0:
        raise BadInput(f"The box {shown!r} has no area; width and height above 0 are needed.")
    if size and (x + w <= 0 or y + h <= 0 or x >= size[0] or y >= size[1]):
        raise BadInput(f"The box {shown!r} lies outside the picture of {size[0]} x {size[1]} pixels.")
    return {"label": label, "x": x, "y": y, "w": w, "h": h}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(repr(name) for name in names[:12]) + more


def as_text(value: Any) -> str:
    """A correction as people read it; boxes by number and class."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    if isinstance(value, list) and all(isinstance(box, dict) and "label" in box for box in value):
        names = ", ".join(str(box["label"]) for box in value)
        return f"{len(value)} box{'' if len(value) == 1 else 'es'}{': ' if names else ''}{names}"
    return str(value)
