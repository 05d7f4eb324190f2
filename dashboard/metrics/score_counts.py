"""Rows counted by score, finely enough that an AUC from the counts is exact to a ten-thousandth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.classification import Floats
from dashboard.metrics.columns import holds_class, number, quoted
from dashboard.metrics.cube import Ints, needed
from dashboard.metrics.tables import Tables, source
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation

BINS = 10_000
_CHUNK = 131_072
_AIM, _SPLIT, _AT_ONCE, _ROUNDS = 5e-5, 100, 32, 12
_IN_MEMORY = 4_000_000  # rows, nine bytes each; a quarter of the database's time


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Rows by score bin, of the class and of all others; bin i holds edges[i] <= score < edges[i + 1].

    Bins have the width `width`, or a hundredth, a ten-thousandth ... of it where many rows share one; the last holds
    `high` too. `tied` bins hold one score only, so that nothing is lost in them. `left_out` rows have no label or no
    finite score.
    """

    positive: Ints
    negative: Ints
    tied: NDArray[np.bool_]
    edges: Floats
    high: float
    width: float
    left_out: int

    @property
    def low(self) -> float:
        """Where the first bin begins."""
        return float(self.edges[0])

    @property
    def lower_edges(self) -> Floats:
        """The thresholds: predicting the class from bin i on means score >= edges[i]."""
        return self.edges

    @property
    def sizes(self) -> Floats:
        """The widths of the bins."""
        widths: Floats = np.diff(np.append(self.edges, self.high))
        return widths


@dataclass(frozen=True)
class _Grid:
    """Equal bins from `low`; a score's bin is floor((score - low) / width), kept within 0 and bins - 1."""

    low: float
    width: float
    bins: int


Part = tuple[Floats, NDArray[np.bool_]]  # finite scores, and whether each row is of the class
_N = TypeVar("_N", bound=np.generic)
_Within = tuple[tuple[_Grid, int], ...]
_Counts = tuple[Ints, Ints, NDArray[np.bool_]]
# (grid, the bins of other grids that it lies in, bins of it to split) -> rows, hits and ties by bin, or by bin and part
_Counter = Callable[[_Grid, _Within, Ints | None], _Counts]


def score_counts(tables: Tables, evaluation: Evaluation, class_name: str, where: str, bins: int = BINS) -> ScoreCounts:
    """Count an evaluation's scores of one class where checked SQL holds; scores outside 0..1 widen the range."""
    column, sign = score_column(evaluation, class_name)
    path, label, _ = needed(evaluation)
    types = tables.columns(path)
    score = number(quoted(column)) if sign > 0 else f"1 - {number(quoted(column))}"
    hit = holds_class(quoted(label), types[label], class_name)
    rows = f"(SELECT {score} AS s_, {hit} AS h_ FROM {source(path)} WHERE {where})"
    known = "s_ IS NOT NULL AND h_ IS NOT NULL"
    facts = tables.first(
        f"SELECT count(*) AS n, count(*) FILTER (WHERE {known}) AS used, min(s_) FILTER (WHERE {known}) AS low,"
        f" max(s_) FILTER (WHERE {known}) AS high FROM {rows}"
    )
    if facts["used"] <= _IN_MEMORY:
        found = tables.query(f"SELECT s_, h_ FROM {rows} WHERE {known}")
        scores, hit = (found[name].to_numpy() for name in ("s_", "h_"))
        return count_scores(scores, hit, bins, facts["n"] - facts["used"])

    # counted in the database, because its memory is limited whatever the number of rows
    def count(grid: _Grid, within: _Within, split: Ints | None) -> _Counts:
        inside = "".join(f" AND {_bin_of(outer)} = {place}" for outer, place in within)
        chosen = "" if split is None else f" WHERE o_ IN ({', '.join(map(str, split.tolist()))})"
        found = tables.query(
            f"SELECT o_::INTEGER AS o, {'0' if split is None else _part_of(grid)}::INTEGER AS part, count(*) AS n,"
            f" count(*) FILTER (WHERE h_) AS hits, min(s_) = max(s_) AS tied FROM"
            f" (SELECT s_, h_, {_bin_of(grid)} AS o_ FROM {rows} WHERE {known}{inside}){chosen} GROUP BY 1, 2"
        )
        outer, part = found["o"].to_numpy(), found["part"].to_numpy()
        place, size = _place(outer, part, grid, split)
        every, positive, tied = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.bool_)
        every[place], positive[place] = found["n"].to_numpy(), found["hits"].to_numpy()
        tied[place] = found["tied"].to_numpy()
        return every, positive, tied

    low, width = _range(facts["low"], facts["high"], bins)
    return _refined(count, _Grid(low, width, bins), facts["n"] - facts["used"])


