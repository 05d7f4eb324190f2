"""Multi-label figures from mergeable sums per class and per row, equal to scikit-learn's with zero_division=0.

A row's label and prediction are sets of classes. A row with neither is an exact match and counts 0 for samples F1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.classification import ClassFigures, Floats, averages, figures_of, ratio
from dashboard.metrics.columns import quoted
from dashboard.metrics.cube import Ints, needed
from dashboard.metrics.estimate import Estimate
from dashboard.metrics.intervals import class_sides, combined, proportion, wilson
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

# what else is summed over rows; h, y and p are the sizes of the hits, the label and the prediction, f is the row's F1
_ROW_SUMS = {
    "exact": "(h = y AND h = p)::INT",
    "f1": "f",
    "f1_square": "f * f",
    "off_square": "(y + p - 2 * h) ** 2",
    "hh": "h * h", "yy": "y * y", "pp": "p * p", "hy": "h * y", "hp": "h * p", "yp": "y * p",
}  # fmt: skip
AVERAGES = (
    "macro_f1", "micro_f1", "weighted_f1", "samples_f1", "subset_accuracy", "hamming_loss",
    "macro_precision", "macro_recall", "micro_precision", "micro_recall",
)  # fmt: skip
Interval = tuple[float, float, float]
_SAMPLE = 20_000


@dataclass(frozen=True, eq=False)
class SetSums:
    """Sums over groups of rows (first axis; group 0 is all rows, the others are slices).

    `support`, `predicted` and `hits` count a class (second axis) as label, as prediction and as both: fn, fp and tp
    follow. `n` rows have both sets, `unlabelled` lack one; `rows` are the sums named in _ROW_SUMS. `stretch` says by
    how much a macro or weighted average varies more than if classes were independent.
    """

    classes: tuple[str, ...]
    support: Ints
    predicted: Ints
    hits: Ints
    n: Ints
    unlabelled: Ints
    rows: dict[str, Floats]
    stretch: dict[str, float]

    def minus(self) -> "SetSums":
        """For every slice the rows outside it, in the same places; group 0 becomes empty."""
        whole = {name: values[0] - values for name, values in self.rows.items()}
        return replace(
            self,
            support=self.support[0] - self.support,
            predicted=self.predicted[0] - self.predicted,
            hits=self.hits[0] - self.hits,
            n=self.n[0] - self.n,
            unlabelled=self.unlabelled[0] - self.unlabelled,
            rows=whole,
        )


def set_sums(tables: Tables, evaluation: Evaluation, where: str, conditions: Sequence[str] = ()) -> SetSums:
    """Sums of the rows where checked SQL holds, and of every slice's, from one scan (and a sample for `stretch`)."""
    groups = 1 + len(conditions)
    result = tables.query(_counting(evaluation, where, conditions))
    found = {name: result[name].to_pylist() for name in result.column_names}
    tally = np.array([found[f"c{i}"] for i in range(groups)], np.int64)
    seen = {name for part in ("y_", "p_") for name in found[part] if name is not None}
    classes = (*evaluation.classes, *sorted(seen - set(evaluation.classes)))
    place = {name: index for index, name in enumerate(classes)}
    parts = []
    for part in ("y_", "p_", "h_"):
        counts = np.zeros((groups, len(classes)), np.int64)
        for at, name in enumerate(found[part]):
            if name is not None:
                counts[:, place[name]] = tally[:, at]
        parts.append(counts)
    total = found["level"].index(7) if 7 in found["level"] else None
    n, gone = (_totals(found, name, groups, total).astype(np.int64) for name in ("n", "gone"))
    rows = {name: _totals(found, name, groups, total) for name in _ROW_SUMS}
    stretch = stretches(*_sampled(tables, evaluation, where, place), figures_of_sums(parts, 0))
    return SetSums(classes, parts[0], parts[1], parts[2], n, gone, rows, stretch)


def _totals(found: dict[str, list[Any]], name: str, groups: int, at: int | None) -> Floats:
    return np.array([0.0 if at is None else float(found[f"{name}{i}"][at] or 0) for i in range(groups)])


