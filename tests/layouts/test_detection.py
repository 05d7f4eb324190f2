"""The cards of objects in pictures: built hidden and empty, drawn with what the browser needs."""

import json
import re

from dashboard.inference.detections import Box
from dashboard.metrics.detection import Outcomes
from dashboard.metrics.estimate import Estimate
from dashboard.reports.detection import DetectionQuery, SceneReport, SearchReport
from dashboard.reports.detection_errors import DetectionErrorsQuery, DetectionErrorsReport, ErrorBox, OutcomeRow
from layouts import detection, detection_errors
from layouts.frozen import freeze

HOSTILE = "<img src=x onerror=alert(1)>"
EXACT = Estimate(0.5, 0.4, 0.6, 100)


def _text(tree):
    return json.dumps(tree.to_plotly_json(), default=lambda part: part.to_plotly_json())


def test_the_card_is_hidden_until_a_detector_is_open():
    card = detection.build()
    assert card.hidden is True
    assert {detection.Ids.SEARCH, detection.Ids.SCENE} <= set(re.findall(r'"(detection-\w+)"', _text(card)))


def test_search_tells_the_browser_its_range_and_links_the_neighbours():
    report = SearchReport(("cat", HOSTILE), "cat", 1, 2, (5, 3, 2), 5, 4, 2, 4, 9)
    text = _text(detection.render_search(report, DetectionQuery("r", "7", object="cat", least=1)))
    assert all(part in text for part in ('"data-highest": "2"', '"data-least": "1"', "2 of 5 pictures"))
    assert "row=4" in text and "row=9" in text and "least=2&most=2" in text
    assert text.count('"data-chosen": "true"') == 2
    assert detection.render_search(None, DetectionQuery()) is None


def test_a_scene_carries_its_boxes_as_data():
    boxes = (Box(HOSTILE, 1.0, 2.0, 3.0, 4.0, 0.75),)
    report = SceneReport("row 3", "data:image/png;base64,AA", 40, 30, (HOSTILE,), boxes, boxes)
    drawn = freeze(detection.render_scene(report)).to_plotly_json()["props"]
    scene = json.loads(drawn["data-scene"])
    assert scene["truth"] == scene["found"] == [[HOSTILE, 1.0, 2.0, 3.0, 4.0, 0.75]]
    assert (scene["width"], scene["height"], scene["confidence"], scene["overlap"]) == (40, 30, 0.5, 0.5)
    assert "Recorded detections" in drawn["data-tree"] and "Ground truth" in drawn["data-tree"]
    alone = freeze(detection.render_scene(SceneReport("your picture", "", 4, 3, (), None, boxes))).to_plotly_json()
    assert "Ground truth" not in alone["props"]["data-tree"]
    assert json.loads(alone["props"]["data-scene"])["truth"] is None


def test_counts_open_their_boxes_and_a_box_its_row():
    row = OutcomeRow("cat", Outcomes(8, 3, 2), EXACT, EXACT)
    box = ErrorBox(17, HOSTILE, 0.9, "nothing true is there", None)
    query = DetectionErrorsQuery("r", outcome="false", object="cat", confidence="0.25")
    text = _text(detection_errors.render(DetectionErrorsReport((row,), row, (box,), 30), query))
    assert "outcome=missed" in text and "/inference?run=r&row=17&confidence=0.25" in text
    assert "1 to 24 of 30 boxes" in text and "start=24" in text
    empty = _text(detection_errors.render(DetectionErrorsReport((row,), row), query))
    assert "There are none at these thresholds." in empty
    assert detection_errors.render(None, query) is None
