"""Any two groupings, from the table and from its codes, against pandas."""

import numpy as np
import pandas as pd
import pytest

from dashboard.errors import BadQuery
from dashboard.metrics.codes import build_codes
from dashboard.metrics.crosstab import OUTCOME, Axis, column_axis, count_rows, one_column
from dashboard.metrics.tables import Tables
from tests.dashboard.metrics.evaluations import evaluation_of


def rows(n: int = 900) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    label = rng.choice(["1", "2", "<b>"], n)
    frame = pd.DataFrame(
        {
            "label": label,
            "prediction": np.where(rng.random(n) < 0.2, "2", label),
            "age": rng.normal(50, 20, n),
            "region": rng.choice(["north", "south", "o'hara"], n),
            "flag": rng.random(n) < 0.5,
        }
    )
    frame.loc[::50, "age"] = np.nan
    frame.loc[::70, "region"] = None
    frame.loc[::90, "label"] = None
    return frame


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("where", ["true", '"age" > 40'])
def test_counts_equal_pandas(tables: Tables, coded: bool, where: str) -> None:
    frame = rows()
    evaluation = evaluation_of(tables.folder, frame, features=("age", "region", "flag"))
    codes = build_codes(tables, evaluation) if coded else None
    kept = frame[frame.label.notna() & ((frame.age > 40) | (where == "true"))]
    region = column_axis(one_column(tables, evaluation, "region", codes))
    flag = column_axis(one_column(tables, evaluation, "flag", codes))
    classes = ("1", "2", "<b>")
    label, prediction = Axis("label", "label", classes), Axis("prediction", "prediction", classes)
    names = {"region": kept.region.fillna("(missing)"), "flag": kept.flag.astype(str), "label": kept.label}
    names["outcome"] = pd.Series(np.where(kept.label == kept.prediction, "right", "wrong"), kept.index)
    names["prediction"] = kept.prediction
    for y, x in ((label, prediction), (region, label), (prediction, flag), (region, flag), (region, OUTCOME)):
        got = count_rows(tables, evaluation, y, x, where, codes)
        want = pd.crosstab(names[y.name], names[x.name]).reindex(index=y.values, columns=x.values, fill_value=0)
        np.testing.assert_array_equal(got, want.to_numpy())


@pytest.mark.parametrize("coded", [False, True])
def test_bins_of_numbers_are_what_their_filters_select(tables: Tables, coded: bool) -> None:
    evaluation = evaluation_of(tables.folder, rows(), features=("age", "region", "flag"))
    codes = build_codes(tables, evaluation) if coded else None
    age = column_axis(one_column(tables, evaluation, "age", codes))
    got = count_rows(tables, evaluation, age, OUTCOME, "true", codes)
    for place, text in enumerate(age.filters):
        assert count_rows(tables, evaluation, age, OUTCOME, text, codes)[place].tolist() == got[place].tolist()
    assert got.sum() == rows().label.notna().sum()


def test_an_unknown_column_names_those_there_are(tables: Tables) -> None:
    evaluation = evaluation_of(tables.folder, rows(), features=("age",))
    with pytest.raises(BadQuery, match=r"no column 'x'.*'age'"):
        one_column(tables, evaluation, "x", None)
