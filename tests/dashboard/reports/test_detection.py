"""Search by how many objects a picture holds, and the picture with its boxes, from a real table without any engine."""

import io
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dashboard.errors import BadQuery, EngineUnavailable
from dashboard.reports.detection import DetectionQuery, detects, scene_report, search_report
from dashboard.reports.detection_errors import DetectionErrorsQuery, detection_errors
from mlflow_runs.index import TABLES_FOLDER
from mlflow_runs.records import Evaluation, ModelInfo, Roles

N = 12  # picture k holds k % 4 cats, and a dog if k is even


def _box(label, at, **more):
    return {"label": label, "x": 12.0 * at, "y": 3.0, "w": 10.0, "h": 8.0, **more}


def _rows():
    truth = [[_box("cat", c) for c in range(k % 4)] + [_box("dog", 5)] * (k % 2 == 0) for k in range(N)]
    # every cat is found; dogs are taken for cats, and one more cat is found where nothing is
    found = [
        [_box("cat", c, score=0.9) for c in range(k % 4)]
        + [_box("cat", 5, score=0.6)] * (k % 2 == 0)
        + [_box("cat", 7, score=0.2)]
        for k in range(N)
    ]
    return truth, found


def _picture(k):
    target = io.BytesIO()
    Image.fromarray(np.full((20, 100), 20 * k, np.uint8)).save(target, "PNG")
    return target.getvalue()


@pytest.fixture
def detection(house):
    truth, found = _rows()
    table = pa.table(
        {
            "image": [_picture(k) for k in range(N)],
            "boxes": [json.dumps(row) for row in truth],
            "predicted_boxes": found,
            "slice_late": [k >= 6 for k in range(N)],
        }
    )
    path = house.settings.data_dir / TABLES_FOLDER / "boxes.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    roles = Roles(image="image", boxes="boxes", predicted_boxes="predicted_boxes", slices=("slice_late",))
    house.add("r1", Evaluation("r1", "detection", roles, ("cat", "dog"), table=path, digest="boxes", n_rows=N))
    return house


def test_the_histogram_counts_pictures_by_objects(detection):
    cats = search_report(detection, DetectionQuery("r1", object="cat"))
    assert (cats.pictures, cats.hits, cats.first, cats.most) == ((3, 3, 3, 3), N, 0, 3)
    every = search_report(detection, DetectionQuery("r1"))
    assert sum(every.pictures) == N and every.pictures == (0, 6, 0, 6)


def test_stepping_through_the_hits(detection):
    def at(row):
        found = search_report(detection, DetectionQuery("r1", row, object="cat", least=2, most=2))
        return found.position, found.hits, found.before, found.after

    assert at("") == (None, 3, None, 2)
    assert at("2") == (1, 3, None, 6)
    assert at("6") == (2, 3, 2, 10)
    assert at("10") == (3, 3, 6, None)
    assert at("7") == (None, 3, 6, 10)  # a picture that is no hit lies between two


@pytest.mark.parametrize(("change", "named"), [({"object": "owl"}, "'owl'"), ({"least": 9}, "least=9")])
def test_what_cannot_be_searched_is_named(detection, change, named):
    with pytest.raises(BadQuery, match=named):
        search_report(detection, DetectionQuery("r1", **change))


def test_a_run_without_a_model_shows_the_recorded_boxes(detection):
    assert detects(detection.runs.run("r1"))
    scene = scene_report(detection, DetectionQuery("r1", "2"))
    assert (scene.width, scene.height, scene.answer, scene.problem) == (100, 20, None, "")
    assert [box.label for box in scene.truth] == ["cat", "cat", "dog"]
    assert [(box.label, box.score) for box in scene.found] == [("cat", 0.9)] * 2 + [("cat", 0.6), ("cat", 0.2)]
    assert scene.classes == ("cat", "dog") and scene.image.startswith("data:image/png")
    assert scene_report(detection, DetectionQuery("r1")) is None


def test_while_the_engine_is_away_the_recorded_boxes_are_shown_with_the_reason(detection):
    spec = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 20, 100]}}
    evaluation = replace(detection.runs.evaluation("r1"), run_id="r2")
    detection.add("r2", evaluation, model_info=ModelInfo("m-1", "m", ("pytorch",), {"inputs": [spec]}))

    class Away:
        def predict(self, *_, **_more):
            raise EngineUnavailable("The inference process does not answer.")

    services = type("Services", (), {**vars(detection), "inference": Away(), "flags": detection.flags})()
    scene = scene_report(services, DetectionQuery("r2", "1"))
    assert "does not answer" in scene.problem and scene.answer is None and len(scene.found) == 2


def test_counts_and_boxes_of_errors(detection):
    report = detection_errors(detection, DetectionErrorsQuery("r1"))
    cat, dog = report.classes
    cats = 3 * (0 + 1 + 2 + 3)
    assert (cat.counts.tp, cat.counts.fp, cat.counts.fn) == (cats, N // 2, 0)
    assert (dog.counts.tp, dog.counts.fp, dog.counts.fn) == (0, 0, N // 2)
    assert report.total.counts.fn == N // 2 and report.boxes == ()
    lower = detection_errors(detection, DetectionErrorsQuery("r1", outcome="false", object="cat", confidence="0.1"))
    assert lower.n == N // 2 + N and len(lower.boxes) == lower.n
    assert {box.why for box in lower.boxes} == {"it is dog (1.00)", "nothing true is there"}
    assert [box.score for box in lower.boxes] == sorted((box.score for box in lower.boxes), reverse=True)
    missed = detection_errors(detection, DetectionErrorsQuery("r1", outcome="missed", slice="late"))
    assert [(box.row, box.label) for box in missed.boxes] == [(6, "dog"), (8, "dog"), (10, "dog")]
    assert {box.why for box in missed.boxes} == {"taken for cat (1.00)"}
    assert all(box.image.startswith("data:image/png") for box in missed.boxes)


WRONG = ({"confidence": "2"}, {"iou": "0.51"}, {"iou": "x"}, {"outcome": "false", "object": "owl"})


@pytest.mark.parametrize("change", WRONG)
def test_wrong_thresholds_are_named(detection, change):
    with pytest.raises(BadQuery, match=str(list(change.values())[-1])):
        detection_errors(detection, DetectionErrorsQuery("r1", **change))
