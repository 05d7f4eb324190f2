"""What the Overview page shows: every model with its headline figure and what changed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.reports.measured import HEADLINES, SliceRow
from dashboard.reports.selection import measurable
from dashboard.reports.version_verdict import VERSIONS, Reader, Reading
from mlflow_runs.records import RunRow, StoreState, Task

if TYPE_CHECKING:
    from dashboard.services import Services

BUDGET = 1.5
ROWS = ("classification", "multilabel", "regression")


@dataclass(frozen=True)
class OverviewQuery:
    """The Overview page's URL."""

    search: str = ""


@dataclass(frozen=True)
class VersionPoint:
    """One version on a model's sparkline; `estimate` is None where the run has no readable evaluation."""

    run_id: str
    version: str
    start_time: float
    estimate: Estimate | None


@dataclass(frozen=True)
class ModelCard:
    """One model: newest run with an evaluation, headline metric, verdict against the version before, worst slice.

    `problem` is a sentence when the newest run cannot be read; the other fields then come from the newest readable one.
    `n_left_out` counts rows of the predictions without label or prediction.
    """

    model: str
    registered: bool
    task: Task | None
    run: RunRow
    n_versions: int
    metric: str
    headline: Estimate | None
    previous: RunRow | None
    verdict: Verdict | None
    history: tuple[VersionPoint, ...]
    worst_slice: SliceRow | None
    problem: str = ""
    n_left_out: int = 0


@dataclass(frozen=True)
class OverviewReport:
    """Models with what needs attention first: worse, then problems, then the rest by age (newest first)."""

    store: StoreState
    models: tuple[ModelCard, ...]
    pending: int


def overview_report(services: "Services", query: OverviewQuery) -> OverviewReport:
    """Every model whose name holds all the words asked for; what is not computed after 1.5 s counts as pending."""
    words = query.search.casefold().split()
    names = [name for name in services.runs.models() if all(word in name.casefold() for word in words)]
    reader = Reader(services, time.monotonic() + BUDGET)
    # newest versions of all models before anybody's history, because the page is read for them
    histories = _published([history for name in names if (history := services.runs.history(name))])
    for history in histories:
        reader.newest(history)
    cards = [_card(reader, history) for history in histories]
    return OverviewReport(services.runs.state(), tuple(sorted(cards, key=attention)), len(reader.pending))


def _published(histories: list[list[RunRow]]) -> list[list[RunRow]]:
    """Without what is about to become a version: a single run, still running, beside its experiment's registered model.

    Until it is registered it would be a second card for the same model.
    """
    known = {row.experiment_id for history in histories for row in history if row.registered}
    return [h for h in histories if len(h) > 1 or h[0].registered or h[0].end_time or h[0].experiment_id not in known]


def attention(card: ModelCard) -> tuple[int, float]:
    """The sort key of what needs attention first: worse, then problems, then the newest."""
    rank = 0 if card.verdict and card.verdict.word == "worse" else 1 if card.problem else 2
    return rank, -card.run.start_time


def _card(reader: Reader, history: Sequence[RunRow]) -> ModelCard:
    """A model's card from its runs, oldest to newest."""
    shown = [run for run in history if run.state != "none"][-VERSIONS:]
    newest, readable = reader.newest(history)
    current = readable[0] if readable else newest
    before = readable[1] if len(readable) > 1 else None
    readings = [reader.read(run) for run in shown]
    headline = current.headline
    metric = headline.metric if headline else HEADLINES.get(current.run.task or "", "")
    return ModelCard(
        model=current.run.model,
        registered=current.run.registered,
        task=current.evaluation.task if current.evaluation else current.run.task,
        run=current.run,
        n_versions=len(history),
        metric=metric,
        headline=headline.estimate if headline else None,
        previous=before.run if before else None,
        verdict=reader.verdict(current, before) if before else None,
        history=tuple(_point(reading, metric) for reading in readings),
        worst_slice=headline.worst if headline else None,
        problem=newest.problem,
        n_left_out=_left_out(current),
    )


def _left_out(reading: Reading) -> int:
    """Rows of a table that its headline does not count; where boxes are counted, rows are no measure."""
    found, headline = reading.evaluation, reading.headline
    if found is None or headline is None or found.table is None or found.task not in ROWS:
        return 0
    return max(found.n_rows - headline.estimate.n, 0) if measurable(found) else 0


def _point(reading: Reading, metric: str) -> VersionPoint:
    run, found = reading.run, reading.headline
    estimate = found.estimate if found and found.metric == metric else None
    return VersionPoint(run.run_id, run.version or "", run.start_time, estimate)
