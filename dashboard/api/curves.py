"""Curves and thresholds in the API: their shapes, and how a report becomes one."""

import math

from pydantic import with_config
from typing_extensions import TypedDict

from dashboard.api.documents import run_item
from dashboard.api.figure_documents import metric
from dashboard.api.figure_shapes import Metric
from dashboard.api.shapes import CLOSED, RunShape
from dashboard.reports.curves import AtThreshold, CurvesReport, Line


@with_config(CLOSED)
class LineShape(TypedDict):
    """A curve's points; thinned for drawing, off by at most `deviation` (a share of the axes)."""

    x: list[float]
    y: list[float]
    thresholds: list[float | None]
    """The scores from which on the class is predicted; null where it never is."""
    computed: int
    """How many points the whole curve has."""
    deviation: float


@with_config(CLOSED)
class GroupShape(TypedDict):
    """One calibration group of equal score width: mean score and share of the class with its 95% interval."""

    score: float
    share: float
    low: float
    high: float
    n: int


@with_config(CLOSED)
class ThresholdShape(TypedDict):
    """What predicting the class from a score on means."""

    threshold: float
    tp: int
    fp: int
    fn: int
    tn: int
    precision: Metric
    recall: Metric
    cost: Metric
    """Expected cost per row."""


@with_config(CLOSED)
class CurvesDocument(TypedDict):
    """The curves of one class's scores, and what thresholds cost; what the Performance page shows."""

    run: RunShape
    artifact: str
    filter: str
    slice: str
    class_name: str
    classes: list[str]
    """The classes that have scores."""
    n: int
    n_positive: int
    n_left_out: int
    """Rows without a label or a finite score."""
    auc: Metric
    auc_error: float
    """How far the AUC can be from the exact one, because scores are counted in bins."""
    average_precision: Metric
    average_precision_error: float
    ece: float
    """Expected calibration error."""
    roc: LineShape
    """x: false-positive rate; y: true-positive rate."""
    precision_recall: LineShape
    """x: recall; y: precision."""
    lift: LineShape
    """x: share of rows, highest scores first; y: how many times more often the class is among them than overall."""
    calibration: list[GroupShape]
    cost_false_positive: float
    cost_false_negative: float
    costs: LineShape
    """x: threshold; y: expected cost per row."""
    at_threshold: ThresholdShape | None
    """Null where no row has a label and a score."""
    optimum: ThresholdShape | None
    """The threshold of the lowest expected cost."""
    age: float
    """Seconds since the curves were computed."""


def curves_document(report: CurvesReport, filter_text: str = "", slice_name: str = "") -> CurvesDocument:
    """What the Performance page's curves show."""
    scored = report.scored
    return {
        "run": run_item(report.run),
        "artifact": report.artifact,
        "filter": filter_text,
        "slice": slice_name,
        "class_name": scored.class_name,
        "classes": list(report.classes),
        "n": scored.n,
        "n_positive": scored.n_positive,
        "n_left_out": int(scored.left_out),
        "auc": metric(scored.auc),
        "auc_error": scored.auc_error,
        "average_precision": metric(scored.average_precision),
        "average_precision_error": scored.average_precision_error,
        "ece": scored.ece,
        "roc": _line(scored.roc),
        "precision_recall": _line(scored.precision_recall),
        "lift": _line(scored.lift),
        "calibration": [
            {"score": g.score, "share": g.share, "low": g.low, "high": g.high, "n": int(g.n)} for g in scored.groups
        ],
        "cost_false_positive": report.fp,
        "cost_false_negative": report.fn,
        "costs": _line(report.costs),
        "at_threshold": None if report.chosen is None else _threshold(report.chosen),
        "optimum": None if report.optimum is None else _threshold(report.optimum),
        "age": float(report.age),
    }


def _line(line: Line) -> LineShape:
    thresholds = [value if math.isfinite(value) else None for value in line.thresholds]
    return {
        "x": list(line.x),
        "y": list(line.y),
        "thresholds": thresholds,
        "computed": line.computed,
        "deviation": line.deviation,
    }


def _threshold(found: AtThreshold) -> ThresholdShape:
    return {
        "threshold": found.threshold,
        "tp": found.tp,
        "fp": found.fp,
        "fn": found.fn,
        "tn": found.tn,
        "precision": metric(found.precision),
        "recall": metric(found.recall),
        "cost": metric(found.cost),
    }
