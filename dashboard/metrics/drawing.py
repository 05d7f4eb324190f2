"""Fewer points for a drawn line, with a stated bound on what that changes."""

import heapq

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def thin(x: Floats, y: Floats, most: int = 500, tolerance: float = 5e-4) -> tuple[NDArray[np.int64], float]:
    """Indices of the points that draw a line, corners first, and the largest distance of any left-out point.

    Distances are shares of the axes. Splits at the farthest point (Ramer 1972, Douglas and Peucker 1973) until the
    rest is nearer than `tolerance` or `most` points are kept, so that the line is exact up to the returned distance.
    """
    if len(x) <= 2:
        return np.arange(len(x)), 0.0
    a, b = _unit(x), _unit(y)
    kept = {0, len(x) - 1}
    queue = [_farthest(a, b, 0, len(x) - 1)]
    while len(kept) < most and queue[0][0] < -tolerance:
        _, start, middle, end = heapq.heappop(queue)
        kept.add(middle)
        heapq.heappush(queue, _farthest(a, b, start, middle))
        heapq.heappush(queue, _farthest(a, b, middle, end))
    return np.array(sorted(kept)), max(0.0, -queue[0][0])


def _unit(values: Floats) -> Floats:
    low, high = float(values.min()), float(values.max())
    scaled: Floats = (values - low) / ((high - low) or 1.0)
    return scaled


def _farthest(a: Floats, b: Floats, start: int, end: int) -> tuple[float, int, int, int]:
    """Minus the largest distance from the segment, and where; 0 where nothing lies between."""
    if end - start < 2:
        return 0.0, start, start, end
    x, y = a[start + 1 : end] - a[start], b[start + 1 : end] - b[start]
    dx, dy = float(a[end] - a[start]), float(b[end] - b[start])
    length = dx * dx + dy * dy
    along = np.clip((x * dx + y * dy) / length, 0, 1) if length else np.zeros(len(x))
    distance = np.hypot(x - along * dx, y - along * dy)
    place = int(distance.argmax())
    return -float(distance[place]), start, start + 1 + place, end
