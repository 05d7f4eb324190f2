"""The best of several versions: checked against numpy on paired rows, named only when every interval says so."""

import numpy as np
import pytest
from scipy import stats

from dashboard.metrics.ranking import ranking
from dashboard.metrics.tables import Tables
from tests.dashboard.metrics.evaluations import evaluation_of

N = 400


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path, 256)


def versions(folder, shares, n=N):
    """Classifiers that are wrong on the given shares of the same rows, the rows in another order for each."""
    draw = np.random.default_rng(4)
    found = []
    for place, share in enumerate(shares):
        wrong = draw.random(n) < share
        order = draw.permutation(n) if place else np.arange(n)
        data = {
            "id": order,
            "label": ["a"] * n,
            "prediction": np.where(wrong, "b", "a")[order],
            "size": order,
        }
        found.append(evaluation_of(folder, data, name=f"v{place}"))
    return found


def test_the_clearly_best_is_named_with_the_paired_interval(tmp_path, tables):
    evaluations = versions(tmp_path, [0.4, 0.05, 0.3])
    found = ranking(tables, evaluations, "true", 30)
    assert (found.best, found.named, found.n) == (1, True, N)
    errors = [np.array(table_of(item)) for item in evaluations]
    off = errors[1] - errors[0]
    z = stats.norm.ppf(1 - 0.05 / 2 / 3)
    half = z * off.std(ddof=1) / np.sqrt(N)
    verdict = found.verdicts[0]
    assert (verdict.difference, verdict.low, verdict.high) == pytest.approx(
        (off.mean(), off.mean() - half, off.mean() + half)
    )


def table_of(evaluation):
    """Errors in the order of the ids."""
    import pyarrow.parquet as pq

    table = pq.read_table(evaluation.table).to_pandas().sort_values("id")
    return (table.prediction != table.label).astype(float)


def test_equal_versions_have_no_winner(tmp_path, tables):
    found = ranking(tables, versions(tmp_path, [0.3, 0.3]), "true", 30)
    assert not found.named and not found.too_few


def test_few_rows_tell_nothing(tmp_path, tables):
    found = ranking(tables, versions(tmp_path, [0.9, 0.0]), "size < 10", 30)
    assert found.too_few and not found.named and found.n == 10
    assert ranking(tables, versions(tmp_path, [0.9, 0.0]), "false", 30).n == 0


def test_regressions_are_compared_by_squared_error(tmp_path, tables):
    draw = np.random.default_rng(1)
    label = draw.normal(size=N)
    made = [
        evaluation_of(
            tmp_path,
            {"id": np.arange(N), "label": label, "prediction": label + draw.normal(scale=s, size=N)},
            "regression",
            name=f"r{s}",
        )
        for s in (2.0, 0.5)
    ]
    found = ranking(tables, made, "true", 30)
    assert (found.best, found.named) == (1, True)
