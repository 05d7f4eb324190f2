"""Models run now over a slice of the evaluation: figures with intervals, paired between models, where they disagree."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from dashboard.cache import cache_key
from dashboard.errors import BadQuery
from dashboard.inference.cards import model_card
from dashboard.reports.inputs import evaluation_of, input_columns, tables_of
from dashboard.reports.named_slices import named_slices
from dashboard.reports.row_pages import subject_of
from dashboard.reports.selection import Selection, condition_of, selection_of, slices_of, slices_text
from dashboard.reports.slice_runs import (
    SEED,
    Dispute,
    Score,
    cells_of,
    disputes,
    draw_rows,
    model_name,
    scores_of,
    through,
)
from dashboard.services import Services
from mlflow_runs.errors import DashboardError, DataMissing
from mlflow_runs.records import Evaluation, RunRow

CODE_VERSION = 2
LIMITS = (100, 500, 2000, 10_000)
MOST_VERSIONS = 6
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class OnSliceQuery:
    """The Inference page's URL as far as a run over a slice depends on it.

    `row` is the input shown above, `over` are run ids separated by commas (the first is the baseline), `on` a slice's
    name, `where` a filter, `limit` the most rows.
    """

    run: str = ""
    row: str = ""
    over: str = ""
    on: str = ""
    where: str = ""
    limit: str = "500"

    @property
    def asked(self) -> tuple[str, ...]:
        """The runs whose models take part."""
        return tuple(dict.fromkeys(part for part in self.over.split(",") if part))


@dataclass(frozen=True)
class OnSliceReport:
    """`n` rows were run of `available` in the slice, drawn with `seed` when these are more than the limit.

    `headline` names the figure that is compared; `disputed` counts the rows of which `disputes` are the first.
    """

    headline: str
    n: int
    available: int
    seed: int | None
    scores: tuple[Score, ...]
    disputed: int
    disputes: tuple[Dispute, ...]


@dataclass(frozen=True)
class OnSliceChoice:
    """What can be chosen: runs of the model that hold one, slices of the page's evaluation."""

    versions: tuple[RunRow, ...]
    slices: tuple[str, ...]


def on_slice_choice(services: Services, run_id: str) -> OnSliceChoice | None:
    """The choices for a run's page; None where its evaluation's rows cannot be given to a model."""
    with suppress(DashboardError):
        evaluation = evaluation_of(services, run_id)
        run = services.runs.run(run_id)
        if evaluation is None or evaluation.task not in ("classification", "regression"):
            return None
        if run.model_info is None or not input_columns(model_card(run), evaluation) or evaluation.roles.label is None:
            return None
        rows = [row for row in reversed(services.runs.history(run.model)) if row.model_info is not None]
        others, _ = named_slices(services, evaluation)
        slices, _ = slices_of(tables_of(services), evaluation, slices_text(services.settings, evaluation), others)
        return OnSliceChoice(tuple(rows), tuple(item.name for item in slices))
    return None


def known_on_slice(services: Services, query: OnSliceQuery) -> OnSliceReport | None:
    """The result of the same question, if it was computed before."""
    found = services.cache.peek(_key(services, query, _evaluation(services, query)))
    return found.value if found is not None and isinstance(found.value, OnSliceReport) else None


def run_on_slice(services: Services, query: OnSliceQuery, progress: Progress) -> OnSliceReport:
    """Ask every model about every row, through the engine and its cache; `progress` hears rows done, of, and by whom.

    Raises BadQuery for filter, slice or limit, DataMissing without rows to run, and the engine's own errors.
    """
    evaluation = _evaluation(services, query)
    report = _run(services, query, evaluation, progress)
    services.cache.store(_key(services, query, evaluation), report)
    return report


def _evaluation(services: Services, query: OnSliceQuery) -> Evaluation:
    evaluation = evaluation_of(services, query.run)
    if evaluation is None or evaluation.roles.label is None:
        raise DataMissing(f"Run {query.run} carries no labelled rows; there is nothing to run models over.")
    if not 1 <= len(query.asked) <= MOST_VERSIONS:
        raise BadQuery(f"over names {len(query.asked)} runs; 1 to {MOST_VERSIONS} are accepted.")
    if not query.limit.isdecimal() or not 1 <= int(query.limit) <= LIMITS[-1]:
        raise BadQuery(f"limit={query.limit[:20]!r} is not a number of rows from 1 to {LIMITS[-1]:,}.")
    return evaluation


def _key(services: Services, query: OnSliceQuery, evaluation: Evaluation) -> str:
    models = [info.model_id for run in query.asked if (info := services.runs.run(run).model_info) is not None]
    where = condition_of(tables_of(services), evaluation, _selection(services, query, evaluation))
    settings = (services.settings.min_rows, SEED)
    return cache_key("on_slice", CODE_VERSION, subject_of(evaluation), (models, where, query.limit, settings))


def _selection(services: Services, query: OnSliceQuery, evaluation: Evaluation) -> Selection:
    return selection_of(services, evaluation, query.where, query.on)


def _run(services: Services, query: OnSliceQuery, evaluation: Evaluation, progress: Progress) -> OnSliceReport:
    where = condition_of(tables_of(services), evaluation, _selection(services, query, evaluation))
    numbers, available = draw_rows(tables_of(services), evaluation, where, int(query.limit))
    if not numbers:
        raise DataMissing("The slice holds no labelled rows; choose another slice or another filter.")
    cells = cells_of(tables_of(services), evaluation, numbers)
    runs = [services.runs.run(run) for run in query.asked]
    answers = []
    for at, run in enumerate(runs):
        done = partial(_tell, progress, at * len(cells), len(runs) * len(cells), model_name(run))
        answers.append(through(services, run, evaluation, cells, done))
    scores = scores_of(services, evaluation, runs, numbers, cells, answers)
    inputs = tuple(input_columns(model_card(runs[0]), evaluation).values())
    disputed, shown = disputes(evaluation, numbers, cells, answers, inputs)
    headline = "rmse" if evaluation.task == "regression" else "macro_f1"
    seed = SEED if available > len(numbers) else None
    return OnSliceReport(headline, len(numbers), available, seed, scores, disputed, shown)


def _tell(progress: Progress, before: int, total: int, name: str, done: int) -> None:
    progress(before + done, total, name)
