"""People sign in: a viewer is not offered what only editors may do, and a refusal is told on the page."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from dashboard import processes
from dashboard.access.passwords import password_line
from tests.browser.conftest import newest
from tests.conftest import Product, answer, free_port, start_product, stop_product, wait_for

pytestmark = pytest.mark.browser
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def signed(demo: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A second Vitrine on the same runs where ada edits and bob looks; one background job per minute."""
    data_dir, port = tmp_path_factory.mktemp("signed"), free_port()
    passwords = data_dir / "passwords.txt"
    passwords.write_text("".join(password_line(name, PASSWORD) + "\n" for name in ("ada", "bob")))
    settings = {
        "VITRINE_AUTH": "basic",
        "VITRINE_AUTH_PASSWORDS": str(passwords),
        "VITRINE_EDITORS": "ada",
        "VITRINE_JOBS_PER_MINUTE": "1",
        "VITRINE_WORKERS": "1",
        "VITRINE_TRACKING_URI": f"sqlite:///{demo.data_dir / 'mlflow.db'}",
    }
    process = start_product(data_dir, port, **settings)
    running = Product(f"http://127.0.0.1:{port}", data_dir, process)
    try:
        wait_for(lambda: process.poll() is not None or answer(f"{running.base_url}/health") == 200, 60)
        yield running
    finally:
        if process.poll() is None:
            stop_product(process, data_dir)
        processes.kill_marked(str(data_dir))


@pytest.fixture
def enter(browser: Browser, signed: Product) -> Iterator[Callable[..., Page]]:
    """Open a path as somebody; afterwards every console has stayed empty but for what the browser says of statuses."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(name: str, path: str) -> Page:
        credentials = {"username": name, "password": PASSWORD, "origin": signed.base_url, "send": "always"}
        context = browser.new_context(viewport={"width": 1440, "height": 900}, http_credentials=credentials)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(signed.base_url + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [text for text in complaints if "Failed to load resource" not in text] == []


def test_a_viewer_is_offered_what_viewers_may_do_and_hears_what_is_refused(
    demo: Product, enter: Callable[..., Page]
) -> None:
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = enter("bob", f"/inference?run={run}")
    for deed in ("run batches", "run models over slices"):
        expect(page.get_by_text(f"bob is a viewer here; only editors may {deed}.")).to_be_visible()
    expect(page.locator("#batch-upload")).to_be_hidden()
    expect(page.locator("#on-slice-run")).to_be_disabled()
    page.get_by_role("button", name="Share Flags").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("bob is a viewer here; only editors may make embed codes.")
    expect(dialog.get_by_role("button", name="Make embed code")).to_have_count(0)
    dialog.get_by_role("button", name="Close").click()
    # the page of somebody who has lost the right asks for the job: the server refuses
    page.evaluate("run => dash_clientside.set_props('on-slice-job', { data: { run: run, over: run } })", run)
    told = page.locator("#shell-notices")
    expect(told).to_contain_text("bob is a viewer here; only editors may start this job.")

    page.goto(page.url.replace("/inference", "/performance").partition("&")[0])
    page.get_by_text("Build by clicks").click()
    expect(page.get_by_role("button", name="Save as slice")).to_be_disabled()
    find = page.locator("#finder-run")
    for _ in range(3):  # three clicks, because one may fall into the next minute
        expect(find).to_be_enabled()
        find.click()
    expect(told).to_contain_text("jobs in one minute are not taken from one client")


def test_an_editor_signs_what_is_saved(demo: Product, enter: Callable[..., Page]) -> None:
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = enter("ada", f"/performance?run={run}&filter=%22mean+radius%22+%3E+15")
    page.get_by_text("Build by clicks").click()
    expect(page.get_by_label("Saved by")).to_be_hidden()
    page.get_by_label("Name of the slice").fill("large ones")
    page.get_by_role("button", name="Save as slice").click()
    expect(page.locator(".saved-slices")).to_contain_text("ada")
