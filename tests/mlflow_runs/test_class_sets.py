"""Several classes per row, in whatever form a run holds them, become sorted lists of distinct texts."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_runs.class_sets import SETS, is_sets, sets_of
from tests.mlflow_runs.sources import Run


@given(st.lists(st.none() | st.lists(st.sampled_from(["b", "a", "ü", "", "1"]) | st.none(), max_size=4), max_size=12))
def test_lists_become_sorted_sets(rows: list[list[str | None] | None]) -> None:
    want = [None if row is None else sorted({name for name in row if name is not None}) for row in rows]
    column = pa.array(rows, SETS)
    assert sets_of(column).to_pylist() == want
    assert sets_of(column[2:]).to_pylist() == want[2:]


@pytest.mark.parametrize(
    ("value", "classes"),
    [
        ('["b", "a", "a"]', ["a", "b"]),
        ("['b', 'a']", ["a", "b"]),
        ("[1, 2.0]", ["1", "2"]),
        ("[]", []),
        ("", []),
        ("b|a", ["a", "b"]),
        ("b; a;", ["a", "b"]),
        ("a, b", ["a, b"]),
        ("[not a list]", ["[not a list]"]),
        (None, None),
    ],
)
def test_texts(value: str | None, classes: list[str] | None) -> None:
    assert sets_of(pa.array([value, "x"], pa.string())).to_pylist() == [classes, ["x"]]


def test_other_lists_and_types() -> None:
    assert sets_of(pa.array([[2, 1], None], pa.list_(pa.int64()))).to_pylist() == [["1", "2"], None]
    assert sets_of(pa.array([3, None], pa.int64())).to_pylist() == [["3"], None]
    kinds = [pa.list_(pa.string()), pa.large_list(pa.int8()), pa.list_(pa.dictionary(pa.int8(), pa.string()))]
    assert all(is_sets(kind) for kind in kinds)
    assert not any(is_sets(kind) for kind in (pa.string(), pa.list_(pa.float64()), pa.list_(pa.list_(pa.string()))))


def test_lists_in_parquet_make_a_multilabel_evaluation(run: Run) -> None:
    rows = pa.table({
        "label": [["b", "a"], [], None],
        "prediction": [["a"], ["c"], ["a"]],
        "score_a": [0.9, 0.2, 0.3],
    })  # fmt: skip
    found = run.make("predictions.parquet", lambda path: pq.write_table(rows, path)).read()
    assert (found.task, found.classes, found.positive_class) == ("multilabel", ("a", "b", "c"), None)
    assert found.roles.scores == {"a": "score_a"}
    kept = pq.read_table(found.table)
    assert kept["label"].type == SETS
    assert kept["label"].to_pylist() == [["a", "b"], [], None]


def test_texts_in_csv_only_where_declared(run: Run) -> None:
    text = pd.DataFrame({"label": ["b|a", "[]", None], "prediction": ["a", "c|a", "a"]}).to_csv(index=False)
    run.write("predictions.csv", text)
    assert run.read().task == "classification"
    run.write("evaluation.json", {"task": "multilabel", "classes": ["c"]})
    found = run.read()
    assert (found.task, found.classes, found.problems) == ("multilabel", ("c", "a", "b"), ())
    assert pq.read_table(found.table)["label"].to_pylist() == [["a", "b"], [], None]


def test_an_empty_cell_beside_a_b_is_the_empty_set(run: Run) -> None:
    text = pd.DataFrame({"label": ["b|a", None], "prediction": [None, '["a"]']}).to_csv(index=False)
    run.write("predictions.csv", text)
    run.write("evaluation.json", {"task": "multilabel"})
    kept = pq.read_table(run.read().table)
    assert kept["label"].to_pylist() == [["a", "b"], []]
    assert kept["prediction"].to_pylist() == [None, ["a"]]


def test_what_holds_no_classes_is_a_problem(run: Run, tmp_path: Path) -> None:
    rows = pa.table({"label": [[{"x": 1}]], "prediction": [[{"x": 1}]]})
    run.make("predictions.parquet", lambda path: pq.write_table(rows, path))
    run.write("evaluation.json", {"task": "multilabel"})
    found = run.read()
    assert found.table is None
    assert "does not hold sets of classes" in found.problems[0].reason
