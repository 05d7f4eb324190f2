"""Curves from counts against scikit-learn's over rows, within the bounds that are stated."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score, roc_curve

from dashboard.metrics.curves import (
    ScoreCounts,
    at_threshold,
    auc,
    auc_error,
    average_precision,
    average_precision_error,
    average_precision_estimate,
    calibration,
    costs,
    count_scores,
    lift,
    precision_recall,
    roc,
    score_column,
    score_counts,
)
from dashboard.metrics.tables import Tables
from mlflow_runs.errors import DataMissing
from tests.dashboard.metrics.evaluations import evaluation_of


def scored(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 3, n)
    return score, rng.random(n) < score


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=2, max_size=60).filter(
        lambda rows: len({hit for _, hit in rows}) == 2
    ),
    st.sampled_from([3, 100, 10_000]),
)
def test_auc_is_within_its_bound(rows: list[tuple[float, bool]], bins: int) -> None:
    scores, hit = np.array([s for s, _ in rows]), np.array([h for _, h in rows])
    counts = count_scores(scores, hit, bins)
    assert abs(auc(counts).value - roc_auc_score(hit, scores)) <= auc_error(counts) + 1e-9
    assert counts.positive.sum() == hit.sum()


def test_ten_thousand_bins_are_within_a_ten_thousandth_of_exact() -> None:
    scores, hit = scored(200_000)
    counts = count_scores(scores, hit)
    assert auc_error(counts) < 1e-4
    assert abs(auc(counts).value - roc_auc_score(hit, scores)) < 1e-5
    assert abs(average_precision(counts) - average_precision_score(hit, scores)) < 2e-4


def test_curves_go_through_scikit_learns_points() -> None:
    scores, hit = scored()
    scores = np.round(scores, 2)
    counts = count_scores(scores + 1e-9, hit, 100)
    fpr, tpr, thresholds = roc(counts)
    want_fpr, want_tpr, _ = roc_curve(hit, scores, drop_intermediate=False)
    assert np.abs(np.interp(want_fpr, fpr, tpr) - want_tpr).max() < 0.01
    assert set(np.round(want_tpr, 9)) <= set(np.round(tpr, 9))
    precision, recall, _ = precision_recall(counts)
    assert (precision[0], recall[0], recall[-1]) == (1.0, 0.0, 1.0)
    assert precision[-1] == pytest.approx(hit.mean())
    share, times = lift(counts)
    assert (share[-1], times[-1]) == (1.0, 1.0)
    assert times[len(times) // 4] > 1
    assert math.isinf(thresholds[0])


def test_auc_interval_covers() -> None:
    """The 95% interval holds the true AUC in 91% to 99% of 300 simulations with 150 rows."""
    truth = roc_auc_score(scored(400_000, 99)[1], scored(400_000, 99)[0])
    inside = 0
    for seed in range(300):
        found = auc(count_scores(*scored(150, seed)))
        inside += found.low <= truth <= found.high
    assert 0.91 <= inside / 300 <= 0.99, inside


def test_calibration_and_its_error() -> None:
    scores, hit = scored(50_000)
    found = calibration(count_scores(scores, hit))
    assert found.ece < 0.02
    place = np.minimum((scores * 10).astype(int), 9)
    frame = pd.DataFrame({"place": place, "score": scores, "hit": hit}).groupby("place").mean()
    np.testing.assert_allclose(found.score, frame.score, atol=5e-5)
    np.testing.assert_allclose(found.share, frame.hit, atol=1e-12)
    assert found.n.sum() == 50_000
    tilted = calibration(count_scores(np.sqrt(scores), hit))
    want = sum(
        len(part) * abs(part.hit.mean() - part.score.mean())
        for _, part in pd.DataFrame(
            {"place": np.minimum((np.sqrt(scores) * 10).astype(int), 9), "score": np.sqrt(scores), "hit": hit}
        ).groupby("place")
    )
    assert tilted.ece == pytest.approx(want / 50_000, abs=1e-4)


def test_threshold_counts_and_costs() -> None:
    scores, hit = scored()
    counts = count_scores(scores, hit)
    for threshold in (0.0, 0.25, 0.5, 0.9, 1.0):
        tn, fp, fn, tp = confusion_matrix(hit, scores >= threshold, labels=[False, True]).ravel()
        assert at_threshold(counts, threshold) == (tp, fp, fn, tn)
    found = costs(counts, 1.0, 4.0)
    by_hand = [((scores >= t) & ~hit).sum() + 4 * ((scores < t) & hit).sum() for t in found.thresholds[1::500]]
    np.testing.assert_allclose(found.cost[1::500] * len(scores), by_hand, atol=1e-6)
    # with calibrated scores theory puts the best threshold at fp/(fp+fn) = 0.2
    assert found.thresholds[found.best] == pytest.approx(0.2, abs=0.06)
    assert (found.low <= found.cost).all()
    assert (found.cost <= found.high).all()


@pytest.mark.parametrize("hit", [[], [True], [False, False]])
def test_one_class_has_no_auc(hit: list[bool]) -> None:
    counts = count_scores(np.linspace(0, 1, len(hit)), np.array(hit, dtype=bool))
    assert auc(counts).undefined
    assert auc_error(counts) == 0
    assert calibration(counts).n.sum() == len(hit)
    assert np.isfinite(costs(counts, 1, 1).cost).all()


def test_equal_scores_are_half_right() -> None:
    assert auc(count_scores(np.full(10, 0.5), np.arange(10) < 5)).value == 0.5


def test_scores_of_a_table(tables: Tables) -> None:
    data = {
        "label": [1.0, 0.0, 1.0, None, 1.0, 0.0],
        "prediction": [1, 0, 1, 1, 1, 1],
        "p": [0.9, 0.2, math.inf, 0.5, None, 0.6],
        "keep": [True] * 5 + [False],
    }
    evaluation = evaluation_of(tables.folder, data, classes=("0", "1"), positive_class="1", score="p")
    found = score_counts(tables, evaluation, "1", "true")
    assert (int(found.positive.sum()), int(found.negative.sum()), found.left_out) == (1, 2, 3)
    assert int(score_counts(tables, evaluation, "1", '"keep"').negative.sum()) == 1
    other = score_counts(tables, evaluation, "0", "true")
    assert auc(other).value == auc(found).value == 1.0
    with pytest.raises(DataMissing, match="no scores of class 'x'"):
        score_column(evaluation, "x")


def test_the_database_counts_as_numpy_does(tables: Tables) -> None:
    for factor in (1, 7):
        scores, hit = scored(3000)
        frame = pd.DataFrame({"label": hit, "prediction": hit, "p": scores * factor})
        evaluation = evaluation_of(tables.folder, frame, positive_class="True", score="p")
        got, want = score_counts(tables, evaluation, "True", "true"), count_scores(scores * factor, hit)
        assert (got.positive.tolist(), got.negative.tolist()) == (want.positive.tolist(), want.negative.tolist())
        assert (got.low, got.width, got.left_out) == (want.low, want.width, 0)


def test_scores_beyond_one_widen_the_range() -> None:
    counts = count_scores(np.array([-2.0, 3.0]), np.array([False, True]), 10)
    assert (counts.low, counts.width) == (-2.0, 0.5)
    assert isinstance(counts, ScoreCounts)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60).filter(
        lambda rows: any(hit for _, hit in rows)
    ),
    st.sampled_from([3, 10, 10_000]),
)
def test_average_precision_is_within_its_bound(rows: list[tuple[float, bool]], bins: int) -> None:
    scores, hit = np.array([s for s, _ in rows]), np.array([h for _, h in rows])
    counts = count_scores(scores, hit, bins)
    exact = average_precision_score(hit, scores)
    assert abs(average_precision(counts) - exact) <= average_precision_error(counts) + 1e-9
    assert average_precision_estimate(counts).value == average_precision(counts)


def test_average_precision_interval_covers() -> None:
    """The 95% interval holds the true average precision in at least 90% of 300 simulations with 200 rows."""
    truth = average_precision_score(scored(400_000, 99)[1], scored(400_000, 99)[0])
    inside = 0
    for seed in range(300):
        found = average_precision_estimate(count_scores(*scored(200, seed)))
        inside += found.low <= truth <= found.high
    assert inside / 300 >= 0.9, inside


def test_scores_that_crowd_at_the_ends_are_told_apart(tables: Tables) -> None:
    """A confident model: an eighth of the scores lie within 1e-4 of 0 or 1, where 10,000 equal bins see one value."""
    rng = np.random.default_rng(8)
    raw = rng.normal(0, 6, 20_000)
    scores, hit = 1 / (1 + np.exp(-raw)), raw + rng.normal(0, 9, 20_000) > 5
    frame = pd.DataFrame({"label": hit, "prediction": hit, "p": scores})
    evaluation = evaluation_of(tables.folder, frame, positive_class="True", score="p")
    for counts in (count_scores(scores, hit), score_counts(tables, evaluation, "True", "true")):
        assert auc_error(counts) <= 1e-4
        assert abs(auc(counts).value - roc_auc_score(hit, scores)) <= 1e-4
        assert counts.positive.sum() + counts.negative.sum() == 20_000
        assert (np.diff(counts.edges) > 0).all()


def test_equal_scores_cost_no_exactness() -> None:
    scores, hit = np.repeat([0.2, 0.9], 50), np.arange(100) % 3 == 0
    counts = count_scores(scores, hit, 10)
    assert (auc_error(counts), average_precision_error(counts)) == (0.0, 0.0)
    assert auc(counts).value == pytest.approx(roc_auc_score(hit, scores))
    assert average_precision(counts) == pytest.approx(average_precision_score(hit, scores))
