"""Scenes composed of real handwritten digits on plain, patterned and photographed backgrounds, with their boxes."""

import io
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from mlflow_runs.demo.task import Split, shuffled

SIDE = 96
SMALLEST, LARGEST, MOST_OBJECTS = 12, 30, 8
SEED = 11
BACKGROUNDS = ("plain", "pattern", "photograph")
Picture = NDArray[np.uint8]
Greys = NDArray[np.float64]


def load(train: int = 900, evaluation: int = 300, production: int = 60) -> Split:
    """Scenes to learn from, to evaluate on and of later traffic; no digit occurs in two of the three.

    The later scenes are more crowded and all have a photographed background.
    """
    digits = load_digits()
    parts = shuffled(len(digits.images), SEED, 900, 600)
    sizes, kinds = (train, evaluation, production), (BACKGROUNDS, BACKGROUNDS, BACKGROUNDS[2:])
    frames, first = [], 0
    for part, n, backgrounds, least in zip(parts, sizes, kinds, (0, 0, 5), strict=True):
        chance = np.random.default_rng((SEED, first))
        ink, labels = digits.images[part] / 16, digits.target[part]
        rows = [scene(ink, labels, backgrounds[at % len(backgrounds)], least, chance) for at in range(n)]
        frames.append(pd.DataFrame(rows).assign(id=[f"scene-{first + at:04d}" for at in range(n)]))
        first += n
    return Split(*frames)


def scene(ink: Greys, labels: NDArray[np.int64], background: str, least: int, chance: Any) -> dict[str, Any]:
    """One row: JPEG bytes, true boxes, and what the scene is like. `ink` are digits (n, 8, 8) with values 0 to 1."""
    canvas = _background(background, chance)
    boxes: list[dict[str, Any]] = []
    for _ in range(int(chance.integers(least, MOST_OBJECTS + 1))):
        which, size = int(chance.integers(len(ink))), int(chance.integers(SMALLEST, LARGEST + 1))
        drawn = _drawn(ink[which], size)
        box = _free_place(drawn, boxes, chance)
        if box is not None:
            _paint(canvas, drawn, box, chance)
            boxes.append({"label": str(labels[which]), **box})
    sides = [max(box["w"], box["h"]) for box in boxes]
    return {
        "image": _jpeg(canvas),
        "boxes": boxes,
        "background": background,
        "objects": len(boxes),
        "smallest side": min(sides, default=float("nan")),
    }


def _background(kind: str, chance: Any) -> Greys:
    """(SIDE, SIDE, 3) with values 0 to 255."""
    if kind == "photograph":
        photo = _photographs()[int(chance.integers(2))]
        step = int(chance.integers(1, 4))
        top, left = (int(chance.integers(0, n - step * SIDE)) for n in photo.shape[:2])
        return photo[top : top + step * SIDE : step, left : left + step * SIDE : step].astype(np.float64)
    one, other = chance.uniform(20, 235, (2, 3))
    down, across = np.mgrid[:SIDE, :SIDE] / SIDE
    angle = chance.uniform(0, 2 * np.pi)
    blend = 0.5 + 0.35 * (np.cos(angle) * (across - 0.5) + np.sin(angle) * (down - 0.5))
    if kind == "pattern":
        waves = chance.uniform(3, 14)
        blend = blend + 0.25 * np.sin(2 * np.pi * waves * (np.cos(angle) * down + np.sin(angle) * across))
    grain = chance.normal(0, 4, (SIDE, SIDE, 1))
    blended: Greys = np.clip(one + (other - one) * np.clip(blend, 0, 1)[..., None] * 0.6 + grain, 0, 255)
    return blended


@cache
def _photographs() -> tuple[Picture, ...]:
    """The two photographs that come with scikit-learn: a temple in China and a flower."""
    return tuple(np.asarray(image, np.uint8) for image in load_sample_images().images)


def _drawn(ink: Greys, size: int) -> Greys:
    """A digit enlarged, cut to its strokes; values 0 to 1."""
    image = Image.fromarray(np.rint(ink * 255).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    large = np.asarray(image, dtype=np.float64) / 255
    rows, columns = np.flatnonzero((large > 0.3).any(1)), np.flatnonzero((large > 0.3).any(0))
    return large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _free_place(drawn: Greys, boxes: list[dict[str, Any]], chance: Any) -> dict[str, float] | None:
    """A place that leaves the other digits readable; None where ten tries found none."""
    h, w = drawn.shape
    for _ in range(10):
        x, y = int(chance.integers(0, SIDE - w + 1)), int(chance.integers(0, SIDE - h + 1))
        meets = (
            min(x + w, b["x"] + b["w"]) - max(x, b["x"]) > 2 and min(y + h, b["y"] + b["h"]) - max(y, b["y"]) > 2
            for b in boxes
        )
        if not any(meets):
            return {"x": float(x), "y": float(y), "w": float(w), "h": float(h)}
    return None


def _paint(canvas: Greys, drawn: Greys, box: dict[str, float], chance: Any) -> None:
    """Write the digit in a colour that stands out from what lies behind it."""
    x, y = int(box["x"]), int(box["y"])
    behind = canvas[y : y + drawn.shape[0], x : x + drawn.shape[1]]
    light = behind.mean() < 128
    colour = chance.uniform(175, 255, 3) if light else chance.uniform(0, 80, 3)
    strength = np.clip(drawn * 1.3, 0, 1)[..., None]
    behind += (colour - behind) * strength


def _jpeg(canvas: Greys) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.rint(np.clip(canvas, 0, 255)).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
