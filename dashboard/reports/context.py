"""One prediction in context: the slices its input is in, how good the model is there, and the nearest known rows."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.outputs import Prediction
from dashboard.metrics.columns import quoted
from dashboard.metrics.estimate import Estimate
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.slices import Slice
from dashboard.metrics.tables import source
from dashboard.reports.curves import CurvesQuery, curves_report
from dashboard.reports.inputs import Given, InferenceQuery, evaluation_of, input_columns, read_input, tables_of
from dashboard.reports.known_rows import KnownRows, nearest_rows
from dashboard.reports.named_slices import named_slices
from dashboard.reports.performance import PerformanceQuery, PerformanceReport, performance_report
from dashboard.reports.place import tell_place
from dashboard.reports.selection import slices_of, slices_text
from dashboard.services import Services
from mlflow_runs.errors import DashboardError, DataMissing
from mlflow_runs.records import Evaluation

MOST = 12
GROUPS = 10


@dataclass(frozen=True)
class Undecided:
    """A slice of which nobody can say whether the input is in it: these columns are not known of the input."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Some rows of the evaluation that the input belongs to, and the model's figures there.

    Of a classifier: precision and recall of the predicted class (None where no row there has it); of a regression
    RMSE and MAE. The very estimates of the Performance page. `slice` is "" for all rows, `n` counts the rows there.
    """

    slice: str
    n: int
    figures: dict[str, Estimate | None]


@dataclass(frozen=True)
class Calibrated:
    """The evaluated rows whose score of the predicted class fell into the same tenth of the scores' range.

    `share` of them have that class (95% interval `low` to `high`); `score` is the input's, `mean` that of these rows.
    `word` is "fits" when the interval holds the mean score, "too high" or "too low" of the scores, "too few rows" or
    "no rows".
    """

    score: float
    mean: float
    bin_low: float
    bin_high: float
    n: int
    share: float
    low: float
    high: float
    word: Literal["fits", "too high", "too low", "too few rows", "no rows"]


@dataclass(frozen=True)
class ContextReport:
    """What is known of places like this input. `reason` says why there is no calibration."""

    predicted: str
    places: tuple[Place, ...]
    more: int
    outside: int
    undecided: tuple[Undecided, ...]
    calibrated: Calibrated | None
    reason: str
    nearest: KnownRows | None


def context_report(services: Services, query: InferenceQuery) -> ContextReport | None:
    """The context of the answer to the query's input; None without an answer or without an evaluation to look into.

    What is wrong with the input or the engine is told by the answer itself.
    """
    with suppress(DashboardError):
        return _report(services, query)
    return None


def _report(services: Services, query: InferenceQuery) -> ContextReport | None:
    evaluation = evaluation_of(services, query.run) if query.run and query.asks else None
    if evaluation is None or evaluation.task not in ("classification", "regression"):
        return None
    card = model_card(services.runs.run(query.run))
    given = read_input(services, card, query)
    if given is None:
        return None
    waiting = partial(tell_place, services, query)  # because this may be who asks for all cards of the page
    prediction = services.inference.predict(query.run, [given.value], waiting=waiting).predictions[0]
    if prediction.label is None and prediction.value is None:
        return None
    row = int(query.row) if given.row else None
    known = known_columns(card, evaluation, given)
    inside, outside, undecided = membership(services, evaluation, known, row)
    calibrated, reason = calibration(services, query.run, prediction)
    names = ["", *(item.name for item in inside[:MOST])]
    return ContextReport(
        predicted=prediction.label or "",
        places=tuple(_place(services, query.run, name, prediction) for name in names),
        more=max(0, len(inside) - MOST),
        outside=outside,
        undecided=undecided,
        calibrated=calibrated,
        reason=reason,
        nearest=nearest_rows(services, card, evaluation, given, known, row),
    )


def known_columns(card: ModelCard, evaluation: Evaluation, given: Given) -> dict[str, Any]:
    """What the input says about columns of the evaluation's table; all of them where it is a row of it."""
    if given.row:
        return dict(given.row)
    columns = input_columns(card, evaluation)
    if card.kind == "text" and isinstance(given.value, str):
        return dict.fromkeys(columns.values(), given.value)
    if card.kind == "table" and isinstance(given.value, Mapping):
        return {column: given.value.get(name) for name, column in columns.items()}
    return {}


