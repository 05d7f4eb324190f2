"""Slices in a real browser: discovered in the background, typed with completion, built by clicks, saved."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import newest

pytestmark = pytest.mark.browser


def test_weak_slices_are_found_applied_and_kept(open_page, demo):
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = open_page(f"/performance?run={run}")
    page.get_by_role("button", name="Find weak slices").click()
    card = page.locator("#finder-section")
    expect(card).to_contain_text(re.compile(r"[\d,]+ combinations of up to two column values tested"), timeout=30_000)
    chips = card.locator("#finder-result a.chip")
    if chips.count():
        text = parse_qs(urlsplit(chips.first.get_attribute("href")).query)["filter"][0]
        chips.first.click()
        expect(page.locator("#performance-filter")).to_have_value(text)
        expect(page.locator("#performance-body")).to_contain_text("filtered out")
    again = open_page(f"/performance?run={run}")
    expect(again.locator("#finder-about")).to_contain_text("tested over all", timeout=10_000)
    expect(again.get_by_role("button", name="Search again")).to_be_visible()


def test_a_filter_is_typed_with_the_keyboard_alone(open_page, demo):
    page = open_page(f"/performance?run={newest(demo, 'diabetes-progression')['run_id']}")
    expect(page.locator("#performance-body table").first).to_be_visible(timeout=20_000)
    box = page.locator("#performance-filter")
    box.press_sequentially("age")
    caret = "box => { box.setSelectionRange(1, 1); return box.selectionStart; }"
    assert box.evaluate(caret) == 3  # what the framework does late must not move it
    expect(page.get_by_role("option", name='"age (years)"', exact=True)).to_be_visible()
    for key in ("ArrowDown", "Enter", "ArrowUp"):
        page.keyboard.press(key)
    assert box.get_attribute("aria-activedescendant")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    page.keyboard.type("> 40")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"filter=%22age"))
    expect(page.locator("#performance-body")).to_contain_text("filtered out")


def test_a_filter_built_by_clicks_becomes_a_slice_of_the_model(open_page, demo):
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = open_page(f"/data?run={run}")
    page.get_by_text("Build by clicks, or save as a slice").click()
    page.locator("#data-column").click()
    page.keyboard.type("diagnosis")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("#data-value").fill("malignant")
    page.get_by_role("button", name="Add to the filter").click()
    expect(page.locator("#data-filter")).to_have_value("diagnosis = 'malignant'")
    page.get_by_label("Name of the slice").fill("grave")
    page.get_by_role("button", name="Save as slice").click()
    expect(page.locator("#data-told")).to_contain_text("is now a slice of every run of tumour-diagnosis")
    expect(page.locator("#data-body a.chip[aria-current=true]")).to_contain_text("grave")
    other = open_page("/performance?slice=grave&run=" + run)
    expect(other.locator("#performance-body a.chip[aria-current=true]")).to_contain_text("grave", timeout=20_000)
    page.get_by_role("button", name="Delete the slice grave").click()
    expect(page.locator("#data-body")).not_to_contain_text("grave")
