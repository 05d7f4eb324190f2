"""What the curves of one class's scores show, and what a threshold on them costs."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dashboard.errors import BadQuery
from dashboard.metrics import curves
from dashboard.metrics.classification import Floats
from dashboard.metrics.coded_scores import coded_scores
from dashboard.metrics.curves import ScoreCounts
from dashboard.metrics.drawing import thin
from dashboard.metrics.estimate import Estimate
from dashboard.metrics.intervals import Z, proportion
from dashboard.reports.chosen import Chosen, chosen_rows
from dashboard.reports.selection import measured_of
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation, RunRow

if TYPE_CHECKING:
    from dashboard.services import Services

CODE_VERSION = 2
_DEAREST = 1e9


SCORED = ("classification", "multilabel")


@dataclass(frozen=True)
class CurvesQuery:
    """Which curves: `curve` names the class ("": the positive one, else the weakest), `threshold` "" the middle."""

    run: str = ""
    filter: str = ""
    slice: str = ""
    curve: str = ""
    threshold: str = ""
    fp: str = "1"
    fn: str = "1"


@dataclass(frozen=True)
class Line:
    """A curve's drawn points; `computed` is the number of points it has in all, and no point left out is farther from
    the line than `deviation` (a share of the axes). `thresholds` are the scores from which on the class is predicted
    (infinite where it never is)."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    thresholds: tuple[float, ...]
    computed: int
    deviation: float


@dataclass(frozen=True)
class Group:
    """One calibration group: mean score, share of the class with its interval, rows."""

    score: float
    share: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Scored:
    """The curves of one class under one selection: all that is cached."""

    class_name: str
    n: int
    n_positive: int
    left_out: int
    auc: Estimate
    auc_error: float
    average_precision: Estimate
    average_precision_error: float
    roc: Line
    precision_recall: Line
    lift: Line
    groups: tuple[Group, ...]
    ece: float
    counts: ScoreCounts


@dataclass(frozen=True)
class AtThreshold:
    """What predicting the class from a score on means: counts, precision, recall, expected cost per row."""

    threshold: float
    tp: int
    fp: int
    fn: int
    tn: int
    precision: Estimate
    recall: Estimate
    cost: Estimate


@dataclass(frozen=True)
class CurvesReport:
    """The curves of one class, and the costs of false positives and false negatives (`fp`, `fn`) at thresholds.

    `classes` are those that have scores. `costs` is the expected cost per row by threshold; `chosen` and `optimum`
    (the lowest cost of all thresholds that the bins can tell apart) are None where no row has label and score. `note`
    names an asked class without scores, for which another is shown: a link may outlive a change of the run.
    """

    run: RunRow
    artifact: str
    classes: tuple[str, ...]
    scored: Scored
    fp: float
    fn: float
    costs: Line
    chosen: AtThreshold | None
    optimum: AtThreshold | None
    age: float = 0.0
    note: str = ""


def curves_report(services: "Services", query: CurvesQuery) -> CurvesReport:
    """The curves of a class's scores under the query's filter and slice.

    Errors: RunNotFound; DataMissing without predictions or scores; BadQuery for the filter, slice or numbers.
    """
    run, rows = services.runs.run(query.run), chosen_rows(services, query.run, query.filter, query.slice)
    classes = scored_classes(rows.evaluation)
    fp, fn = cost_of("fp", query.fp), cost_of("fn", query.fn)
    name = query.curve if query.curve in classes else default_class(services, rows, classes)
    note = "" if query.curve in ("", name) else unknown_class(query.curve, classes)
    min_rows = services.settings.min_rows
    found = services.cache.compute(
        rows.key("curves", CODE_VERSION, name, min_rows), lambda: score_rows(rows, name, min_rows)
    )
    asked = (query.threshold, fp, fn)
    return report_of(run, rows.evaluation, classes, found.value, asked, min_rows, found.age, note)


def curves_or_reason(services: "Services", query: CurvesQuery) -> CurvesReport | str:
    """The report, or why a page has no curves: empty where nobody expects them (no classification, no table)."""
    evaluation = services.predictions.evaluation(query.run)
    if evaluation.task not in SCORED or evaluation.table is None:
        return ""
    try:
        return curves_report(services, query)
    except DataMissing as exc:
        return str(exc)


def unknown_class(name: str, classes: tuple[str, ...]) -> str:
    """What to say about a class that has no scores."""
    known = ", ".join(map(repr, classes[:12]))
    return f"There are no scores of class {name[:80]!r}; there are scores of: {known}."


def report_of(
    run: RunRow,
    evaluation: Evaluation,
    classes: tuple[str, ...],
    scored: Scored,
    asked: tuple[str, float, float],
    min_rows: int,
    age: float = 0.0,
    note: str = "",
) -> CurvesReport:
    """The report from cached curves and the asked (threshold, cost of a false positive, of a false negative)."""
    counts, (text, fp, fn) = scored.counts, asked
    threshold = threshold_of(text, counts)
    found = curves.costs(counts, fp, fn)
    finite = np.isfinite(found.thresholds)
    chosen = optimum = None
    if scored.n:
        chosen = at_threshold(counts, threshold, fp, fn, min_rows)
        optimum = at_threshold(counts, optimal(counts, found), fp, fn, min_rows)
    line = line_of(found.thresholds[finite], found.cost[finite], found.thresholds[finite])
    return CurvesReport(run, evaluation.artifact, classes, scored, fp, fn, line, chosen, optimum, age, note)


