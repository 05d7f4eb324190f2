"""Candidate against baseline: verdicts from independent groups of rows and from the same rows, paired by id."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan, sqrt

import numpy as np

from dashboard.metrics.classification import Floats, averages, class_figures, figures_of
from dashboard.metrics.columns import class_text, number, quoted
from dashboard.metrics.cube import Counts, Ints, needed
from dashboard.metrics.estimate import Estimate, Verdict, Word
from dashboard.metrics.intervals import REPLICATES, Z, draw, gradients, group_sums, known_interval
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

_LARGEST_DRAW = 4_000_000


def verdict_of(
    difference: float, low: float, high: float, n: int, *, paired: bool, higher_is_better: bool, min_rows: int
) -> Verdict:
    """The word for a difference (candidate - baseline): "same" when its interval includes 0."""
    word: Word = "same"
    if n < min_rows or isnan(low) or isnan(high):
        word = "too few rows"
    elif low > 0 or high < 0:
        word = "better" if (difference > 0) == higher_is_better else "worse"
    return Verdict(word, difference, low, high, n, paired, (high - low) / 2)


def independent(candidate: Estimate, baseline: Estimate, *, higher_is_better: bool, min_rows: int) -> Verdict:
    """Compare two estimates of different rows; n is the smaller one's.

    The interval of the difference is recovered from both intervals (Newcombe 1998, Stat. Med. 17, method 10).
    """
    difference, n = candidate.value - baseline.value, min(candidate.n, baseline.n)
    low = high = nan
    if known_interval(candidate) and known_interval(baseline):
        low = difference - sqrt((candidate.value - candidate.low) ** 2 + (baseline.high - baseline.value) ** 2)
        high = difference + sqrt((candidate.high - candidate.value) ** 2 + (baseline.value - baseline.low) ** 2)
    return verdict_of(difference, low, high, n, paired=False, higher_is_better=higher_is_better, min_rows=min_rows)


@dataclass(frozen=True, eq=False)
class JointCounts:
    """Rows by (label, candidate's prediction, baseline's prediction), as indices into `classes`."""

    classes: tuple[str, ...]
    label: Ints
    candidate: Ints
    baseline: Ints
    n: Ints

    def side(self, prediction: Ints) -> Counts:
        """One model's counts, one entry per joint cell."""
        return Counts(self.classes, self.label, prediction, self.n)


def shared_rows(tables: Tables, candidate: Evaluation, baseline: Evaluation) -> int:
    """How many rows can be paired by id; 0 where either has no id column. Ids that repeat pair only row by row."""
    if not (candidate.roles.id and baseline.roles.id and candidate.table and baseline.table):
        return 0
    return int(tables.first(f"SELECT count(*) AS n FROM {_paired(tables, candidate, baseline, {}, {})}")["n"])


def pairable(tables: Tables, candidate: Evaluation, baseline: Evaluation) -> bool:
    """Whether at least half of the smaller evaluation's rows are in both, so that pairing beats comparing all rows."""
    return 2 * shared_rows(tables, candidate, baseline) >= min(candidate.n_rows, baseline.n_rows) > 0


Expressions = Mapping[str, str]


def _paired(tables: Tables, candidate: Evaluation, baseline: Evaluation, ours: Expressions, theirs: Expressions) -> str:
    """A FROM item of the rows with equal ids, with named expressions over the columns of either side.

    Two tables with the same ids in the same order pair row by row; else by the ids that occur once in each.
    """
    if aligned(tables, candidate, baseline):
        left, right = (_numbered(e, columns) for e, columns in ((candidate, ours), (baseline, theirs)))
        return f"{left} POSITIONAL JOIN {right}"
    left, right = (_unique(tables, e, columns) for e, columns in ((candidate, ours), (baseline, theirs)))
    return f"{left} JOIN {right} USING (id_)"


