"""A real Chromium on the running product; every page of a test must leave the console empty."""

import json
import os
import shutil
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.conftest import Product, wait_for

PUBLISHED = {
    "tumour-diagnosis": 5,
    "diabetes-progression": 5,
    "docstring-library": 5,
    "digit-reader": 5,
    "digit-generator": 2,
    "photo-styles": 9,
    "digit-spotter": 3,
}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--test-third-party-cookie-phaseout",
]


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    path = _chromium()
    if path is None:
        pytest.skip("no Chromium on this machine; name one with CHROMIUM=/path/to/it")
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def demo(product: Product) -> Product:
    """The product once every demo run is published and read."""
    wait_for(lambda: published(runs(product)) == PUBLISHED, 480)
    return product


def published(found: list[dict[str, Any]]) -> dict[str, int]:
    """How many registered versions each model has whose runs have been read."""
    return dict(Counter(run["model"] for run in found if run["state"] in ("ready", "none") and run["version"]))


def get(product: Product, path: str) -> Any:
    """A JSON document of the API."""
    with urllib.request.urlopen(product.base_url + path, timeout=30) as response:
        return json.load(response)


def runs(product: Product) -> list[dict[str, Any]]:
    """The runs that the API lists."""
    return list(get(product, "/api/v1/runs?limit=200")["runs"])


def newest(product: Product, model: str) -> dict[str, Any]:
    """The newest run of a model."""
    return next(run for run in runs(product) if run["model"] == model)


@pytest.fixture
def open_page(browser: Browser, demo: Product) -> Iterator[Callable[..., Page]]:
    """Open a path in a context of its own; afterwards no message may be left in any console."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(path: str, **options: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(demo.base_url + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
