"""Suspected label errors: the paper's definition transcribed in numpy, planted errors, and scores that cannot tell."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.metrics.label_errors import suspects
from dashboard.metrics.tables import Tables
from tests.dashboard.metrics.evaluations import evaluation_of


def by_the_paper(labels: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Northcutt et al. 2021: rows off the diagonal of the confident joint whose label is not the model's answer."""
    n, m = p.shape
    t = np.array([p[labels == j, j].mean() if (labels == j).any() else np.inf for j in range(m)])
    found = []
    for x in range(n):
        reached = [j for j in range(m) if p[x, j] >= t[j] - 1e-6]
        if reached and labels[x] not in [j for j in reached if p[x, j] == p[x, reached].max()]:
            found.append(x)
    return np.array([x for x in found if p[x, labels[x]] < p[x].max()], dtype=int)


def scored(tables: Tables, labels: np.ndarray, p: np.ndarray, **changes: Any) -> Any:
    """An evaluation with one score column per class c0, c1, ...; label -1 is missing."""
    frame = pd.DataFrame({f"score_c{j}": p[:, j] for j in range(p.shape[1])})
    frame["label"] = [f"c{y}" if y >= 0 else None for y in labels]
    frame["prediction"] = [f"c{j}" for j in p.argmax(axis=1)]
    roles = {"scores": {f"c{j}": f"score_c{j}" for j in range(p.shape[1])}} | changes
    return evaluation_of(tables.folder, frame, **roles)


def rows_of(tables: Tables, evaluation: Any) -> list[int]:
    sql = suspects(tables, evaluation)
    assert sql is not None
    return list(tables.query(sql)["row"].to_pylist())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 80))
def test_it_is_the_papers_definition(tables: Tables, seed: int, classes: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    p = rng.dirichlet(np.full(classes, 0.6), n)
    p[np.arange(n), labels] += rng.random(n)
    p /= p.sum(axis=1, keepdims=True)
    assert rows_of(tables, scored(tables, labels, p)) == by_the_paper(labels, p).tolist()


def test_planted_errors_are_found(tables: Tables) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 3000)
    p = rng.dirichlet(np.ones(3), 3000) * 0.3
    p[np.arange(3000), truth] += 0.7
    flipped = rng.random(3000) < 0.05
    labels = np.where(flipped, (truth + 1) % 3, truth)
    found = np.zeros(3000, bool)
    found[rows_of(tables, scored(tables, labels, p))] = True
    assert (found & flipped).sum() / flipped.sum() > 0.4
    assert (found & flipped).sum() / found.sum() > 0.95


def test_rows_without_label_or_score_are_no_suspects(tables: Tables) -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, -1, 0])
    p = np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]] * 3 + [[0.1, 0.9], [np.nan, np.nan]])
    assert rows_of(tables, scored(tables, labels, p)) == []
    labels[0] = 1
    assert rows_of(tables, scored(tables, labels, p)) == [0]


def test_one_score_of_the_positive_class_is_enough(tables: Tables) -> None:
    rng = np.random.default_rng(1)
    labels, score = rng.integers(0, 2, 200), rng.random(200)
    frame = pd.DataFrame({"label": labels, "prediction": (score > 0.5).astype(int), "risk": score})
    evaluation = evaluation_of(tables.folder, frame, classes=("0", "1"), positive_class="1", score="risk")
    want = by_the_paper(labels, np.column_stack([1 - score, score]))
    assert rows_of(tables, evaluation) == want.tolist()


@pytest.mark.parametrize("p", [np.array([[3.0, -2.0]] * 4), np.array([[0.9, 0.9]] * 4), np.array([[np.nan] * 2] * 4)])
def test_scores_that_are_no_probabilities_cannot_tell(tables: Tables, p: np.ndarray) -> None:
    assert suspects(tables, scored(tables, np.array([0, 1, 0, 1]), p)) is None


def test_without_scores_there_is_nothing_to_say(tables: Tables) -> None:
    data = {"label": ["a", "b"], "prediction": ["a", "a"]}
    assert suspects(tables, evaluation_of(tables.folder, data)) is None
    assert suspects(tables, evaluation_of(tables.folder, {"label": [1.5], "prediction": [2.5]}, "regression")) is None
