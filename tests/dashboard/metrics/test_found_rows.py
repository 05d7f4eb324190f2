"""Duplicates and label errors as slices: looked for once, kept in a file, a condition wherever a slice is one."""

import numpy as np
import pandas as pd

from dashboard.metrics.cube import count_cube
from dashboard.metrics.found_rows import find_rows, open_found, prune_found
from dashboard.metrics.regression import error_sums
from dashboard.metrics.rows import fetch_rows
from dashboard.metrics.summary import duplicates
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of


def flowers(tables: Tables, seed: int = 0, n: int = 400) -> tuple[pd.DataFrame, Evaluation]:
    """Rows of which many repeat an earlier one, with scores of two classes."""
    rng = np.random.default_rng(seed)
    score = rng.random(n).round(3)
    frame = pd.DataFrame(
        {
            "a": rng.integers(0, 12, n),
            "b": rng.choice(["x", "y", None], n),
            "label": rng.choice(["p", "q"], n),
            "prediction": np.where(score > 0.5, "p", "q"),
            "score_p": score,
            "score_q": 1 - score,
        }
    )
    return frame, evaluation_of(
        tables.folder, frame, features=("a", "b"), scores={"p": "score_p", "q": "score_q"}, classes=("p", "q")
    )


def test_duplicates_are_the_rows_that_repeat_an_earlier_one(tables: Tables) -> None:
    frame, evaluation = flowers(tables)
    found = {item.name: item for item in find_rows(tables, evaluation)}
    assert set(found) == {"exact_duplicates", "suspected_label_errors"}
    assert {item.kind for item in found.values()} == {"found"}
    page = fetch_rows(tables, evaluation, found["exact_duplicates"].condition, "", 0, 200)
    repeated = frame.duplicated(["a", "b"])
    assert page.numbers == tuple(np.flatnonzero(repeated)[:200])
    types = tables.columns(evaluation.table)
    assert page.total == duplicates(tables, f"{source(evaluation.table)} WHERE true", types, ["a", "b"])


def test_a_found_slice_is_counted_like_any_other(tables: Tables) -> None:
    frame, evaluation = flowers(tables)
    conditions = [item.condition for item in find_rows(tables, evaluation)]
    cube = count_cube(tables, evaluation, "a > 3", conditions)
    assert cube.slices[0].sum() == (frame.duplicated(["a", "b"]) & (frame.a > 3)).sum()
    numbers = evaluation_of(tables.folder, frame.assign(label=frame.a, prediction=2.5), "regression", features=("b",))
    (only,) = find_rows(tables, numbers)
    assert error_sums(tables, numbers, "true", [only.condition])[1].n == frame.duplicated(["b"]).sum()


def test_it_is_looked_for_once_and_again_after_a_deletion(tables: Tables) -> None:
    _, evaluation = flowers(tables, seed=1)
    assert open_found(tables, evaluation) is None
    shares: list[float] = []
    first = find_rows(tables, evaluation, shares.append)
    assert shares == [0.5, 1.0]
    assert open_found(tables, evaluation) == find_rows(tables, evaluation) == first
    prune_found(tables, 0)
    assert open_found(tables, evaluation) is None


def test_rows_without_duplicates_or_errors_have_no_slices(tables: Tables) -> None:
    data = {"a": [1, 2, 3], "label": ["p"] * 3, "prediction": ["p"] * 3}
    assert find_rows(tables, evaluation_of(tables.folder, data, features=("a",))) == []
    assert find_rows(tables, evaluation_of(tables.folder, data)) == []
