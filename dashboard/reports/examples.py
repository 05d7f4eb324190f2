"""Examples to try on a run's model: rows of its evaluation by outcome."""

from dataclasses import dataclass
from typing import Any

from dashboard.cache import cache_key
from dashboard.inference.cards import ModelCard, model_card
from dashboard.metrics.examples import Example, find_examples
from dashboard.reports.inputs import data_uri, evaluation_of, input_columns, tables_of
from dashboard.reports.row_pages import subject_of
from dashboard.services import Services
from mlflow_runs.records import Evaluation

_THUMB = 96


@dataclass(frozen=True)
class ExampleLink:
    """An example to click: its row, a short title or a thumbnail, its label and what the run predicted."""

    row: int
    title: str
    image: str | None
    label: str
    prediction: str


def inference_examples(services: Services, run_id: str) -> dict[str, tuple[ExampleLink, ...]]:
    """Rows of the evaluation by kind ("correct", "wrong", "least certain"); empty where the rows are no inputs."""
    run = services.runs.run(run_id)
    evaluation = evaluation_of(services, run_id)
    if run.model_info is None or evaluation is None or not input_columns(model_card(run), evaluation):
        return {}
    key = cache_key("examples", 1, subject_of(evaluation), (run_id, run.model_info.model_id))
    return services.cache.compute(key, lambda: _examples(services, model_card(run), evaluation)).value


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
