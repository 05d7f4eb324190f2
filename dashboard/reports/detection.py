"""Pictures of a detection to search by what they hold, and one of them: ground truth beside what the model finds."""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from dashboard.errors import BadQuery, EngineBusy, EngineUnavailable
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.client import Answer
from dashboard.inference.detections import Box
from dashboard.inference.images import upright_size
from dashboard.metrics.boxes import Ints, Scenes, boxes_of
from dashboard.reports.inputs import Given, InferenceQuery, data_uri, evaluation_of, read_input, tables_of
from dashboard.reports.measured_boxes import detected
from dashboard.reports.place import tell_place
from dashboard.services import Services
from mlflow_runs.errors import DataMissing, ModelUnavailable
from mlflow_runs.records import RunRow
from mlflow_runs.roles import class_text

_EDGE = 1200


@dataclass(frozen=True)
class DetectionQuery:
    """What of the Inference page's URL chooses a picture: those that hold `least` to `most` objects of a class.

    `object` is a class, empty for all of them together. The browser alone follows `confidence` and `overlap`.
    """

    run: str = ""
    row: str = ""
    upload: str = ""
    flag: str = ""
    file: str = ""
    object: str = ""
    least: int = 0
    most: int = 0
    confidence: str = ""
    overlap: str = ""

    @property
    def asked(self) -> InferenceQuery:
        """The same picture as the rest of the page asks for it."""
        return InferenceQuery(run=self.run, row=self.row, upload=self.upload, flag=self.flag, file=self.file)


@dataclass(frozen=True)
class SearchReport:
    """How many pictures hold how many objects, and where among the hits the chosen picture is.

    `pictures[k]` is the number of pictures with k objects; hits hold `least` to `most`. `position` counts from 1 and is
    None where the chosen picture is no hit; `before` and `after` are the rows of the neighbouring hits.
    """

    classes: tuple[str, ...]
    object: str
    least: int
    most: int
    pictures: tuple[int, ...]
    hits: int
    first: int | None = None
    position: int | None = None
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class SceneReport:
    """One picture (`image` is a data URI) of width x height pixels, its true boxes (None: unknown) and those found.

    `answer` is None where the boxes are those recorded with the evaluation; `problem` says why there are none.
    """

    source: str
    image: str
    width: int
    height: int
    classes: tuple[str, ...]
    truth: tuple[Box, ...] | None
    found: tuple[Box, ...]
    answer: Answer | None = None
    problem: str = ""


def detects(run: RunRow) -> bool:
    """Whether the run is about objects in pictures, by its evaluation or its model."""
    return run.task == "detection" or (run.model_info is not None and model_card(run).boxes is not None)


def search_report(services: Services, query: DetectionQuery) -> SearchReport | None:
    """The pictures of the run's evaluation by how many objects they hold; None where it has no boxes to count.

    Raises BadQuery for a class that does not occur, or a range that no picture can be in.
    """
    evaluation = evaluation_of(services, query.run)
    if evaluation is None or not (evaluation.roles.boxes and evaluation.roles.predicted_boxes):
        return None
    scenes = detected(tables_of(services), evaluation, "true", cache=services.cache).scenes
    if query.object and query.object not in scenes.classes:
        raise BadQuery(f"object={query.object[:60]!r} is no class here; there are {', '.join(scenes.classes[:20])}")
    held = held_by(scenes, query.object)
    highest = int(held.max(initial=0))
    most = min(query.most or highest, highest)
    if query.least > most:
        raise BadQuery(f"least={query.least} is more than most={most}; pictures hold 0 to {highest} of these objects")
    hits = scenes.numbers[(held >= query.least) & (held <= most)]
    pictures = tuple(np.bincount(held, minlength=highest + 1).tolist())
    found = SearchReport(scenes.classes, query.object, query.least, most, pictures, len(hits))
    return _with_position(found, hits, query.row)


