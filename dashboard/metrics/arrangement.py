"""Orders of the rows and columns of a table of counts."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.classification import Floats, ratio
from dashboard.metrics.cube import Ints

Arrangement = Literal["", "blocks", "alphabet", "frequency"]
Order = NDArray[np.int64]
_MOST_OPTIMAL = 300


def arrange(counts: Ints, names: list[str], how: Arrangement) -> Order:
    """The order of the rows; "" keeps it. `counts` is rows x columns."""
    if how == "alphabet":
        return np.array(sorted(range(len(names)), key=lambda i: (names[i].casefold(), names[i])), dtype=np.int64)
    if how == "frequency":
        order: Order = np.argsort(-counts.sum(axis=1), kind="stable")
        return order
    if how == "blocks":
        return blocks(distances(counts))
    return np.arange(len(names))


def confusion_blocks(counts: Ints) -> Order:
    """An order of classes that puts those next to each other which are taken for each other."""
    if len(counts) < 3:
        return np.arange(len(counts))
    share = ratio(counts.astype(float), counts.sum(axis=1, keepdims=True).astype(float))
    np.fill_diagonal(share, 0.0)
    taken = (share + share.T) / 2
    apart = 1 - taken / (taken.max() or 1.0)
    np.fill_diagonal(apart, 0.0)
    return blocks(apart)


def distances(counts: Ints) -> Floats:
    """Half the absolute difference of the rows' shares (total variation), rows x rows."""
    share = ratio(counts.astype(float), counts.sum(axis=1, keepdims=True).astype(float))
    apart: Floats = np.array([np.abs(share - row).sum(axis=1) / 2 for row in share])
    return apart


def blocks(apart: Floats) -> Order:
    """Leaves of average linkage over distances; up to 300 in the order that keeps neighbours nearest.

    Bar-Joseph et al. 2001, Bioinformatics 17, as SciPy has it.
    """
    if len(apart) < 3:
        return np.arange(len(apart))
    # because importing it costs every process 20 MB
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    condensed = squareform(apart, checks=False)
    tree = linkage(condensed, "average")
    if len(apart) <= _MOST_OPTIMAL:
        tree = optimal_leaf_ordering(tree, condensed)
    leaves: Order = leaves_list(tree).astype(np.int64)
    return leaves
