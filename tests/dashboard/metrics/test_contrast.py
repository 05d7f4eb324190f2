"""How different two groups are, against SciPy and against chance."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from dashboard.metrics.contrast import difference, worst


def test_large_tables_agree_with_scipy() -> None:
    counts = np.array([[4000, 100], [3000, 900], [2000, 50]])
    found = difference(counts)
    assert found.v == pytest.approx(association(counts), abs=0.002)
    assert found.p == pytest.approx(chi2_contingency(counts, correction=False).pvalue)
    assert found.n == counts.sum()


def test_chance_alone_gives_about_nothing_however_many_values() -> None:
    rng = np.random.default_rng(0)
    drawn = [
        difference(np.column_stack([rng.multinomial(900, np.full(k, 1 / k)), rng.multinomial(60, np.full(k, 1 / k))])).v
        for k in (3, 12, 100)
        for _ in range(30)
    ]
    assert np.mean(drawn) < 0.06


@pytest.mark.parametrize("counts", [[[5, 3]], [[5, 0], [3, 0]], [[0, 0], [0, 0]]])
def test_without_two_values_or_two_groups_there_is_no_difference(counts: list[list[int]]) -> None:
    found = difference(np.array(counts))
    assert (found.v, found.p) == (0.0, 1.0)


def test_the_worst_value_needs_enough_rows() -> None:
    counts = np.array([[0, 3], [50, 50], [90, 10]])
    assert worst(counts, 10) == 1
    assert worst(counts, 1) == 0
    assert worst(np.array([[20, 0]]), 10) is None
    assert worst(np.zeros((0, 2), np.int64), 10) is None
