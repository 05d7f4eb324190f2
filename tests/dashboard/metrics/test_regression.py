"""Regression figures equal scikit-learn's; intervals equal a bootstrap of rows; residuals add up."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from dashboard.metrics.regression import (
    determination,
    error_sums,
    mean_absolute,
    residual_counts,
    root_mean_square,
)
from dashboard.metrics.tables import Tables
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of

NUMBERS = st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([math.nan, math.inf, -math.inf]))


def noisy(tables: Tables, n: int = 400) -> tuple[pd.DataFrame, Evaluation]:
    rng = np.random.default_rng(3)
    y = rng.gamma(2, 50, n)
    frame = pd.DataFrame({"label": y, "prediction": y * 0.8 + rng.normal(0, 20, n), "slice_big": y > 120})
    return frame, evaluation_of(tables.folder, frame, "regression")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), min_size=1, max_size=40))
def test_equal_to_scikit_learn(tables: Tables, rows: list[tuple[float, float, bool]]) -> None:
    frame = pd.DataFrame(rows, columns=["label", "prediction", "slice_x"])
    evaluation = evaluation_of(tables.folder, frame, "regression")
    used = frame[np.isfinite(frame.label) & np.isfinite(frame.prediction)]
    for kept, errors in zip(
        (used, used[used.slice_x]), error_sums(tables, evaluation, "true", ["slice_x"]), strict=True
    ):
        assert errors.n == len(kept)
        if len(kept):
            assert mean_absolute(errors, 10).value == pytest.approx(
                mean_absolute_error(kept.label, kept.prediction), rel=1e-12
            )
            want = math.sqrt(mean_squared_error(kept.label, kept.prediction))
            assert root_mean_square(errors, 10).value == pytest.approx(want, rel=1e-12)
    assert error_sums(tables, evaluation, "true")[0].unlabelled == len(frame) - len(used)
    if len(used) > 1:
        found = determination(tables, evaluation, "true", 10)
        assert found.value == pytest.approx(r2_score(used.label, used.prediction), rel=1e-9, abs=1e-12)


def test_intervals_equal_a_bootstrap_of_rows(tables: Tables) -> None:
    frame, evaluation = noisy(tables)
    errors = error_sums(tables, evaluation, "true")[0]
    found = [mean_absolute(errors, 10), root_mean_square(errors, 10), determination(tables, evaluation, "true", 10)]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(500):
        sample = frame.iloc[rng.integers(0, len(frame), len(frame))]
        squared = mean_squared_error(sample.label, sample.prediction)
        absolute = mean_absolute_error(sample.label, sample.prediction)
        drawn.append((absolute, math.sqrt(squared), r2_score(sample.label, sample.prediction)))
    for estimate, values in zip(found, np.array(drawn).T, strict=True):
        width = np.subtract(*np.quantile(values, (0.975, 0.025)))
        assert estimate.high - estimate.low == pytest.approx(width, rel=0.2)
        assert estimate.low < estimate.value < estimate.high


def test_constant_labels_and_single_rows(tables: Tables) -> None:
    same = evaluation_of(tables.folder, {"label": [2.0, 2.0], "prediction": [2.0, 2.0]}, "regression")
    assert determination(tables, same, "true", 1).value == 1.0
    off = evaluation_of(tables.folder, {"label": [2.0, 2.0], "prediction": [2.0, 3.0]}, "regression")
    assert (determination(tables, off, "true", 1).value, determination(tables, off, "true", 1).undefined) == (0.0, True)
    one = evaluation_of(tables.folder, {"label": [2.0], "prediction": [5.0]}, "regression")
    errors = error_sums(tables, one, "true")[0]
    assert (root_mean_square(errors, 10).value, mean_absolute(errors, 10).too_few) == (3.0, True)
    assert math.isnan(root_mean_square(errors, 10).low)
    assert determination(tables, one, "true", 10).undefined
    assert mean_absolute(error_sums(tables, one, "false")[0], 10).undefined


def test_texts_that_are_numbers_count(tables: Tables) -> None:
    evaluation = evaluation_of(tables.folder, {"label": ["1", "2", "x"], "prediction": [1, 4, 5]}, "regression")
    errors = error_sums(tables, evaluation, "true")[0]
    assert (errors.n, errors.unlabelled, errors.square) == (2, 1, 4.0)


def test_residuals_add_up_and_are_the_same_twice(tables: Tables) -> None:
    frame, evaluation = noisy(tables, 5000)
    found = residual_counts(tables, evaluation, "true")
    residual = frame.prediction - frame.label
    assert (sum(found.counts), found.n, len(found.edges)) == (5000, 5000, len(found.counts) + 1)
    assert (found.edges[0], found.edges[-1]) == pytest.approx((residual.min(), residual.max()))
    want, _ = np.histogram(residual, bins=found.edges)
    assert np.abs(want - np.array(found.counts)).sum() <= 2
    assert len(found.points) == len(set(found.points)) == 2000
    assert found == residual_counts(tables, evaluation, "true")


def test_no_residuals(tables: Tables) -> None:
    _, evaluation = noisy(tables)
    assert residual_counts(tables, evaluation, "false").counts == ()


def test_equal_residuals_fill_one_bin(tables: Tables) -> None:
    evaluation = evaluation_of(tables.folder, {"label": [1.0, 2.0], "prediction": [1.0, 2.0]}, "regression")
    assert sum(residual_counts(tables, evaluation, "true").counts) == 2
