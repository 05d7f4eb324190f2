"""Ready-made figures, and logged metrics beside ours."""

import math

import pytest

from dashboard.metrics.estimate import Estimate
from dashboard.reports.figures import logged_metrics, meanings, measure_figures
from mlflow_runs.records import Figures

ENTRY = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "num_samples": 191.0}


def test_recall_has_an_interval_from_n_and_the_others_none() -> None:
    found, headline = measure_figures(Figures(ENTRY, {"a": ENTRY}, {"short": ENTRY}), 10)
    assert (found.n, headline, list(found.overall)) == (191, "f1", ["precision", "recall", "f1"])
    (row,) = found.classes
    assert (row.n, row.n_predicted, type(row.n)) == (191, round(0.8 * 191 / 0.9), int)
    assert row.recall.low < 0.8 < row.recall.high
    assert math.isnan(row.precision.low)
    assert math.isnan(row.f1.high)
    assert found.slices[0].metrics["f1"].value == 0.85


@pytest.mark.parametrize(
    ("overall", "headline", "n"),
    [
        ({"rmse": 3.0, "mae": 2.0}, "rmse", 0),
        ({"macro_f1": 0.4, "f1": 0.5}, "macro_f1", 0),
        ({"loss": 0.1}, "loss", 0),
        ({}, "", 0),
        ({"accuracy": 0.5, "n": math.nan}, "accuracy", 0),
    ],
)
def test_headline_and_missing_counts(overall: dict[str, float], headline: str, n: int) -> None:
    found, name = measure_figures(Figures(overall), 10)
    assert (name, found.n) == (headline, n)


def test_missing_keys_are_nan_not_an_error() -> None:
    found, _ = measure_figures(Figures({}, {"a": {"num_samples": 5}}), 10)
    assert found.n == 5
    assert math.isnan(found.classes[0].f1.value)
    assert found.classes[0].f1.too_few


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("accuracy", ("accuracy", "subset_accuracy")),
        ("test_accuracy_score", ("accuracy", "subset_accuracy")),
        ("f1_macro", ("macro_f1",)),
        ("f1_samples", ("samples_f1",)),
        ("micro_f1", ("micro_f1",)),
        ("val_macro_f1", ("macro_f1",)),
        ("precision_weighted", ("weighted_precision",)),
        ("f1_score", ("weighted_f1", "macro_f1")),
        ("root_mean_squared_error", ("rmse",)),
        ("r2_score", ("r2",)),
        ("log_loss", ()),
        ("roc_auc", ()),
    ],
)
def test_names_that_mean_the_same(name: str, ours: tuple[str, ...]) -> None:
    assert meanings(name) == ours


def test_rounding_is_no_difference() -> None:
    ours = {"weighted_f1": Estimate(0.91237, 0.9, 0.92, 50), "macro_f1": Estimate(0.7, 0.6, 0.8, 50)}
    rows = logged_metrics({"f1_score": 0.9124, "f1_macro": 0.75, "loss": math.nan}, ours)
    assert [(row.name, row.ours, row.differs) for row in rows] == [
        ("f1_macro", 0.7, True),
        ("f1_score", 0.91237, False),
        ("loss", None, False),
    ]
