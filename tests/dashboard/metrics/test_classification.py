"""Figures from counts equal scikit-learn's with zero_division=0."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from dashboard.metrics.classification import averages, class_figures
from dashboard.metrics.cube import Counts, cube_of


def counts_of(labels: list[str], predictions: list[str]) -> Counts:
    return cube_of(labels, predictions, np.ones((1, len(labels)), np.int64)).counts()


def merged(labels: list[str], predictions: list[str]) -> Counts:
    """Counts with one entry per cell, as a scan gives them."""
    cells = sorted(set(zip(labels, predictions, strict=True)))
    n = [sum(pair == cell for pair in zip(labels, predictions, strict=True)) for cell in cells]
    return cube_of([y for y, _ in cells], [p for _, p in cells], np.array([n], np.int64)).counts()


PAIRS = st.lists(st.tuples(st.sampled_from("abcdé<"), st.sampled_from("abcdz<")), min_size=1, max_size=80)


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_equal_to_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    labels, predictions = [y for y, _ in pairs], [p for _, p in pairs]
    counts = merged(labels, predictions)
    figures = class_figures(counts)
    expected = precision_recall_fscore_support(labels, predictions, labels=list(counts.classes), zero_division=0)
    for got, want in zip((figures.precision, figures.recall, figures.f1, figures.support), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)
    means = averages(figures)
    assert abs(means["accuracy"] - accuracy_score(labels, predictions)) < 1e-12
    for average in ("macro", "weighted"):
        want = precision_recall_fscore_support(labels, predictions, average=average, zero_division=0)[:3]
        got = [float(means[f"{average}_{name}"]) for name in ("precision", "recall", "f1")]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


def test_unmerged_cells_count_the_same() -> None:
    labels, predictions = list("aabbc"), list("abbbz")
    one, other = (averages(class_figures(count(labels, predictions))) for count in (counts_of, merged))
    assert {name: float(value) for name, value in one.items()} == {name: float(value) for name, value in other.items()}


def test_no_rows() -> None:
    assert {float(value) for value in averages(class_figures(merged([], []))).values()} == {0.0}
