"""Data that other tools trip over, through the reports of all pages: each has one meaning."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dashboard.metrics.codes import build_codes
from dashboard.reports.confusion import MatrixQuery, matrix_report
from dashboard.reports.curves import CurvesQuery, CurvesReport, curves_report
from dashboard.reports.data import DataQuery, data_report, row_page
from dashboard.reports.performance import PerformanceQuery, error_rows, performance_report
from dashboard.reports.row_pages import tables_of
from tests.dashboard.reports.conftest import House, build


@pytest.fixture
def house(tmp_path: Path) -> House:
    """An empty data folder."""
    return build(tmp_path)


def frame(n: int, **columns: Any) -> pd.DataFrame:
    """Two classes, one row in five wrong."""
    rng = np.random.default_rng(3)
    label = rng.choice(["a", "b"], n)
    prediction = np.where(rng.random(n) < 0.8, label, np.where(label == "a", "b", "a"))
    return pd.DataFrame({"label": label, "prediction": prediction, **columns})


def curves(house: House, name: str, scores: np.ndarray) -> CurvesReport:
    """The curves of class b by one column of scores."""
    found = house.add(name, frame(len(scores), score=scores), roles={"score": "score"})
    assert found is not None
    house.read(replace(found, classes=("a", "b"), positive_class="b"))
    return curves_report(house, CurvesQuery(run=name))


@pytest.mark.parametrize("coded", [False, True])
def test_five_thousand_categories_are_grouped_as_other_and_it_is_said(house: House, coded: bool) -> None:
    data = frame(60_000, shop=[f"shop {k % 5000}" for k in range(60_000)])
    evaluation = house.add("r1", data, roles={"features": ("shop",)})
    assert evaluation is not None
    if coded:
        build_codes(tables_of(house), evaluation)
    column = next(c for c in data_report(house, DataQuery(run="r1")).columns if c.name == "shop")
    assert (column.distinct, len(column.top)) == (5000, 12)
    report = matrix_report(house, MatrixQuery(run="r1", down="shop"))
    assert len(report.down.values) == 254 and report.down.values[-1] == "(other)"
    assert sum(n for *_, n in report.cells) == 60_000
    assert sum(n for row, _, n in report.cells if row == 253) == 60_000 - 253 * 12


def test_infinite_scores_are_left_out_and_counted(house: House) -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(2000)
    scores[:3] = math.inf, -math.inf, math.nan
    found = curves(house, "r1", scores).scored
    assert (found.n, found.left_out) == (1997, 3)
    assert 0 < found.auc.value < 1
    page = row_page(house, DataQuery(run="r1", limit=3))
    assert [row[page.columns.index("score")] for row in page.rows] == [None, None, None]


def test_probabilities_that_do_not_sum_to_one_are_taken_as_they_are(house: House) -> None:
    scores = np.random.default_rng(1).random(2000)
    one, three = curves(house, "r1", scores).scored, curves(house, "r3", 3 * scores).scored
    assert three.auc.value == pytest.approx(one.auc.value, abs=one.auc_error + three.auc_error)
    assert three.counts.high == pytest.approx(3 * scores.max())


def test_a_class_that_occurs_in_predictions_only(house: House) -> None:
    data = frame(200)
    data.loc[:9, "prediction"] = "ghost"
    house.add("r1", data)
    report = performance_report(house, PerformanceQuery(run="r1"))
    ghost = next(row for row in report.classes if row.name == "ghost")
    assert (ghost.n, ghost.n_predicted, ghost.precision.value) == (0, 10, 0.0)
    assert ghost.recall.undefined and ghost.f1.value == 0
    assert error_rows(house, PerformanceQuery(run="r1", predicted="ghost")).total == 10


def test_one_class_alone(house: House) -> None:
    house.add("r1", {"label": ["a"] * 50, "prediction": ["a"] * 50, "id": list(range(50))})
    report = performance_report(house, PerformanceQuery(run="r1"))
    assert report.overall["macro_f1"].value == 1.0 and report.overall["macro_f1"].low < 1.0
    assert report.confusion is not None and report.confusion.cells == ((0, 0, 50),)


def test_moments_with_a_time_zone_stay_those_moments(house: House) -> None:
    moments = pd.date_range("2026-03-28 22:00", periods=6, freq="h", tz="UTC").tz_convert("Europe/Berlin")
    data = pa.table({**frame(6).to_dict("list"), "when": pa.array(list(moments), pa.timestamp("us", "Europe/Berlin"))})
    house.add("r1", data, roles={"time": "when", "features": ("when",)})
    page = row_page(house, DataQuery(run="r1", sort="when", order="desc"))
    shown = [pd.Timestamp(row[page.columns.index("when")]) for row in page.rows]
    assert shown == sorted(moments, reverse=True)  # also across the hour that the clock skips


@pytest.mark.parametrize("coded", [False, True])
def test_numbers_and_their_texts_are_the_same_class(house: House, coded: bool) -> None:
    label, prediction = [1.0, 2.0, None, 10.0] * 20, ["1", "2", "1", "2"] * 20
    evaluation = house.add("r1", pd.DataFrame({"label": label, "prediction": prediction}))
    assert evaluation is not None
    if coded:
        build_codes(tables_of(house), evaluation)
    report = performance_report(house, PerformanceQuery(run="r1"))
    assert (report.n, report.n_unlabelled, report.overall["accuracy"].value) == (60, 20, pytest.approx(2 / 3))
    assert {row.name for row in report.classes} == {"1", "2", "10"}
    assert error_rows(house, PerformanceQuery(run="r1", label="10", predicted="2")).total == 20
