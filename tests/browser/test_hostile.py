"""Hostile texts in addresses and forms: shown as text or refused in a sentence, never run, the console stays empty."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import newest
from tests.conftest import Product

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>\u202egnp.exe\x1b[31m"
LONG = "x" * 3000


@pytest.mark.parametrize("path", ["/performance", "/inference"])
def test_hostile_parameters_are_text(path: str, demo: Product, open_page: Callable[..., Page]) -> None:
    names = ("search", "filter", "slice", "label", "sort", "curve", "text", "values", "row", "theme", "model")
    run = newest(demo, "tumour-diagnosis")["run_id"]
    page = open_page("/health")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for query in ({"run": run} | dict.fromkeys(names, HOSTILE), {"run": HOSTILE, "filter": LONG}):
        page.goto(f"{demo.base_url}{path}?{urlencode(query)}")
        expect(page.locator("main h1")).to_be_visible()
        expect(page.locator("main [data-dash-is-loading=true]")).to_have_count(0)
        assert page.locator("img[src=x], main script").count() == 0
    assert dialogs == []
