"""The worst slices that nobody named: a level-wise search over coded columns, with honest significance.

The score is SliceLine's (Sagadeeva and Boehm 2021, SIGMOD): alpha * (mean error in slice / mean error - 1)
- (1 - alpha) * (rows / rows in slice - 1); its bounds prune exactly, so the best slices are found, not sampled.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import erfc, isnan, sqrt

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.breakdown import Mask
from dashboard.metrics.classification import Floats
from dashboard.metrics.codes import Codes
from dashboard.metrics.cube import Ints
from dashboard.metrics.row_sets import count_meeting

SHOWN = 15
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Question:
    """What to search for: slices of at least `smallest` rows with up to `depth` conditions; `alpha` weighs error."""

    alpha: float = 0.95
    smallest: int = 32
    depth: int = 2
    top: int = SHOWN
    significance: float = 0.05


@dataclass(frozen=True)
class Found:
    """A discovered slice: its filter, mean error inside and outside, and the adjusted p-value of their difference.

    `codes` are its (column, code) conditions; `also` are filters of slices that hold nearly the same rows.
    """

    filter: str
    n: int
    value: float
    complement: float
    score: float
    p_adjusted: float
    codes: tuple[tuple[str, int], ...]
    also: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Level:
    """Slices of one depth: conditions (slice x depth, indices of basic slices), rows, sums of errors, of their squares
    and of the positive ones (which no slice of these rows can exceed), and scores."""

    parts: Ints
    n: Floats
    error: Floats
    square: Floats
    ceiling: Floats
    score: Floats


def classification_errors(codes: Codes) -> Floats:
    """1 for a wrong row, 0 for a right one, NaN where label or prediction is missing."""
    wrong = np.array([np.nan, *(float(i != j) for i, j in zip(codes.row, codes.col, strict=True))])
    return wrong[np.asarray(codes.cells())]


def squared_errors(codes: Codes) -> Floats:
    """The squared error of every row of a regression, NaN where label or prediction is missing."""
    return np.asarray(codes.errors()) ** 2


def discover(
    codes: Codes, errors: Floats, question: Question, mask: Mask | None = None, progress: Progress = lambda share: None
) -> tuple[list[Found], int]:
    """The worst slices by score that are significant, most striking first, and how many slices were tested.

    `errors` is one number per row, NaN to leave the row out: a loss, or the difference of two models' losses (then
    positive where the candidate is worse). `progress` may raise to cancel. P-values: Welch's test of inside against
    outside, adjusted over all slices evaluated (Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57).
    """
    used = ~np.isnan(errors) if mask is None else ~np.isnan(errors) & mask
    search = _Search(codes, errors, used, question)
    if search.n == 0 or search.mean == 0:
        return [], 0
    levels = [search.basic()]
    for depth in range(2, question.depth + 1):
        progress((depth - 1) / question.depth)
        if not len(levels[-1].n):
            break
        levels.append(search.deeper(levels, progress))
    progress(1.0)
    return search.select(levels), sum(len(level.n) for level in levels)


class _Search:
    """The state of one search: rows in use, their errors, and the basic slices (one column, one code)."""

    def __init__(self, codes: Codes, errors: Floats, used: Mask, question: Question) -> None:
        self.codes, self.question = codes, question
        self.errors = np.asarray(errors[used], dtype=np.float64)
        self.columns = [column for column in codes.columns if len(column.values) > 1]
        self.arrays = [np.asarray(codes.codes(column.name))[used] for column in self.columns]
        hot = self.errors != 0
        self.hot, self.hot_errors = [array[hot] for array in self.arrays], self.errors[hot]
        self.peak = max(float(self.hot_errors.max(initial=0)), 1e-300)
        self.plain = bool((self.hot_errors == 1).all())
        self.n = len(self.errors)
        # the mean of a loss; for a difference of losses that of its positive part, which cannot cancel out
        self.mean = float(np.maximum(self.errors, 0).mean()) if self.n else 0.0
        self.basics: list[tuple[int, int]] = []
        self.threshold = 0.0

    def score(self, n: float, error: float) -> float:
        """SliceLine's score of a slice with n > 0 rows and this sum of errors."""
        alpha = self.question.alpha
        return alpha * (error / n / self.mean - 1) - (1 - alpha) * (self.n / n - 1)

    def scores(self, n: Floats, error: Floats) -> Floats:
        """The scores of many slices."""
        found: Floats = np.array([self.score(*each) for each in zip(n.tolist(), error.tolist(), strict=True)])
        return found

    def level(self, parts: Ints, sums: Floats) -> _Level:
        """Keep slices that are large enough and have errors; sums are rows, errors, squares and ceilings."""
        n, _, _, ceiling = sums
        kept = (n >= self.question.smallest) & (ceiling > 0)
        n, error, square, ceiling = sums[:, kept]
        return _Level(parts[kept], n, error, square, ceiling, self.scores(n, error))

    def sums(self, places: Sequence[int]) -> tuple[Floats, list[int]]:
        """Rows, errors, squares and ceilings (first axis) by the joint code of some columns, and the columns' sizes."""
        sizes = [len(self.columns[place].values) for place in places]
        total = int(np.prod(sizes))
        n = np.bincount(_joint([self.arrays[place] for place in places], sizes), minlength=total)
        # only rows with errors are summed: where one row in ten is wrong that is a tenth of the work
        key, e = _joint([self.hot[place] for place in places], sizes), self.hot_errors
        if self.plain:
            error = np.bincount(key, minlength=total)
            return np.stack([n, error, error, error]).astype(np.float64), sizes
        weights = (e, e * e, np.maximum(e, 0))
        return np.stack([n, *(np.bincount(key, weights=w, minlength=total) for w in weights)]), sizes

    def basic(self) -> _Level:
        """All slices of one condition that a filter can express."""
        sums = [np.zeros((4, 0))]
        for place, column in enumerate(self.columns):
            kept = [code for code, text in enumerate(column.filters) if text]
            self.basics += [(place, code) for code in kept]
            sums.append(self.sums([place])[0][:, kept])
        return self.level(np.arange(len(self.basics))[:, None], np.concatenate(sums, axis=1))

    def deeper(self, levels: Sequence[_Level], progress: Progress) -> _Level:
        """Slices of one condition more: only those whose parents' bounds can still reach the best scores."""
        self._raise_threshold(levels)
        groups = list(self._candidates(levels[-1]))
        parts = [candidate for _, chosen in groups for candidate in chosen]
        begin, share = len(levels) / self.question.depth, 1 / self.question.depth
        shaped = np.array(parts, dtype=np.int64).reshape(len(parts), len(levels) + 1)
        if self.plain:
            return self.level(shaped, self._counted(parts, lambda done: progress(begin + share * done)))
        sums = [np.zeros((4, 0))]
        for done, (places, chosen) in enumerate(groups):
            found, sizes = self.sums(places)
            codes = np.array([[self.basics[basic][1] for basic in candidate] for candidate in chosen])
            sums.append(found[:, np.ravel_multi_index(tuple(codes.T), sizes)])
            progress(begin + share * done / len(groups))
        return self.level(shaped, np.concatenate(sums, axis=1))

    def _counted(self, parts: Sequence[tuple[int, ...]], progress: Progress) -> Floats:
        """Rows, errors, squares and ceilings (first axis) of slices where an error is 1 or 0: all but rows agree."""
        asked = [[self.basics[basic] for basic in part] for part in parts]
        n = count_meeting(self.arrays, asked, progress)
        error = count_meeting(self.hot, asked)
        return np.stack([n, error, error, error]).astype(np.float64)

    def _raise_threshold(self, levels: Sequence[_Level]) -> None:
        """The score a slice must exceed to matter. Merging may use up many, so ten times as many as shown are kept."""
        scores = np.sort(np.concatenate([level.score for level in levels]))[::-1]
        wanted = 10 * self.question.top
        self.threshold = max(float(scores[wanted - 1]) if len(scores) >= wanted else 0.0, 0.0)

    def _candidates(self, level: _Level) -> Iterator[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
        """Joins of two slices that share all but one condition, all of whose parents survive, by columns."""
        found = zip(level.parts.tolist(), level.n.tolist(), level.ceiling.tolist(), strict=True)
        bounds = {tuple(part): (n, ceiling) for part, n, ceiling in found}
        by_head: dict[tuple[int, ...], list[int]] = {}
        for part in bounds:
            by_head.setdefault(part[:-1], []).append(part[-1])
        groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for head, ends in by_head.items():
            for one, other in combinations(sorted(ends), 2):
                candidate = (*head, one, other)
                places = tuple(self.basics[basic][0] for basic in candidate)
                if len(set(places)) < len(places):
                    continue
                parents = [bounds.get(parent) for parent in combinations(candidate, len(candidate) - 1)]
                if None not in parents and self._reaches([parent for parent in parents if parent]):
                    groups.setdefault(places, []).append(candidate)
        yield from groups.items()

    def _reaches(self, parents: list[tuple[float, float]]) -> bool:
        """Whether rows and errors within the smallest parent's can score above the threshold, at any size between."""
        n, error = min(n for n, _ in parents), min(e for _, e in parents)
        # all errors fit into error / peak rows of the largest error; fewer rows only cost size, more only dilute
        smallest, peak = min(self.question.smallest, n), self.peak
        sizes = (smallest, min(max(error / peak, smallest), n), n)
        return any(self.score(size, min(error, size * peak)) > self.threshold for size in sizes)

    def select(self, levels: Sequence[_Level]) -> list[Found]:
        """The significant slices by falling score, those that hold nearly the same rows merged."""
        flat = [(level, index) for level in levels for index in range(len(level.n))]
        p = adjusted(np.concatenate([self.p_values(level) for level in levels]))
        order = sorted(range(len(flat)), key=lambda k: -flat[k][0].score[flat[k][1]])
        chosen: list[tuple[Found, Mask]] = []
        for k in order:
            level, index = flat[k]
            if level.score[index] <= 0 or p[k] > self.question.significance:
                continue
            found = self.found(level, index, float(p[k]))
            rows = self.rows(found)
            twin = next((i for i, (_, other) in enumerate(chosen) if overlap(rows, other) > 0.8), None)
            if twin is not None:
                first, other = chosen[twin]
                chosen[twin] = (_with(first, found.filter), other)
            elif len(chosen) < self.question.top:
                chosen.append((found, rows))
            else:
                break
        return [found for found, _ in chosen]

    def p_values(self, level: _Level) -> Floats:
        """One-sided normal p-values of Welch's statistic: the error inside is larger than outside."""
        rest = self.n - level.n
        inside, outside = level.error / level.n, (self.errors.sum() - level.error) / np.maximum(rest, 1)
        spread_in = np.maximum(level.square / level.n - inside**2, 0)
        spread_out = np.maximum(((self.errors**2).sum() - level.square) / np.maximum(rest, 1) - outside**2, 0)
        error = np.sqrt(spread_in / np.maximum(level.n - 1, 1) + spread_out / np.maximum(rest - 1, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(rest > 1, (inside - outside) / error, 0.0)
        return np.array([1.0 if isnan(value) else erfc(value / sqrt(2)) / 2 for value in z])

    def found(self, level: _Level, index: int, p: float) -> Found:
        """A slice as it is reported."""
        conditions = [self.basics[basic] for basic in level.parts[index]]
        n, error = float(level.n[index]), float(level.error[index])
        return Found(
            filter=" AND ".join(self.columns[place].filters[code] for place, code in conditions),
            n=int(n),
            value=error / n,
            complement=(float(self.errors.sum()) - error) / (self.n - n) if self.n > n else 0.0,
            score=float(level.score[index]),
            p_adjusted=p,
            codes=tuple((self.columns[place].name, code) for place, code in conditions),
        )

    def rows(self, found: Found) -> Mask:
        """Which of the rows in use a slice holds."""
        names = [column.name for column in self.columns]
        rows: Mask = np.logical_and.reduce([self.arrays[names.index(name)] == code for name, code in found.codes])
        return rows


def _joint(arrays: Sequence[NDArray[np.uint8]], sizes: Sequence[int]) -> Ints:
    """The joint code of several columns per row."""
    key = arrays[0].astype(np.int64)
    for array, size in zip(arrays[1:], sizes[1:], strict=True):
        key *= size
        key += array
    return key


def overlap(one: Mask, other: Mask) -> float:
    """Rows in both as a share of rows in either (Jaccard)."""
    either = int((one | other).sum())
    return float((one & other).sum() / either) if either else 0.0


def adjusted(p: Floats) -> Floats:
    """Benjamini-Hochberg adjusted p-values, in the order given."""
    m = len(p)
    order = np.argsort(p)[::-1]
    falling = np.minimum.accumulate(p[order] * m / np.arange(m, 0, -1)) if m else p
    result = np.empty(m)
    result[order] = np.minimum(falling, 1.0)
    return result


def _with(found: Found, other: str) -> Found:
    return Found(**{**found.__dict__, "also": (*found.also, other)})