def _counting(evaluation: Evaluation, where: str, conditions: Sequence[str]) -> str:
    """One row per class as label (y_), prediction (p_) and both (h_), and one of totals (level 7).

    The lists of a row are unnested side by side, shorter ones filled with NULL; [x] gives each row's own sums once.
    """
    sums = []
    for i in range(1 + len(conditions)):
        only = f" FILTER (WHERE s{i})" if i else ""
        sums += [f"count(*){only} AS c{i}", f"count(r_.exact){only} AS n{i}", f"sum(gone_){only} AS gone{i}"]
        sums += [f"fsum(r_.{name}){only} AS {name}{i}" for name in _ROW_SUMS]
    carried = "".join(f", s{i}" for i in range(1, 1 + len(conditions)))
    own = ", ".join(f"{name}: {text}" for name, text in _ROW_SUMS.items())
    return (
        f"SELECT y_, p_, h_, grouping(y_, p_, h_) AS level, {', '.join(sums)} FROM (SELECT unnest(ys) AS y_,"
        f" unnest(ps) AS p_, unnest(hs) AS h_, unnest([CASE WHEN h IS NOT NULL THEN {{{own}}} END]) AS r_,"
        f" unnest([(h IS NULL)::INT]) AS gone_{carried} FROM ({_rows(evaluation, where, conditions)}))"
        " GROUP BY GROUPING SETS ((y_), (p_), (h_), ()) ORDER BY level, y_, p_, h_"
    )


def _rows(evaluation: Evaluation, where: str, conditions: Sequence[str]) -> str:
    """Rows of the sets ys, ps and their intersection hs, their sizes y, p, h, the row's F1 f, and conditions s1, ..."""
    path, label, prediction = needed(evaluation)
    marks = "".join(f", ({text}) AS s{i}" for i, text in enumerate(conditions, 1))
    both = f"{quoted(label)} IS NOT NULL AND {quoted(prediction)} IS NOT NULL"
    sets = (quoted(label), quoted(prediction), f"list_intersect({quoted(label)}, {quoted(prediction)})")
    kept = ", ".join(f"CASE WHEN {both} THEN {text} END AS {a}s" for text, a in zip(sets, "yph", strict=True))
    sizes = ", ".join(f"len({a}s)::DOUBLE AS {a}" for a in "yph")
    inside = f"SELECT {kept}{marks} FROM {source(path)} WHERE {where}"
    share = "CASE WHEN y + p > 0 THEN 2 * h / (y + p) ELSE 0 END AS f"
    return f"SELECT *, {share} FROM (SELECT *, {sizes} FROM ({inside}))"


