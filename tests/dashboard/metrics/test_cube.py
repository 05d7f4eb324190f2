"""Counts by label and prediction equal pandas' and scikit-learn's, whatever the columns' types."""

import datetime as dt
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from dashboard.metrics.cube import count_cube
from dashboard.metrics.tables import Tables
from mlflow_runs.errors import ArtifactUnreadable, DataMissing
from tests.dashboard.metrics.evaluations import evaluation_of

NAMES = ["a", "b", "ü", "<b>x</b>", "it's", "1", "", "True", "\\", '"', "日本", "a b", "%"]
PAIRS = st.lists(
    st.tuples(st.sampled_from([*NAMES, None]), st.sampled_from([*NAMES, None]), st.booleans()), max_size=60
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PAIRS)
def test_counts_equal_scikit_learn(tables: Tables, rows: list[tuple[str | None, str | None, bool]]) -> None:
    label, prediction, inside = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    text = pa.string()
    data = pa.table(
        {
            "label": pa.array(label, text),
            "prediction": pa.array(prediction, text),
            "slice_x": pa.array(inside, pa.bool_()),
        }
    )
    cube = count_cube(tables, evaluation_of(tables.folder, data), "true", ['"slice_x"'])
    used = [(y, p, s) for y, p, s in rows if y is not None and p is not None]
    assert cube.classes == tuple(sorted({name for y, p, _ in used for name in (y, p)}))
    assert cube.unlabelled.tolist() == [
        len(rows) - len(used),
        sum(s for *_, s in rows) - sum(s for *_, s in used),
    ]
    for counts, kept in ((cube.counts(), used), (cube.counts(0), [row for row in used if row[2]])):
        if not kept:
            assert counts.total == 0
            continue
        dense = np.zeros((len(cube.classes),) * 2, dtype=int)
        dense[counts.row, counts.col] = counts.n
        if len(cube.classes) == 1:
            assert dense.tolist() == [[len(kept)]]
            continue
        expected = confusion_matrix([y for y, *_ in kept], [p for _, p, _ in kept], labels=list(cube.classes))
        assert (dense == expected).all()


@pytest.mark.parametrize(
    ("label", "prediction", "classes"),
    [
        ([1, 2, 1], ["1", "2", "2"], ("1", "2")),
        ([1.0, math.nan, 2.0], [1, 2, 2], ("1", "2")),
        ([True, False, True], ["True", "False", "True"], ("False", "True")),
        ([0.5, 1.0, math.inf], [0.5, 1.0, 1.0], ("0.5", "1", "inf")),
        ([-1, 0, 2**60], [-1, 0, 2**60], ("-1", "0", str(2**60))),
        ([dt.date(2020, 1, 1)] * 3, ["2020-01-01"] * 3, ("2020-01-01",)),
    ],
)
def test_the_text_names_the_class(tables: Tables, label: list, prediction: list, classes: tuple[str, ...]) -> None:
    cube = count_cube(tables, evaluation_of(tables.folder, {"label": label, "prediction": prediction}), "true", [])
    assert cube.classes == classes


def test_declared_order_comes_first_and_unseen_classes_are_left_out(tables: Tables) -> None:
    evaluation = evaluation_of(tables.folder, {"label": ["b", "c"], "prediction": ["a", "c"]}, classes=("c", "x", "b"))
    assert count_cube(tables, evaluation, "true", []).classes == ("c", "b", "a")


def test_columns_named_like_our_own(tables: Tables) -> None:
    data = {
        "label": ["a", "b"],
        "prediction": ["a", "a"],
        "y_": [1, 2],
        "p_": ["u", "v"],
        "n": [3, 4],
        "s0": [True, False],
    }
    cube = count_cube(tables, evaluation_of(tables.folder, data), '"y_" > 1', ['"s0"', '"n" = 4'])
    assert (cube.counts().total, cube.counts(0).total, cube.counts(1).total) == (1, 0, 1)


def test_a_thousand_classes(tables: Tables) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"label": rng.integers(0, 1000, 20_000), "prediction": rng.integers(0, 1000, 20_000)})
    counts = count_cube(tables, evaluation_of(tables.folder, frame), "true", []).counts()
    expected = frame.astype(str).value_counts()
    got = {(counts.classes[i], counts.classes[j]): n for i, j, n in zip(counts.row, counts.col, counts.n, strict=True)}
    assert got == expected.to_dict()


@pytest.mark.parametrize("missing", ["label", "prediction"])
def test_a_missing_column_is_named(tables: Tables, missing: str) -> None:
    data = {name: ["a"] for name in ("label", "prediction") if name != missing}
    with pytest.raises(DataMissing, match=f"no {missing} column"):
        count_cube(tables, evaluation_of(tables.folder, data), "true", [])


def test_a_broken_file_is_unreadable(tables: Tables) -> None:
    evaluation = evaluation_of(tables.folder, {"label": ["q"], "prediction": ["q"]})
    assert evaluation.table is not None
    evaluation.table.write_bytes(b"PAR1 not at all")
    with pytest.raises(ArtifactUnreadable, match="predictions table cannot be read") as caught:
        count_cube(tables, evaluation, "true", [])
    assert str(tables.folder) not in str(caught.value)
