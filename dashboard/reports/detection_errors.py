"""Where a detector is wrong: counts per class at a confidence and an overlap, and the boxes behind each count."""

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from dashboard.errors import BadInput, BadQuery
from dashboard.inference.images import open_image
from dashboard.metrics import detection
from dashboard.metrics.boxes import Flags, Floats, Ints, Scenes
from dashboard.metrics.columns import quoted
from dashboard.metrics.detection import OVERLAPS, Matches, Outcomes, overlaps
from dashboard.metrics.estimate import Estimate
from dashboard.metrics.intervals import proportion
from dashboard.metrics.tables import source
from dashboard.reports.measured_boxes import detected
from dashboard.reports.row_pages import tables_of
from dashboard.reports.selection import condition_of, selection_of
from mlflow_runs.errors import DashboardError
from mlflow_runs.records import Evaluation

if TYPE_CHECKING:
    from dashboard.services import Services

PAGE = 24
_CROP = 128
_NEAR = 0.1
_WRONG, _OTHER = (255, 122, 41), (255, 255, 255)


@dataclass(frozen=True)
class DetectionErrorsQuery:
    """What of the Performance page's URL belongs to false positives and misses.

    `outcome` opens the boxes behind a count, "false" or "missed", of the class `object` (empty: of all). Detections
    count from `confidence` on, and are right where they overlap a true box of their class by `iou` or more.
    """

    run: str = ""
    filter: str = ""
    slice: str = ""
    object: str = ""
    outcome: str = ""
    confidence: str = "0.5"
    iou: str = "0.5"
    start: int = 0


@dataclass(frozen=True)
class OutcomeRow:
    """One class's counts with precision tp/(tp + fp) and recall tp/(tp + fn)."""

    name: str
    counts: Outcomes
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True)
class ErrorBox:
    """A false positive (with its score) or a missed object, the row it is in, why, and what it looks like."""

    row: int
    label: str
    score: float | None
    why: str
    image: str | None


@dataclass(frozen=True)
class DetectionErrorsReport:
    """Counts per class and over all of them, and a page of the chosen boxes from `start` on, `n` in all."""

    classes: tuple[OutcomeRow, ...]
    total: OutcomeRow
    boxes: tuple[ErrorBox, ...] = ()
    n: int = 0


def detection_errors(services: "Services", query: DetectionErrorsQuery) -> DetectionErrorsReport | None:
    """The report of a detection with predictions, None for other runs. BadQuery names a wrong threshold or class."""
    evaluation = services.predictions.evaluation(query.run)
    if evaluation.task != "detection" or not evaluation.roles.predicted_boxes or evaluation.table is None:
        return None
    confidence, overlap = _share("confidence", query.confidence), _overlap(query.iou)
    tables, selection = tables_of(services), selection_of(services, evaluation, query.filter, query.slice)
    found = detected(tables, evaluation, condition_of(tables, evaluation, selection), cache=services.cache)
    counted, min_rows = detection.outcomes(found.matches, confidence, overlap), services.settings.min_rows
    rows = [_row(name, counted[at], min_rows) for at, name in enumerate(found.scenes.classes)]
    every = Outcomes(*(sum(getattr(row.counts, part) for row in rows) for part in ("tp", "fp", "fn")))
    total = _row("", every, min_rows)
    known = tuple(row for row in rows if row.counts.tp + row.counts.fp + row.counts.fn)
    if query.outcome not in ("false", "missed"):
        return DetectionErrorsReport(known, total)
    at = _chosen(found.scenes, found.matches, query, confidence, overlap)
    page = at[query.start : query.start + PAGE]
    pictures = _pictures(services, evaluation, found.scenes.numbers[[image for image, _ in page]])
    show = _Shown(found.scenes, query.outcome == "false", confidence, pictures)
    return DetectionErrorsReport(known, total, tuple(show.box(image, box) for image, box in page), len(at))


