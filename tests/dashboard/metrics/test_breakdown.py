"""Counts by code against pandas and the cube."""

import math

import numpy as np
import pandas as pd
import pytest

from dashboard.metrics.breakdown import (
    break_down,
    break_down_all,
    break_down_errors,
    filter_mask,
    right_and_wrong,
    whole_cube,
)
from dashboard.metrics.codes import build_codes
from dashboard.metrics.cube import count_cube
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.regression import error_sums
from dashboard.metrics.tables import Tables
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of
from tests.dashboard.metrics.test_codes import FEATURES, frame


@pytest.fixture(scope="module")
def evaluation(tables: Tables) -> Evaluation:
    return evaluation_of(tables.folder, frame(), features=FEATURES)


def test_pairs_and_filters(tables: Tables, evaluation: Evaluation) -> None:
    codes = build_codes(tables, evaluation)
    where = parse_filter("age > 30 AND region = 'north'", tables.columns(evaluation.table)).sql
    mask = filter_mask(tables, evaluation, where)
    pair = break_down(codes, ("flag", "rooms"), mask)
    data = frame()
    kept = data[(data.age > 30) & (data.region == "north")]
    assert pair.table.sum() == len(kept)
    flag, rooms = codes.columns[4], codes.columns[3]
    one = kept[kept.flag & (kept.rooms == 3)]
    assert pair.table[flag.values.index("True"), rooms.values.index("3")].sum() == len(one)
    whole, want = whole_cube(codes, mask), count_cube(tables, evaluation, where, [])
    assert dict(zip(zip(want.row, want.col, strict=True), want.n, strict=True)) == {
        (i, j): n for i, j, n in zip(whole.row, whole.col, whole.n, strict=True) if n
    }
    assert set(break_down_all(codes, mask)) == {c.name for c in codes.columns}
    assert filter_mask(tables, evaluation, "true") is None


def test_right_and_wrong_rows_by_value(tables: Tables, evaluation: Evaluation) -> None:
    codes, data = build_codes(tables, evaluation), frame()
    mask = filter_mask(tables, evaluation, '"rooms" > 4')
    got = right_and_wrong(codes, mask, ["region", "flag"])
    kept = data[(data.rooms > 4) & data.label.notna()]
    hit = kept.label.astype(int).astype(str) == kept.prediction
    flags = codes.columns[4].values
    for value in (True, False):
        want = [int((hit & (kept.flag == value)).sum()), int((~hit & (kept.flag == value)).sum())]
        assert got["flag"][flags.index(str(value))].tolist() == want
    assert got["region"].sum() == len(kept)


def test_small_columns_counted_together_are_those_counted_alone(tables: Tables, evaluation: Evaluation) -> None:
    codes = build_codes(tables, evaluation)
    together = break_down_all(codes)
    assert list(together) == [column.name for column in codes.columns]
    for name, found in together.items():
        assert np.array_equal(found.table, break_down(codes, (name,)).table), name


def test_regression_sums(tables: Tables) -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=500)
    y[:7] = math.nan
    data = pd.DataFrame({"label": y, "prediction": y + rng.normal(size=500), "kind": rng.choice(["a", "b"], 500)})
    evaluation = evaluation_of(tables.folder, data, "regression", features=("kind",))
    codes = build_codes(tables, evaluation)
    want = error_sums(tables, evaluation, "true", ["kind = 'a'", "kind = 'b'"])[1:]
    values = codes.columns[0].values
    got = break_down_errors(codes, "kind")
    for name, sums in zip("ab", want, strict=True):
        one = got[values.index(name)]
        assert (one.n, one.unlabelled) == (sums.n, sums.unlabelled)
        assert (one.absolute, one.square, one.fourth) == pytest.approx((sums.absolute, sums.square, sums.fourth))
