"""What the Inference page shows: the form of a run's model, and the answer to one input."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dashboard.cache import cache_key
from dashboard.errors import BadInput
from dashboard.inference.cards import InputField, ModelCard, model_card
from dashboard.inference.client import Answer
from dashboard.metrics.summary import ColumnSummary, summarize
from dashboard.metrics.tables import source
from dashboard.reports.inputs import Given, data_uri, evaluation_of, input_columns, read_input, tables_of
from dashboard.reports.inputs import InferenceQuery as InferenceQuery
from dashboard.reports.picture import Picture, answered_picture
from dashboard.reports.place import tell_place
from dashboard.reports.residual_interval import Interval, interval_of
from dashboard.reports.row_pages import subject_of
from dashboard.reports.unknown import Unknown, unknown_of
from dashboard.services import Services
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import RunRow

_PREVIEW = 480
_FEW = 30


@dataclass(frozen=True)
class FormField:
    """One control: its field, the value it starts with, what the evaluation's data holds, and choices if few."""

    field: InputField
    value: Any
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class InferenceForm:
    """The input side. `card` is None where the run holds no model; `preview` is the chosen picture as a data URI."""

    run: RunRow
    card: ModelCard | None
    fields: tuple[FormField, ...] = ()
    text: str = ""
    preview: str | None = None
    source: str = ""


@dataclass(frozen=True)
class Outside:
    """A value such as the evaluation held none: beyond its least and largest (`low`, `high`), or a text not in it."""

    name: str
    value: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class InferenceAnswer:
    """The model's answer; `truth` is the recorded label where the input is a row of the evaluation.

    `outside` are the input's values for which no evaluated row vouches.
    """

    answer: Answer
    source: str
    row: int | None = None
    truth: str | None = None
    number: float | None = None
    unknown: Unknown = field(default_factory=Unknown)
    picture: Picture | None = None
    interval: Interval | None = None
    outside: tuple[Outside, ...] = ()


def inference_form(services: Services, query: InferenceQuery) -> InferenceForm:
    """The form of the run's model, filled from the query's input, else from the model's input example."""
    run = services.runs.run(query.run)
    if run.model_info is None:
        return InferenceForm(run, None)
    card = model_card(run)
    given, preview = _readable(services, card, query)
    if card.kind == "image":
        return InferenceForm(run, card, preview=preview, source=given.source if given else "")
    if card.kind == "text":
        return InferenceForm(run, card, text=_text(card, given), source=given.source if given else "")
    values = given.value if given and isinstance(given.value, dict) else {}
    return InferenceForm(run, card, _fields(services, card, values), source=given.source if given else "")


def _readable(services: Services, card: ModelCard, query: InferenceQuery) -> tuple[Given | None, str | None]:
    """The query's input and its preview; none for a bad input, because the answer says what is wrong with it."""
    with suppress(BadInput, DataMissing):
        given = read_input(services, card, query)
        return given, data_uri(given.value, _PREVIEW) if given and isinstance(given.value, bytes) else None
    return None, None


def inference_answer(services: Services, query: InferenceQuery) -> InferenceAnswer | None:
    """The answer to the query's input, None where it holds none. Raises BadInput, EngineBusy, EngineUnavailable."""
    if not query.run or not query.asks:
        return None
    run = services.runs.run(query.run)
    card = model_card(run)
    given = read_input(services, card, query)
    if given is None:
        return None
    unknown = unknown_of(run, query.unknown)
    answer = services.inference.predict(query.run, [given.value], waiting=partial(tell_place, services, query))
    truth = _truth(services, query.run, given.row) if given.row else given.truth
    number = float(truth) if isinstance(truth, int | float) and not isinstance(truth, bool) else None
    row = int(query.row) if given.row else None
    said = answer.predictions[0]
    picture, interval = answered_picture(services, said, given.value), interval_of(services, query.run, said)
    told = None if truth is None or isinstance(truth, list) else class_name(truth)  # boxes stand in the picture
    outside = () if given.row else outside_of(services, card, given)
    return InferenceAnswer(answer, given.source, row, told, number, unknown, picture, interval, outside)


def outside_of(services: Services, card: ModelCard, given: Given) -> tuple[Outside, ...]:
    """The values of a row that lie outside what the evaluation's data holds in the same columns."""
    if card.kind != "table" or not isinstance(given.value, dict):
        return ()
    values, columns = given.value, _summaries(services, card)
    fields = (_field(item, values.get(item.name), columns.get(item.name)) for item in card.inputs)
    return tuple(found for item in fields if (found := _outside(item)) is not None)


def _outside(item: FormField) -> Outside | None:
    name, value = item.field.name, item.value
    number = _as_number(value)
    if item.low is not None and item.high is not None:
        strange = number is not None and not item.low <= number <= item.high
        return Outside(name, str(value), item.low, item.high) if strange else None
    known = not item.choices or value in (None, "") or class_name(value) in item.choices
    return None if known else Outside(name, str(value))


def _as_number(value: Any) -> float | None:
    with suppress(TypeError, ValueError):
        return None if isinstance(value, bool) else float(value)
    return None


def class_name(value: Any) -> str:
    """The text that names a class: whole numbers lose their fraction, as in the metrics."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _truth(services: Services, run_id: str, row: Mapping[str, Any]) -> Any:
    evaluation = evaluation_of(services, run_id)
    return row.get(evaluation.roles.label) if evaluation and evaluation.roles.label else None


def _text(card: ModelCard, given: Given | None) -> str:
    if given is not None and isinstance(given.value, str):
        return given.value
    if given is not None and isinstance(given.value, dict):
        return str(next(iter(given.value.values()), ""))
    example = card.inputs[0].example if card.inputs else None
    return str(example) if example is not None else ""


def _fields(services: Services, card: ModelCard, values: Mapping[str, Any]) -> tuple[FormField, ...]:
    known = _summaries(services, card)
    return tuple(_field(item, values.get(item.name, item.example), known.get(item.name)) for item in card.inputs)


def _summaries(services: Services, card: ModelCard) -> dict[str, ColumnSummary]:
    """What the evaluation's data holds in the model's input columns."""
    evaluation = evaluation_of(services, card.run_id) if card.kind == "table" else None
    names = set(input_columns(card, evaluation).values()) if evaluation else set()
    if evaluation is None or evaluation.table is None or not names:
        return {}
    tables, rows = tables_of(services), source(evaluation.table)
    types = {name: kind for name, kind in tables.columns(evaluation.table).items() if name in names}
    key = cache_key("ranges", 1, subject_of(evaluation), sorted(names))
    found = services.cache.compute(key, lambda: summarize(tables, f"{rows} WHERE true", types, evaluation.roles)).value
    return {summary.name: summary for summary in found}


def _field(item: InputField, value: Any, column: ColumnSummary | None) -> FormField:
    if column is None:
        return FormField(item, value, choices=item.choices)
    if column.kind == "number":
        return FormField(item, value, _number(column.minimum), _number(column.maximum), item.choices)
    few = column.kind == "category" and 0 < column.distinct <= min(_FEW, len(column.top))
    return FormField(item, value, choices=item.choices or (tuple(name for name, _ in column.top) if few else ()))


def _number(value: float | str | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None
