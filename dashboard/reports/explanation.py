"""Why the model answers one input as it does: from the cache at once, else computed by the heavy worker in a job."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from dashboard.cache import cache_key
from dashboard.errors import BadInput
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.explain_record import VERSION, Explanation, unpack
from dashboard.inference.heavy_lane import HeavyLane
from dashboard.inference.images import open_image
from dashboard.inference.inputs import decode_input, digest, join, layout
from dashboard.inference.outputs import Prediction
from dashboard.inference.protocol import Tensors
from dashboard.metrics.rows import fetch_rows
from dashboard.reports.heat_maps import overlay, strongest
from dashboard.reports.inputs import Given, InferenceQuery, data_uri, evaluation_of, input_columns, read_input
from dashboard.reports.row_pages import subject_of, tables_of
from dashboard.services import Services
from mlflow_runs.errors import DashboardError
from mlflow_runs.records import Evaluation, RunRow

BACKGROUND = 50
_EDGE = 480
_VERSIONS = 20
_CLASSES = 60
Report = Callable[[str, float], None]


@dataclass(frozen=True)
class WhyQuery(InferenceQuery):
    """The Inference page's URL as far as an explanation depends on it: the input, and how it is explained.

    `why` is "" (not asked for), "auto" or a method; `of` the explained class, "" the predicted one; `layer` the layer
    of Grad-CAM, "" the last convolution; `beside` the run whose model explains the same input next to it.
    """

    why: str = ""
    of: str = ""
    layer: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Side:
    """One model's explanation; `found` is None until it was computed, `overlay` a picture's map as a data URI.

    `problem` says why this model cannot explain this input.
    """

    run: RunRow
    found: Explanation | None
    overlay: str = ""
    problem: str = ""


@dataclass(frozen=True)
class WhyReport:
    """An input with its explanations. `scale` is the largest effect of all sides, so that they can be compared.

    `classes` can be explained, the most probable first; `versions` can be put beside; `picture` is the input as a data
    URI, `text` its text.
    """

    kind: str
    target: str
    predicted: str
    classes: tuple[str, ...]
    versions: tuple[RunRow, ...]
    sides: tuple[Side, ...]
    scale: float
    picture: str = ""
    text: str = ""

    @property
    def missing(self) -> bool:
        """Whether something is still to be computed."""
        return any(side.found is None and not side.problem for side in self.sides)


@dataclass(frozen=True)
class _Asked:
    """One explanation to look up or to compute: the model's run and card, the input, how."""

    run: RunRow
    card: ModelCard
    sample: Tensors
    background: Tensors
    target: str
    method: str
    layer: str

    @property
    def key(self) -> str:
        how = (self.target, self.method, self.layer)
        given = (digest(self.sample), digest(self.background) if self.background else "")
        return cache_key("explain", VERSION, self.card.model_id, (given, how))


def why_report(services: Services, query: WhyQuery) -> WhyReport | None:
    """What is known of the reasons for the answer to the query's input; None where there is no answer to explain.

    What is wrong with the input or the engine is told by the answer itself, so it counts as no answer here.
    """
    with suppress(DashboardError):
        return _report(services, query)
    return None


def explain_now(services: Services, query: WhyQuery, report: Report) -> None:
    """Compute what is missing in the heavy worker; raises its errors and those of the input."""
    answered = _answered(services, query)
    runs = [side.run for side in _sides(services, query, answered) if side.found is None and not side.problem]
    for place, run in enumerate(runs):
        _compute(services, _question(services, query, answered, run), _portion(report, place, len(runs)))


def _portion(report: Report, done: int, total: int) -> Report:
    """The report of one part of several equal ones."""
    return lambda step, share: report(step, (done + share) / total)


def _compute(services: Services, one: _Asked, report: Report) -> None:
    tensors = {**one.sample, **{f"background/{name}": array for name, array in one.background.items()}}
    how = {"run": one.run.run_id, "target": one.target, "method": one.method, "layer": one.layer}
    report("Starting the process for explanations", 0.0)
    message = HeavyLane(services.settings.data_dir).ask("explain", how, tensors, report)
    services.cache.store(one.key, unpack(message.header, message.tensors))


