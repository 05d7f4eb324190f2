"""Why, in context, unknown, on a slice: a picture explained and judged in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import get, newest, runs

pytestmark = pytest.mark.browser


def test_a_picture_is_explained_and_reads_unknown_under_a_threshold(open_page, demo):
    run = newest(demo, "digit-reader")["run_id"]
    page = open_page(f"/inference?run={run}&row=7")
    why = page.locator("#why-section")
    why.get_by_role("button", name="Explain this answer").click()
    heat = why.locator(".overlay > .heat")
    expect(heat).to_be_visible(timeout=120_000)  # because a process of low priority starts for the first explanation
    expect(page).to_have_url(re.compile("why=auto"))
    why.get_by_label("Opacity of the overlay").press("End")
    expect(heat).to_have_css("opacity", "1")
    said = page.locator(".scored .when-known.answer").inner_text()
    figures = get(demo, f"/api/v1/runs/{run}/performance")["per_class"][said]
    row = page.locator("#context-section tbody tr", has_text="all rows")
    expect(row.locator(".estimate .value")).to_have_text(
        [f"{figures[name]['value']:.3f}" for name in ("precision", "recall")]
    )
    page.get_by_label("Scores below this mean unknown").press("End")
    expect(page.locator(".scored > .when-unknown .answer")).to_be_visible()
    expect(page.locator(".scored .when-known.answer")).to_be_hidden()
    expect(page).to_have_url(re.compile("unknown=1"))
    elsewhere = open_page(page.url.removeprefix(demo.base_url))
    expect(elsewhere.locator(".scored > .when-unknown .answer")).to_be_visible()
    expect(elsewhere.locator("#why-section .overlay > .heat")).to_be_visible()


def test_versions_run_over_a_slice_and_the_link_shows_it_again(open_page, demo):
    new, old = [run["run_id"] for run in runs(demo) if run["model"] == "digit-reader"][:2]
    page = open_page(f"/inference?run={new}&over={old},{new}&on=slanted&limit=60")
    result = page.locator("#on-slice-result")
    expect(result).to_contain_text("60 of the 301 labelled rows of slice slanted", timeout=60_000)
    expect(result.locator("tbody").first.locator("tr")).to_have_count(2)
    expect(result).to_contain_text("n = 60 paired")
    again = open_page(page.url.removeprefix(demo.base_url))
    expect(again.locator("#on-slice-result")).to_contain_text("n = 60 paired")
