"""The labelled rows of an evaluation that are nearest to an input, with what the model said to them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.cache import cache_key
from dashboard.inference.cards import ModelCard
from dashboard.inference.images import open_image
from dashboard.metrics import neighbours
from dashboard.metrics.neighbours import Near, Vectors
from dashboard.metrics.rows import fetch_rows
from dashboard.reports.inputs import Given, data_uri, input_columns, tables_of
from dashboard.reports.row_pages import subject_of
from dashboard.reports.seen import can_look, seen_picture, seen_rows
from dashboard.services import Services
from mlflow_runs.records import Evaluation

_EACH = 5
_COLUMNS = 3
_LISTED = 6
_THUMB = 96


@dataclass(frozen=True)
class KnownRow:
    """A labelled row: its number, how far it is from the input, label and recorded prediction, how it looks."""

    row: int
    distance: float
    label: str
    prediction: str
    title: str
    image: str | None = None


@dataclass(frozen=True)
class KnownRows:
    """The nearest rows, the nearest first, and in words by what, and among how many rows, they were found.

    `looked` is False where the model itself could still be asked what it sees (see dashboard.reports.seen).
    """

    rows: tuple[KnownRow, ...]
    how: str
    searched: int
    looked: bool = True


def nearest_rows(
    services: Services,
    card: ModelCard,
    evaluation: Evaluation,
    given: Given,
    known: Mapping[str, Any],
    row: int | None,
) -> KnownRows | None:
    """The five nearest rows but the input's own; None where nothing of the input can be compared with rows."""
    roles = evaluation.roles
    if roles.label is None:
        return None
    if isinstance(given.value, bytes) and roles.image:
        seen = _by_sight(services, card, evaluation, given.value, row)
        return seen or _by_picture(services, card, evaluation, given.value, row)
    if roles.text and isinstance(known.get(roles.text), str):
        return _by_text(services, evaluation, str(known[roles.text]), roles.text, row)
    given_to = set(input_columns(card, evaluation).values()) or set(roles.features)
    columns = {name: known[name] for name in roles.features if name in known and name in given_to}
    if not columns:
        return None
    found = neighbours.by_columns(tables_of(services), evaluation, columns, row, _EACH)
    return KnownRows(
        _rows(services, evaluation, found, tuple(columns)[:_COLUMNS]), _compared(tuple(columns)), evaluation.n_rows
    )


def _compared(columns: tuple[str, ...]) -> str:
    """By which of the model's inputs rows are near, in words."""
    many = ", ".join(columns) if len(columns) <= _LISTED else f"{len(columns)} inputs of the model"
    return f"{many}: the root mean square of their differences in standard deviations"


def _by_text(services: Services, evaluation: Evaluation, text: str, column: str, row: int | None) -> KnownRows | None:
    vectors = _kept(services, evaluation, column, "text")
    if vectors is None:
        return None
    found = neighbours.by_text(vectors, text, row, _EACH)
    how = "cosine distance of TF-IDF word weights"
    return KnownRows(_rows(services, evaluation, found, (column,)), how, len(vectors.numbers))


def _by_sight(
    services: Services, card: ModelCard, evaluation: Evaluation, data: bytes, row: int | None
) -> KnownRows | None:
    """By what the model sees, where somebody had it look at this picture."""
    vectors, own = seen_rows(services, card, evaluation), seen_picture(services, card, data)
    if vectors is None or own is None:
        return None
    found = neighbours.by_vector(vectors, own, row, _EACH)
    how = f"cosine distance of what the model sees in them ({len(own):,} numbers before its last layer)"
    return KnownRows(_rows(services, evaluation, found, (str(evaluation.roles.image),)), how, len(vectors.numbers))


def _by_picture(
    services: Services, card: ModelCard, evaluation: Evaluation, data: bytes, row: int | None
) -> KnownRows | None:
    column = str(evaluation.roles.image)
    vectors = _kept(services, evaluation, column, "image")
    if vectors is None:
        return None
    found = neighbours.by_picture(vectors, open_image(data), row, _EACH)
    edge = neighbours.EDGE
    how = f"root mean square difference of {edge} x {edge} grey pixels, not by what the model sees in them"
    rows = _rows(services, evaluation, found, (column,))
    return KnownRows(rows, how, len(vectors.numbers), looked=not can_look(card, evaluation))


def _kept(services: Services, evaluation: Evaluation, column: str, kind: str) -> Vectors | None:
    """The table's vectors, made once."""
    key = cache_key("vectors", 1, subject_of(evaluation), (column, kind))
    held = services.cache.compute(key, lambda: (_vectors(services, evaluation, column, kind),))
    return held.value[0]


def _vectors(services: Services, evaluation: Evaluation, column: str, kind: str) -> Vectors | None:
    tables = tables_of(services)
    if kind == "text":
        return neighbours.text_vectors(tables, evaluation, column)
    return neighbours.picture_vectors(tables, evaluation, column)


def _rows(
    services: Services, evaluation: Evaluation, found: list[Near], shown: tuple[str, ...]
) -> tuple[KnownRow, ...]:
    if not found:
        return ()
    wanted = ", ".join(str(near.row) for near in found)
    page = fetch_rows(tables_of(services), evaluation, f"file_row_number IN ({wanted})", "", 0, len(found))
    cells = {
        number: dict(zip(page.columns, row, strict=True)) for number, row in zip(page.numbers, page.rows, strict=True)
    }
    return tuple(_row(evaluation, near, cells[near.row], shown) for near in found)


def _row(evaluation: Evaluation, near: Near, cells: Mapping[str, Any], shown: tuple[str, ...]) -> KnownRow:
    roles = evaluation.roles
    label, prediction = (_name(cells.get(column)) if column else "" for column in (roles.label, roles.prediction))
    first = cells.get(shown[0])
    if isinstance(first, str) and first.startswith("data:image/"):
        return KnownRow(near.row, near.distance, label, prediction, "", _thumb(first))
    title = str(first) if len(shown) == 1 else ", ".join(f"{name} {_short(cells.get(name))}" for name in shown)
    return KnownRow(near.row, near.distance, label, prediction, title[:160])


def _thumb(uri: str) -> str:
    return data_uri(base64.b64decode(uri.partition(",")[2]), _THUMB)


def _name(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else _short(value)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
