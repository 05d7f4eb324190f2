"""Examples to try on a run's model: rows of its evaluation by outcome, flagged inputs, files that the run logged."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from dashboard.cache import cache_key
from dashboard.errors import BadInput
from dashboard.flags import Flag, FlagFilter
from dashboard.inference.cards import ModelCard, model_card
from dashboard.metrics.examples import Example, find_examples
from dashboard.reports.corrections import as_text
from dashboard.reports.inputs import FOLDER, InferenceQuery, data_uri, evaluation_of, input_columns, tables_of
from dashboard.reports.row_pages import subject_of
from dashboard.reports.selection import condition_of, selection_of, slices_of
from dashboard.services import Services
from mlflow_runs.errors import DashboardError
from mlflow_runs.records import Evaluation

_THUMB = 96
_FLAGGED = 8
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class ExampleLink:
    """An example to click: the query's parameter that asks for it, a short title or a thumbnail, what is known of it.

    `label` is the recorded or corrected label, `prediction` what the model said then ("" where nobody recorded it).
    """

    parameter: str
    value: str
    title: str
    image: str | None
    label: str
    prediction: str

    @property
    def about(self) -> str:
        """Where it comes from, in words."""
        return f"{self.parameter} {self.value}" if self.parameter in ("row", "file") else "flagged input"

    @property
    def spoken(self) -> str:
        """Everything in a sentence, for a tooltip."""
        said = f", recorded prediction {self.prediction}" if self.prediction else ""
        return f"{self.about.capitalize()}: label {self.label}{said}"


Examples = dict[str, tuple[ExampleLink, ...]]


def inference_examples(services: Services, query: InferenceQuery) -> Examples:
    """What there is to try, by kind: rows of the evaluation ("correct", "wrong", ...), "flagged" inputs, "logged"."""
    run = services.runs.run(query.run)
    if run.model_info is None:
        return {}
    card = model_card(run)
    return {**_rows(services, card, query), **_flagged(services, card), **_logged(services, card, run.end_time)}


def example_slices(services: Services, run_id: str) -> list[str]:
    """The slices that examples can be taken from, by name."""
    run, evaluation = services.runs.run(run_id), evaluation_of(services, run_id)
    if run.model_info is None or evaluation is None or not input_columns(model_card(run), evaluation):
        return []
    chosen = selection_of(services, evaluation)
    found, _ = slices_of(tables_of(services), evaluation, chosen.slices_file, chosen.others)
    return [item.name for item in found]


def _rows(services: Services, card: ModelCard, query: InferenceQuery) -> Examples:
    """Rows of the evaluation, of one slice if the query names it; none where they are no inputs of the model."""
    evaluation = evaluation_of(services, query.run)
    if evaluation is None or evaluation.task == "detection" or not input_columns(card, evaluation):
        return {}
    chosen = selection_of(services, evaluation, slice_=query.slice)
    where = condition_of(tables_of(services), evaluation, chosen) if query.slice else "true"
    key = cache_key("examples", 2, subject_of(evaluation), (query.run, card.model_id, where))
    return services.cache.compute(key, lambda: _examples(services, card, evaluation, where)).value


def _flagged(services: Services, card: ModelCard) -> Examples:
    """What people flagged on any version of the model, newest first, corrected ones before others."""
    found, _ = services.flags.find(FlagFilter(model=card.name), 50)
    usable = [flag for flag in found if bool(flag.picture) == (card.kind == "image")]
    chosen = sorted(usable, key=lambda flag: not flag.corrected)[:_FLAGGED]
    return {"flagged": tuple(_flag_link(services, flag) for flag in chosen)} if chosen else {}


def _flag_link(services: Services, flag: Flag) -> ExampleLink:
    output = json.loads(flag.output)
    said = str(output.get("label", output.get("value", "")))
    corrected = (
        as_text(json.loads(flag.corrected)) if flag.corrected else f"{said} is {flag.verdict}" if said else flag.verdict
    )
    given = json.loads(flag.input) if flag.input else ""
    words = ", ".join(f"{k} {v}" for k, v in list(given.items())[:3]) if isinstance(given, dict) else str(given)
    image = data_uri(services.flags.picture(flag.id), _THUMB) if flag.picture else None
    return ExampleLink("flag", flag.id, words[:160], image, corrected, said if flag.corrected else "")


def _logged(services: Services, card: ModelCard, ended: float | None) -> Examples:
    """Files that the run logged below examples/, looked for once a run; none while the back office is away."""
    key = cache_key("logged examples", 1, card.run_id, (card.model_id, ended))
    with suppress(DashboardError):
        return services.cache.compute(key, lambda: _logged_files(services, card)).value
    return {}


def _logged_files(services: Services, card: ModelCard) -> Examples:
    paths = [p for p in services.predictions.files(card.run_id, FOLDER) if _fits(card, p)][:_FLAGGED]
    links = [link for path in paths for link in _file_links(services, card, path)]
    return {"logged": tuple(links[:_FLAGGED])} if links else {}


def _fits(card: ModelCard, path: str) -> bool:
    suffix = PurePosixPath(path).suffix.lower()
    return suffix in _PICTURES if card.kind == "image" else suffix in (".csv", ".json", ".txt")


def _file_links(services: Services, card: ModelCard, path: str) -> list[ExampleLink]:
    """One link per file; of a CSV file one per line, at most four."""
    name, data = path.partition("/")[2], services.predictions.artifact(card.run_id, path).read_bytes()
    if card.kind == "image":
        with suppress(BadInput):
            return [ExampleLink("file", path, "", data_uri(data, _THUMB), name, name)]
        return []
    if path.endswith(".csv"):
        lines = min(4, max(0, len(data.decode("utf-8-sig", "replace").splitlines()) - 1))
        return [ExampleLink("file", f"{path}:{n}", f"{name}, line {n}", None, "", "") for n in range(lines)]
    return [ExampleLink("file", path, data.decode("utf-8", "replace")[:160], None, name, name)]


def _examples(services: Services, card: ModelCard, evaluation: Evaluation, where: str) -> Examples:
    column = next(iter(input_columns(card, evaluation).values()))
    shown = tuple(input_columns(card, evaluation).values())[:3] if card.kind == "table" else (column,)
    found = find_examples(tables_of(services), evaluation, shown, where=where)
    return {kind: tuple(_link(card, example) for example in rows) for kind, rows in found.items() if rows}


def _link(card: ModelCard, example: Example) -> ExampleLink:
    first = next(iter(example.values.values()))
    image = data_uri(bytes(first), _THUMB) if card.kind == "image" and isinstance(first, bytes) else None
    title = "" if image else ", ".join(_shown(name, value, card) for name, value in example.values.items())
    return ExampleLink("row", str(example.row), title[:160], image, example.label, example.prediction)


def _shown(name: str, value: Any, card: ModelCard) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if card.kind == "text" else f"{name} {text}"
