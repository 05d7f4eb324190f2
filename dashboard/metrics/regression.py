"""Regression figures from mergeable sums, equal to scikit-learn, and residuals as a histogram and a sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

from dashboard.metrics.columns import number, quoted
from dashboard.metrics.cube import needed
from dashboard.metrics.estimate import Estimate
from dashboard.metrics.intervals import Z
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

BINS = 40
SAMPLE = 2000


@dataclass(frozen=True)
class Errors:
    """Sums over n rows of e = prediction - label: |e|, e**2, e**4; `unlabelled` rows lack a finite number."""

    n: int
    unlabelled: int
    absolute: float
    square: float
    fourth: float

    def minus(self, part: "Errors") -> "Errors":
        """The rows that are not in a part of these."""
        return Errors(
            self.n - part.n,
            self.unlabelled - part.unlabelled,
            max(self.absolute - part.absolute, 0.0),
            max(self.square - part.square, 0.0),
            max(self.fourth - part.fourth, 0.0),
        )


def error_sums(tables: Tables, evaluation: Evaluation, where: str, conditions: Sequence[str] = ()) -> list[Errors]:
    """Errors of all rows where `where` holds, then of every slice, from one scan."""
    sums = (
        "count(e) {0} AS n{1}, count(*) {0} AS m{1}, fsum(abs(e)) {0} AS a{1}, fsum(e * e) {0} AS s{1},"
        " fsum(e * e * e * e) {0} AS q{1}"
    )
    count = 1 + len(conditions)
    chosen = [sums.format(f"FILTER (WHERE s{i})" if i else "", i) for i in range(count)]
    inside = ", ".join(["p_ - y_ AS e", *(f"s{i}" for i in range(1, count))])
    row = tables.first(
        f"SELECT {', '.join(chosen)} FROM (SELECT {inside} FROM ({_pairs(evaluation, where, conditions)}))"
    )
    return [
        Errors(row[f"n{i}"], row[f"m{i}"] - row[f"n{i}"], *(row[f"{name}{i}"] or 0.0 for name in "asq"))
        for i in range(count)
    ]


def _pairs(evaluation: Evaluation, where: str, conditions: Sequence[str] = ()) -> str:
    """Rows of label `y_` and prediction `p_` as finite numbers or NULL, position `i_`, and conditions `s1`, ..."""
    path, label, prediction = needed(evaluation)
    marks = "".join(f", {text} AS s{i}" for i, text in enumerate(conditions, 1))
    return (
        f"SELECT {number(quoted(label))} AS y_, {number(quoted(prediction))} AS p_, file_row_number AS i_{marks}"
        f" FROM {source(path, numbered=True)} WHERE {where}"
    )


def mean_absolute(errors: Errors, min_rows: int) -> Estimate:
    """MAE with its normal interval; the variance of |e| is mean(e**2) - MAE**2."""
    if not errors.n:
        return undefined()
    mean = errors.absolute / errors.n
    return _estimate(mean, sqrt(max(errors.square / errors.n - mean**2, 0.0) / errors.n), errors.n, min_rows)


def root_mean_square(errors: Errors, min_rows: int) -> Estimate:
    """RMSE; its interval is the square root of the mean squared error's normal interval."""
    if not errors.n:
        return undefined()
    mean = errors.square / errors.n
    half = Z * sqrt(max(errors.fourth / errors.n - mean**2, 0.0) / errors.n)
    value, few = sqrt(mean), errors.n < min_rows
    low, high = (sqrt(max(mean - half, 0.0)), sqrt(mean + half)) if errors.n > 1 else (nan, nan)
    return Estimate(value, low, high, errors.n, few)