def _sampled(
    tables: Tables, evaluation: Evaluation, where: str, place: dict[str, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Label and prediction of at most 20,000 evenly drawn rows, as rows x classes."""
    path, label, prediction = needed(evaluation)
    found = tables.query(
        f"SELECT {quoted(label)} AS y, {quoted(prediction)} AS p FROM {source(path, numbered=True)} WHERE ({where})"
        f" AND {quoted(label)} IS NOT NULL AND {quoted(prediction)} IS NOT NULL ORDER BY hash(file_row_number) LIMIT"
        f" {_rows_of(len(place))}"
    )
    return _incidence(found["y"].to_pylist(), place), _incidence(found["p"].to_pylist(), place)


def _rows_of(classes: int) -> int:
    """Fewer rows where there are very many classes, so that the arrays stay below 20 MB each."""
    return max(1000, min(_SAMPLE, 20_000_000 // max(1, classes)))


def _incidence(rows: list[list[str]], place: dict[str, int]) -> NDArray[np.bool_]:
    result = np.zeros((len(rows), len(place)), np.bool_)
    for at, names in enumerate(rows):
        result[at, [place[name] for name in names]] = True
    return result


def stretches(label: NDArray[np.bool_], predicted: NDArray[np.bool_], figures: ClassFigures) -> dict[str, float]:
    """How much more each average varies than with independent classes: variances of the rows' influence (delta method).

    A row moves class c's F1 by (2 hit - F1 (in label + in prediction)) / (support + predicted), and the averages by
    the classes' sum; independent classes would add up their variances.
    """
    y, p = label.astype(np.float64), predicted.astype(np.float64)
    hit = y * p
    moves = {
        "precision": ratio(hit - figures.precision * p, figures.predicted + 0 * p),
        "recall": ratio(hit - figures.recall * y, figures.support + 0 * y),
        "f1": ratio(2 * hit - figures.f1 * (y + p), figures.support + figures.predicted + 0 * y),
    }
    found = {f"macro_{name}": _stretch(move * figures.seen) for name, move in moves.items()}
    mean = float(averages(figures)["weighted_f1"])
    own = moves["f1"] * figures.support
    return found | {"weighted_f1": _stretch(own, y * (figures.f1 - mean))}


def _stretch(moves: Floats, more: Floats | None = None) -> float:
    together = (moves if more is None else moves + more).sum(axis=1)
    alone = float((moves**2).sum())
    return float((together**2).sum()) / alone if alone > 0 else 1.0


def figures_of_sums(parts: Sequence[Ints], group: int) -> ClassFigures:
    """Per-class figures of one group of rows."""
    support, predicted, hits = (part[group].astype(np.float64) for part in parts)
    return figures_of(support, predicted, hits)


def class_figures_of(sums: SetSums, group: int = 0) -> ClassFigures:
    """Per-class figures of one group of rows, in the order of `classes`."""
    return figures_of_sums((sums.support, sums.predicted, sums.hits), group)


def set_estimates(sums: SetSums, group: int, min_rows: int) -> dict[str, Estimate]:
    """All averages of one group of rows with 95% intervals, in display order.

    Macro and weighted averages run over the classes seen: their classes' Wilson intervals combined (see
    intervals.slice_estimates), stretched by what classes have in common. Micro averages are ratios of sums over rows
    (delta method); subset accuracy is Wilson's; samples F1 and Hamming loss are means over rows. Hamming loss is over
    all of `classes`, so that a filter does not change what it is a share of.
    """
    n, figures = int(sums.n[group]), class_figures_of(sums, group)
    if not n:
        return dict.fromkeys(AVERAGES, Estimate(0.0, nan, nan, 0, True, True))
    row = {name: float(values[group]) for name, values in sums.rows.items()}
    ends = _over_classes(sums, figures) | _over_rows(figures, row, n) | _micro(figures, row, n)
    found = {name: Estimate(*found, n, n < min_rows) for name, found in ends.items()}
    found["subset_accuracy"] = proportion(row["exact"], n, min_rows)
    return {name: found[name] for name in AVERAGES}


def _over_classes(sums: SetSums, figures: ClassFigures) -> dict[str, Interval]:
    seen = figures.seen / max(1, int(figures.seen.sum()))
    means, weights = averages(figures), {f"macro_{name}": seen for name in ("f1", "precision", "recall")}
    weights["weighted_f1"] = figures.support / max(1.0, float(figures.support.sum()))
    found = {}
    for name, weight in weights.items():
        sides = class_sides(figures, name.split("_")[1])
        variance = np.asarray(sums.stretch[name] * (weight**2 * sides[2]).sum())
        low, high = combined(means[name], weight, sides, variance)
        found[name] = (float(means[name]), float(low), float(high))
    return found


def _over_rows(figures: ClassFigures, row: dict[str, float], n: int) -> dict[str, Interval]:
    """Means over rows of shares of each row: samples F1, and the wrong ones of all classes (Hamming loss)."""
    classes = len(figures.support)
    off = float((figures.support + figures.predicted - 2 * figures.hits).sum())
    shares = {"samples_f1": (row["f1"], row["f1_square"])}
    shares["hamming_loss"] = (off / classes, row["off_square"] / classes**2) if classes else (0.0, 0.0)
    return {name: _share(total / n, (square / n - (total / n) ** 2) / n, n) for name, (total, square) in shares.items()}


def _micro(figures: ClassFigures, row: dict[str, float], n: int) -> dict[str, Interval]:
    """Ratios a/b of sums over rows; the variance of a - R b over rows is that of R times b**2."""
    hits, support, predicted = (float(part.sum()) for part in (figures.hits, figures.support, figures.predicted))
    size = row["yy"] + row["pp"] + 2 * row["yp"]
    ratios = {
        "micro_precision": (hits, predicted, row["hh"], row["hp"], row["pp"]),
        "micro_recall": (hits, support, row["hh"], row["hy"], row["yy"]),
        "micro_f1": (2 * hits, support + predicted, 4 * row["hh"], 2 * (row["hy"] + row["hp"]), size),
    }
    found = {}
    for name, (top, whole, aa, ab, bb) in ratios.items():
        value = top / whole if whole else 0.0
        variance = (aa - 2 * value * ab + value**2 * bb) / whole**2 if whole else 0.0
        found[name] = _share(value, variance, n) if whole else (0.0, nan, nan)
    return found


def _share(value: float, variance: float, n: int) -> Interval:
    """A share between 0 and 1 with Wilson's interval of as many independent rows as give it this variance.

    Without any variance (all right or all wrong) it is that of n rows, because more is not known.
    """
    spread = value * (1 - value)
    worth = min(spread / variance, 100.0 * n) if variance > 1e-15 and spread > 0 else float(n)
    low, high = wilson(np.array([value * worth]), np.array([worth]))
    return value, float(low[0]), float(high[0])
