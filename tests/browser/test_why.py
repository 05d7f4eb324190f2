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
    context = page.locator("#context-section")
    expect(context).to_contain_text("16 x 16 grey pixels")
    context.get_by_role("button", name="Nearest by what the model sees").click()
    expect(context).to_contain_text("cosine distance of what the model sees in them", timeout=120_000)
    expect(context.locator("#context-run")).to_be_hidden()
    expect(context.locator(".near .example")).to_have_count(5)
    page.get_by_label("Scores below this mean unknown").press("End")
    expect(page.locator(".scored > .when-unknown .answer")).to_be_visible()
    expect(page.locator(".scored .when-known.answer")).to_be_hidden()
    expect(page).to_have_url(re.compile("unknown=1"))
    elsewhere = open_page(page.url.removeprefix(demo.base_url))
    expect(elsewhere.locator(".scored > .when-unknown .answer")).to_be_visible()
    expect(elsewhere.locator("#why-section .overlay > .heat")).to_be_visible()


def test_an_explanation_is_cancelled_and_the_page_goes_on(open_page, demo):
    run = newest(demo, "digit-reader")["run_id"]
    page = open_page(f"/inference?run={run}&row=15")
    why = page.locator("#why-section")
    ask, cancel = why.get_by_role("button", name="Explain this answer"), why.get_by_role("button", name="Cancel")
    ask.click()
    # as soon as there is a job to cancel; not by the mouse, because it may be over before the pointer arrives
    page.wait_for_function(
        "() => { const b = document.getElementById('why-cancel'); return !b.disabled && !b.click(); }"
    )
    expect(page).not_to_have_url(re.compile("why="))
    expect(ask).to_be_enabled()
    expect(cancel).to_be_hidden()
    expect(why.locator(".overlay")).to_have_count(0)


def test_a_picture_in_the_clipboard_is_an_input(open_page, demo):
    run = newest(demo, "digit-reader")["run_id"]
    page = open_page(f"/inference?run={run}")
    expect(page.locator("#inference-upload input[type=file]")).to_be_attached()
    expect(page.locator(".prediction-form")).to_have_attribute("data-kind", "image")
    page.evaluate("""async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 40 });
      canvas.getContext("2d").fillRect(0, 0, 40, 40);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([blob], "clipboard.png", { type: "image/png" }));
      document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }""")
    expect(page).to_have_url(re.compile("upload=[0-9a-f]{32}"))
    expect(page.locator("#inference-answer .answer.when-known")).to_be_visible(timeout=60_000)
    expect(page.locator("#inference-fields .preview")).to_be_visible()


def test_versions_run_over_a_slice_and_the_link_shows_it_again(open_page, demo):
    new, old = [run["run_id"] for run in runs(demo) if run["model"] == "digit-reader"][:2]
    page = open_page(f"/inference?run={new}&over={old},{new}&on=slanted&limit=60")
    result = page.locator("#on-slice-result")
    expect(result).to_contain_text("60 of the 301 labelled rows of slice slanted", timeout=60_000)
    expect(result.locator("tbody").first.locator("tr")).to_have_count(2)
    expect(result).to_contain_text("n = 60 paired")
    again = open_page(page.url.removeprefix(demo.base_url))
    expect(again.locator("#on-slice-result")).to_contain_text("n = 60 paired")
