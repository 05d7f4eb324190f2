"""Which models answer with pictures or draw from numbers, and how an output tensor becomes a PNG file."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlflow_runs.records import ModelInfo

MOST_SLIDERS = 64
_CHANNELS = (1, 3, 4)
_USUAL = (-3.0, 3.0)  # where 99.7% of a standard normal variable lie


@dataclass(frozen=True)
class Latent:
    """The numbers that a generator draws from: the input's name, how many, and the ends of their sliders."""

    name: str
    size: int
    low: float
    high: float


def gives_pictures(info: ModelInfo) -> bool:
    """Whether the model answers with pictures: its metadata say `{"output": {"kind": "image"}}`, or nothing of its
    output and the signature has one output tensor (n, height, width, channels) or (n, channels, height, width).
    """
    declared = info.metadata.get("output")
    if isinstance(declared, Mapping) and "kind" in declared:
        return bool(declared["kind"] == "image")
    outputs = info.signature.get("outputs") or []
    shapes = [_shape(spec) for spec in outputs]
    return len(shapes) == 1 and len(shapes[0]) == 4 and (shapes[0][1] in _CHANNELS or shapes[0][3] in _CHANNELS)


def latent_of(info: ModelInfo) -> Latent | None:
    """The sliders of a generator, or None.

    A generator takes one tensor of numbers (-1, k). Either its metadata say `{"input": {"kind": "latent", "low": -3,
    "high": 3}}`, or it answers with pictures, k is at most 64 and nothing else is declared; then -3 to 3 is used.
    """
    specs = info.signature.get("inputs") or []
    shape = _shape(specs[0]) if len(specs) == 1 else ()
    if len(shape) != 2 or shape[1] < 1 or np.dtype(specs[0]["tensor-spec"]["dtype"]).kind != "f":
        return None
    declared = info.metadata.get("input")
    described = declared if isinstance(declared, Mapping) else {}
    kind = described.get("kind", "latent" if gives_pictures(info) and shape[1] <= MOST_SLIDERS else "")
    low, high = (_number(described.get(end), usual) for end, usual in zip(("low", "high"), _USUAL, strict=True))
    if kind != "latent" or not low < high:
        return None
    return Latent(str(specs[0].get("name") or "input_0"), shape[1], low, high)


def picture(values: NDArray[Any], declared: bool) -> bytes | None:
    """One output (height, width), (height, width, channels) or (channels, height, width) as a PNG; None if it is none.

    Channels are 1 (grey), 3 (RGB) or 4 (RGBA); where both places fit they come first. Values are uint8, truth values,
    or floats from 0 to 1 (cut off outside). Unless `declared`, only uint8 and floats within 0 to 1 are taken.
    """
    pixels = _channels_last(values)
    if pixels is None or pixels.size == 0 or pixels.dtype.kind not in "fub" or pixels.dtype.itemsize > 8:
        return None
    if pixels.dtype != np.uint8:
        scaled = pixels.astype(np.float64)
        if pixels.dtype.kind == "u" or not (declared or (scaled.min() >= 0 and scaled.max() <= 1)):
            return None
        pixels = np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(target, "PNG", compress_level=1)
    return target.getvalue()


def _channels_last(values: NDArray[Any]) -> NDArray[Any] | None:
    if values.ndim == 2:
        return np.ascontiguousarray(values[..., np.newaxis])
    if values.ndim != 3:
        return None
    if values.shape[0] in _CHANNELS:
        return np.ascontiguousarray(values.transpose(1, 2, 0))
    return np.ascontiguousarray(values) if values.shape[2] in _CHANNELS else None


def _shape(spec: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of a tensor of the signature; empty for a column."""
    found = spec.get("tensor-spec") if spec.get("type") == "tensor" else None
    return tuple(int(n) for n in found["shape"]) if isinstance(found, Mapping) else ()


def _number(value: Any, usual: float) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if plain else usual
