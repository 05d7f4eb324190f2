"""Boxes are read alike from lists and from JSON text; what is no box is named by its row."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard.metrics.boxes import boxes_of, read_scenes
from dashboard.metrics.tables import Tables
from mlflow_runs.errors import ArtifactUnreadable, DataMissing
from mlflow_runs.records import Evaluation, Roles


def _box(label, x, score=None):
    return {"label": label, "x": x, "y": 2.0, "w": 3.0, "h": 4.0} | ({} if score is None else {"score": score})


TRUTH = [[_box("cat", 1.0), _box("dog", 5.0)], [], None, [_box("cat", 7.0)]]
FOUND = [[_box("cat", 1.5, 0.9)], [_box("owl", 0.0, 0.2)], [], None]


def _read(folder, truth, found, where="true", conditions=()):
    path = folder / "table.parquet"
    pq.write_table(pa.table({"id": [0, 1, 2, 3][: len(truth)], "boxes": truth, "predicted_boxes": found}), path)
    roles = Roles(boxes="boxes", predicted_boxes="predicted_boxes")
    evaluation = Evaluation("r", "detection", roles, classes=("dog",), table=path)
    return read_scenes(Tables(folder), evaluation, where, conditions)


def _texts(rows):
    return [None if row is None else json.dumps(row) for row in rows]


@pytest.mark.parametrize("form", [list, _texts])
def test_lists_and_texts_read_alike(tmp_path, form):
    scenes = _read(tmp_path, form(TRUTH), form(FOUND), conditions=["id = 1"])
    assert scenes.classes == ("dog", "cat", "owl")
    assert scenes.numbers.tolist() == [0, 1] and scenes.unlabelled == 2
    assert scenes.truth.image.tolist() == [0, 0] and scenes.truth.label.tolist() == [1, 0]
    assert scenes.truth.place.tolist() == [[1, 2, 3, 4], [5, 2, 3, 4]]
    assert scenes.found.score.tolist() == [0.9, 0.2] and scenes.found.image.tolist() == [0, 1]
    assert scenes.slices.tolist() == [[False, True]]


def test_a_filter_keeps_the_numbers_of_the_rows(tmp_path):
    scenes = _read(tmp_path, TRUTH, FOUND, "id = 1")
    assert scenes.numbers.tolist() == [1] and len(scenes.truth) == 0


def test_an_evaluation_without_any_detection(tmp_path):
    scenes = _read(tmp_path, TRUTH[:2], [[], []])
    assert len(scenes.found) == 0 and scenes.classes == ("dog", "cat")


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ([[], _texts([[_box("a", 1.0, 0.5)]])[0]], "is not"),
        ([json.dumps([]), json.dumps([_box("a", 1.0, 0.5) | {"w": -1}])], "row 1 "),
        ([json.dumps([]), "{broken"], "row 1 "),
        ([json.dumps([]), json.dumps([{"x": 1}])], "row 1 "),
        ([json.dumps([_box("a", 1.0, "high")]), "[]"], "predicted_boxes"),
        ([[_box("a", 1.0)], []], "lacks score"),
        ([[1.0], [2.0]], "lacks h, label, score, w, x, y"),
    ],
)
def test_what_is_no_box_is_named(tmp_path, found, named):
    truth = [json.dumps([]) for _ in found]
    if not all(isinstance(cell, type(found[0])) for cell in found):
        found = [json.dumps(cell) if isinstance(cell, list) else json.dumps({"no": cell}) for cell in found]
    with pytest.raises(ArtifactUnreadable, match=named):
        _read(tmp_path, truth, found)


def test_a_run_without_predicted_boxes_is_named(tmp_path):
    evaluation = Evaluation("r1", "detection", Roles(boxes="boxes"), table=tmp_path / "t.parquet")
    with pytest.raises(DataMissing, match=r"r1 .*predicted_boxes"):
        read_scenes(Tables(tmp_path), evaluation, "true")


def test_a_cell_is_a_list_of_objects_or_its_text():
    assert boxes_of('[{"label": 1}]') == [{"label": 1}]
    assert boxes_of([]) == []
    assert boxes_of("[1]") is boxes_of(None) is boxes_of("{") is None