def held_by(scenes: Scenes, name: str) -> Ints:
    """How many true objects of a class (empty: of any) each picture holds."""
    images = scenes.truth.image
    if name:
        images = images[scenes.truth.label == scenes.classes.index(name)]
    return np.bincount(images, minlength=len(scenes.numbers))


def _with_position(found: SearchReport, hits: Ints, row: str) -> SearchReport:
    """Where a row is among the hits; its neighbours also where it is none of them."""
    if not len(hits):
        return found
    first = int(hits[0])
    if not row.isdecimal():
        return replace(found, first=first, after=first)
    number = int(row)
    at = int(np.searchsorted(hits, number))
    here = at < len(hits) and int(hits[at]) == number
    after = at + 1 if here else at
    before, following = int(hits[at - 1]) if at else None, int(hits[after]) if after < len(hits) else None
    return replace(found, first=first, position=at + 1 if here else None, before=before, after=following)


def scene_report(services: Services, query: DetectionQuery) -> SceneReport | None:
    """The chosen picture with its boxes; None where none is chosen. Raises as `read_input` for a bad input.

    Without a model, and while the engine is away, the boxes are those recorded with the evaluation.
    """
    if not query.asked.asks:
        return None
    run = services.runs.run(query.run)
    evaluation = evaluation_of(services, query.run)
    card = model_card(run) if run.model_info else recorded_card(run)
    given = read_input(services, card, query.asked)
    if given is None or not isinstance(given.value, bytes):
        return None
    answer, problem = _asked(services, query.asked, given.value) if run.model_info else (None, "")
    truth = _corrected(given) or (_recorded(given, evaluation.roles.boxes) if evaluation else None)
    said = _recorded(given, evaluation.roles.predicted_boxes) if evaluation else None
    found = answer.predictions[0].boxes if answer else said
    width, height = upright_size(given.value)
    names = (*(evaluation.classes if evaluation else ()), *card.classes, *(box.label for box in (truth or ())))
    classes = tuple(dict.fromkeys([*names, *(box.label for box in found or ())]))
    image = data_uri(given.value, _EDGE)
    return SceneReport(given.source, image, width, height, classes, truth, found or (), answer, problem)


def recorded_card(run: RunRow) -> ModelCard:
    """A card for runs that hold pictures and boxes but no model."""
    return ModelCard("", run.model, run.version, run.run_id, run.run_name, run.task, "image", (), boxes={})


def _asked(services: Services, query: InferenceQuery, picture: bytes) -> tuple[Answer | None, str]:
    """The model's answer, or why there is none: the ground truth is worth seeing even then."""
    try:
        answer = services.inference.predict(query.run, [picture], waiting=partial(tell_place, services, query))
    except (EngineBusy, EngineUnavailable, ModelUnavailable) as exc:
        return None, f"{exc} Until then the boxes are those recorded with the evaluation."
    if answer.predictions[0].boxes is None:
        return None, f"{answer.model.name} answers no boxes; shown are those recorded with the evaluation."
    return answer, ""


def _corrected(given: Given) -> tuple[Box, ...] | None:
    """The boxes that a flag says are right; None for other inputs."""
    return tuple(_box(box) for box in given.truth) if isinstance(given.truth, list) else None


def _recorded(given: Given, column: str | None) -> tuple[Box, ...] | None:
    """The boxes in a column of the row; None where the input is no row, or the column holds none."""
    found = boxes_of(given.row.get(column)) if column and given.row else None
    with suppress(KeyError, TypeError, ValueError):
        return tuple(sorted((_box(box) for box in found), key=lambda box: -box.score)) if found is not None else None
    raise DataMissing(f"column {column!r} of {given.source} holds a box without label, x, y, w and h")


def _box(box: dict[str, Any]) -> Box:
    x, y, w, h = (float(box[name]) for name in "xywh")
    return Box(class_text(box["label"]), x, y, w, h, float(box.get("score") or 1.0))
