"""How much two groups of rows differ in one column, corrected for what chance alone would show."""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from dashboard.metrics.classification import ratio
from dashboard.metrics.cube import Ints


@dataclass(frozen=True)
class Difference:
    """`v`: bias-corrected Cramer's V (0: no difference beyond chance, 1: told apart by the column); `p`: of the
    chi-square test; `n`: rows of both groups."""

    v: float
    p: float
    n: int


def difference(counts: Ints) -> Difference:
    """The difference of two groups (columns) over the values of a column (rows).

    Cramer's V corrected after Bergsma 2013 (J. Korean Stat. Soc. 42): chance alone gives about 0 whatever the number
    of values, so that columns with many values do not come first.
    """
    used = counts[counts.sum(axis=1) > 0]
    n = int(used.sum())
    if len(used) < 2 or n < 2 or (used.sum(axis=0) == 0).any():
        return Difference(0.0, 1.0, n)
    rows, columns = used.shape
    expected = np.outer(used.sum(axis=1), used.sum(axis=0)) / n
    statistic = float(((used - expected) ** 2 / expected).sum())  # Pearson's; scipy.stats costs every process 30 MB
    phi = max(0.0, statistic / n - (rows - 1) * (columns - 1) / (n - 1))
    rows_, columns_ = rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)
    smallest = min(rows_, columns_) - 1
    v = float(np.sqrt(phi / smallest)) if smallest > 0 else 0.0
    return Difference(min(v, 1.0), float(chdtrc((rows - 1) * (columns - 1), statistic)), n)


def worst(counts: Ints, min_rows: int) -> int | None:
    """The value (row) with the highest share of the second group among those with at least `min_rows` rows."""
    n = counts.sum(axis=1)
    share = np.where(n >= max(min_rows, 1), ratio(counts[:, 1].astype(float), n.astype(float)), -1.0)
    best = int(share.argmax()) if len(share) else 0
    return best if len(share) and share[best] > 0 else None