def membership(
    services: Services, evaluation: Evaluation, known: Mapping[str, Any], row: int | None
) -> tuple[list[Slice], int, tuple[Undecided, ...]]:
    """The slices that an input is in, how many it is not in, and those that its known columns do not decide.

    A row of the evaluation decides every slice, found ones included.
    """
    assert evaluation.table is not None
    tables = tables_of(services)
    types = tables.columns(evaluation.table)
    others, _ = named_slices(services, evaluation)
    slices, _ = slices_of(tables, evaluation, slices_text(services.settings, evaluation), others)
    if row is not None:
        held = _hold(services, f"{source(evaluation.table, numbered=True)} WHERE file_row_number = {row:d}", slices, ())
        return held, len(slices) - len(held), ()
    lacking = {item.name: _lacking(item, types, known) for item in slices}
    able = [item for item in slices if not lacking[item.name]]
    names = [name for name in known if name in types]
    cells = ", ".join(f"TRY_CAST(? AS {types[name]}) AS {quoted(name)}" for name in names)
    held = _hold(services, f"(SELECT {cells})", able, [_cell(known[name]) for name in names]) if able else []
    undecided = tuple(Undecided(item.name, lacking[item.name]) for item in slices if lacking[item.name])
    return held, len(able) - len(held), undecided


def _lacking(item: Slice, types: Mapping[str, str], known: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a slice's filter that are not known; slices without a filter are lists of rows."""
    if not item.filter:
        return ("its rows",)
    return tuple(name for name in parse_filter(item.filter, types).columns if name not in known)


def _hold(services: Services, rows: str, slices: Sequence[Slice], values: Sequence[Any]) -> list[Slice]:
    """The slices whose condition holds for the one row."""
    if not slices:
        return []
    chosen = ", ".join(f"coalesce({item.condition}, false) AS s{i}" for i, item in enumerate(slices))
    found = tables_of(services).first(f"SELECT {chosen} FROM {rows}", values)
    return [item for i, item in enumerate(slices) if found[f"s{i}"]]


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _place(services: Services, run_id: str, name: str, prediction: Prediction) -> Place:
    report = performance_report(services, PerformanceQuery(run=run_id, slice=name))
    return Place(name, report.n, _figures(report, prediction))


def _figures(report: PerformanceReport, prediction: Prediction) -> dict[str, Estimate | None]:
    if prediction.label is None:
        return {name: report.overall.get(name) for name in ("rmse", "mae")}
    row = next((item for item in report.classes if item.name == prediction.label), None)
    return {"precision": row.precision if row else None, "recall": row.recall if row else None}


def calibration(services: Services, run_id: str, prediction: Prediction) -> tuple[Calibrated | None, str]:
    """How often the predicted class was right where its score was about this high; or None and why."""
    if prediction.label is None or prediction.label not in prediction.probabilities:
        return None, ""
    try:
        report = curves_report(services, CurvesQuery(run=run_id, curve=prediction.label))
    except DataMissing as exc:
        return None, str(exc)
    scored, score = report.scored, prediction.probabilities[prediction.label]
    if scored.class_name != prediction.label:
        return None, report.note
    low, width = scored.counts.low, (scored.counts.high - scored.counts.low) / GROUPS

    def place(value: float) -> int:
        return min(GROUPS - 1, max(0, int((value - low) / width))) if width else 0

    at = place(score)
    bounds = low + at * width, low + (at + 1) * width
    group = next((item for item in scored.groups if place(item.score) == at), None)
    if group is None:
        return Calibrated(score, score, *bounds, 0, 0.0, 0.0, 0.0, "no rows"), ""
    word: Literal["fits", "too high", "too low", "too few rows"] = "fits"
    if group.n < services.settings.min_rows:
        word = "too few rows"
    elif not group.low <= group.score <= group.high:
        word = "too high" if group.score > group.high else "too low"
    return Calibrated(score, group.score, *bounds, group.n, group.share, group.low, group.high, word), ""
