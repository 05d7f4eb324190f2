"""Codes of categories and bins of numbers."""

import pyarrow as pa
import pytest

from dashboard.metrics.breakdown import break_down
from dashboard.metrics.codes import build_codes
from dashboard.metrics.coding import columns_of, positions, round_edges
from dashboard.metrics.tables import Tables
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of
from tests.dashboard.metrics.test_codes import FEATURES, frame


@pytest.fixture(scope="module")
def evaluation(tables: Tables) -> Evaluation:
    return evaluation_of(tables.folder, frame(), features=FEATURES)


def test_rare_values_share_one_code_and_it_is_said(tables: Tables, evaluation: Evaluation) -> None:
    column = next(c for c in build_codes(tables, evaluation).columns if c.name == "code")
    distinct = frame().code.nunique()
    assert distinct > 254
    assert (len(column.values), column.grouped, column.values[-1], column.filters[-1]) == (
        255,
        distinct - 253,
        "(other)",
        "",
    )
    n = break_down(build_codes(tables, evaluation), ("code",)).table.sum(axis=1)
    assert n[-1] == frame().code.value_counts().sort_values(ascending=False).iloc[253:].sum()


@pytest.mark.parametrize(
    ("quantiles", "edges"),
    [
        ([], ()),
        ([5.0, 5.0], (5.0,)),
        ([0.123456, 0.5, 0.987654], (0.12, 0.5, 0.99)),
        ([12345.6, 23456.7, 99999.0], (12000.0, 23000.0, 100000.0)),
        ([-0.001, 0.001], (-0.001, 0.001)),
    ],
)
def test_edges_are_round(quantiles: list[float], edges: tuple[float, ...]) -> None:
    assert round_edges(quantiles) == edges


def test_columns_without_groups(tables: Tables, evaluation: Evaluation) -> None:
    assert "text" not in [column.name for column in columns_of(tables, evaluation)]


@pytest.mark.parametrize("coded", [False, True])
def test_positions(coded: bool) -> None:
    values = pa.array(["b", None, "a", "x", "b"])
    found = positions(values.dictionary_encode() if coded else values, pa.array(["a", "b"]))
    assert found.tolist() == [1, -1, 0, -1, 1]
