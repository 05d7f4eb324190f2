"""Scores counted from the sidecar are those counted from the table."""

import numpy as np
import pandas as pd
import pytest

from dashboard.metrics.breakdown import filter_mask
from dashboard.metrics.coded_scores import coded_scores
from dashboard.metrics.codes import build_codes
from dashboard.metrics.score_counts import ScoreCounts, score_counts
from dashboard.metrics.tables import Tables
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of

N = 3000


def evaluation(tables: Tables, **changes: object) -> Evaluation:
    """Two classes with crowded, infinite and missing scores."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"label": rng.choice(["a", "b"], N), "prediction": rng.choice(["a", "b"], N)})
    data["score"] = np.clip(rng.normal(0.99, 0.02, N), 0, 1)
    data["x"] = rng.normal(size=N)
    data.loc[::50, "score"] = np.inf
    data.loc[7::50, "score"] = np.nan
    data = data.assign(**changes)
    return evaluation_of(tables.folder, data, classes=("a", "b"), positive_class="b", score="score", features=("x",))


def same(one: ScoreCounts | None, other: ScoreCounts) -> bool:
    """Whether two counts are equal in everything."""
    assert one is not None
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ScoreCounts.__dataclass_fields__)


@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("where", ["true", '"x" > 0.3', "false"])
def test_the_same_counts(tables: Tables, name: str, where: str) -> None:
    for scale in (1.0, -4.0):
        found = evaluation(tables)
        if scale != 1.0:
            found = evaluation(tables, score=np.random.default_rng(1).random(N) * scale)
        codes, mask = build_codes(tables, found), filter_mask(tables, found, where)
        assert same(coded_scores(codes, found, name, mask), score_counts(tables, found, name, where))


def test_a_row_without_prediction_still_has_a_score_so_that_the_table_is_asked(tables: Tables) -> None:
    found = evaluation(tables, prediction=[None, *["a", "b"] * (N // 2)][:N])
    assert coded_scores(build_codes(tables, found), found, "b", None) is None