def _bin_of(grid: _Grid) -> str:
    return f"greatest(least(floor((s_ - {grid.low!r}::DOUBLE) / {grid.width!r}::DOUBLE), {grid.bins - 1}), 0)"


def _part_of(grid: _Grid) -> str:
    low = f"({grid.low!r}::DOUBLE + o_ * {grid.width!r}::DOUBLE)"
    return f"greatest(least(floor((s_ - {low}) / {grid.width / _SPLIT!r}::DOUBLE), {_SPLIT - 1}), 0)"


def _place(outer: Ints, part: Ints, grid: _Grid, split: Ints | None) -> tuple[Ints, int]:
    """Where a bin's part lies among the parts of all split bins, and how many there are; bins lie at their number."""
    if split is None:
        return outer.astype(np.int64), grid.bins
    place: Ints = np.searchsorted(split, outer) * _SPLIT + part
    return place, len(split) * _SPLIT


def count_scores(scores: Floats, hit: NDArray[np.bool_], bins: int = BINS, left_out: int = 0) -> ScoreCounts:
    """The same for finite scores in memory."""

    def parts() -> Iterator[Part]:
        for start in range(0, len(scores), _CHUNK):
            yield scores[start : start + _CHUNK], hit[start : start + _CHUNK]

    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (None, None)
    return count_parts(parts, low, high, bins, left_out)


def count_parts(
    parts: Callable[[], Iterator[Part]], low: float | None, high: float | None, bins: int = BINS, left_out: int = 0
) -> ScoreCounts:
    """The same for scores that come part by part, as often as they are asked for, so that memory stays small."""

    def count(grid: _Grid, within: _Within, split: Ints | None) -> _Counts:
        size = grid.bins if split is None else len(split) * _SPLIT
        every, positive, apart = (np.zeros(size, np.int64) for _ in range(3))
        one = np.full(size, np.nan)
        for scores, hit in parts():
            value, place, hits = _placed(scores, hit, grid, within, split)
            every += np.bincount(place, minlength=size)
            positive += np.bincount(place[hits], minlength=size)
            # any score of each bin: the bin is tied where all others equal it
            fresh = np.isnan(one[place])
            one[place[fresh]] = value[fresh]
            apart += np.bincount(place[value != one[place]], minlength=size)
        return every, positive, (every > 0) & (apart == 0)

    start, width = _range(low, high, bins)
    return _refined(count, _Grid(start, width, bins), left_out)


def _placed(
    scores: Floats, hit: NDArray[np.bool_], grid: _Grid, within: _Within, split: Ints | None
) -> tuple[Floats, Ints, NDArray[np.bool_]]:
    """The scores that lie where it is asked, their places (bins, or parts of split bins), and which are hits."""
    outer = _binned(scores, grid)
    if split is None:
        return scores, outer, hit
    wanted = np.zeros(grid.bins, np.bool_)
    wanted[split] = True
    inside = wanted[outer]
    for other, chosen in within:
        inside &= _binned(scores, other) == chosen
    value, outer = scores[inside], outer[inside]
    rest = np.floor((value - (grid.low + outer * grid.width)) / (grid.width / _SPLIT))
    place, _ = _place(outer, np.clip(rest, 0, _SPLIT - 1).astype(np.int64), grid, split)
    return value, place, hit[inside]


