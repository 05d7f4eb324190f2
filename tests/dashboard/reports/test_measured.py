"""What one cube tells of all rows, and of each slice."""

import numpy as np
import pytest

from dashboard.metrics.cube import cube_of
from dashboard.metrics.slices import declared_slices
from dashboard.reports.measured import confusion_of, measure_classes

LABELS, PREDICTIONS = ["a", "a", "b", "c", None], ["a", "b", "b", "a", "a"]
CUBE = cube_of(LABELS, PREDICTIONS, np.array([[50, 10, 40, 0, 3], [5, 10, 4, 0, 1]]))


def test_all_rows_and_a_slice() -> None:
    slices = declared_slices(["slice_x"])
    whole, part = measure_classes(CUBE, slices, None, 10), measure_classes(CUBE, slices, 0, 10)
    assert (whole.n, whole.n_unlabelled, part.n, part.n_unlabelled) == (100, 3, 19, 1)
    assert whole.overall["accuracy"].value == pytest.approx(0.9)
    assert part.overall["accuracy"].value == pytest.approx(9 / 19)
    assert whole.slices == part.slices
    verdict = whole.slices[0].verdict
    assert verdict is not None
    assert verdict.word == "worse"


def test_classes_without_rows_are_left_out() -> None:
    confusion = confusion_of(CUBE.counts())
    assert (confusion.labels, confusion.cells) == (("a", "b"), ((0, 0, 50), (0, 1, 10), (1, 1, 40)))
