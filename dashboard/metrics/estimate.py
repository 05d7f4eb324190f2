"""A figure with its uncertainty: the one shape every number on a page has."""

from dataclasses import dataclass
from typing import Literal

Word = Literal["better", "worse", "same", "too few rows"]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval and the number of rows behind it.

    `undefined` marks a ratio 0/0, whose value is 0 as with scikit-learn's `zero_division=0`; `too_few` marks an n
    below the settable minimum. `low` and `high` are NaN where no interval can be given.
    """

    value: float
    low: float
    high: float
    n: int
    too_few: bool = False
    undefined: bool = False


@dataclass(frozen=True)
class Verdict:
    """Candidate against baseline: a word, the difference (candidate - baseline) with its 95% interval, and n.

    `paired` tells whether the same rows (by id) were compared; `detectable` is the smallest difference that n rows
    could have shown (half the width of the interval). Words refer to the metric's direction: a lower RMSE is better.
    """

    word: Word
    difference: float
    low: float
    high: float
    n: int
    paired: bool
    detectable: float
