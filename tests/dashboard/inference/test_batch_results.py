"""The result's CSV: read back it holds what went in, and no cell is a formula."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.inference.batch_results import ResultWriter, Tally
from dashboard.inference.detections import Box
from dashboard.inference.outputs import Prediction
from dashboard.spreadsheet import escaped


def written(columns, *rows):
    """The lines of a result."""
    target = io.StringIO(newline="")
    writer = ResultWriter(target, columns)
    for cells, answer in rows:
        writer.write(cells, answer)
    writer.close()
    return list(csv.reader(io.StringIO(target.getvalue())))


@given(st.text())
def test_no_cell_begins_like_a_formula_unless_it_is_a_number(text):
    cell = escaped(text)
    assert cell in (text, "'" + text)
    if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        assert float(cell) is not None


@pytest.mark.parametrize("number", ["-1.5", "+3", "-2e-05", ".5", "-.5"])
def test_numbers_stay_numbers(number):
    assert escaped(number) == number


def test_rows_carry_their_cells_prediction_scores_and_reason():
    cat = Prediction("cat", {"cat": 0.75, "dog": 0.25})
    lines = written(("id", "error"), ({"id": 1, "error": "=1+1"}, "too dark"), ({"id": 2, "error": None}, cat))
    assert lines[0] == ["id", "error", "prediction", "score_cat", "score_dog", "error (model)"]
    assert lines[1:] == [["1", "'=1+1", "", "", "", "too dark"], ["2", "", "cat", "0.75", "0.25", ""]]


def test_values_and_failures_only():
    assert written(("x",), ({"x": "a"}, Prediction(value=1.25)))[1] == ["a", "1.25", ""]
    assert written(("x",), ({"x": "a"}, "no"))[0] == ["x", "prediction", "error"]


def test_boxes_are_thinned_and_written_as_json():
    boxes = (Box("7", 1.0, 2.0, 3.0, 4.0, 0.9), Box("7", 1.0, 2.0, 3.0, 4.0, 0.6))
    cell = written(("x",), ({"x": "a"}, Prediction(boxes=boxes)))[1][1]
    assert json.loads(cell) == [boxes[0]._asdict()]


def test_the_tally_counts_labels_values_and_failures():
    tally = Tally()
    for answer in (Prediction("b"), "first", Prediction("a"), Prediction("b"), "second"):
        tally.add(answer)
    assert tally.facts() == {"n": 5, "failed": 2, "labels": {"b": 2, "a": 1}, "mean": None, "problem": "first"}
    numbers = Tally()
    for value in (1.0, 2.0, 6.0):
        numbers.add(Prediction(value=value))
    assert numbers.facts()["mean"] == 3.0
