"""Models that draw and repaint, and several versions at once, in a browser on the real engine."""

import json
import re
from urllib.parse import parse_qs

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import get, runs

pytestmark = pytest.mark.browser


def _run(demo, model, **wanted):
    """The run of a model with these values."""
    found = [run for run in runs(demo) if run["model"] == model]
    return next(run["run_id"] for run in found if all(run[key] == value for key, value in wanted.items()))


def _serious(page):
    found = Axe().run(page).response["violations"]
    return [item["id"] for item in found if item["impact"] in ("serious", "critical")]


def test_a_generators_picture_follows_its_sliders_and_the_address_the_rest(open_page, demo):
    run = _run(demo, "digit-generator", version="2")
    page = open_page(f"/inference?run={run}")
    picture = page.locator(".live-picture img")
    expect(picture).to_be_visible(timeout=60_000)
    expect(page.locator(".latent")).to_have_count(6)
    first = picture.get_attribute("src")
    page.locator(".latent input").first.press("ArrowRight")
    expect(picture).not_to_have_attribute("src", first)
    expect(page.locator(".latent output").first).to_have_text("0.03")
    expect(page).to_have_url(re.compile("values="))
    expect(page.locator("#inference-answer .picture-foot")).to_contain_text("64 x 64")
    for end in ("A", "B"):
        page.get_by_role("button", name="Random").click()
        page.get_by_role("button", name=f"Keep as {end}").click()
    between = page.get_by_label("From A to B")
    expect(between).to_be_enabled()
    numbers = page.locator(".latent output")
    at_b = numbers.all_inner_texts()
    between.press("Home")
    assert numbers.all_inner_texts() != at_b
    address = page.url.removeprefix(demo.base_url)
    values = json.loads(parse_qs(address.partition("?")[2])["values"][0])["input_0"]
    elsewhere = open_page(address)
    expect(elsewhere.locator(".latent")).to_have_count(6, timeout=60_000)
    shown = [float(text) for text in elsewhere.locator(".latent output").all_inner_texts()]
    assert shown == pytest.approx(values, abs=0.0051)
    expect(elsewhere.locator(".live-picture img")).to_be_visible()
    assert _serious(page) == []


def test_styles_appear_one_by_one_and_a_cancel_keeps_what_is_there(open_page, demo):
    run = _run(demo, "photo-styles", run_name="ink")
    page = open_page(f"/inference?run={run}&file=examples/flower.jpg")
    expect(page.locator(".before-after img")).to_have_count(2, timeout=60_000)
    slider = page.locator(".before-after input")
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "49% before, 51% after")
    page.locator("#several-run").click()
    expect(page.locator(".several-tile")).to_have_count(9)
    expect(page.locator(".several-tile.done img").first).to_be_visible(timeout=60_000)
    # not a plain click, because on a fast machine the job may be done and the button disabled by now
    page.locator("#several-cancel").evaluate("button => button.click()")
    expect(page.locator("#several-run")).to_be_enabled(timeout=60_000)
    expect(page.locator(".several-tile:is(.waiting, .asking):visible")).to_have_count(0)
    expect(page.locator(".several-tile.done img").first).to_be_visible()
    assert _serious(page) == []


def test_three_versions_answer_the_same_input(open_page, demo):
    chosen = [_run(demo, "digit-reader", version=version) for version in "421"]
    page = open_page(f"/inference?run={chosen[0]}&row=12&versions={','.join(chosen)}")
    expect(page.locator("#several-versions")).to_contain_text("digit-reader v2", timeout=60_000)
    page.locator("#several-run").click()
    tiles = page.locator(".several-tile.done .several-said")
    expect(tiles).to_have_count(3, timeout=60_000)
    recorded = [get(demo, f"/api/v1/runs/{run}/data?offset=12&limit=1")["rows"][0]["prediction"] for run in chosen]
    expect(tiles).to_have_text(recorded)
    expect(page.locator("#several-result table tbody tr").first).to_contain_text("900")
    elsewhere = open_page(page.url.removeprefix(demo.base_url))
    expect(elsewhere.locator(".several-tile.done")).to_have_count(3, timeout=60_000)
