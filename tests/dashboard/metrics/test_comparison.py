"""Verdicts: intervals of differences against published values and bootstraps of rows, and pairing by id."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, mean_squared_error

from dashboard.metrics.comparison import (
    independent,
    joint_counts,
    joint_of,
    pairable,
    paired_macro_f1,
    paired_rmse,
    shared_rows,
    verdict_of,
)
from dashboard.metrics.estimate import Estimate
from dashboard.metrics.intervals import proportion
from dashboard.metrics.tables import Tables
from tests.dashboard.metrics.evaluations import evaluation_of


def test_newcombes_published_example() -> None:
    """56/70 against 48/80: Newcombe 1998, table II, method 10 gives 0.0524 to 0.3339."""
    found = independent(proportion(56, 70, 10), proportion(48, 80, 10), higher_is_better=True, min_rows=10)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert (found.word, found.n, found.paired) == ("better", 70, False)
    assert found.detectable == pytest.approx((0.3339 - 0.0524) / 2, abs=5e-5)


@pytest.mark.parametrize(
    ("difference", "low", "high", "n", "higher", "word"),
    [
        (0.1, 0.05, 0.2, 50, True, "better"),
        (0.1, 0.05, 0.2, 50, False, "worse"),
        (-0.1, -0.2, -0.05, 50, True, "worse"),
        (-0.1, -0.2, -0.05, 50, False, "better"),
        (0.1, -0.05, 0.2, 50, True, "same"),
        (0.0, 0.0, 0.0, 50, True, "same"),
        (0.1, 0.05, 0.2, 9, True, "too few rows"),
        (0.1, math.nan, math.nan, 50, True, "too few rows"),
    ],
)
def test_words(difference: float, low: float, high: float, n: int, higher: bool, word: str) -> None:
    assert verdict_of(difference, low, high, n, paired=True, higher_is_better=higher, min_rows=10).word == word


def test_no_interval_means_too_few_rows() -> None:
    unknown = Estimate(0.5, math.nan, math.nan, 100)
    assert independent(unknown, proportion(1, 2, 1), higher_is_better=True, min_rows=1).word == "too few rows"


def versions(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Labels with two versions' predictions whose errors mostly coincide; b is a little worse."""
    rng = np.random.default_rng(seed)
    label = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    wrong = rng.choice(["a", "b", "c"], n)
    old = np.where(rng.random(n) < 0.25, wrong, label)
    new = np.where(rng.random(n) < 0.05, rng.choice(["a", "b", "c"], n), old)
    return pd.DataFrame({"id": np.arange(n), "label": label, "old": old, "new": new})


def test_paired_interval_equals_a_bootstrap_of_rows_and_is_narrower(tables: Tables) -> None:
    frame = versions()
    cells = frame.groupby(["label", "new", "old"]).size().reset_index(name="n")
    joint = joint_of(*(cells[name].tolist() for name in ("label", "new", "old")), cells["n"].to_numpy())
    found = paired_macro_f1(joint, min_rows=10)
    macro = [f1_score(frame.label, frame[name], average="macro") for name in ("new", "old")]
    assert found.difference == pytest.approx(macro[0] - macro[1], abs=1e-12)
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(300):
        sample = frame.iloc[rng.integers(0, len(frame), len(frame))]
        ends = [f1_score(sample.label, sample[name], average="macro") for name in ("new", "old")]
        drawn.append(ends[0] - ends[1])
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, (0.025, 0.975))), abs=0.008)
    assert (found.paired, found.n) == (True, 600)
    # so many cells that the delta method stands in
    delta = paired_macro_f1(joint, min_rows=10, replicates=1_000_000)
    assert (delta.low, delta.high) == pytest.approx((found.low, found.high), abs=0.006)


