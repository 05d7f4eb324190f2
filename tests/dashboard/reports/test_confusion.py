"""The report of a matrix: any two groupings, in the asked order, against pandas."""

import numpy as np
import pandas as pd
import pytest

from dashboard.errors import BadQuery
from dashboard.reports.confusion import MatrixQuery, MatrixReport, matrix_report
from mlflow_runs.errors import DataMissing
from tests.dashboard.reports.conftest import House


def rows(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    label = rng.choice(["10", "2", "1"], n, p=[0.5, 0.3, 0.2])
    return pd.DataFrame(
        {
            "label": label,
            "prediction": np.where(rng.random(n) < 0.3, "2", label),
            "region": rng.choice(["north", "south"], n),
            "age": rng.normal(50, 10, n),
            "slice_old": rng.random(n) < 0.4,
        }
    )


def table(report: MatrixReport) -> pd.DataFrame:
    found = pd.DataFrame(0, index=list(report.down.values), columns=list(report.across.values))
    for row, column, n in report.cells:
        found.iloc[row, column] = n
    return found


@pytest.mark.parametrize("arrange", ["alphabet", "frequency"])
def test_labels_against_predictions_share_one_order(house: House, arrange: str) -> None:
    frame = rows()
    house.add("r1", frame, roles={"features": ("region", "age")})
    found = matrix_report(house, MatrixQuery(run="r1", arrange=arrange, filter="age > 45", slice="old"))
    kept = frame[(frame.age > 45) & frame.slice_old]
    order = sorted(kept.label.unique()) if arrange == "alphabet" else list(kept.label.value_counts().index)
    want = pd.crosstab(kept.label, kept.prediction).reindex(index=order, columns=order, fill_value=0)
    assert found.classes
    pd.testing.assert_frame_equal(table(found), want, check_names=False)


def test_a_column_against_the_label(house: House) -> None:
    frame = rows()
    house.add("r1", frame, roles={"features": ("region", "age")})
    found = matrix_report(house, MatrixQuery(run="r1", down="region", across="label", arrange="alphabet"))
    want = pd.crosstab(frame.region, frame.label)
    pd.testing.assert_frame_equal(table(found), want, check_names=False)
    assert (found.down.parameter, found.across.parameter, found.classes) == ("", "label", False)
    assert found.down.filters == ("region = 'north'", "region = 'south'")
    assert found.choices == ("label", "prediction", "slice_old", "region", "age")
    again = matrix_report(house, MatrixQuery(run="r1", down="region", across="label", arrange="frequency"))
    assert house.scans("matrix") == 1
    assert sum(n for *_, n in again.cells) == len(frame)


def test_bins_of_numbers_keep_their_order(house: House) -> None:
    house.add("r1", rows(), roles={"features": ("region", "age")})
    found = matrix_report(house, MatrixQuery(run="r1", down="age", across="slice_old", arrange="blocks"))
    assert found.down.values[0].startswith("below")
    assert found.down.values[-1].endswith("and above")


def test_a_column_that_is_gone_is_told_and_labels_are_shown(house: House) -> None:
    house.add("r1", rows(), roles={"features": ("region", "age")})
    found = matrix_report(house, MatrixQuery(run="r1", down="no such"))
    assert "'no such'" in found.note
    assert found.classes


def test_what_cannot_be_shown_is_named(house: House) -> None:
    house.add("r1", rows())
    house.add("r2", {"label": [1.5, 2.5], "prediction": [1.0, 2.0]}, "regression")
    with pytest.raises(BadQuery, match="'wild'"):
        matrix_report(house, MatrixQuery(run="r1", arrange="wild"))
    with pytest.raises(DataMissing, match="regression"):
        matrix_report(house, MatrixQuery(run="r2"))
    assert matrix_report(house, MatrixQuery(run="r1", filter="1 = 2")).cells == ()