def scored_classes(evaluation: Evaluation) -> tuple[str, ...]:
    """The classes that have scores, in the evaluation's order; DataMissing where there are none."""
    roles = evaluation.roles
    if evaluation.task not in SCORED:
        raise DataMissing(f"Curves need a classification; run {evaluation.run_id} is {evaluation.task or 'unknown'}.")
    if roles.scores:
        known = [name for name in evaluation.classes if name in roles.scores]
        return (*known, *(name for name in roles.scores if name not in known))
    if roles.score and evaluation.positive_class is not None:
        others = [name for name in evaluation.classes if name != evaluation.positive_class]
        return (*(others if len(others) == 1 else ()), evaluation.positive_class)
    raise DataMissing(
        f"The predictions of run {evaluation.run_id} have no scores; log a column score_<class> per class, or one named"
        " score, and the curves appear."
    )


def default_class(services: "Services", rows: Chosen, classes: tuple[str, ...]) -> str:
    """The positive class of a two-class evaluation, else the weakest scored class by F1 that has labelled rows."""
    positive = rows.evaluation.positive_class
    if positive in classes and len(rows.evaluation.classes) <= 2:
        return str(positive)
    found = measured_of(services, rows.evaluation, rows.selection).value.classes
    ranked = sorted((row.f1.value, row.name) for row in found if row.name in classes and row.n)
    return ranked[0][1] if ranked else classes[0]


def cost_of(name: str, text: str) -> float:
    """A cost from the URL; BadQuery unless it is a number from 0 to a thousand million."""
    try:
        value = float(text or "1")
    except ValueError:
        value = math.nan
    if not 0 <= value <= _DEAREST:
        raise BadQuery(f"{name} is {text[:40]!r}; accepted is a cost from 0 to 1,000,000,000.")
    return value


def threshold_of(text: str, counts: ScoreCounts) -> float:
    """A threshold from the URL; the middle of the scores without one; BadQuery unless it is a number."""
    if not text:
        return middle(counts)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadQuery(f"threshold is {text[:40]!r}; accepted is a number such as 0.5.")
    return value


def middle(counts: ScoreCounts) -> float:
    """The middle of the scores' range, 0.5 for probabilities: the threshold where none is asked for."""
    return (counts.low + counts.high) / 2


def score_rows(rows: Chosen, class_name: str, min_rows: int) -> Scored:
    """The curves of a class's scores over the chosen rows."""
    found = None
    if rows.codes is not None and rows.evaluation.task == "classification":
        found = coded_scores(rows.codes, rows.evaluation, class_name, rows.mask)
    if found is None:
        found = curves.score_counts(rows.tables, rows.evaluation, class_name, rows.where)
    return scored_of(found, class_name, min_rows)


def scored_of(counts: ScoreCounts, class_name: str, min_rows: int) -> Scored:
    """The curves of counted scores."""
    false_rate, true_rate, thresholds = curves.roc(counts)
    precision, recall, _ = curves.precision_recall(counts)
    taken, lifted = curves.lift(counts)
    used = taken > 0
    calibration = curves.calibration(counts)
    parts = [getattr(calibration, name).tolist() for name in ("score", "share", "low", "high", "n")]
    return Scored(
        class_name=class_name,
        n=int(counts.positive.sum() + counts.negative.sum()),
        n_positive=int(counts.positive.sum()),
        left_out=counts.left_out,
        auc=curves.auc(counts, min_rows),
        auc_error=curves.auc_error(counts),
        average_precision=curves.average_precision_estimate(counts, min_rows),
        average_precision_error=curves.average_precision_error(counts),
        roc=line_of(false_rate, true_rate, thresholds),
        precision_recall=line_of(recall, precision, thresholds),
        lift=line_of(taken[used], lifted[used], thresholds[used]),
        groups=tuple(Group(*row) for row in zip(*parts, strict=True)),
        ece=calibration.ece,
        counts=counts,
    )


def line_of(x: Floats, y: Floats, thresholds: Floats) -> Line:
    """A curve thinned for drawing; empty bins add no point."""
    moved = np.concatenate(([True], (np.diff(x) != 0) | (np.diff(y) != 0)))[: len(x)]
    x, y, thresholds = x[moved], y[moved], thresholds[moved]
    kept, deviation = thin(x, y)
    drawn = [tuple(map(float, values[kept])) for values in (x, y, thresholds)]
    return Line(drawn[0], drawn[1], drawn[2], len(x), deviation)


def optimal(counts: ScoreCounts, found: curves.Costs) -> float:
    """The threshold of the lowest cost; the end of the scores where never predicting the class costs least."""
    best = float(found.thresholds[found.best])
    return best if math.isfinite(best) else counts.high


def at_threshold(counts: ScoreCounts, threshold: float, fp: float, fn: float, min_rows: int) -> AtThreshold:
    """Counts, precision, recall and expected cost per row of predicting the class from the threshold on."""
    tp, false, missed, tn = curves.at_threshold(counts, threshold)
    value, low, high = cost_at(counts, threshold, fp, fn)
    n = tp + false + missed + tn
    return AtThreshold(
        threshold, tp, false, missed, tn,
        proportion(tp, tp + false, min_rows), proportion(tp, tp + missed, min_rows),
        Estimate(value, low, high, n, n < min_rows),
    )  # fmt: skip


def cost_at(counts: ScoreCounts, threshold: float, fp: float, fn: float) -> tuple[float, float, float]:
    """Expected cost per row at a threshold with its normal interval."""
    tp, false, missed, tn = curves.at_threshold(counts, threshold)
    n = max(tp + false + missed + tn, 1)
    cost = (false * fp + missed * fn) / n
    error = Z * math.sqrt(max((false * fp**2 + missed * fn**2) / n - cost**2, 0) / n)
    return cost, max(cost - error, 0.0), cost + error