def aligned(tables: Tables, candidate: Evaluation, baseline: Evaluation) -> bool:
    """Whether both have the same ids in the same order, so that their rows pair one by one."""
    if candidate.n_rows != baseline.n_rows:
        return False
    kinds = {_id_type(tables, e) for e in (candidate, baseline)}
    # stored values of one type are equal where their texts are, and much faster to compare
    ours, theirs = (quoted(e.roles.id or "") if len(kinds) == 1 else row_id(tables, e) for e in (candidate, baseline))
    left, right = _numbered(candidate, {"a": ours}), _numbered(baseline, {"b": theirs})
    found = tables.first(f"SELECT count(*) AS n FROM {left} POSITIONAL JOIN {right} WHERE a IS NOT NULL AND a = b")
    return int(found["n"]) == candidate.n_rows


def _id_type(tables: Tables, evaluation: Evaluation) -> str:
    assert evaluation.roles.id is not None
    return tables.columns(needed(evaluation)[0])[evaluation.roles.id]


def row_id(tables: Tables, evaluation: Evaluation) -> str:
    """SQL of a row's id as text, so that 1 and '1' are the same."""
    return class_text(quoted(evaluation.roles.id or ""), _id_type(tables, evaluation))


def _numbered(evaluation: Evaluation, expressions: Expressions) -> str:
    chosen = "".join(f", {text} AS {alias}" for alias, text in expressions.items())
    return f"(SELECT file_row_number AS i_{chosen} FROM {source(needed(evaluation)[0], numbered=True)})"


def _unique(tables: Tables, evaluation: Evaluation, expressions: Expressions) -> str:
    chosen, name = (
        "".join(f", any_value({text}) AS {alias}" for alias, text in expressions.items()),
        row_id(tables, evaluation),
    )
    rows = source(needed(evaluation)[0])
    return f"(SELECT {name} AS id_{chosen} FROM {rows} WHERE {name} IS NOT NULL GROUP BY 1 HAVING count(*) = 1)"


