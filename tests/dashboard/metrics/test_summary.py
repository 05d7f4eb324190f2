"""Summaries of columns whose types and values are odd; the ordinary ones are tested with the Data report."""

import math

import pyarrow as pa
import pytest

from dashboard.metrics.summary import duplicates, role_of, summarize
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Roles
from tests.dashboard.metrics.evaluations import evaluation_of


def summaries(tables: Tables, data: pa.Table, roles: Roles | None = None) -> dict:
    path = evaluation_of(tables.folder, data).table
    return {s.name: s for s in summarize(tables, source(path), tables.columns(path), roles or Roles())}


@pytest.mark.parametrize(
    ("values", "low", "high", "counted"),
    [
        ([1, 1, 1], 1, 1, 3),
        ([1e308, -1e308], -1e308, 1e308, 0),
        ([math.inf, 1.0, -math.inf, 2.0], 1, 2, 2),
        ([None, 5], 5, 5, 1),
        ([2**62, 0], 0, 2**62, 2),
        ([0.1, 0.2, 0.3], 0.1, 0.3, 3),
    ],
)
def test_numbers(tables: Tables, values: list, low: float, high: float, counted: int) -> None:
    found = summaries(tables, pa.table({"x": values}))["x"]
    assert (found.minimum, found.maximum, sum(found.counts)) == (low, high, counted)
    assert not found.edges or len(found.edges) == len(found.counts) + 1


def test_odd_types(tables: Tables) -> None:
    found = summaries(
        tables,
        pa.table(
            {
                "list": pa.array([[1], None]),
                "bytes": pa.array([b"a", b"b"]),
                "hf": pa.array([{"bytes": b"a", "path": "x"}] * 2),
                "null": pa.nulls(2),
                "money": pa.array([1, 2]).cast(pa.decimal128(22, 2)),
                "coded": pa.array(["a", "b"]).dictionary_encode(),
                'it\'s "quoted"': pa.array([1, 2]),
            }
        ),
    )
    assert {name: s.kind for name, s in found.items()} == {
        "list": "other",
        "bytes": "image",
        "hf": "image",
        "null": "other",
        "money": "number",
        "coded": "category",
        'it\'s "quoted"': "number",
    }
    assert (found["list"].missing, found["null"].missing, found["coded"].top) == (1, 2, (("a", 1), ("b", 1)))


def test_long_and_various_texts_are_text_without_a_role(tables: Tables) -> None:
    long = [f"{i} " + "word " * 20 for i in range(60)]
    found = summaries(tables, pa.table({"a": long, "b": [f"code-{i}" for i in range(60)]}))
    assert (found["a"].kind, found["b"].kind, found["b"].distinct, len(found["b"].top)) == ("text", "category", 60, 12)


def test_roles() -> None:
    roles = Roles(label="y", prediction="p", scores={"a": "s"}, slices=("slice_x",), features=("f",))
    assert [role_of(name, roles) for name in ("y", "p", "s", "slice_x", "f")] == [
        "label",
        "prediction",
        "score",
        "slice",
        "feature",
    ]


def test_duplicates_compare_missing_values_as_equal(tables: Tables) -> None:
    data = pa.table({"a": ["x", "x", None, None], "b": pa.array([b"1", b"1", None, None])})
    path = evaluation_of(tables.folder, data).table
    assert duplicates(tables, source(path), tables.columns(path), ["a", "b"]) == 2
    assert duplicates(tables, source(path), tables.columns(path), ["gone"]) == 0
