"""A small wiki on another origin frames panels of the product: no login, no cookie, third-party cookies blocked."""

import http.server
import itertools
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from dashboard.embed_gate import HEADER
from tests.browser.conftest import newest
from tests.conftest import CHECKOUT, Product, answer, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def wiki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A folder that is served at http://localhost:<port>, which may frame the product, and at http://127.0.0.1:<port>,
    which may not."""
    folder = tmp_path_factory.mktemp("wiki")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor without any history."""
    made = browser.new_context(viewport={"width": 1200, "height": 900})
    yield made
    made.close()


def _asked(product: Product, method: str, path: str, body: Any = None) -> Any:
    headers = {"Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(product.base_url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def _link(product: Product, **wanted: Any) -> Any:
    return _asked(product, "POST", "/embed/links", {"slot": "", "days": 1, **wanted})


def _article(wiki: tuple[Path, int], name: str, *codes: str) -> None:
    """A wiki page with the codes and the script of docs/embedding.md."""
    script = re.search(r"```html\n(.*?)```", (CHECKOUT / "docs" / "embedding.md").read_text(), re.DOTALL)
    assert script
    (wiki[0] / name).write_text(
        f"<!DOCTYPE html><html><head><meta charset=utf-8><link rel=icon href=data:,></head><body><h1>Wiki</h1>"
        f"{''.join(codes)}{script[1]}</body></html>"
    )


def _performance(product: Product) -> Any:
    run = newest(product, "tumour-diagnosis")["run_id"]
    return _link(product, path="/performance", panel="per-class", slot="performance-body", params={"run": run})


def _watched(page: Page) -> list[str]:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def test_a_wiki_frames_a_panel_and_a_model_that_answers(
    demo: Product, wiki: tuple[Path, int], context: BrowserContext
) -> None:
    run = newest(demo, "tumour-diagnosis")["run_id"]
    live = _link(demo, path="/inference", panel="live", params={"run": run}, scope="predict")
    drawing = {"run": newest(demo, "digit-generator")["run_id"]}
    sliders = _link(demo, path="/inference", panel="live", params=drawing, scope="predict")
    matrix = _link(demo, path="/performance", panel="confusion", slot="performance-body", params={"run": run})
    codes = [code["code"].replace('loading="lazy"', "") for code in (_performance(demo), live, sliders, matrix)]
    _article(wiki, "article.html", *codes)
    page = context.new_page()
    complaints = _watched(page)
    page.goto(f"http://localhost:{wiki[1]}/article.html")
    table = page.frame_locator("iframe").nth(0)
    expect(table.locator("table.data tbody tr")).to_have_count(2)
    expect(table.locator("[data-panel]")).to_have_count(1)
    expect(table.locator("a[href*='label=']")).to_have_count(0)
    expect(table.get_by_text("a class opens its rows")).to_be_hidden()  # because it does not do so here
    assert table.locator("[data-panel]").evaluate("box => box.offsetWidth / window.innerWidth") > 0.9
    with page.expect_download() as file:
        table.get_by_role("link", name="CSV").click()
    assert "class,n,n_predicted" in file.value.path().read_text()
    table.get_by_role("link", name="Precision").click()
    expect(table.get_by_role("link", name="Precision ▲")).to_be_visible()
    expect(page.locator("iframe").nth(0)).not_to_have_css("height", "360px")
    dark = page.frame_locator("iframe").nth(3).locator(".confusion td.hot a").first
    expect(dark).to_have_css("color", "rgb(255, 255, 255)")  # although the link leads out of the panel
    model = page.frame_locator("iframe").nth(1)
    expect(model.get_by_label("mean radius")).to_be_visible()
    model.get_by_role("button", name="Predict", exact=True).click()
    expect(model.locator("#inference-answer")).to_contain_text("malignant", timeout=60_000)
    drawn = page.frame_locator("iframe").nth(2)
    expect(drawn.locator(".generator input[type=range]").first).to_be_visible()
    before = drawn.locator(".live-picture img").get_attribute("src", timeout=60_000)
    drawn.locator(".generator input[type=range]").first.press("End")
    expect(drawn.locator(".live-picture img")).not_to_have_attribute("src", before or "", timeout=60_000)
    newer = itertools.count(10**9)
    page.route("**/embed/revision", lambda route: route.fulfill(json={"revision": next(newer)}))
    with page.expect_response(lambda reply: "performance-body.children" in (reply.request.post_data or "")):
        pass  # the index has changed: the panel is drawn anew
    assert context.cookies() == []
    assert complaints == []


def test_an_origin_that_is_not_named_cannot_frame_it(
    demo: Product, wiki: tuple[Path, int], context: BrowserContext
) -> None:
    _article(wiki, "other.html", _performance(demo)["code"])
    page = context.new_page()
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text, timeout=20_000):
        page.goto(f"http://127.0.0.1:{wiki[1]}/other.html")
    assert page.frame_locator("iframe").locator("[data-panel]").count() == 0


def test_the_dialog_of_a_panel_makes_a_code_and_ends_it(demo: Product, open_page: Callable[..., Page]) -> None:
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = open_page(f"/performance?run={run}")
    box = page.locator("[data-panel=per-slice]")
    expect(box.locator("table.data")).to_be_visible()
    box.hover()
    box.get_by_role("button", name="Share Per slice").click()
    page.get_by_role("button", name="Make embed code").click()
    code = page.get_by_label("Embed code for a wiki")
    expect(code).to_have_value(re.compile(r"^<iframe src=.*</iframe>$"))
    found = re.search(r'src="([^"]*)"', code.input_value())
    assert found
    address = found[1].replace("&amp;", "&")
    assert escape(address) in code.input_value()
    assert answer(address) == 200
    page.get_by_role("button", name="Revoke").first.click()
    expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
    token = address.split("token=")[1].split("&")[0]
    wait_for(lambda: _refused(demo, token) == "This embed link was revoked.", 20)
    page.get_by_role("button", name="Close").click()
    expect(page.locator("dialog")).to_have_count(0)


def _refused(product: Product, token: str) -> str:
    request = urllib.request.Request(f"{product.base_url}/_dash-layout", headers={HEADER: token})
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        with error:
            return str(json.load(error)["error"]["message"])
    return ""
