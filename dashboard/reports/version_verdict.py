"""The headline figure of runs, and the verdict between a run and the version before it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.cache import cache_key
from dashboard.metrics import comparison
from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.metrics.tables import Tables
from dashboard.reports.figures import measure_figures
from dashboard.reports.measured import HEADLINES, LOWER_IS_BETTER, Measured, SliceRow
from dashboard.reports.measured_boxes import compare_boxes
from dashboard.reports.row_pages import subject_of, tables_of
from dashboard.reports.selection import Selection, measurable, measured_of, slices_text
from mlflow_runs.errors import DashboardError
from mlflow_runs.records import Evaluation, RunRow

if TYPE_CHECKING:
    from dashboard.services import Services

CODE_VERSION = 1
VERSIONS = 20
PATIENCE = 20.0


@dataclass(frozen=True)
class Headline:
    """The one figure of an evaluation, and its weakest slice; small, because the page reads it for every version."""

    metric: str
    estimate: Estimate
    worst: SliceRow | None


@dataclass(frozen=True)
class Reading:
    """A run with what could be read of it: its evaluation and headline, or a problem, or neither yet."""

    run: RunRow
    evaluation: Evaluation | None = None
    headline: Headline | None = None
    problem: str = ""
    pending: bool = False


@dataclass(frozen=True)
class Against:
    """A run against the newest readable version before it, by the headline metric; they are the Overview's figures."""

    previous: RunRow
    metric: str
    verdict: Verdict


def against_before(services: "Services", run_id: str) -> Against | None:
    """The verdict that the Overview gives while this run is the newest; None where there is nothing to compare with.

    A version before that nobody has measured yet is measured first.
    """
    run = services.runs.run(run_id)
    history = services.runs.history(run.model)
    place = next((at for at, row in enumerate(history) if row.run_id == run_id), None)
    if place is None:
        return None
    reader = Reader(services, time.monotonic() + PATIENCE)
    _, readable = reader.newest(history[: place + 1])
    if len(readable) < 2 or readable[0].run.run_id != run_id:
        return None
    current, before = readable
    verdict = reader.verdict(current, before)
    return Against(before.run, current.headline.metric, verdict) if verdict and current.headline else None


