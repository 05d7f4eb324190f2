"""The Serving page in a browser: live figures follow predictions, a comparison can be cancelled and is told apart."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import get, newest

pytestmark = pytest.mark.browser


def test_a_prediction_shows_up_without_a_reload(open_page, demo):
    page = open_page("/serving")
    expect(page.locator("#serving-live")).to_contain_text("Rows per second")
    run = newest(demo, "diabetes-progression")
    example = get(demo, f"/api/v1/runs/{run['run_id']}")["model_info"]["input_example"]
    row = dict(zip(example["columns"], example["data"][0], strict=True))
    answer = page.request.post(f"{demo.base_url}/api/v1/runs/{run['run_id']}/predict", data={"inputs": [row]})
    assert answer.ok, answer.text()
    expect(page.locator("#serving-live table a", has_text="diabetes-progression")).to_be_visible(timeout=6000)
    assert any(model["run_id"] == run["run_id"] for model in get(demo, "/api/v1/serving")["models"])


def test_a_model_without_pytorch_says_why_it_is_not_compared(open_page, demo):
    page = open_page(f"/serving?run={newest(demo, 'diabetes-progression')['run_id']}")
    expect(page.locator("#serving-result")).to_contain_text("Only PyTorch models")
    expect(page.locator("#serving-compare")).to_be_disabled()


def test_a_comparison_shows_progress_at_once_and_is_cancelled(open_page, demo):
    page = open_page(f"/serving?run={newest(demo, 'digit-reader')['run_id']}")
    expect(page.locator("#serving-result")).to_contain_text("Not compared yet")
    page.click("#serving-compare")
    expect(page.locator("#serving-step")).not_to_be_empty(timeout=1000)
    expect(page.locator("#serving-step")).to_contain_text("Loading the model", timeout=60_000)
    page.click("#serving-cancel")
    expect(page.locator("#serving-step")).to_be_empty(timeout=3000)
    expect(page.locator("#serving-compare")).to_be_enabled()
    expect(page.locator("#serving-result")).to_contain_text("Not compared yet")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_findings(open_page, scheme):
    page = open_page("/serving", color_scheme=scheme)
    expect(page.locator("#serving-live")).to_contain_text("Processes")
    found = [item for item in Axe().run(page).response["violations"] if item["impact"] in ("serious", "critical")]
    assert found == []
