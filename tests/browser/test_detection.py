"""Objects in pictures: search by count, step, move the sliders without asking the engine, open the link elsewhere."""

import base64
import re

import numpy as np
import pytest
import requests
from playwright.sync_api import expect

from mlflow_runs.suppression import suppressed
from tests.browser.conftest import get, newest

pytestmark = pytest.mark.browser
FIGURES = ("x", "y", "w", "h", "score")


def _predicted(demo):
    """Rows that models have predicted so far."""
    return get(demo, "/api/v1/serving")["counters"]["predictions"]


def _set(page, name, value):
    page.locator(f'[data-threshold="{name}"]').evaluate(
        """(slider, value) => {
          slider.value = value;
          for (const kind of ["input", "change"]) slider.dispatchEvent(new Event(kind, { bubbles: true }));
        }""",
        value,
    )


def _left(scene, confidence, overlap):
    """How many boxes the server's suppression leaves of the scene's raw ones."""
    rows = [box for box in scene["found"] if box[5] >= confidence]
    places = np.array([box[1:5] for box in rows]).reshape(-1, 4)
    labels = np.array([scene["classes"].index(box[0]) for box in rows], dtype=np.int64)
    return len(suppressed(places, np.array([box[5] for box in rows]), labels, overlap))


def test_search_step_slide_and_link(open_page, demo):
    run = newest(demo, "digit-spotter")["run_id"]
    page = open_page(f"/inference?run={run}")
    expect(page.locator(".object-position")).to_contain_text("1 of 300 pictures")
    page.locator('[data-search="object"]').select_option("3")
    expect(page).to_have_url(re.compile("object=3"))
    expect(page.locator(".object-position")).to_contain_text(re.compile(r"^1 of \d+ pictures$"))
    host = page.locator(".object-scene")
    before = host.get_attribute("data-scene")
    page.locator(".object-finder nav").get_by_role("link", name="Next").click()
    expect(page.locator(".object-position")).to_contain_text("2 of")
    expect(host).not_to_have_attribute("data-scene", before)
    scene = host.evaluate("(host) => JSON.parse(host.dataset.scene)")
    assert any(box[0] == "3" for box in scene["truth"]) and 0 < len(scene["found"]) <= 100
    expect(page.locator('[data-pane="truth"] .object-box')).to_have_count(len(scene["truth"]))
    expect(page.locator("#inference-answer .answer")).to_contain_text("object")

    predicted = _predicted(demo)
    for confidence, overlap in ((0.05, 0.2), (0.02, 0.8), (0.1, 0.45)):
        _set(page, "overlap", overlap)
        _set(page, "confidence", confidence)
        left = _left(scene, confidence, overlap)
        expect(page.locator('[data-pane="found"] .object-box')).to_have_count(left)
        expect(page.locator(".scene-total td").nth(1)).to_have_text(str(left))
        expect(page.locator("#inference-answer .answer")).to_have_text("1 object" if left == 1 else f"{left} objects")
        expect(page.locator("#inference-answer .scene-confidence")).to_have_text(f"{confidence:.2f}")
    expect(page).to_have_url(re.compile("confidence=0.1(&|$)"))
    expect(page).to_have_url(re.compile("overlap=0.45"))
    assert _predicted(demo) == predicted

    row = re.search(r"row=(\d+)", page.url)[1]
    report = requests.get(f"{demo.base_url}/prediction/report.html", params={"run": run, "row": row}, timeout=60).text
    assert report.count('<i style="left') == _left(scene, 0.5, 0.5) + len(scene["truth"])

    elsewhere = open_page(page.url.removeprefix(demo.base_url))
    expect(elsewhere.locator(".object-position")).to_contain_text("2 of")
    expect(elsewhere.locator('[data-pane="found"] .object-box')).to_have_count(_left(scene, 0.1, 0.45))


def test_a_count_of_errors_opens_its_boxes_and_a_box_its_picture(open_page, demo):
    run = newest(demo, "digit-spotter")["run_id"]
    figures = get(demo, f"/api/v1/runs/{run}/performance")
    page = open_page(f"/performance?run={run}&confidence=0.9&outcome=missed")
    expect(page.locator("#performance-body .headline")).to_have_text(f"{figures['overall']['map']['value']:.3f}")
    card = page.locator(".box-card").first
    expect(card).to_be_visible()
    card.click()
    expect(page).to_have_url(re.compile("/inference\\?.*row="))
    expect(page.locator('[data-pane="truth"] .alone').first).to_be_visible()


def test_boxes_are_corrected_by_drawing_and_by_writing_and_come_back_as_an_example(open_page, demo):
    run = newest(demo, "digit-spotter")["run_id"]
    page = open_page(f"/inference?run={run}&row=6")
    expect(page.locator("#inference-answer .answer")).to_contain_text("object", timeout=60_000)
    page.locator("#inference-answer summary", has_text="Judge this answer").click()
    expect(page.locator(".drawing .layer-below image, .drawing .imagelayer image").first).to_be_attached()
    page.locator(".drawing").evaluate("(graph) => graph.scrollIntoView({ block: 'center' })")
    page.locator(".drawing-class select").select_option("7")
    place = page.locator(".drawing").bounding_box()
    x, y, unit = place["x"], place["y"], place["width"] / 96  # the picture has 96 pixels a side
    written = page.locator(".drawn-boxes textarea")
    before = page.locator('[data-pane="found"] .object-box').count()
    page.mouse.move(x + 60 * unit, y + 4 * unit)
    page.mouse.down()
    page.mouse.move(x + 75 * unit, y + 20 * unit, steps=5)
    page.mouse.move(x + 80 * unit, y + 24 * unit)
    page.mouse.up()
    expect(written).to_have_value(re.compile(r"(^|\n)7 \d+(\.\d)? \d+(\.\d)? (19|20)(\.\d)? (19|20)(\.\d)?$"))
    assert len(written.input_value().splitlines()) == before + 1
    written.fill("3 10 10 40 40\n7 60 20 20 30")
    expect(page.locator(".drawing .shapelayer path[data-index]")).to_have_count(2)
    page.get_by_role("radio", name="Wrong").check()
    page.get_by_role("button", name="Save flag").click()
    expect(page.locator("#flagging-said")).to_contain_text("corrected to 2 boxes: 3, 7")
    page.locator("a.example[href*='flag=']").first.click()
    expect(page.locator('[data-pane="truth"] .object-box')).to_have_count(2)
    expect(page.locator('[data-pane="truth"] .object-box').nth(1)).to_have_attribute(
        "data-spoken", re.compile("True 7")
    )
    page.get_by_role("button", name="Undo").first.click()
    expect(page.locator("#flagging-list")).to_contain_text("No flags here")


def test_the_api_answers_the_best_box_that_was_recorded(demo):
    run = newest(demo, "digit-spotter")["run_id"]
    page = get(demo, f"/api/v1/runs/{run}/data?limit=30")
    rows = [row for row in page["rows"] if row["predicted_boxes"]][:3]
    files = [("images", base64.b64decode(row["image"].partition(",")[2])) for row in rows]
    url = f"{demo.base_url}/api/v1/runs/{run}/predict?confidence=0.05&overlap=0.5"
    answers = requests.post(url, files=files, timeout=60).json()["predictions"]
    for row, answer in zip(rows, answers, strict=True):
        # the best one only, because others may be in another order in the last digit of a score
        recorded, found = row["predicted_boxes"][0], answer["boxes"][0]
        assert found["label"] == recorded["label"]
        assert [found[name] for name in FIGURES] == pytest.approx([recorded[name] for name in FIGURES], abs=0.01)
