"""Counting conjunctions over bits against counting rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.metrics import row_sets
from dashboard.metrics.row_sets import count_meeting


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 200), st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_equal_to_counting_rows_in_chunks_of_any_size(n, seed, depth):
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, 4, n).astype(np.uint8) for _ in range(4)]
    asked = [tuple((int(place), int(rng.integers(0, 5))) for place in rng.permutation(4)[:depth]) for _ in range(6)]
    want = [int(np.logical_and.reduce([columns[place] == code for place, code in several]).sum()) for several in asked]
    before, row_sets._CHUNK = row_sets._CHUNK, 64
    try:
        assert count_meeting(columns, asked).tolist() == want
    finally:
        row_sets._CHUNK = before


def test_progress_can_cancel():
    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_meeting([np.zeros(10, np.uint8)], [((0, 0),)], stop)
