"""Vitrine below a path behind a real reverse proxy: no link, file or request leaves the prefix."""

import contextlib
import http.client
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, expect

from dashboard import processes
from tests.browser.conftest import newest
from tests.conftest import CHECKOUT, Product, answer, free_port, wait_for

pytestmark = pytest.mark.browser
PREFIX = "/wiki/vitrine"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


class Proxy(ThreadingHTTPServer):
    """Takes the prefix off and names it in X-Forwarded-Prefix, as nginx and Traefik are told to do."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.strayed = port, list[str]()
        self.url = f"http://127.0.0.1:{self.server_address[1]}{PREFIX}"

    def handle_error(self, *_: object) -> None:
        """A page that is closed takes no more answers: not worth a traceback."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_GET(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.server.strayed.append(self.path)
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        headers = {**dict(self.headers), "X-Forwarded-Prefix": PREFIX, "X-Forwarded-Host": self.headers["Host"]}
        with contextlib.closing(connection):
            connection.request(self.command, self.path.removeprefix(PREFIX), body, headers)
            found = connection.getresponse()
            data = found.read()
        self.send_response(found.status)
        for name, value in found.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length", "server", "date"}:
                self.send_header(name, value)
        if found.status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    found = browser.new_context()
    yield found
    found.close()


@pytest.fixture
def proxy(demo: Product) -> Iterator[Proxy]:
    """A web server of its own over the demo's data folder, and the proxy in front of it."""
    port = free_port()
    ours = {
        "VITRINE_DATA_DIR": str(demo.data_dir),
        "VITRINE_PORT": str(port),
        "VITRINE_WORKERS": "1",
        "VITRINE_PROXY_HOPS": "1",
        processes.MARK: "prefix/web/",
    }
    web = subprocess.Popen([sys.executable, "-m", "gunicorn"], cwd=CHECKOUT, env={**os.environ, **ours})
    server = Proxy(port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        wait_for(lambda: answer(f"http://127.0.0.1:{port}/health") == 200, 60)
        yield server
    finally:
        server.shutdown()
        server.server_close()
        web.terminate()
        web.wait(20)


def test_no_address_leaves_the_prefix(proxy: Proxy, context: BrowserContext, demo: Product) -> None:
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.goto(f"{proxy.url}/")
    card = page.get_by_role("link", name="tumour-diagnosis").first
    expect(card).to_have_attribute("href", f"{PREFIX}/performance?run={newest(demo, 'tumour-diagnosis')['run_id']}")
    card.click()
    expect(page.locator("#performance-body .headline").first).to_be_visible()
    expect(page.get_by_role("link", name="Performance", exact=True)).to_have_attribute("aria-current", "page")
    page.locator(".confusion td a").first.click()
    expect(page.locator("#performance-rows")).to_contain_text("of")
    table = page.locator("a[download]").first.get_attribute("href")
    assert table is not None and table.startswith(f"{PREFIX}/export/")
    assert page.request.get(proxy.url.removesuffix(PREFIX) + table).status == 200

    picture = io.BytesIO()
    Image.new("L", (8, 8), 200).save(picture, "PNG")
    page.goto(f"{proxy.url}/inference?run={newest(demo, 'digit-reader')['run_id']}")
    page.locator("input[type=file]").first.set_input_files(
        {"name": "digit.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    )
    expect(page.locator("#inference-answer .answer:visible").first).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Serving", exact=True).click()
    expect(page.get_by_role("heading", name="Serving")).to_be_visible()
    assert page.url.startswith(f"{proxy.url}/serving")
    assert proxy.strayed == []
    assert complaints == []
