"""What a picture model sees in an evaluation's pictures and in another one: computed on demand, kept in the cache."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from dashboard.cache import cache_key
from dashboard.errors import BadInput
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.heavy_lane import HeavyLane
from dashboard.inference.inputs import decode_input, digest, join, layout
from dashboard.metrics import neighbours
from dashboard.metrics.neighbours import Vectors
from dashboard.reports.inputs import InferenceQuery, evaluation_of, read_input, tables_of
from dashboard.reports.row_pages import subject_of
from dashboard.services import Services
from mlflow_runs.records import Evaluation

Report = Callable[[str, float], None]


def can_look(card: ModelCard, evaluation: Evaluation) -> bool:
    """Whether the inner layers of the model can be looked at, and there are pictures to look at."""
    return card.kind == "image" and "pytorch" in card.flavors and bool(evaluation.roles.image)


def seen_rows(services: Services, card: ModelCard, evaluation: Evaluation) -> Vectors | None:
    """The evaluation's pictures as the model sees them; None until somebody looked."""
    found = services.cache.peek(_rows_key(card, evaluation))
    return found.value if found is not None and isinstance(found.value, Vectors) else None


def seen_picture(services: Services, card: ModelCard, picture: bytes) -> NDArray[np.float32] | None:
    """One picture as the model sees it; None until somebody looked."""
    found = services.cache.peek(_key(card, picture))
    return found.value if found is not None and isinstance(found.value, np.ndarray) else None


def look(services: Services, query: InferenceQuery, report: Report) -> None:
    """Compute both for the query's input in the heavy worker; raises its errors and those of the input."""
    card, evaluation = model_card(services.runs.run(query.run)), evaluation_of(services, query.run)
    given = read_input(services, card, query)
    if evaluation is None or given is None or not isinstance(given.value, bytes) or not can_look(card, evaluation):
        raise BadInput("There is no picture here that the model could be asked to look at.")
    if seen_rows(services, card, evaluation) is None:
        numbers, pictures = neighbours.pictures_of(tables_of(services), evaluation, str(evaluation.roles.image))
        rows, found = _features(services, card, pictures, report)
        services.cache.store(_rows_key(card, evaluation), Vectors(numbers[rows], found))
    _, own = _features(services, card, [given.value], report)
    services.cache.store(_key(card, given.value), own[0])


def _features(
    services: Services, card: ModelCard, pictures: list[bytes], report: Report
) -> tuple[list[int], NDArray[np.float32]]:
    """Which of the pictures can be read, and what the model sees in those: n x d."""
    samples = []
    for place, picture in enumerate(pictures):
        with suppress(BadInput):
            samples.append((place, decode_input(card, picture)))
    alike = [(place, sample) for place, sample in samples if layout(sample) == layout(samples[0][1])]
    if not alike:
        raise BadInput("None of the pictures can be read.")
    told = {"model": card.model_id}
    joined = join([sample for _, sample in alike])
    message = HeavyLane(services.settings.data_dir).ask("features", told, joined, report)
    return [place for place, _ in alike], message.tensors["features"]


def _rows_key(card: ModelCard, evaluation: Evaluation) -> str:
    return cache_key("seen rows", 1, card.model_id, (subject_of(evaluation), evaluation.roles.image))


def _key(card: ModelCard, picture: bytes) -> str:
    return cache_key("seen", 1, card.model_id, digest(decode_input(card, picture)))