def test_rows_are_paired_by_ids_that_occur_once(tables: Tables) -> None:
    ours = {"id": ["1", "2", "2", "3", None, "9"], "label": list("aabbab"), "prediction": list("abbbab")}
    theirs = {"id": [1, 2, 3, 4, 5], "label": list("aabbb"), "prediction": ["b", "a", "a", "b", None]}
    one, other = evaluation_of(tables.folder, ours), evaluation_of(tables.folder, theirs)
    assert (shared_rows(tables, one, other), pairable(tables, one, other)) == (2, False)
    joint = joint_counts(tables, one, other)
    cells = zip(joint.label, joint.candidate, joint.baseline, joint.n, strict=True)
    assert sorted((*(joint.classes[k] for k in cell[:3]), int(cell[3])) for cell in cells) == [
        ("a", "a", "b", 1),
        ("b", "b", "a", 1),
    ]


def test_equal_ids_in_equal_order_pair_row_by_row(tables: Tables) -> None:
    """Such as one row per question and annotator: ids repeat, and yet every row has its partner."""
    ours = {"id": [1, 1, 2], "label": list("aab"), "prediction": list("aba"), "a": list("xyz")}
    theirs = {"id": ["1", "1", "2"], "label": list("aab"), "prediction": list("baa"), "b": list("xyz")}
    one, other = evaluation_of(tables.folder, ours), evaluation_of(tables.folder, theirs)
    assert pairable(tables, one, other)
    assert joint_counts(tables, one, other).n.tolist() == [1, 1, 1]
    shuffled = evaluation_of(tables.folder, {**theirs, "id": ["1", "2", "1"]})
    assert shared_rows(tables, one, shuffled) == 1


def test_without_ids_nothing_is_paired(tables: Tables) -> None:
    one = evaluation_of(tables.folder, {"label": ["a"], "prediction": ["a"]})
    assert not pairable(tables, one, one)


def test_paired_rmse_equals_a_bootstrap_of_rows(tables: Tables) -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(size=500)
    a, b = y + rng.normal(0, 1, 500), y + rng.normal(0, 1.3, 500)
    frame = pd.DataFrame({"id": np.arange(500), "label": y, "a": a, "b": b})
    one = evaluation_of(tables.folder, frame, "regression", prediction="a")
    other = evaluation_of(tables.folder, frame, "regression", prediction="b")
    found = paired_rmse(tables, one, other, min_rows=10)
    assert found.difference == pytest.approx(
        math.sqrt(mean_squared_error(y, a)) - math.sqrt(mean_squared_error(y, b)), abs=1e-12
    )
    drawn = []
    for _ in range(1000):
        k = rng.integers(0, 500, 500)
        drawn.append(math.sqrt(((a - y)[k] ** 2).mean()) - math.sqrt(((b - y)[k] ** 2).mean()))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, (0.025, 0.975))), abs=0.03)
    assert found.word == "better"


def test_no_shared_rows_is_too_few(tables: Tables) -> None:
    one = evaluation_of(tables.folder, {"id": [1], "label": [1.0], "prediction": [1.0]}, "regression")
    other = evaluation_of(tables.folder, {"id": [2], "label": [1.0], "prediction": [1.0]}, "regression")
    assert paired_rmse(tables, one, other, min_rows=10).word == "too few rows"
    assert paired_macro_f1(joint_counts(tables, one, other), min_rows=10).word == "too few rows"


def test_paired_intervals_cover_no_difference() -> None:
    """Two versions with equal chances: the interval holds 0 in 91% to 99% of 200 simulated comparisons."""
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(200):
        label = rng.integers(0, 2, 300)
        both = [np.where(rng.random(300) < 0.2, 1 - label, label) for _ in range(2)]
        cells, n = np.unique(np.stack([label, *both]), axis=1, return_counts=True)
        found = paired_macro_f1(joint_of(*(list(map(str, row)) for row in cells), n), min_rows=10, replicates=400)
        inside += found.low <= 0 <= found.high
    assert 0.91 <= inside / 200 <= 0.99, inside
