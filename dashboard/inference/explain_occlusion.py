"""Occlusion: what happens to the score when a part of the input is not there; works for any model.

Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks" (ECCV), section 4.2; for words the same
by leaving them out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.inference.explain_record import Part
from dashboard.inference.explain_score import Floats
from dashboard.inference.protocol import Array, Tensors
from mlflow_runs.errors import ModelUnavailable

Score = Callable[[Tensors], Floats]
_STEPS, _MOST_WORDS, _MOST_NUMBERS = 14, 200, 512
_CHUNK = 64
_WORD = re.compile(r"\w+(?:['’.-]\w+)*|[^\w\s]+")


@dataclass(frozen=True)
class Grid:
    """Where rows, columns and channels of a picture lie in a model's input tensor (without its first axis)."""

    shape: tuple[int, int, int]
    channels_last: bool

    def unfold(self, array: Array) -> Array:
        """The input as (rows, height, width, channels)."""
        height, width, channels = self.shape
        if self.channels_last:
            return array.reshape(-1, height, width, channels)
        return array.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)

    def fold(self, pictures: Array, like: Array) -> Array:
        """Back into the tensor's own layout."""
        ordered = pictures if self.channels_last else pictures.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(ordered.reshape(-1, *like.shape[1:]), dtype=like.dtype)


def picture_grid(array: Array, options: Mapping[str, Any]) -> Grid:
    """The layout of one picture's tensor (1 x ...); flat ones need the metadata's `size`. Else ModelUnavailable."""
    shape = array.shape[1:]
    if len(shape) == 3:
        last = shape[0] not in (1, 3, 4) and shape[2] in (1, 3, 4)
        return Grid((shape[0], shape[1], shape[2]) if last else (shape[1], shape[2], shape[0]), last)
    if len(shape) == 2:
        return Grid((shape[0], shape[1], 1), False)
    size = options.get("size")
    if isinstance(size, Mapping) and len(shape) == 1:
        height, width = int(size.get("height", 0)), int(size.get("width", 0))
        if height * width and shape[0] % (height * width) == 0:
            return Grid((height, width, shape[0] // (height * width)), False)
    raise ModelUnavailable(
        f"The model's input of shape {list(array.shape)} does not say where a picture's rows and columns are; "
        'log it with metadata such as {"size": {"height": 8, "width": 8}}.'
    )


def occlude_picture(score: Score, name: str, array: Array, grid: Grid) -> tuple[Array, str]:
    """How much the score falls, per pixel, when a window over it is covered; (height x width, float32), and in words.

    Windows are about an eighth of the picture wide and half overlap, at most 15 x 15; they are filled with the median
    of each channel. A pixel gets the mean over the windows that cover it.
    """
    picture = grid.unfold(array)[0]
    height, width, _ = grid.shape
    (tops, tall), (lefts, wide) = _windows(height), _windows(width)
    paint = np.median(picture, axis=(0, 1))
    places = [(top, left) for top in tops for left in lefts]
    falls, covered = np.zeros((height, width)), np.zeros((height, width))
    full = float(score({name: array})[0])
    for start in range(0, len(places), _CHUNK):
        chosen = places[start : start + _CHUNK]
        many = np.repeat(picture[None], len(chosen), axis=0)
        for one, (top, left) in zip(many, chosen, strict=True):
            one[top : top + tall, left : left + wide] = paint
        for (top, left), value in zip(chosen, score({name: grid.fold(many, array)}), strict=True):
            falls[top : top + tall, left : left + wide] += full - value
            covered[top : top + tall, left : left + wide] += 1
    words = f"{len(places)} windows of {tall} x {wide} pixels covered with the picture's median colour"
    return (falls / np.maximum(covered, 1)).astype(np.float32), words


def _windows(length: int) -> tuple[list[int], int]:
    """Starts of half overlapping windows that cover a length, and their width."""
    wide = max(1, min(length, max(2, round(length / 8))))
    step = max(1, wide // 2, -(-(length - wide) // _STEPS) if length > wide else 1)
    starts = list(range(0, length - wide + 1, step))
    return ([*starts, length - wide] if starts[-1] != length - wide else starts), wide


def leave_out_words(score: Score, name: str, array: Array) -> tuple[tuple[Part, ...], str]:
    """How much the score falls without each word of a text; (parts in the text's order, in words how).

    Beyond 200 words, equally long runs of neighbouring words are left out together.
    """
    text = str(array.ravel()[0] or "")
    spans = [match.span() for match in _WORD.finditer(text)]
    size = max(1, -(-len(spans) // _MOST_WORDS))
    groups = [(run[0][0], run[-1][1]) for run in (spans[i : i + size] for i in range(0, len(spans), size))]
    if not groups:
        return (), "The text holds no words"
    full = float(score({name: array})[0])
    parts: list[Part] = []
    for start in range(0, len(groups), _CHUNK):
        chosen = groups[start : start + _CHUNK]
        without = np.array([_without(text, *group) for group in chosen], dtype=object)
        values = score({name: without.reshape(-1, *array.shape[1:])})
        parts += [
            Part(text[first:last], full - float(value), start=first, end=last)
            for (first, last), value in zip(chosen, values, strict=True)
        ]
    unit = "word" if size == 1 else f"run of {size} words"
    return tuple(parts), f"each of {len(groups)} {unit}s left out in turn".replace("words s", "words")


def _without(text: str, first: int, last: int) -> str:
    return f"{text[:first].rstrip()} {text[last:].lstrip()}".strip()


def leave_out_numbers(score: Score, tensors: Tensors) -> tuple[tuple[Part, ...], str]:
    """How much the score falls when each number of the input is 0; ModelUnavailable beyond 512 numbers."""
    places = [
        (name, at) for name, array in tensors.items() for at in range(array[0].size) if array.dtype.kind in "biuf"
    ]
    if len(places) > _MOST_NUMBERS or not places:
        raise ModelUnavailable(f"The input has {len(places)} numbers; between 1 and {_MOST_NUMBERS} can be left out.")
    full = float(score(tensors)[0])
    parts: list[Part] = []
    for start in range(0, len(places), _CHUNK):
        chosen = places[start : start + _CHUNK]
        many = {name: np.repeat(array, len(chosen), axis=0) for name, array in tensors.items()}
        for row, (name, at) in enumerate(chosen):
            many[name][row].reshape(-1)[at] = 0
        parts += [
            Part(place_name(tensors, name, at), full - float(value), f"{tensors[name][0].ravel()[at]:g}")
            for (name, at), value in zip(chosen, score(many), strict=True)
        ]
    return tuple(parts), f"each of {len(places)} numbers set to 0 in turn"


def place_name(tensors: Tensors, name: str, at: int) -> str:
    """How one number of an input is called: its tensor (where there are several) and its place."""
    array = tensors[name]
    inside = ", ".join(str(int(i)) for i in np.unravel_index(at, array[0].shape)) if array[0].ndim else ""
    return f"{name}[{inside}]" if inside else name