def _share(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BadQuery(f"{name}={text[:40]!r} is not a number from 0 to 1")
    return value


def _overlap(text: str) -> int:
    near = np.flatnonzero(np.abs(OVERLAPS - _share("iou", text)) < 1e-6)
    if not len(near):
        raise BadQuery(f"iou={text[:40]!r} is none of 0.5, 0.55, ..., 0.95")
    return int(near[0])


def _row(name: str, counts: Outcomes, min_rows: int) -> OutcomeRow:
    precision = proportion(counts.tp, counts.tp + counts.fp, min_rows)
    return OutcomeRow(name, counts, precision, proportion(counts.tp, counts.tp + counts.fn, min_rows))


def _chosen(
    scenes: Scenes, matches: Matches, query: DetectionErrorsQuery, confidence: float, overlap: int
) -> list[tuple[int, int]]:
    """(picture, box) of the wrong boxes: false ones by falling score, missed ones in the table's order."""
    counted, right, seen = detection.right_at(matches, confidence, overlap)
    if query.object and query.object not in scenes.classes:
        raise BadQuery(f"object={query.object[:60]!r} is no class here; there are {', '.join(scenes.classes[:20])}")
    label = scenes.classes.index(query.object) if query.object else None
    if query.outcome == "missed":
        missed = np.flatnonzero(~seen & _of(matches.truth_label, label))
        return list(zip(matches.truth_image[missed].tolist(), missed.tolist(), strict=True))
    wrong = np.flatnonzero(counted & ~right & _of(matches.label, label))
    wrong = wrong[np.argsort(-matches.score[wrong], kind="stable")]
    return list(zip(matches.image[wrong].tolist(), matches.box[wrong].tolist(), strict=True))


def _of(labels: Ints, label: int | None) -> Flags:
    return np.ones(len(labels), bool) if label is None else labels == label


def _pictures(services: "Services", evaluation: Evaluation, numbers: Ints) -> dict[int, bytes]:
    """The files of some rows' pictures, by row; rows whose picture cannot be had are left out."""
    column = evaluation.roles.image
    if column is None or evaluation.table is None or not len(numbers):
        return {}
    wanted = ", ".join(map(str, sorted(set(numbers.tolist()))))
    rows = source(evaluation.table, numbered=True)
    sql = f"SELECT file_row_number AS i, {quoted(column)} AS v FROM {rows} WHERE file_row_number IN ({wanted})"
    found = {}
    for row in tables_of(services).query(sql).to_pylist():
        value = row["v"]["bytes"] if isinstance(row["v"], dict) else row["v"]
        if isinstance(value, str):
            value = _artifact(services, evaluation.run_id, value)
        if value:
            found[int(row["i"])] = bytes(value)
    return found


def _artifact(services: "Services", run_id: str, path: str) -> bytes:
    try:
        return services.predictions.artifact(run_id, path).read_bytes()
    except (DashboardError, OSError):
        return b""  # the other pictures are worth seeing without this one


@dataclass(frozen=True)
class _Shown:
    """How wrong boxes are told and drawn."""

    scenes: Scenes
    false: bool
    confidence: float
    pictures: dict[int, bytes]

    def box(self, image: int, at: int) -> ErrorBox:
        """One wrong box: `at` is its position among the found ones, or among the true ones."""
        mine, others = (self.scenes.found, self.scenes.truth) if self.false else (self.scenes.truth, self.scenes.found)
        there = np.flatnonzero((others.image == image) & (others.score >= self.confidence))
        shared = overlaps(mine.place[at], others.place[there])
        best = int(shared.argmax()) if len(there) and shared.max() >= _NEAR else None
        same = best is not None and others.label[there[best]] == mine.label[at]
        name = "" if best is None else self.scenes.classes[others.label[there[best]]]
        why = self._why(name, bool(same), 0.0 if best is None else float(shared[best]))
        number = int(self.scenes.numbers[image])
        picture = self.pictures.get(number)
        drawn = _crop(picture, mine.place[at], others.place[there]) if picture else None
        score = float(mine.score[at]) if self.false else None
        return ErrorBox(number, self.scenes.classes[mine.label[at]], score, why, drawn)

    def _why(self, name: str, same: bool, shared: float) -> str:
        """In the manner of TIDE (Bolya and others 2020): wrong class, badly placed, taken already, or nothing there."""
        if not name:
            return "nothing true is there" if self.false else "nothing was found there"
        if not same:
            return f"it is {name} ({shared:.2f})" if self.false else f"taken for {name} ({shared:.2f})"
        if shared < OVERLAPS[0]:
            return f"badly placed ({shared:.2f})"
        return f"found twice or too loosely ({shared:.2f})" if self.false else f"found too loosely ({shared:.2f})"


def _crop(data: bytes, place: Floats, others: Floats) -> str | None:
    """The surroundings of a box as a PNG data URI, the box in orange, boxes of the other side in white."""
    try:
        picture = open_image(data).convert("RGB")
    except BadInput:
        return None
    side = max(float(place[2:].max()) * 2.2, 16.0)
    x, y = float(place[0] + place[2] / 2 - side / 2), float(place[1] + place[3] / 2 - side / 2)
    part = picture.crop((round(x), round(y), round(x + side), round(y + side))).resize(
        (_CROP, _CROP), Image.Resampling.BICUBIC
    )
    draw, scale = ImageDraw.Draw(part), _CROP / side
    for box, colour, width in (*((other, _OTHER, 1) for other in others), (place, _WRONG, 2)):
        left, top = (float(box[0]) - x) * scale, (float(box[1]) - y) * scale
        draw.rectangle(
            (left, top, left + float(box[2]) * scale, top + float(box[3]) * scale), outline=colour, width=width
        )
    target = io.BytesIO()
    part.save(target, "PNG")
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()
