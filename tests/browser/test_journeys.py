"""What people come for, clicked through in a real browser on the demo runs."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import PUBLISHED, get, newest

pytestmark = pytest.mark.browser
PATHS = ("/", "/data", "/performance", "/inference")


def test_open_pick_a_model_and_a_run(open_page, demo):
    page = open_page("/")
    expect(page.locator(".model-card")).to_have_count(len(PUBLISHED))
    page.get_by_role("link", name="docstring-library").click()
    expect(page).to_have_url(re.compile("/performance\\?run="))
    expect(page.locator("#performance-body .headline")).to_be_visible()
    page.locator("#performance-model").click()
    page.get_by_role("option", name="digit-reader").click()
    expect(page).to_have_url(re.compile(newest(demo, "digit-reader")["run_id"]))
    expect(page.locator(".confusion")).to_be_visible()


def test_a_run_that_is_not_there_is_said_and_no_other_is_shown(open_page, demo):
    for path in ("/performance", "/data", "/inference", "/serving"):
        page = open_page(f"{path}?run=%3Cb%3Enonsense%22%27")
        expect(page.locator(".missing-run")).to_contain_text("There is no run <b>nonsense\"' in this store")
        expect(page.locator("main [data-dash-is-loading=true]")).to_have_count(0)
        expect(page.locator(".card-box:visible, .notice:visible")).to_have_count(0)
        expect(page).to_have_url(re.compile("nonsense"))
    page.locator("#serving-model").click()
    page.get_by_role("option", name="digit-reader", exact=True).click()
    expect(page).to_have_url(re.compile(newest(demo, "digit-reader")["run_id"]))
    expect(page.locator(".missing-run .empty")).to_have_count(0)
    expect(page.locator("#serving-result")).to_be_visible()
    page = open_page("/nowhere")
    page.get_by_role("link", name="the Overview").click()
    expect(page.locator(".summary")).to_contain_text("got worse against the version before")


def test_a_confusion_cell_opens_its_rows_and_the_url_shows_them_elsewhere(open_page, demo):
    run = newest(demo, "docstring-library")["run_id"]
    page = open_page(f"/performance?run={run}")
    cell = page.locator(".confusion td.wrong:not(.zero) a").first
    count = int(cell.inner_text())
    cell.click()
    rows = page.locator("#performance-rows")
    expect(rows).to_contain_text(f"of {count} row")
    expect(page).to_have_url(re.compile("label=.*predicted="))
    elsewhere = open_page(page.url.removeprefix(demo.base_url))
    expect(elsewhere.locator("#performance-rows")).to_contain_text(f"of {count} row")
    chosen = ".confusion td[data-chosen]"
    expect(elsewhere.locator(chosen)).to_have_text(str(count))
    elsewhere.locator(f"{chosen} a").click()
    expect(elsewhere.locator("#performance-rows")).to_be_empty()
    expect(elsewhere.locator(chosen)).to_have_count(0)
    page.locator(".chip[href*='slice=']").first.click()  # drawn before the cell was opened, and closes it all the same
    expect(page).to_have_url(re.compile("slice="))
    expect(rows).to_be_empty()
    page.go_back()
    expect(rows).to_contain_text(f"of {count} row")
    page.go_back()
    expect(rows).to_be_empty()


def test_the_page_shows_the_figures_of_the_api(open_page, demo):
    run = newest(demo, "tumour-diagnosis")["run_id"]
    document = get(demo, f"/api/v1/runs/{run}/performance")
    page = open_page(f"/performance?run={run}")
    expect(page.locator(".headline")).to_have_text(f"{document['overall']['macro_f1']['value']:.3f}")


def test_the_threshold_follows_its_slider_as_the_api_counts(open_page, demo):
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = open_page(f"/performance?run={run}&fn=5&curve=malignant")
    read = page.locator(".threshold-read")
    expect(read).to_contain_text("Use optimum", timeout=20_000)
    drawn: list[str] = []
    page.on("request", lambda request: drawn.append(request.post_data or "") if "_dash-update" in request.url else None)
    read.get_by_role("link", name="Use optimum").click()
    expect(read).to_contain_text("It is in use")
    expect(page).to_have_url(re.compile("threshold="))
    threshold = re.search(r"threshold=([\d.]+)", page.url).group(1)
    found = get(demo, f"/api/v1/runs/{run}/curves?fn=5&threshold={threshold}")["at_threshold"]
    expect(read.locator(".outcomes td.right, .outcomes td.wrong")).to_have_text(
        [str(found[name]) for name in ("tp", "fn", "fp", "tn")]
    )
    expect(read.locator(".stat-value")).to_have_text(
        [f"{found[name]['value']:.3f}" for name in ("cost", "precision", "recall")]
    )
    page.locator(".threshold-range input").press("ArrowRight")
    expect(read).to_contain_text("Use optimum")
    expect(page).not_to_have_url(re.compile(f"threshold={threshold}$"))
    # nothing that hangs on rows or class is asked for again
    assert [text for text in drawn if "-view.data" in text.split("changedPropIds")[-1]] == []
    exact = page.locator(".threshold-exact input")
    exact.fill("1.5")
    exact.press("Enter")
    expect(read).to_contain_text("instead of 1.5, 1 is used")
    expect(exact).to_have_value("1")


def test_any_two_columns_make_a_matrix_that_filters(open_page, demo):
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = open_page(f"/performance?run={run}&curve=benign")
    expect(page.locator(".threshold-read")).to_contain_text("Use optimum")
    page.locator("details.menu summary", has_text="Rows").click()
    page.get_by_role("link", name="worst radius", exact=True).click()
    expect(page.locator(".confusion tbody th a").first).to_have_text(re.compile("below"))
    page.locator(".confusion tbody th a").first.click()
    expect(page.locator("#performance-filter")).to_have_value(re.compile("worst radius"))
    expect(page.locator("#performance-rows h2")).to_contain_text("worst radius")
    expect(page).to_have_url(re.compile("curve=benign"))


def test_filter_sort_and_page_the_table(open_page, demo):
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = open_page(f"/data?run={run}")
    expect(page.locator("#data-rows table.data tbody tr")).to_have_count(25)
    page.get_by_role("link", name="Next →").click()
    expect(page.locator("#data-rows")).to_contain_text("26 to 50")
    page.locator("#data-filter").fill("diagnosis = 'malignant'")
    page.locator("#data-filter").press("Enter")
    expect(page.locator("#data-body")).to_contain_text("105 rows of 280 rows match")
    expect(page.locator("#data-rows")).to_contain_text("1 to 25")


def test_a_wrong_filter_gets_a_sentence_that_names_it(open_page, demo):
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = open_page(f"/data?run={run}&filter=nonsense+%3D+1")
    expect(page.locator("#data-body")).to_contain_text("nonsense")
    page.locator("#data-filter").fill("")
    page.locator("#data-filter").press("Enter")
    expect(page.locator("#data-body")).to_contain_text("At a glance")
    page = open_page(f"/performance?run={run}&slice=nope&open=errors")
    expect(page.locator(".chip[href*='slice=']").first).to_be_visible()
    expect(page.locator("main [data-dash-is-loading=true]")).to_have_count(0)
    expect(page.locator(".notice")).to_have_count(1)
    page.get_by_role("link", name="Remove the slice").click()
    expect(page.locator("#performance-body .headline")).to_be_visible()
    expect(page).not_to_have_url(re.compile("nope"))


def test_run_an_example_and_ask_again(open_page, demo):
    run = newest(demo, "docstring-library")["run_id"]
    page = open_page(f"/inference?run={run}")
    page.locator(".example").first.click()
    expect(page.locator(".answer:visible")).to_be_visible(timeout=30_000)
    expect(page).to_have_url(re.compile("row="))
    elsewhere = open_page(page.url.removeprefix(demo.base_url))
    expect(elsewhere.locator(".answer:visible")).to_have_text(
        page.locator(".answer:visible").inner_text(), timeout=30_000
    )
    expect(elsewhere.locator("#inference-answer")).to_contain_text("from cache")


def test_type_a_text_of_ones_own(open_page, demo):
    run = newest(demo, "docstring-library")["run_id"]
    page = open_page(f"/inference?run={run}")
    page.locator("#inference-text").fill("Draw a line plot with markers on the given axes and return the artists.")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator(".answer:visible")).to_have_text("matplotlib", timeout=30_000)


def test_a_broken_image_gets_a_sentence(open_page, demo, tmp_path):
    run = newest(demo, "digit-reader")["run_id"]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is no photograph")
    page = open_page(f"/inference?run={run}")
    page.locator("#inference-upload input[type=file]").set_input_files(broken)
    expect(page.locator("#inference-answer .notice")).to_contain_text("image", timeout=30_000)


def test_a_wrong_csv_names_the_columns(open_page, demo, tmp_path):
    run = newest(demo, "tumour-diagnosis")["run_id"]
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("mean radius,shoe size\n12.5,44\n")
    page = open_page(f"/inference?run={run}")
    page.locator("#batch-upload input[type=file]").set_input_files(wrong)
    expect(page.locator("main")).to_contain_text("mean texture", timeout=30_000)


@pytest.mark.parametrize("path", PATHS)
def test_embed_has_no_chrome(open_page, path):
    page = open_page(f"{path}?embed=1")
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".topbar")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_no_serious_accessibility_findings(open_page, path, scheme):
    page = open_page(path, color_scheme=scheme)
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=20_000)
    page.wait_for_timeout(1500)  # what was waiting fades in
    found = Axe().run(page).response["violations"]
    serious = [
        f"{v['id']}: {[n['html'] for n in v['nodes']][:3]}" for v in found if v["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_everything_comes_from_the_server_itself(open_page, demo):
    foreign: list[str] = []
    page = open_page("/")
    page.on("request", lambda request: foreign.append(request.url))
    for path in PATHS:
        page.goto(demo.base_url + path)
        page.wait_for_timeout(1000)
    assert [url for url in foreign if not url.startswith((demo.base_url, "data:", "blob:"))] == []


def test_the_theme_switch_is_remembered(open_page):
    page = open_page("/", color_scheme="light")
    switch = page.locator("#shell-theme")
    expect(switch).to_have_text("Theme: auto")
    switch.click()
    switch.click()
    expect(switch).to_have_text("Theme: dark")
    page.reload()
    expect(page.locator("#shell-theme")).to_have_text("Theme: dark")
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