def _report(services: Services, query: WhyQuery) -> WhyReport | None:
    if not query.run or not query.asks:
        return None
    asked = _answered(services, query)
    run, given, prediction = asked.run, asked.given, asked.prediction
    if prediction.label is None and prediction.value is None:
        return None
    found = _sides(services, query, asked) if query.why else [Side(run, None)]
    scale = max((strongest(side.found) for side in found if side.found is not None), default=0.0)
    picture = data_uri(given.value, _EDGE) if isinstance(given.value, bytes) else ""
    size = open_image(given.value).size if isinstance(given.value, bytes) else (1, 1)
    classes = tuple(prediction.probabilities)[:_CLASSES]
    return WhyReport(
        kind=model_card(run).kind,
        target=query.of or prediction.label or "",
        predicted=prediction.label or "",
        classes=classes if len(classes) > 1 else (),
        versions=_versions(services, run),
        sides=tuple(_painted(side, scale, size) for side in found) if picture else tuple(found),
        scale=scale,
        picture=picture,
        text=given.value if isinstance(given.value, str) else "",
    )


def _painted(side: Side, scale: float, size: tuple[int, int]) -> Side:
    return side if side.found is None else replace(side, overlay=overlay(side.found, scale, size))


def _sides(services: Services, query: WhyQuery, answered: "_Answered") -> list[Side]:
    """What is known of the page's model, and of the one beside it or why that one cannot be asked."""
    sides = []
    for run in _runs(services, query, answered):
        try:
            one = _question(services, query, answered, run)
            sides.append(Side(run, _known(services, one)))
        except BadInput as exc:
            sides.append(Side(run, None, problem=str(exc)))
    return sides


@dataclass(frozen=True)
class _Answered:
    """The page's model with its input and answer."""

    run: RunRow
    given: Given
    prediction: Prediction


def _answered(services: Services, query: WhyQuery) -> _Answered:
    run = services.runs.run(query.run)
    given = read_input(services, model_card(run), query)
    if given is None:
        raise BadInput("There is no input to explain; click an example or give one.")
    return _Answered(run, given, services.inference.predict(query.run, [given.value]).predictions[0])


def _runs(services: Services, query: WhyQuery, answered: _Answered) -> list[RunRow]:
    return [answered.run, *([services.runs.run(query.beside)] if query.beside not in ("", query.run) else [])]


def _question(services: Services, query: WhyQuery, answered: _Answered, run: RunRow) -> _Asked:
    """What one model is asked: the same class of the same input, of a row those columns that it takes."""
    card, value, evaluation = model_card(run), answered.given.value, evaluation_of(services, query.run)
    if isinstance(value, dict) and run is not answered.run:
        value = {field.name: value[field.name] for field in card.inputs if field.name in value}
    background = background_rows(services, card, evaluation) if evaluation else {}
    target = query.of or answered.prediction.label or ""
    method, layer = "" if query.why == "auto" else query.why, query.layer if run is answered.run else ""
    return _Asked(run, card, decode_input(card, value), background, target, method, layer)


def background_rows(services: Services, card: ModelCard, evaluation: Evaluation) -> Tensors:
    """Fifty rows of an evaluation, evenly drawn, as a table model's inputs; empty for other models and other rows."""
    columns = input_columns(card, evaluation) if card.kind == "table" and card.columns else {}
    if not columns or not evaluation.n_rows:
        return {}
    key = cache_key("background", 1, subject_of(evaluation), (card.model_id, sorted(columns.items()), BACKGROUND))
    return services.cache.compute(key, lambda: _background(services, card, evaluation, columns)).value


def _background(services: Services, card: ModelCard, evaluation: Evaluation, columns: dict[str, str]) -> Tensors:
    every = max(1, evaluation.n_rows // BACKGROUND)
    page = fetch_rows(tables_of(services), evaluation, f"file_row_number % {every} = 0", "", 0, BACKGROUND)
    rows = [dict(zip(page.columns, row, strict=True)) for row in page.rows]
    samples: list[Tensors] = []
    for row in rows:
        with suppress(BadInput):
            samples.append(decode_input(card, {name: row[column] for name, column in columns.items()}))
    alike = [sample for sample in samples if layout(sample) == layout(samples[0])]
    return join(alike) if alike else {}


def _known(services: Services, asked: _Asked) -> Explanation | None:
    found = services.cache.peek(asked.key)
    return found.value if found is not None and isinstance(found.value, Explanation) else None


def _versions(services: Services, run: RunRow) -> tuple[RunRow, ...]:
    """Other runs of the same model that hold one, newest first."""
    rows = reversed(services.runs.history(run.model))
    return tuple(row for row in rows if row.model_info is not None and row.run_id != run.run_id)[:_VERSIONS]