def determination(tables: Tables, evaluation: Evaluation, where: str, min_rows: int) -> Estimate:
    """R2 = 1 - sum(e**2)/sum((y - mean)**2); constant labels give 1 for no error, else 0, as scikit-learn does.

    The interval is the delta method's: row i moves R2 by -(e**2 - A)/B + A (d**2 - B)/B**2, with d = y - mean,
    A = mean(e**2) and B = mean(d**2).
    """
    pairs = f"SELECT y_ AS y, p_ AS p FROM ({_pairs(evaluation, where)}) WHERE y_ IS NOT NULL AND p_ IS NOT NULL"
    rows = "SELECT (p - y) ** 2 AS a, (y - (SELECT avg(y) FROM pairs)) ** 2 AS b FROM pairs"
    found = tables.first(
        f"WITH pairs AS MATERIALIZED ({pairs}) SELECT count(*) AS n, fsum(a) AS a, fsum(b) AS b, var_pop(a) AS va,"
        f" var_pop(b) AS vb, covar_pop(a, b) AS c FROM ({rows})"
    )
    n = int(found["n"])
    if n < 2:
        return Estimate(0.0, nan, nan, n, True, True)
    if found["b"] == 0:
        return Estimate(float(found["a"] == 0), nan, nan, n, n < min_rows, True)
    fit = found["a"] / found["b"]
    variance = found["va"] + fit**2 * found["vb"] - 2 * fit * found["c"]
    error = sqrt(max(variance, 0.0) / n) / (found["b"] / n)
    return Estimate(1 - fit, 1 - fit - Z * error, min(1 - fit + Z * error, 1.0), n, n < min_rows)


def absolute_error(evaluation: Evaluation) -> str:
    """SQL of |prediction - label|; NULL where one of them is no finite number."""
    _, label, prediction = needed(evaluation)
    return f"abs({number(quoted(prediction))} - {number(quoted(label))})"


def error_limit(tables: Tables, evaluation: Evaluation, where: str, share: float) -> float | None:
    """The absolute error that the worst `share` of the rows reach (more rows where errors are equal); None without.

    Never 0: rows without any error are not far off.
    """
    rows = f"SELECT {absolute_error(evaluation)} AS e FROM {source(needed(evaluation)[0])} WHERE {where}"
    found = tables.first(
        f"SELECT quantile_disc(e, {1 - share!r}) AS q, min(e) FILTER (WHERE e > 0) AS least FROM ({rows})"
    )
    return None if found["least"] is None else float(max(found["q"], found["least"]))


def _estimate(value: float, error: float, n: int, min_rows: int) -> Estimate:
    if n < 2:
        return Estimate(value, nan, nan, n, n < min_rows)
    return Estimate(value, max(value - Z * error, 0.0), value + Z * error, n, n < min_rows)


def undefined() -> Estimate:
    """The estimate of no rows."""
    return Estimate(0.0, nan, nan, 0, True, True)


@dataclass(frozen=True)
class ResidualCounts:
    """A histogram of prediction - label (edges one more than counts) and evenly drawn (label, prediction) points."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    points: tuple[tuple[float, float], ...]
    n: int


def residual_counts(tables: Tables, evaluation: Evaluation, where: str) -> ResidualCounts:
    """Count residuals in 40 equal bins, and draw at most 2,000 rows by a hash of their position."""
    pairs = f"SELECT y_ AS y, p_ AS p, p_ - y_ AS e, i_ AS i FROM ({_pairs(evaluation, where)}) WHERE isfinite(p_ - y_)"
    ends = tables.first(f"SELECT min(e) AS low, max(e) AS high, count(*) AS n FROM ({pairs})")
    if not ends["n"]:
        return ResidualCounts((), (), (), 0)
    low, high = ends["low"], ends["high"]
    width = (high - low) / BINS or 1.0
    bins = tables.query(
        f"SELECT least(floor((e - ?) / ?), {BINS - 1})::INTEGER AS bin, count(*) AS n FROM ({pairs}) GROUP BY 1",
        [low, width],
    )
    counts = dict(zip(bins["bin"].to_pylist(), bins["n"].to_pylist(), strict=True))
    points = tables.query(f"SELECT y, p FROM (SELECT * FROM ({pairs}) ORDER BY hash(i), i LIMIT {SAMPLE}) ORDER BY i")
    return ResidualCounts(
        tuple(low + width * k for k in range(BINS + 1)),
        tuple(counts.get(k, 0) for k in range(BINS)),
        tuple(zip(points["y"].to_pylist(), points["p"].to_pylist(), strict=True)),
        ends["n"],
    )
