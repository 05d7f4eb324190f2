"""Maps of effects over a picture, drawn as transparent colours and summed up as small tables."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dashboard.inference.explain_record import Explanation
from dashboard.inference.protocol import Array

FOR, AGAINST = (255, 138, 20), (50, 130, 255)
_EDGE, _CELLS = 480, 8


def strongest(found: Explanation) -> float:
    """The largest size of an effect."""
    if found.map is not None:
        return float(np.abs(found.map).max(initial=0.0))
    return max((abs(part.effect) for part in found.parts), default=0.0)


def overlay(found: Explanation, scale: float, size: tuple[int, int]) -> str:
    """A map as a PNG data URI in a picture's proportions (width, height): orange for, blue against, opaque at scale."""
    if found.map is None:
        return ""
    factor = _EDGE / max(size)
    wide, high = (max(1, round(edge * factor)) for edge in size)
    share = np.clip(found.map / scale, -1, 1).astype(np.float32) if scale > 0 else np.zeros_like(found.map)
    smooth = np.asarray(Image.fromarray(share).resize((wide, high), Image.Resampling.BILINEAR))
    colours = np.zeros((high, wide, 4), dtype=np.uint8)
    colours[..., :3] = np.where((smooth >= 0)[..., None], FOR, AGAINST)
    colours[..., 3] = np.rint(255 * np.abs(smooth) ** 0.75)
    target = io.BytesIO()
    Image.fromarray(colours).save(target, "PNG")
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()


def coarse(found: Array) -> NDArray[np.float64]:
    """The map as it is, or its means over at most 8 x 8 equal fields."""
    rows, columns = (np.array_split(np.arange(n), min(n, _CELLS)) for n in found.shape)
    return np.array([[found[np.ix_(r, c)].mean() for c in columns] for r in rows], dtype=np.float64)
