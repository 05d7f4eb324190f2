"""How detections are measured: pictures matched once, then figures over all of them, in every slice and paired."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dashboard.cache import ResultCache, cache_key
from dashboard.metrics import comparison, detection
from dashboard.metrics.boxes import Flags, Scenes, read_scenes
from dashboard.metrics.columns import quoted
from dashboard.metrics.detection import Averages, Matches, Outcomes
from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.metrics.intervals import proportion
from dashboard.metrics.slices import Slice
from dashboard.metrics.tables import Tables, source
from dashboard.reports.measured import ClassRow, Measured, SliceRow
from dashboard.reports.row_pages import subject_of
from mlflow_runs.records import Evaluation

if TYPE_CHECKING:
    from dashboard.metrics.boxes import Floats

CODE_VERSION = 1
CONFIDENCE, OVERLAP = 0.5, 0  # of the counts beside the averages: score from 0.5 on, OVERLAPS[0] = 0.5
_SLICE_METRICS = ("map", "ap50", "ap75", "ar100")


@dataclass(frozen=True, eq=False)
class Detected:
    """The chosen pictures with their boxes, and which detection takes which true box."""

    scenes: Scenes
    matches: Matches


def detected(
    tables: Tables, evaluation: Evaluation, where: str, slices: Sequence[Slice] = (), cache: ResultCache | None = None
) -> Detected:
    """Read and match the pictures where checked SQL holds, once for all who ask."""
    conditions = [item.condition for item in slices]

    def work() -> Detected:
        scenes = read_scenes(tables, evaluation, where, conditions)
        return Detected(scenes, detection.match(scenes))

    kind = (evaluation.roles, evaluation.classes, where, conditions)
    key = cache_key("boxes", CODE_VERSION, subject_of(evaluation), kind)
    return cache.compute(key, work).value if cache else work()


def measure_boxes(found: Detected, slices: Sequence[Slice], chosen: int | None, min_rows: int) -> Measured:
    """All figures of a detection, over all pictures or over the chosen slice's; n counts pictures."""
    scenes, matches = found.scenes, found.matches
    inside = None if chosen is None else scenes.slices[chosen]
    n = len(scenes.numbers) if inside is None else int(inside.sum())
    drawn = detection.averages(matches, detection.bootstrap(len(scenes.numbers), inside))
    return Measured(
        n=n,
        n_unlabelled=scenes.unlabelled,
        overall=detection.estimates(drawn.overall, n, min_rows),
        classes=_class_rows(found, drawn, inside, min_rows),
        slices=tuple(
            _slice_row(item, scenes.slices[at], matches, min_rows) for at, item in enumerate(slices)
        ),
    )  # fmt: skip


def _class_rows(found: Detected, drawn: Averages, inside: Flags | None, min_rows: int) -> tuple[ClassRow, ...]:
    """Every class that is there or was found, with its averages and its counts at 0.5."""
    objects = detection.objects_of(found.matches, inside)
    counted = detection.outcomes(found.matches, CONFIDENCE, OVERLAP, inside)
    return tuple(
        _class_row(name, counted[at], detection.estimates(drawn.classes[:, at], int(objects[at]), min_rows), min_rows)
        for at, name in enumerate(found.scenes.classes)
        if objects[at] or counted[at].fp
    )


def _class_row(name: str, counts: Outcomes, averages: dict[str, Estimate], min_rows: int) -> ClassRow:
    there, said = counts.tp + counts.fn, counts.tp + counts.fp
    q = proportion(counts.tp, counts.tp + counts.fp + counts.fn, min_rows)
    value, low, high = (2 * x / (1 + x) for x in (q.value, q.low, q.high))  # F1 = 2q / (1 + q), as for classes
    return ClassRow(
        name,
        there,
        said,
        proportion(counts.tp, said, min_rows),
        proportion(counts.tp, there, min_rows),
        Estimate(value, low, high, q.n, q.too_few, q.undefined),
        counts.tp,
        averages,
    )


def _slice_row(item: Slice, inside: Flags, matches: Matches, min_rows: int) -> SliceRow:
    """One slice's averages, and its mAP against the pictures outside it."""
    here, there = (
        detection.estimates(
            detection.averages(matches, detection.bootstrap(len(part), part)).overall, int(part.sum()), min_rows
        )
        for part in (inside, ~inside)
    )
    verdict = comparison.independent(here["map"], there["map"], higher_is_better=True, min_rows=min_rows)
    metrics = {name: here[name] for name in _SLICE_METRICS}
    return SliceRow(item.name, item.kind, item.description, item.filter, here["map"].n, metrics, verdict)


def compare_boxes(
    tables: Tables,
    candidate: Evaluation,
    baseline: Evaluation,
    estimates: tuple[Estimate, Estimate],
    min_rows: int,
) -> Verdict:
    """The verdict on mAP: on the same pictures, drawn alike for both, where ids tell; else between the estimates."""
    ours, theirs = (_ids(tables, evaluation) for evaluation in (candidate, baseline))
    mine, other = (detected(tables, evaluation, "true") for evaluation in (candidate, baseline))
    same = ours is not None and ours == theirs and np.array_equal(mine.scenes.numbers, other.scenes.numbers)
    if not same:
        return comparison.independent(*estimates, higher_is_better=True, min_rows=min_rows)
    n = len(mine.scenes.numbers)
    weights = detection.bootstrap(n)
    first, second = (detection.averages(one.matches, weights).overall[:, 0] for one in (mine, other))
    return _paired(first - second, n, min_rows)


def _paired(differences: "Floats", n: int, min_rows: int) -> Verdict:
    """From differences by replicate, the first of which is the measured one."""
    drawn = differences[1:][~np.isnan(differences[1:])]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    return comparison.verdict_of(
        float(differences[0]), float(low), float(high), n, paired=True, higher_is_better=True, min_rows=min_rows
    )


def _ids(tables: Tables, evaluation: Evaluation) -> list[str] | None:
    if evaluation.roles.id is None or evaluation.table is None:
        return None
    name = quoted(evaluation.roles.id)
    rows = source(evaluation.table, numbered=True)
    found: list[str] = tables.query(f"SELECT {name}::VARCHAR AS v FROM {rows} ORDER BY file_row_number")[
        "v"
    ].to_pylist()
    return found
