"""The report of a matrix: any two groupings, in the asked order, against pandas."""

import numpy as np
import pandas as pd
import pytest

from dashboard.errors import BadQuery
from dashboard.reports.confusion import MatrixQuery, MatrixReport, matrix_report
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import DatasetInput
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


def versions(house: House, first: pd.DataFrame, second: pd.DataFrame, **changes) -> None:
    """Two runs of one model, r1 and r2."""
    for place, (name, frame) in enumerate((("r1", first), ("r2", second)), 1):
        house.add(
            name,
            frame,
            roles={"features": ("region",), "classes": tuple(sorted(set(frame.prediction)))},
            ordinal=place,
            version=str(place),
            **changes,
        )


def test_another_runs_prediction_is_joined_by_id(house: House) -> None:
    ours = rows().assign(id=range(400))
    theirs = rows().assign(id=range(400), prediction=np.where(rows().age > 50, "9", rows().label))
    versions(house, ours, theirs[theirs.id >= 30].sample(frac=1, random_state=1))
    found = matrix_report(house, MatrixQuery(run="r1", across="run:r2", filter="id >= 20"))
    assert found.titles == {"run:r2": "prediction of v2 (r2)"}
    assert "run:r2" in found.choices
    assert found.note.startswith("Rows are matched with v2 (r2) by id. 10 rows have no prediction of it")
    kept = ours[ours.id >= 30]
    want = pd.crosstab(kept.label, theirs[theirs.id >= 30].prediction)
    assert found.classes
    for label in want.index:
        for name in want.columns:
            assert table(found).loc[label, name] == want.loc[label, name]
    assert found.down.values == found.across.values == ("1", "10", "2", "9")
    by_region = matrix_report(house, MatrixQuery(run="r1", down="region", across="run:r2", arrange="frequency"))
    assert table(by_region).loc["north", "9"] == ((ours.region == "north") & (ours.age > 50) & (ours.id >= 30)).sum()


def test_another_runs_prediction_is_joined_by_position_only_where_the_data_is_the_same(house: House) -> None:
    data = (DatasetInput("d", "123", "evaluation"),)
    versions(house, rows(), rows().assign(prediction="1"), datasets=data)
    found = matrix_report(house, MatrixQuery(run="r1", down="prediction", across="run:r2"))
    assert "by position" in found.note
    assert found.across.values[table(found).sum().argmax()] == "1"
    assert table(found).to_numpy().sum() == 400
    versions(house, rows(), rows().assign(prediction="1", label="1"), datasets=data)
    assert "another label at the same position" in matrix_report(house, MatrixQuery(run="r1", across="run:r2")).note
    versions(house, rows(), rows().assign(prediction="1"), datasets=(DatasetInput("d", "123", "training"),))
    found = matrix_report(house, MatrixQuery(run="r1", across="run:r2"))
    assert found.titles == {}
    assert "cannot be told apart" in found.note
    assert found.across.name == "prediction"
