"""Models over rows: drawn with a fixed seed, measured as scikit-learn does, paired, disagreements found."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, root_mean_squared_error

from dashboard.reports.row_pages import tables_of
from dashboard.reports.slice_runs import Answers, cells_of, disputes, draw_rows, scores_of
from tests.dashboard.reports.conftest import row_of

CHANCE = np.random.default_rng(9)
N = 250


def run_both(house, labels, answers, task):
    """Scores and disagreements of two models' answers to the same labelled rows."""
    evaluation = house.add("r1", pd.DataFrame({"x": np.arange(N), "label": labels, "prediction": labels}), task)
    cells = cells_of(tables_of(house), evaluation, range(N))
    given = [Answers(list(values)) for values in answers]
    runs = [row_of("one"), row_of("two")]
    return scores_of(house, evaluation, runs, range(N), cells, given), disputes(
        evaluation, range(N), cells, given, ("x",)
    )


def test_rows_are_drawn_once_for_all_and_unlabelled_ones_left_out(house):
    labels = ["a" if i % 3 else None for i in range(N)]
    evaluation = house.add("r1", pd.DataFrame({"x": range(N), "label": labels, "prediction": "a"}))
    every, available = draw_rows(tables_of(house), evaluation, "x >= 100", 1000)
    assert every == [i for i in range(100, N) if i % 3]
    assert available == len(every)
    some, again = (draw_rows(tables_of(house), evaluation, "true", 40)[0] for _ in range(2))
    assert some == again == sorted(set(some))
    assert len(some) == 40
    assert all(i % 3 for i in some)


def test_classes_are_measured_paired_and_compared(house):
    labels = CHANCE.choice(["1", "2", "3"], N)
    good = np.where(CHANCE.random(N) < 0.9, labels, "1")
    bad = np.where(CHANCE.random(N) < 0.5, labels, "2")
    (first, second), (disputed, shown) = run_both(house, labels, (good, bad), "classification")
    for score, said in ((first, good), (second, bad)):
        assert score.overall["accuracy"].value == pytest.approx(accuracy_score(labels, said))
        assert score.overall["macro_f1"].value == pytest.approx(f1_score(labels, said, average="macro"))
        assert score.failed == 0
    assert first.verdict is None
    assert (second.verdict.word, second.verdict.paired, second.verdict.n) == ("worse", True, N)
    assert disputed == (good != bad).sum()
    at = int(np.flatnonzero(good != bad)[0])
    assert (shown[0].row, shown[0].label, shown[0].said) == (at, labels[at], (good[at], bad[at]))
    assert shown[0].title == f"x {at}"


def test_numbers_are_measured_paired_and_missing_answers_told(house):
    labels = CHANCE.normal(size=N)
    near, far = labels + CHANCE.normal(0, 0.1, N), labels + CHANCE.normal(0, 1, N)
    answers = [None, *near[1:]], list(far)
    (first, second), (disputed, shown) = run_both(house, labels, answers, "regression")
    assert first.overall["rmse"].value == pytest.approx(root_mean_squared_error(labels[1:], near[1:]))
    assert first.failed == 1
    assert (second.verdict.word, second.verdict.n) == ("worse", N - 1)
    assert shown[0].said[0] == "no answer"
    assert disputed > N / 2
