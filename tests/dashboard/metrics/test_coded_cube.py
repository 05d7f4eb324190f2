"""The cube from codes is the cube from the table; conditions are decided by codes where they can be."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.metrics.coded_cube import Condition, coded_cube, condition_rows, decide
from dashboard.metrics.codes import build_codes
from dashboard.metrics.cube import Cube, count_cube
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.tables import Tables
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of
from tests.dashboard.metrics.test_codes import FEATURES, frame

FILTERS = (
    "region = 'north'",
    "region <> 'north'",
    "region IS NULL",
    "region LIKE '%''s%' OR rooms IN (2, 3)",
    "NOT flag",
    "rooms + 1 > 4",
    "rooms = 3 AND flag AND region = '<b>'",
    "age > 30",
    "age > 30 AND region = ''",
    "code = 'c1'",
    "code IN ('c1', 'c700')",
    "slice_x",
    "label = 2",
    "text LIKE '%7%'",
    "rooms > 100",
)


@pytest.fixture(scope="module")
def evaluation(tables: Tables) -> Evaluation:
    return evaluation_of(tables.folder, frame(), features=FEATURES)


def same(one: Cube, other: Cube) -> bool:
    arrays = ("row", "col", "n", "slices", "unlabelled")
    return one.classes == other.classes and all(np.array_equal(getattr(one, a), getattr(other, a)) for a in arrays)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.lists(st.sampled_from(FILTERS), max_size=2).map(lambda parts: " AND ".join(f"({p})" for p in parts)),
    slices=st.lists(st.sampled_from(FILTERS), max_size=4),
)
def test_the_same_cube_on_both_paths(tables: Tables, evaluation: Evaluation, where: str, slices: list[str]) -> None:
    types, codes = tables.columns(evaluation.table), build_codes(tables, evaluation)
    asked = parse_filter(where, types)
    parsed = [parse_filter(text, types) for text in slices]
    want = count_cube(tables, evaluation, asked.sql, [item.sql for item in parsed])
    conditions = [Condition(item.sql, item.columns) for item in parsed]
    assert same(coded_cube(tables, evaluation, codes, Condition(asked.sql, asked.columns), conditions), want)
    unknown = [Condition(item.sql) for item in parsed]
    assert same(coded_cube(tables, evaluation, codes, Condition(asked.sql), unknown), want)


@pytest.mark.parametrize(
    ("text", "decided"),
    [(text, name not in ("age", "code", "label", "text")) for text in FILTERS for name in [text.split(" ")[0]]],
)
def test_what_only_reads_coded_values_is_decided_by_codes(
    tables: Tables, evaluation: Evaluation, text: str, decided: bool
) -> None:
    codes, asked = build_codes(tables, evaluation), parse_filter(text, tables.columns(evaluation.table))
    condition = Condition(asked.sql, asked.columns)
    assert (decide(tables, evaluation, codes, condition) is not None) == decided
    rows = condition_rows(tables, evaluation, codes, condition)
    table = f"read_parquet('{evaluation.table}')"
    want = tables.query(f"SELECT coalesce({asked.sql}, false) AS m FROM {table}")["m"].to_numpy()
    assert np.array_equal(rows, want)


def test_values_keep_their_types(tables: Tables) -> None:
    data = pd.DataFrame(
        {
            "label": [1, 2] * 50,
            "prediction": [1, 1] * 50,
            "small": np.array([0.1, 0.2] * 50, np.float32),
            "day": ["2024-01-01", None] * 50,
        }
    )
    evaluation = evaluation_of(tables.folder, data, features=("small", "day"))
    types, codes = tables.columns(evaluation.table), build_codes(tables, evaluation)
    for text in ("small > 0.15", "small = 0.1", "length(day) = 10", "coalesce(day, 'x') = 'x'"):
        asked = parse_filter(text, types)
        want = count_cube(tables, evaluation, asked.sql, [])
        assert same(coded_cube(tables, evaluation, codes, Condition(asked.sql, asked.columns), []), want), text


def test_no_condition_is_all_rows(tables: Tables, evaluation: Evaluation) -> None:
    codes = build_codes(tables, evaluation)
    assert condition_rows(tables, evaluation, codes, Condition("true", ())) is None
