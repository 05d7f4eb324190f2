"""From hand-built records, pages and answers to documents."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dashboard.api import documents
from dashboard.api.shapes import ColumnsDocument, DataDocument, PredictDocument, RunDocument, RunsDocument
from dashboard.inference.cards import InputField, ModelCard
from dashboard.inference.client import Answer
from dashboard.inference.detections import Box
from dashboard.inference.outputs import Prediction
from dashboard.reports.data import ColumnSummary, DataReport, RowPage
from mlflow_runs.records import StoreState
from tests.dashboard.api.samples import RUN, sent

_STORE = StoreState("sqlite:///x", False, "locked", None, 3, 1)


def test_run_list_holds_broken_runs_with_their_problems():
    page = sent(RunsDocument, documents.runs_document([RUN], 7, 3, 1, _STORE))
    assert (page["total"], page["offset"], page["limit"]) == (7, 3, 1)
    assert page["store"] == {"reachable": False, "message": "locked", "synced_at": None}
    (run,) = page["runs"]
    assert run["version"] is None and run["problems"] == [{"artifact": "performance.json", "reason": "it is cut off"}]
    assert run["start_time"] == "2023-11-14T22:13:20.250Z" and run["end_time"] is None
    assert run["metrics"] == {"loss": None}


def test_run_document_holds_lineage():
    run = sent(RunDocument, documents.run_document(RUN))
    assert run["params"] == {"a": "1"} and run["model_info"]["model_id"] == "m-1"
    assert run["datasets"] == [{"name": "d", "digest": "1", "context": "", "source": ""}]


@pytest.mark.parametrize("moment", [math.nan, math.inf, 1e300, -1e300])
def test_a_time_that_is_none_is_null(moment):
    assert documents.run_item(replace(RUN, start_time=moment))["start_time"] is None


def test_rows_are_objects_by_column_name():
    page = RowPage(("text", "x"), (("<b>", 1.5), (None, math.nan)), (4, 9), 0, 2, 12)
    document = sent(DataDocument, documents.data_document(page))
    assert document["rows"] == [{"text": "<b>", "x": 1.5}, {"text": None, "x": None}]
    assert document["row_numbers"] == [4, 9] and document["total"] == 12


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        (Prediction("a", {"a": 0.75, "b": 0.25}), {"label": "a", "probabilities": {"a": 0.75, "b": 0.25}}),
        (Prediction("a"), {"label": "a", "probabilities": {}}),
        (Prediction(value=np.float32(1.5)), {"value": 1.5}),
        (Prediction(value=math.nan), {"value": None}),
        (Prediction(raw=[1, [2]]), {"raw": [1, [2]]}),
    ],
)
def test_predictions(prediction, expected):
    card = ModelCard("m-1", "m", "3", "r", "one", "classification", "table", (InputField("x", "double"),), ("a", "b"))
    document = sent(PredictDocument, documents.predict_document(Answer((prediction,), card, True, 2.0, 1.25, 0.5)))
    assert document["predictions"] == [expected]
    assert document["cached"] is True and document["latency_ms"] == 1.25
    assert document["model"]["inputs"] == [{"name": "x", "type": "double", "required": True}]


def test_columns():
    number = ColumnSummary("x", "number", "feature", 3, 1, 2, 0.0, math.nan, math.inf, None, (0.0, 1.0), (2,))
    word = ColumnSummary("<b>", "category", "label", 3, 0, 1, None, None, None, None, top=(("a", 3),))
    report = DataReport(RUN, "predictions.csv", 3, 4, 0, (number, word), word, None, None, {"size": 8})
    document = sent(ColumnsDocument, documents.columns_document(report, "x > 0"))
    assert (document["n"], document["total"], document["filter"]) == (3, 4, "x > 0")
    assert document["columns"][0]["maximum"] is None and document["columns"][0]["edges"] == [0.0, 1.0]
    assert document["columns"][1]["top"] == [{"value": "a", "n": 3}]


def test_boxes_are_thinned_as_asked():
    best, near = Box("7", 1, 2, 3, 4, 0.9), Box("7", 1, 2, 3, 4, 0.6)
    card = ModelCard("m", "n", None, "r", "", None, "image", ())
    answer = Answer((Prediction(boxes=(best, near)),), card, False, None, 1, 1)

    def boxes(*thresholds):
        return sent(PredictDocument, documents.predict_document(answer, None, *thresholds))["predictions"][0]["boxes"]

    assert boxes() == [best._asdict()]
    assert boxes(0.0, 1.0) == [best._asdict(), near._asdict()]
    assert boxes(1.0) == []
