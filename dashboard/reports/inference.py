"""What the Inference page shows: the form of a run's model, examples to try, and the answer to one input."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dashboard import uploads
from dashboard.cache import cache_key
from dashboard.errors import BadInput
from dashboard.inference.batch import BatchSummary, finished, predict_file, result_key
from dashboard.inference.batch_files import BatchFile, inspect
from dashboard.inference.cards import InputField, ModelCard, model_card
from dashboard.inference.client import Answer
from dashboard.inference.outputs import Prediction
from dashboard.metrics.examples import Example, find_examples
from dashboard.metrics.summary import ColumnSummary, summarize
from dashboard.metrics.tables import source
from dashboard.reports.inputs import Given, data_uri, evaluation_of, input_columns, read_input, tables_of
from dashboard.reports.inputs import InferenceQuery as InferenceQuery
from dashboard.services import Services
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation, RunRow

_PREVIEW = 480
_THUMB = 96
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
class ExampleLink:
    """An example to click: its row, a short title or a thumbnail, its label and what the run predicted."""

    row: int
    title: str
    image: str | None
    label: str
    prediction: str


@dataclass(frozen=True)
class InferenceAnswer:
    """The model's answer; `truth` is the recorded label where the input is a row of the evaluation."""

    answer: Answer
    source: str
    row: int | None = None
    truth: str | None = None
    number: float | None = None


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


def inference_examples(services: Services, run_id: str) -> dict[str, tuple[ExampleLink, ...]]:
    """Rows of the evaluation by kind ("correct", "wrong", "least certain"); empty where the rows are no inputs."""
    run = services.runs.run(run_id)
    evaluation = evaluation_of(services, run_id)
    if run.model_info is None or evaluation is None or not input_columns(model_card(run), evaluation):
        return {}
    key = cache_key("examples", 1, _subject(evaluation), (run_id, run.model_info.model_id))
    return services.cache.compute(key, lambda: _examples(services, model_card(run), evaluation)).value


def inference_answer(services: Services, query: InferenceQuery) -> InferenceAnswer | None:
    """The answer to the query's input, None where it holds none. Raises BadInput, EngineBusy, EngineUnavailable."""
    if not query.run or not query.asks:
        return None
    card = model_card(services.runs.run(query.run))
    given = read_input(services, card, query)
    if given is None:
        return None
    answer = services.inference.predict(query.run, [given.value])
    if not given.row:
        return InferenceAnswer(answer, given.source)
    truth = _truth(services, query.run, given.row)
    number = float(truth) if isinstance(truth, int | float) and not isinstance(truth, bool) else None
    return InferenceAnswer(answer, given.source, int(query.row), None if truth is None else class_name(truth), number)


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
    key = cache_key("ranges", 1, _subject(evaluation), sorted(names))
    found = services.cache.compute(key, lambda: summarize(tables, f"{rows} WHERE true", types, evaluation.roles)).value
    return {summary.name: summary for summary in found}


def _subject(evaluation: Evaluation) -> str:
    return evaluation.digest or f"run-{evaluation.run_id}"


def _field(item: InputField, value: Any, column: ColumnSummary | None) -> FormField:
    if column is None:
        return FormField(item, value, choices=item.choices)
    if column.kind == "number":
        return FormField(item, value, _number(column.minimum), _number(column.maximum), item.choices)
    few = column.kind == "category" and 0 < column.distinct <= min(_FEW, len(column.top))
    return FormField(item, value, choices=item.choices or (tuple(name for name, _ in column.top) if few else ()))


def _number(value: float | str | None) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _examples(services: Services, card: ModelCard, evaluation: Evaluation) -> dict[str, tuple[ExampleLink, ...]]:
    column = next(iter(input_columns(card, evaluation).values()))
    shown = tuple(input_columns(card, evaluation).values())[:3] if card.kind == "table" else (column,)
    found = find_examples(tables_of(services), evaluation, shown)
    return {kind: tuple(_link(card, example) for example in rows) for kind, rows in found.items() if rows}


def _link(card: ModelCard, example: Example) -> ExampleLink:
    first = next(iter(example.values.values()))
    image = data_uri(bytes(first), _THUMB) if card.kind == "image" and isinstance(first, bytes) else None
    title = "" if image else ", ".join(_shown(name, value, card) for name, value in example.values.items())
    return ExampleLink(example.row, title[:160], image, example.label, example.prediction)


def _shown(name: str, value: Any, card: ModelCard) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if card.kind == "text" else f"{name} {text}"


def batch_found(services: Services, run_id: str, token: Mapping[str, Any]) -> BatchFile:
    """What an uploaded file holds for the run's model; BadInput names what does not fit."""
    card = model_card(services.runs.run(run_id))
    try:
        return inspect(uploads.uploaded(services.settings, str(token.get("key"))), card)
    except BadInput as exc:
        raise BadInput(f"{_name(token)}: {exc}") from exc


def batch_finished(services: Services, run_id: str, token: Mapping[str, Any]) -> BatchSummary | None:
    """The result of the same file through the same model, where it was computed before."""
    info = services.runs.run(run_id).model_info
    if info is None:
        return None
    return finished(uploads.results(services.settings), result_key(info.model_id, str(token.get("key"))), _name(token))


def run_batch(
    services: Services, run_id: str, token: Mapping[str, Any], report: Callable[[int, int], None]
) -> BatchSummary:
    """Predict an uploaded file through the engine; `report(done, total)` hears of every chunk."""
    path = uploads.uploaded(services.settings, str(token.get("key")))
    card = model_card(services.runs.run(run_id))

    def ask(given: list[Any]) -> tuple[Prediction, ...]:
        return services.inference.predict(run_id, given).predictions

    return predict_file(path, card, _name(token), ask, uploads.results(services.settings), report)


def _name(token: Mapping[str, Any]) -> str:
    return str(token.get("name", "file"))[:120]
