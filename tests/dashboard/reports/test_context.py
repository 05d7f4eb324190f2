"""One prediction in context: the figures of the Performance page, slices by row and by value, calibration."""

import numpy as np
import pandas as pd
import pytest

from dashboard.inference.cards import InputField, ModelCard
from dashboard.inference.outputs import Prediction
from dashboard.reports.context import ContextReport, Undecided, _place, calibration, membership
from dashboard.reports.inputs import Given, InferenceQuery
from dashboard.reports.known_rows import nearest_rows
from dashboard.reports.performance import PerformanceQuery, performance_report
from layouts.context import render

CHANCE = np.random.default_rng(8)
N = 400


def frame():
    """A classifier of two classes with scores and two declared slices."""
    score = CHANCE.random(N).round(3)
    return pd.DataFrame(
        {
            "age": CHANCE.integers(0, 100, N).astype(float),
            "town": CHANCE.choice(["Rome", "Oslo"], N),
            "label": np.where(CHANCE.random(N) < score**2, "p", "q"),
            "prediction": np.where(score > 0.5, "p", "q"),
            "score_p": score,
            "score_q": 1 - score,
            "slice_young": CHANCE.random(N) < 0.3,
        }
    )


ROLES = {"roles": {"features": ("age", "town"), "scores": {"p": "score_p", "q": "score_q"}}}


@pytest.fixture
def described(build_house, tmp_path):
    """The house with a slices file, the run and its rows."""
    file = tmp_path / "slices.yaml"
    file.write_text("- {name: old, filter: age > 70}\n- {name: Romans, filter: town = 'Rome'}\n")
    house, rows = build_house(tmp_path, slices_file=file), frame()
    return house, house.add("r1", rows, **ROLES), rows


@pytest.mark.parametrize("row", [0, 17, 233])
def test_a_row_decides_every_slice(described, row):
    house, evaluation, rows = described
    held, outside, undecided = membership(house, evaluation, {}, row)
    expected = {
        name
        for name, inside in (
            ("young", rows.slice_young[row]),
            ("old", rows.age[row] > 70),
            ("Romans", rows.town[row] == "Rome"),
        )
        if inside
    }
    names = {item.name for item in held if item.kind != "found"}
    assert names == expected
    assert undecided == ()
    assert outside + len(held) >= 3


def test_values_decide_the_slices_whose_columns_they_give(described):
    house, evaluation, _ = described
    held, outside, undecided = membership(house, evaluation, {"age": 80}, None)
    assert [item.name for item in held] == ["old"]
    lacking = {item.name: item.columns for item in undecided}
    assert lacking["Romans"] == ("town",)
    assert lacking["young"] == ("slice_young",)
    assert outside == 0
    held, outside, _ = membership(house, evaluation, {"age": None, "town": "it's"}, None)
    assert (held, outside) == ([], 2)


@pytest.mark.parametrize("name", ["", "young", "old"])
def test_the_figures_are_those_of_the_performance_page(described, name):
    house, _, rows = described
    place = _place(house, "r1", name, Prediction("p", {"p": 0.9, "q": 0.1}))
    report = performance_report(house, PerformanceQuery(run="r1", slice=name))
    row = next(item for item in report.classes if item.name == "p")
    assert place.figures == {"precision": row.precision, "recall": row.recall}
    assert place.n == report.n
    inside = rows if not name else rows[rows.slice_young] if name == "young" else rows[rows.age > 70]
    said = inside[inside.prediction == "p"]
    assert place.figures["precision"].value == pytest.approx((said.label == "p").mean())
    assert place.figures["precision"].n == len(said)


@pytest.mark.parametrize("score", [0.05, 0.55, 0.95])
def test_the_scores_bin_is_counted(described, score):
    house, _, rows = described
    found, reason = calibration(house, "r1", Prediction("p", {"p": score, "q": 1 - score}))
    low, width = rows.score_p.min(), (rows.score_p.max() - rows.score_p.min()) / 10
    at = min(9, int((score - low) / width))
    inside = rows[(rows.score_p >= low + at * width - 1e-3) & (rows.score_p <= low + (at + 1) * width + 1e-3)]
    assert reason == ""
    assert found.n == pytest.approx(len(inside), abs=2)
    assert found.share == pytest.approx((inside.label == "p").mean(), abs=0.06)
    assert found.low <= found.share <= found.high
    # labels follow the square of the score, so scores in the middle promise too much
    assert score != 0.55 or found.word == "too high"


def test_a_run_without_scores_says_why_there_is_no_calibration(house):
    house.add("r2", frame().drop(columns=["score_p", "score_q"]))
    found, reason = calibration(house, "r2", Prediction("p", {"p": 0.9}))
    assert found is None
    assert "no scores" in reason


def test_rows_are_near_by_what_the_model_is_given(described):
    house, evaluation, rows = described
    fields = (InputField("age", "double", True),)
    card = ModelCard("m", "pets", "1", "r1", "run", "classification", "table", fields)
    row = {name: rows[name][5] for name in ("age", "town")}
    of_row = nearest_rows(house, card, evaluation, Given(dict(row), "row 5", row), row, 5)
    of_values = nearest_rows(house, card, evaluation, Given({"age": row["age"]}, "your values"), {"age": row["age"]}, 5)
    assert of_row == of_values
    assert of_row.how.startswith("age: ")
    distances = (rows.age - row["age"]).abs().drop(5).sort_values(kind="stable")
    assert rows.age[of_row.rows[0].row] == rows.age[distances.index[0]]


@pytest.mark.parametrize(("others", "said"), [(1, "The one other slice does not"), (3, "The 3 other slices do not")])
def test_slices_without_the_input_are_told_in_plain_words(described, others, said):
    house, _, _ = described
    place = _place(house, "r1", "", Prediction("p", {"p": 0.9}))
    unknown = (Undecided("very_young", ("slice_very_young",)), Undecided("old", ("age", "town")))
    shown = str(render(ContextReport("p", (place,), 0, others, unknown, None, "", None), InferenceQuery(run="r1")))
    assert said in shown
    assert "very young (a list of evaluated rows); old (depends on age, town)" in shown