def joint_counts(tables: Tables, candidate: Evaluation, baseline: Evaluation) -> JointCounts:
    """Count the shared rows by label (the candidate's) and both predictions; rows lacking one of them are left out."""
    path, label, ours = needed(candidate)
    other, _, theirs = needed(baseline)
    kinds = tables.columns(path)[label], tables.columns(path)[ours], tables.columns(other)[theirs]
    pairs = _paired(tables, candidate, baseline, {"y_": quoted(label), "a_": quoted(ours)}, {"b_": quoted(theirs)})
    texts = [f"{class_text(name, kind)} AS {name[0]}" for name, kind in zip(("y_", "a_", "b_"), kinds, strict=True)]
    # counted by the stored values and named afterwards, as in the cube
    result = tables.query(
        f"SELECT {', '.join(texts)}, sum(n)::BIGINT AS n"
        f" FROM (SELECT y_, a_, b_, count(*) AS n FROM {pairs} GROUP BY ALL)"
        " WHERE y_ IS NOT NULL AND a_ IS NOT NULL AND b_ IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    y, a, b = (result[name].to_pylist() for name in "yab")
    return joint_of(y, a, b, result["n"].to_numpy().astype(np.int64))


def joint_of(labels: list[str], candidate: list[str], baseline: list[str], n: Ints) -> JointCounts:
    """Joint counts from texts per cell."""
    classes = tuple(sorted({*labels, *candidate, *baseline}))
    place = {name: index for index, name in enumerate(classes)}
    y, a, b = (np.array([place[text] for text in column], dtype=np.int64) for column in (labels, candidate, baseline))
    return JointCounts(classes, y, a, b, n)


def paired_macro_f1(joint: JointCounts, *, min_rows: int, replicates: int = REPLICATES) -> Verdict:
    """The difference of macro F1 on the same rows, with a percentile interval over redraws of the joint counts.

    Above four million drawn cells: the delta method on the joint counts, sum of n * (gradient difference)**2.
    """
    ours, theirs = joint.side(joint.candidate), joint.side(joint.baseline)
    means = [float(averages(class_figures(side))["macro_f1"]) for side in (ours, theirs)]
    difference, n = means[0] - means[1], int(joint.n.sum())
    low = high = nan
    if n and joint.n.size * replicates <= _LARGEST_DRAW:
        low, high = _redrawn_difference(joint, replicates)
    elif n:
        slopes = [gradients(side, class_figures(side))["macro_f1"] for side in (ours, theirs)]
        half = Z * sqrt(float((joint.n * (slopes[0] - slopes[1]) ** 2).sum()))
        low, high = difference - half, difference + half
    return verdict_of(
        difference,
        min(low, difference),
        max(high, difference),
        n,
        paired=True,
        higher_is_better=True,
        min_rows=min_rows,
    )


def _redrawn_difference(joint: JointCounts, replicates: int) -> tuple[float, float]:
    """The 2.5% and 97.5% quantiles of the macro-F1 difference over multinomial redraws of the joint counts."""
    draws, size = draw(joint.n, replicates), len(joint.classes)
    support = group_sums(draws, joint.label, size)
    macro = []
    for prediction in (joint.candidate, joint.baseline):
        hit = prediction == joint.label
        hits = group_sums(draws[:, hit], joint.label[hit], size)
        macro.append(averages(figures_of(support, group_sums(draws, prediction, size), hits))["macro_f1"])
    low, high = np.quantile(macro[0] - macro[1], (0.025, 0.975))
    return float(low), float(high)


def error_differences(tables: Tables, candidate: Evaluation, baseline: Evaluation) -> Floats:
    """Per row of the candidate's table how much larger its error is than the baseline's on the same row (by id).

    Errors are 0 or 1 (wrong) for classification, squared for a regression; labels are the candidate's. NaN where
    the row cannot be paired or a value is missing. Shape: (candidate's rows,).
    """
    path, label, ours = needed(candidate)
    other, _, theirs = needed(baseline)
    types, kinds = tables.columns(path), tables.columns(other)
    if candidate.task == "regression":
        y, a, b = (number(quoted(name)) for name in (label, ours, theirs))
        error = "({0}_ - y_) ** 2"
    else:
        y, a = class_text(quoted(label), types[label]), class_text(quoted(ours), types[ours])
        b = class_text(quoted(theirs), kinds[theirs])
        error = "CAST({0}_ <> y_ AS DOUBLE)"
    left = {"r_": "file_row_number", "y_": y, "a_": a}
    pairs = _paired(tables, candidate, baseline, left, {"b_": b})
    found = tables.query(f"SELECT r_ AS r, {error.format('a')} - {error.format('b')} AS d FROM {pairs}")
    result: Floats = np.full(candidate.n_rows, nan)
    result[found["r"].to_numpy()] = found["d"].to_numpy()
    return result


def paired_rmse(tables: Tables, candidate: Evaluation, baseline: Evaluation, *, min_rows: int) -> Verdict:
    """The difference of RMSE on the same rows; its interval is the delta method's on per-row squared errors:
    var(a/(2 A) - b/(2 B)) / n with squared errors a, b and RMSEs A, B. Labels are the candidate's."""
    _, label, ours = needed(candidate)
    _, _, theirs = needed(baseline)
    left = {"y_": number(quoted(label)), "a_": number(quoted(ours))}
    pairs = _paired(tables, candidate, baseline, left, {"b_": number(quoted(theirs))})
    rows = f"SELECT (a_ - y_) ** 2 AS a, (b_ - y_) ** 2 AS b FROM {pairs}"
    found = tables.first(
        f"SELECT count(*) AS n, avg(a) AS a, avg(b) AS b, var_pop(a) AS va, var_pop(b) AS vb, covar_pop(a, b) AS c"
        f" FROM ({rows}) WHERE a IS NOT NULL AND b IS NOT NULL"
    )
    n = int(found["n"])
    if n == 0:
        return verdict_of(nan, nan, nan, 0, paired=True, higher_is_better=False, min_rows=min_rows)
    a, b = sqrt(found["a"]), sqrt(found["b"])
    u, v = (1 / (2 * x) if x > 0 else 0.0 for x in (a, b))
    variance = max(u * u * found["va"] + v * v * found["vb"] - 2 * u * v * found["c"], 0.0) / n
    half = Z * sqrt(variance)
    return verdict_of(a - b, a - b - half, a - b + half, n, paired=True, higher_is_better=False, min_rows=min_rows)
