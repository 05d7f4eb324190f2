"""Intervals: against published values, against bootstraps of rows, and by how often they cover the truth."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from dashboard.metrics.classification import averages, class_figures, figures_of
from dashboard.metrics.cube import Counts
from dashboard.metrics.intervals import (
    bootstrap_estimates,
    class_estimates,
    delta_estimates,
    delta_variances,
    gradients,
    proportion,
    slice_estimates,
    wilson,
)

SKILL = np.array([[70, 8, 2], [12, 30, 8], [4, 6, 10]], dtype=np.int64)


def counts_of(dense: np.ndarray) -> Counts:
    row, col = np.nonzero(dense)
    return Counts(tuple(f"c{i}" for i in range(len(dense))), row, col, dense[row, col])


@pytest.mark.parametrize(("part", "whole"), [(0, 10), (10, 10), (3, 10), (500, 1000), (1, 1), (999_999, 1_000_000)])
def test_wilson_equals_scipy(part: int, whole: int) -> None:
    low, high = wilson(np.array([float(part)]), np.array([float(whole)]))
    want = binomtest(part, whole).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((want.low, want.high), abs=1e-12)


def test_a_proportion_of_nothing_is_undefined() -> None:
    found = proportion(0, 0, 10)
    assert (found.value, found.n, found.too_few, found.undefined) == (0.0, 0, True, True)
    assert math.isnan(found.low)


def test_gradients_are_the_derivatives() -> None:
    counts = counts_of(SKILL)
    found = gradients(counts, class_figures(counts))
    step = 1e-4
    for cell in range(len(counts.n)):
        ends = []
        for sign in (1, -1):
            n = counts.n.astype(float)
            n[cell] += sign * step
            moved = np.zeros((3, 3))
            moved[counts.row, counts.col] = n
            ends.append(averages(figures_of(moved.sum(1), moved.sum(0), moved.diagonal())))
        for name, gradient in found.items():
            slope = (float(ends[0][name]) - float(ends[1][name])) / (2 * step)
            assert gradient[cell] == pytest.approx(slope, abs=1e-7), name


def test_delta_and_count_bootstrap_equal_a_bootstrap_of_rows() -> None:
    counts = counts_of(SKILL)
    labels, predictions = np.repeat(counts.row, counts.n), np.repeat(counts.col, counts.n)
    rng = np.random.default_rng(0)
    macro = []
    for _ in range(1000):
        chosen = rng.integers(0, len(labels), len(labels))
        macro.append(f1_score(labels[chosen], predictions[chosen], average="macro", zero_division=0))
    variance = delta_variances(counts, counts.n, class_figures(counts))["macro_f1"]
    assert math.sqrt(variance) == pytest.approx(np.std(macro), rel=0.1)
    drawn = bootstrap_estimates(counts, 10)["macro_f1"]
    assert (drawn.low, drawn.high) == pytest.approx(tuple(np.quantile(macro, (0.025, 0.975))), abs=0.012)
    delta = delta_estimates(counts, 10)["macro_f1"]
    assert (delta.low, delta.high) == pytest.approx((drawn.low, drawn.high), abs=0.03)


def test_bootstrap_is_deterministic() -> None:
    assert bootstrap_estimates(counts_of(SKILL), 10) == bootstrap_estimates(counts_of(SKILL), 10)


def test_intervals_do_not_collapse_when_all_is_right() -> None:
    found = bootstrap_estimates(counts_of(np.diag([6, 6])), 10)
    for name, estimate in found.items():
        assert estimate.value == 1.0
        assert 0.6 < estimate.low < 0.9, name
        assert estimate.high == 1.0


def test_small_and_empty_counts_are_marked() -> None:
    few = delta_estimates(counts_of(np.array([[2, 1], [0, 1]])), 10)
    assert all(estimate.too_few for estimate in few.values())
    empty = bootstrap_estimates(counts_of(np.zeros((2, 2), np.int64)), 10)
    assert all(e.undefined and e.value == 0 and math.isnan(e.low) for e in empty.values())


@pytest.mark.parametrize("n", [20, 60, 200])
def test_intervals_cover_the_truth(n: int) -> None:
    """95% intervals hold the true value in 92% to 99.5% of simulated evaluations (400 of them, so +-1% of chance)."""
    p = (SKILL / SKILL.sum()).ravel()
    truth_figures = class_figures(counts_of(SKILL))
    truth = float(averages(truth_figures)["macro_f1"])
    rng = np.random.default_rng(5)
    inside = {"delta": 0, "f1": 0, "precision": 0}
    for _ in range(400):
        counts = counts_of(rng.multinomial(n, p).reshape(3, 3))
        delta = delta_estimates(counts, 1)["macro_f1"]
        precision, _, f1 = class_estimates(class_figures(counts), 1)[0]
        inside["delta"] += delta.low <= truth <= delta.high
        inside["f1"] += f1.low <= truth_figures.f1[0] <= f1.high
        inside["precision"] += precision.low <= truth_figures.precision[0] <= precision.high
    assert all(0.92 <= hits / 400 <= 0.995 for hits in inside.values()), inside


def test_many_slices_at_once_equal_one_by_one() -> None:
    rng = np.random.default_rng(3)
    cells = counts_of(SKILL)
    n = rng.binomial(cells.n, rng.random((20, 1)))
    n[3] = 0
    together = slice_estimates(cells, n, 10)
    for one, found in zip(n, together, strict=True):
        kept = one > 0
        alone = delta_estimates(Counts(cells.classes, cells.row[kept], cells.col[kept], one[kept]), 10)
        for name, estimate in alone.items():
            got = found[name]
            assert (got.n, got.too_few, got.undefined) == (estimate.n, estimate.too_few, estimate.undefined)
            np.testing.assert_allclose((got.value, got.low, got.high), (estimate.value, estimate.low, estimate.high))


def test_many_cells_fall_back_to_the_delta_method() -> None:
    rng = np.random.default_rng(2)
    counts = counts_of(rng.integers(0, 3, (150, 150)))
    assert bootstrap_estimates(counts, 10) == delta_estimates(counts, 10)


def test_class_estimates_are_plain_values() -> None:
    precision, recall, f1 = class_estimates(class_figures(counts_of(SKILL)), 10)[2]
    assert [type(e.too_few) for e in (precision, recall, f1)] == [bool] * 3
    assert [e.n for e in (precision, recall, f1)] == [20, 20, 30]
    assert f1.low < f1.value < f1.high
