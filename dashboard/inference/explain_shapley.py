"""Shapley values of a table row's columns against a background of real rows; for any model.

Štrumbelj and Kononenko 2014, "Explaining prediction models and individual predictions with feature contributions"
(Knowl. Inf. Syst. 41): absent columns take the values of background rows (interventional expectation).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial, sqrt

import numpy as np
from numpy.typing import NDArray

from dashboard.inference.explain_score import Floats
from dashboard.inference.protocol import Tensors

Score = Callable[[Tensors], Floats]
EXACT = 10
_EXACT_ROWS = 40_000
_WALKED_ROWS = 16_000
_AT_ONCE = 1024
_SEED = 20_17


@dataclass(frozen=True, eq=False)
class Values:
    """Effect per column, its standard error (0 where exact), the background's mean score, whether it is exact.

    The effects add up to score - base: exactly, sampled or not, but for rounding.
    """

    effects: Floats
    errors: Floats
    base: float
    exact: bool


def shapley(score: Score, sample: Tensors, background: Tensors) -> Values:
    """The values of all columns of one row (each array 1 x ...) against background rows.

    Exact, over all coalitions, for at most ten columns; else from random orders of the columns, in which every
    background row takes part equally often and each order is also walked backwards (antithetic, fixed seed).
    """
    d, rows = len(sample), len(next(iter(background.values())))
    return (
        _exact(score, sample, background)
        if d <= EXACT and 2**d * rows <= _EXACT_ROWS
        else _sampled(score, sample, background)
    )


def _exact(score: Score, sample: Tensors, background: Tensors) -> Values:
    d, rows = len(sample), len(next(iter(background.values())))
    present = (np.arange(2**d)[:, None] >> np.arange(d)) & 1 == 1
    worth = _mixed(score, sample, background, np.repeat(present, rows, axis=0), np.tile(np.arange(rows), 2**d))
    means = worth.reshape(2**d, rows).mean(axis=1)
    sizes = present.sum(axis=1)
    weights = np.array([factorial(s) * factorial(d - s - 1) / factorial(d) if s < d else 0.0 for s in range(d + 1)])
    effects = np.zeros(d)
    for column in range(d):
        absent = np.flatnonzero(~present[:, column])
        effects[column] = (weights[sizes[absent]] * (means[absent | (1 << column)] - means[absent])).sum()
    return Values(effects, np.zeros(d), float(means[0]), True)


def _sampled(score: Score, sample: Tensors, background: Tensors) -> Values:
    d, rows = len(sample), len(next(iter(background.values())))
    rounds = max(1, _WALKED_ROWS // (2 * rows * (d + 1)))
    chance = np.random.default_rng(_SEED)
    gains: list[Floats] = []
    starts: list[Floats] = []
    for _ in range(rounds):
        orders = np.array([chance.permutation(d) for _ in range(rows)])
        walks = [_walk(score, sample, background, each) for each in (orders, orders[:, ::-1])]
        gains.append((walks[0][0] + walks[1][0]) / 2)
        starts.append(walks[0][1])
    # rows differ in their background row, so a row's mean over the rounds is one draw
    drawn = np.mean(gains, axis=0)
    spread = np.std(np.concatenate(gains), axis=0, ddof=1) if rows * rounds > 1 else np.zeros(d)
    return Values(drawn.mean(axis=0), spread / sqrt(rows * rounds), float(np.mean(starts)), False)


def _walk(score: Score, sample: Tensors, background: Tensors, orders: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Per background row: the gain of each column when the columns come in that order, and the score before any."""
    rows, d = orders.shape
    rank = np.argsort(orders, axis=1)
    present = rank[:, None, :] < np.arange(d + 1)[None, :, None]
    worth = _mixed(score, sample, background, present.reshape(-1, d), np.repeat(np.arange(rows), d + 1))
    steps = np.diff(worth.reshape(rows, d + 1), axis=1)
    return np.take_along_axis(steps, rank, axis=1), worth.reshape(rows, d + 1)[:, 0]


def _mixed(
    score: Score, sample: Tensors, background: Tensors, present: NDArray[np.bool_], places: NDArray[np.int64]
) -> Floats:
    """Scores of rows made of the sample's columns where `present`, else of the background row at `places`."""
    found = []
    for start in range(0, len(places), _AT_ONCE):
        mask, at = present[start : start + _AT_ONCE], places[start : start + _AT_ONCE]
        found.append(score({name: _column(sample, background, name, mask[:, i], at) for i, name in enumerate(sample)}))
    return np.concatenate(found)


def _column(
    sample: Tensors, background: Tensors, name: str, mask: NDArray[np.bool_], places: NDArray[np.int64]
) -> NDArray[np.generic]:
    theirs = background[name][places]
    theirs = theirs.astype(np.promote_types(theirs.dtype, sample[name].dtype)) if theirs.dtype.kind != "O" else theirs
    theirs[mask] = sample[name][0]
    return theirs