class Reader:
    """Reads evaluations until a deadline, each at most once; only what the index and local files hold."""

    def __init__(self, services: "Services", deadline: float) -> None:
        self.services = services
        self.deadline = deadline
        self.readings: dict[str, Reading] = {}
        self.pending: set[str] = set()

    def newest(self, history: Sequence[RunRow]) -> tuple[Reading, list[Reading]]:
        """The newest run that should have an evaluation, and the two newest readable ones, newest first."""
        shown = [run for run in history if run.state != "none"][-VERSIONS:]
        readable: list[Reading] = []
        for run in reversed(shown):
            reading = self.read(run)
            if reading.headline:
                readable.append(reading)
            if len(readable) == 2:
                break
        return self.read(shown[-1]) if shown else Reading(history[-1]), readable

    def read(self, run: RunRow) -> Reading:
        """What is known of a run, from the result cache where it can be."""
        if run.run_id not in self.readings:
            self.readings[run.run_id] = reading = self._read(run)
            if reading.pending:
                self.pending.add(run.run_id)
        return self.readings[run.run_id]

    def _read(self, run: RunRow) -> Reading:
        if run.state == "broken":
            return Reading(run, problem="; ".join(f"{p.artifact}: {p.reason}" for p in run.problems) or "unreadable")
        evaluation = self.services.runs.evaluation(run.run_id) if run.state == "ready" else None
        if evaluation is None:
            return Reading(run, pending=run.state != "none")
        try:
            return self._measured(run, evaluation)
        except DashboardError as exc:
            return Reading(run, evaluation, problem=str(exc))

    def _measured(self, run: RunRow, evaluation: Evaluation) -> Reading:
        """The evaluation with its headline; pending when that is neither cached nor computable before the deadline."""
        settings, cache = self.services.settings, self.services.cache
        subject = (evaluation.task, evaluation.roles, evaluation.classes, evaluation.figures, settings.min_rows)
        text = slices_text(settings, evaluation)
        key = cache_key("headline", CODE_VERSION, subject_of(evaluation), (subject, text))
        if cache.peek(key) is None:
            if time.monotonic() > self.deadline:
                return Reading(run, evaluation, pending=True)
            if evaluation.table is not None and not evaluation.table.exists():
                return Reading(run, evaluation, problem="Its predictions left the local cache; opening it reads them.")
        found = cache.compute(key, lambda: headline_of(self.measured(evaluation, text), settings.min_rows))
        # figures may stand although a table beside them is broken; that is said all the same
        broken = "; ".join(f"{item.artifact}: {item.reason}" for item in evaluation.problems)
        return Reading(run, evaluation, found.value, problem=broken)

    def measured(self, evaluation: Evaluation, text: str) -> tuple[Measured, str]:
        """All figures of an evaluation and the name of the headline among them."""
        if not measurable(evaluation):
            assert evaluation.figures is not None
            return measure_figures(evaluation.figures, self.services.settings.min_rows)
        found = measured_of(self.services, evaluation, Selection(slices_file=text))
        return found.value, HEADLINES[evaluation.task or "classification"]

    def verdict(self, candidate: Reading, baseline: Reading) -> Verdict | None:
        """Newest against the version before; None where they have no comparable figures, or no time is left."""
        ours, theirs = candidate.evaluation, baseline.evaluation
        if not (ours and theirs and candidate.headline and baseline.headline and ours.task == theirs.task):
            return None
        if candidate.headline.metric not in HEADLINES.values() or candidate.headline.metric != baseline.headline.metric:
            return None
        tables, min_rows, cache = tables_of(self.services), self.services.settings.min_rows, self.services.cache
        estimates = candidate.headline.estimate, baseline.headline.estimate
        query = (ours.task, ours.roles, theirs.roles, min_rows)
        key = cache_key("verdict", CODE_VERSION, f"{subject_of(ours)}+{subject_of(theirs)}", query)
        if time.monotonic() > self.deadline and cache.peek(key) is None:
            self.pending.add(candidate.run.run_id)
            return None
        try:
            return cache.compute(key, lambda: compare(tables, ours, theirs, estimates, min_rows)).value
        except DashboardError:
            # a table that went away since its figures were cached: the figures stay, the comparison cannot be made
            return None


def headline_of(found: tuple[Measured, str], min_rows: int) -> Headline | None:
    """The headline figure of a measured evaluation, with its weakest slice of at least `min_rows` rows."""
    measured, metric = found
    estimate = measured.overall.get(metric)
    if estimate is None:
        return None
    slices = [row for row in measured.slices if row.n >= min_rows and metric in row.metrics]
    worst_first = sorted(slices, key=lambda row: row.metrics[metric].value, reverse=metric in LOWER_IS_BETTER)
    return Headline(metric, estimate, worst_first[0] if worst_first else None)


def compare(
    tables: Tables, candidate: Evaluation, baseline: Evaluation, estimates: tuple[Estimate, Estimate], min_rows: int
) -> Verdict:
    """The verdict on the headline metric: on the same rows where ids allow it, else between the two estimates."""
    if candidate.task == "detection":
        return compare_boxes(tables, candidate, baseline, estimates, min_rows)
    regression = candidate.task == "regression"
    if candidate.task == "multilabel" or not comparison.pairable(tables, candidate, baseline):
        return comparison.independent(*estimates, higher_is_better=not regression, min_rows=min_rows)
    if regression:
        return comparison.paired_rmse(tables, candidate, baseline, min_rows=min_rows)
    return comparison.paired_macro_f1(comparison.joint_counts(tables, candidate, baseline), min_rows=min_rows)