def _binned(scores: Floats, grid: _Grid) -> Ints:
    place = np.floor((scores - grid.low) / grid.width)
    return np.clip(place, 0, grid.bins - 1, out=place).astype(np.int64)


def _refined(count: _Counter, grid: _Grid, left_out: int) -> ScoreCounts:
    """Split the bins that cost the AUC most exactness until the bound is met; equal scores need no splitting.

    Scores of confident models crowd at 0 and 1, where equal bins alone would tell them apart too little.
    """
    every, positive, tied = count(grid, (), None)
    edges = grid.low + grid.width * np.arange(grid.bins, dtype=np.float64)
    grids: list[tuple[_Grid, _Within]] = [(grid, ())]
    owner, index = np.zeros(grid.bins, np.int64), np.arange(grid.bins)
    pairs = max(float(positive.sum()) * float((every - positive).sum()), 1.0)
    for _ in range(_ROUNDS):
        shared = np.where(tied, 0.0, positive.astype(float) * (every - positive))
        if shared.sum() / 2 / pairs <= _AIM:
            break
        # one scan splits bins of one grid, so of the grid that has most to gain
        of = int(np.bincount(owner, weights=shared).argmax())
        here = np.flatnonzero((owner == of) & (shared > 0))
        worst = np.sort(here[np.argsort(-shared[here])[:_AT_ONCE]])
        outer, within = grids[of]
        width = outer.width / _SPLIT
        inner = (outer.low + index[worst] * outer.width)[:, None] + width * np.arange(_SPLIT)
        if not (np.diff(inner, axis=1) > 0).all():
            break
        parts = count(outer, within, index[worst])
        grids += [
            (_Grid(float(row[0]), width, _SPLIT), (*within, (outer, int(index[i]))))
            for row, i in zip(inner, worst, strict=True)
        ]
        fresh = np.repeat(np.arange(len(grids) - len(worst), len(grids)), _SPLIT)
        every, positive = _spliced(every, worst, parts[0]), _spliced(positive, worst, parts[1])
        tied, edges = _spliced(tied, worst, parts[2]), _spliced(edges, worst, inner.ravel())
        owner, index = _spliced(owner, worst, fresh), _spliced(index, worst, np.tile(np.arange(_SPLIT), len(worst)))
    return ScoreCounts(positive, every - positive, tied, edges, grid.low + grid.width * grid.bins, grid.width, left_out)


def _spliced(values: NDArray[_N], places: Ints, parts: NDArray[_N]) -> NDArray[_N]:
    """The values with those at rising places replaced by their parts."""
    pieces, start = [], 0
    for place, part in zip(places.tolist(), parts.reshape(len(places), _SPLIT), strict=True):
        pieces += [values[start:place], part]
        start = place + 1
    return np.concatenate([*pieces, values[start:]])


def _range(low: float | None, high: float | None, bins: int) -> tuple[float, float]:
    """Where the bins begin and how wide they are: 0..1, or the scores' own range where they leave it."""
    if low is None or high is None or (low >= 0 and high <= 1):
        return 0.0, 1 / bins
    return low, (high - low) / bins or 1.0


def score_column(evaluation: Evaluation, class_name: str) -> tuple[str, int]:
    """The column of a class's scores and +1, or the positive class's column and -1; DataMissing where there is none."""
    roles = evaluation.roles
    if class_name in roles.scores:
        return roles.scores[class_name], 1
    if roles.score and class_name == evaluation.positive_class:
        return roles.score, 1
    others = [name for name in evaluation.classes if name != evaluation.positive_class]
    if roles.score and evaluation.positive_class is not None and others == [class_name]:
        return roles.score, -1
    known = ", ".join(map(repr, [*roles.scores][:12])) or repr(evaluation.positive_class)
    raise DataMissing(f"There are no scores of class {class_name[:80]!r}; there are scores of: {known}.")
