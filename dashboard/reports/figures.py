"""Figures that a run carries ready-made, and metrics that it logged beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from dashboard.metrics.classification import AVERAGES
from dashboard.metrics.estimate import Estimate
from dashboard.metrics.intervals import proportion
from dashboard.metrics.multilabel import AVERAGES as SETS
from dashboard.reports.measured import ClassRow, Measured, SliceRow
from mlflow_runs.records import Figures

COUNTS = ("num_samples", "n", "support", "example_count")
_REGRESSION = ("mae", "rmse", "r2")
_PREFIXES = ("test_", "val_", "eval_", "validation_", "testing_", "evaluation_")
_KINDS = ("macro", "micro", "weighted", "samples")
_SAME = {
    "subset_accuracy": ("subset_accuracy",),
    "hamming_loss": ("hamming_loss",),
    "accuracy": ("accuracy", "subset_accuracy"),
    "accuracy_score": ("accuracy", "subset_accuracy"),
    "balanced_accuracy": ("macro_recall",),
    "precision": ("weighted_precision", "macro_precision"),
    "recall": ("weighted_recall", "macro_recall"),
    "f1": ("weighted_f1", "macro_f1"),
    "rmse": ("rmse",),
    "root_mean_squared_error": ("rmse",),
    "mae": ("mae",),
    "mean_absolute_error": ("mae",),
    "r2": ("r2",),
    "r2_score": ("r2",),
}


@dataclass(frozen=True)
class LoggedMetric:
    """A metric that the run itself logged beside ours; `ours` is None where we compute no such metric."""

    name: str
    logged: float
    ours: float | None
    differs: bool


def logged_metrics(logged: Mapping[str, float], overall: Mapping[str, Estimate]) -> tuple[LoggedMetric, ...]:
    """Every logged metric by name with ours of the same meaning; they differ beyond a relative 0.0005 (rounding).

    A plain "f1_score" may be the weighted or the macro average: the nearer one is taken.
    """
    rows = []
    for name, value in sorted(logged.items()):
        candidates = [overall[key].value for key in meanings(name) if key in overall]
        ours = min(candidates, key=lambda figure: abs(figure - value)) if candidates else None
        differs = ours is not None and not abs(ours - value) <= 5e-4 * max(1.0, abs(ours))
        rows.append(LoggedMetric(name, value, ours, differs))
    return tuple(rows)


def meanings(name: str) -> tuple[str, ...]:
    """Our metrics that a logged metric's name may mean."""
    key = name.lower().replace("-", "_").replace(" ", "_")
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    words = [word for word in key.split("_") if word != "score"]
    kinds = [word for word in words if word in _KINDS]
    rest = "_".join(word for word in words if word not in _KINDS)
    if kinds and f"{kinds[0]}_{rest}" in (*AVERAGES, *SETS):
        return (f"{kinds[0]}_{rest}",)
    return _SAME.get(key) or _SAME.get(rest) or ()


def measure_figures(figures: Figures, min_rows: int) -> tuple[Measured, str]:
    """What ready-made figures tell, and the name of the headline among them.

    Only recall is a proportion of a known number of rows and gets an interval; the others have none.
    """
    overall = {name: _estimate(name, figures.overall, min_rows) for name in _names(figures.overall)}
    slices = tuple(_slice(name, entry, min_rows) for name, entry in figures.slices.items())
    n = _count(figures.overall) or sum(_count(entry) for entry in figures.per_class.values())
    classes = tuple(_class(name, entry, min_rows) for name, entry in figures.per_class.items())
    headline = next((name for name in ("macro_f1", "f1", "weighted_f1", "rmse") if name in overall), "")
    return Measured(n, 0, overall, classes, slices), headline or next(iter(overall), "")


def _names(entry: Mapping[str, Any]) -> list[str]:
    known = [name for name in (*AVERAGES, "precision", "recall", "f1", *_REGRESSION) if name in entry]
    others = [name for name in entry if name not in known and name not in COUNTS]
    return [name for name in (*known, *others) if isinstance(entry[name], int | float)]


def _count(entry: Mapping[str, Any]) -> int:
    """The number of rows behind an entry, 0 where it gives none; a count may be stored as a float."""
    value = next((entry[name] for name in COUNTS if name in entry), 0)
    return int(value) if isinstance(value, int | float) and isfinite(value) and value > 0 else 0


def _estimate(name: str, entry: Mapping[str, Any], min_rows: int) -> Estimate:
    value, n = float(entry.get(name, nan)), _count(entry)
    if name in ("recall", "accuracy", "weighted_recall") and n and 0 <= value <= 1:
        found = proportion(value * n, n, min_rows)
        return Estimate(value, found.low, found.high, n, found.too_few)
    return Estimate(value, nan, nan, n, 0 < n < min_rows)


def _class(name: str, entry: Mapping[str, Any], min_rows: int) -> ClassRow:
    n, recall, precision = _count(entry), entry.get("recall"), entry.get("precision")
    predicted = round(recall * n / precision) if recall and precision else 0
    found = {metric: _estimate(metric, entry, min_rows) for metric in ("precision", "recall", "f1")}
    return ClassRow(name, n, predicted, found["precision"], found["recall"], found["f1"])


def _slice(name: str, entry: Mapping[str, Any], min_rows: int) -> SliceRow:
    metrics = {metric: _estimate(metric, entry, min_rows) for metric in _names(entry)}
    return SliceRow(name, "declared", "", "", _count(entry), metrics)
