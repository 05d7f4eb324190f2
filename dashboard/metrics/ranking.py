"""Which of several versions is measurably the best on some rows: paired differences of errors, all pairs corrected."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from dashboard.metrics.classification import Floats
from dashboard.metrics.comparison import error_differences, verdict_of
from dashboard.metrics.estimate import Verdict
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation


@dataclass(frozen=True)
class Ranking:
    """The best of several evaluations on rows that all of them share.

    `best` is the index of the one with the least mean error; `verdicts` compare it with each other one (None at its
    own place) by mean error: share of wrong answers, or mean squared error. `named` tells whether it is measurably
    better than every other one. `n` counts the rows.
    """

    best: int
    verdicts: tuple[Verdict | None, ...]
    n: int

    @property
    def named(self) -> bool:
        """Whether every difference is in its favour beyond its interval."""
        return all(verdict is None or verdict.word == "better" for verdict in self.verdicts)

    @property
    def too_few(self) -> bool:
        """Whether there are fewer rows than a verdict needs."""
        return any(verdict is not None and verdict.word == "too few rows" for verdict in self.verdicts)


def ranking(tables: Tables, evaluations: Sequence[Evaluation], condition: str, min_rows: int) -> Ranking:
    """Compare two evaluations or more on the rows of the first one where the checked SQL holds; rows are paired by id.

    Normal intervals of paired means at 95% for all pairs together (Bonferroni: the best is chosen after looking).
    """
    first = evaluations[0]
    assert first.table is not None
    gains: list[Floats] = [np.zeros(first.n_rows)]
    gains += [error_differences(tables, first, other) for other in evaluations[1:]]
    rows = tables.query(
        f"SELECT file_row_number AS r FROM {source(first.table, numbered=True)} WHERE ({condition}) IS TRUE"
    )
    chosen = np.stack(gains)[:, rows["r"].to_numpy()]
    shared = chosen[:, np.isfinite(chosen).all(axis=0)]
    n = shared.shape[1]
    best = int(shared.mean(axis=1).argmax()) if n else 0
    pairs = len(evaluations) * (len(evaluations) - 1) / 2
    z = NormalDist().inv_cdf(1 - 0.025 / pairs)
    verdicts = tuple(
        None if index == best else _paired(gain - shared[best], z, min_rows) for index, gain in enumerate(shared)
    )
    return Ranking(best, verdicts, n)


def _paired(differences: Floats, z: float, min_rows: int) -> Verdict:
    """The best one's error less another's, per row; lower is better."""
    n = len(differences)
    mean = float(differences.mean()) if n else 0.0
    half = z * float(differences.std(ddof=1)) / sqrt(n) if n > 1 else float("nan")
    return verdict_of(mean, mean - half, mean + half, n, paired=True, higher_is_better=False, min_rows=min_rows)
