"""Non-maximum suppression: of boxes of one class that cover the same thing, the one with the highest score stays."""

import numpy as np
from numpy.typing import NDArray

CONFIDENCE, OVERLAP = 0.5, 0.5  # what is shown of raw boxes unless somebody chooses otherwise


def suppressed(
    places: NDArray[np.float64], scores: NDArray[np.float64], labels: NDArray[np.int64], overlap: float = OVERLAP
) -> NDArray[np.int64]:
    """Positions of the boxes that stay, best score first (ties in their order).

    `places` are n x 4: x, y, w, h. A box goes when its intersection over union with a box of its class that stays is
    above `overlap`; so 1 keeps all.
    """
    order = np.argsort(-scores, kind="stable")
    low, high = places[:, :2], places[:, :2] + places[:, 2:]
    area = places[:, 2:].prod(1)
    kept: list[int] = []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        sides = np.clip(np.minimum(high[best], high[order]) - np.maximum(low[best], low[order]), 0, None)
        inside = sides.prod(1)
        union = area[best] + area[order] - inside
        order = order[~((labels[order] == labels[best]) & (inside > overlap * union))]
    return np.array(kept, dtype=np.int64)
