"""Suppression against the plainest implementation of its definition, on boxes that tie and touch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_runs.suppression import suppressed

BOX = st.tuples(*(st.integers(0, 6) for _ in "xy"), *(st.integers(0, 6) for _ in "wh"))
ROW = st.tuples(BOX, st.sampled_from([0.2, 0.5, 0.9]), st.integers(0, 1))


def naive(rows, overlap):
    left, kept = sorted(range(len(rows)), key=lambda at: -rows[at][1]), []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [at for at in left if rows[at][2] != rows[best][2] or _iou(rows[at][0], rows[best][0]) <= overlap]
    return kept


def _iou(one, other):
    (x, y, w, h), (p, q, r, s) = one, other
    inside = max(0, min(x + w, p + r) - max(x, p)) * max(0, min(y + h, q + s) - max(y, q))
    union = w * h + r * s - inside
    return inside / union if union else 0


@given(st.lists(ROW, max_size=15), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_is_the_naive_one(rows, overlap):
    places = np.array([row[0] for row in rows], dtype=float).reshape(-1, 4)
    scores, labels = np.array([row[1] for row in rows]), np.array([row[2] for row in rows], dtype=np.int64)
    assert suppressed(places, scores, labels, overlap).tolist() == naive(rows, overlap)


@pytest.mark.parametrize(("overlap", "left"), [(0.5, 1), (1.0, 2)])
def test_an_overlap_of_one_keeps_even_equal_boxes(overlap, left):
    places = np.array([[0, 0, 4, 4], [0, 0, 4, 4]], dtype=float)
    assert len(suppressed(places, np.array([0.5, 0.4]), np.array([0, 0]), overlap)) == left
