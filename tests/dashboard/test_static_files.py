"""Static files of the real application: encodings, caching, plotly's smaller bundle, a full disk."""

import ast
import gzip
import re
from pathlib import Path

import brotli
import flask
import plotly.offline
import pytest
from flask.testing import FlaskClient

import app
from dashboard import static_files
from tests.conftest import CHECKOUT

PLOTLY = "/_dash-component-suites/plotly/package_data/plotly.min.js"
NO_TRACES = {"category", "circle", "data", "date", "line", "linear", "log", "rect", "button"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("static")


@pytest.fixture(scope="module")
def client(data: Path) -> FlaskClient:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINE_DATA_DIR", str(data))
        return app.create_server().test_client()


def addresses(client: FlaskClient) -> list[str]:
    return re.findall(r'(?:<script src|rel="stylesheet" href)="([^"]+)"', client.get("/").text)


def test_every_script_and_style_is_small_and_cached_for_ever(client: FlaskClient) -> None:
    found = addresses(client)
    assert len(found) > 10
    for address in found:
        plain = client.get(address)
        packed = client.get(address, headers={"Accept-Encoding": "gzip, deflate, br"})
        zipped = client.get(address, headers={"Accept-Encoding": "gzip"})
        assert brotli.decompress(packed.data) == gzip.decompress(zipped.data) == plain.data
        assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("br", "Accept-Encoding")
        assert packed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert packed.mimetype in ("text/javascript", "text/css")
        assert "Content-Encoding" not in plain.headers
        assert len({answer.headers["ETag"] for answer in (plain, packed, zipped)}) == 3


def test_a_browser_that_has_the_file_gets_no_second_copy(client: FlaskClient) -> None:
    headers = {"Accept-Encoding": "br"}
    first = client.get(PLOTLY, headers=headers)
    again = client.get(PLOTLY, headers={**headers, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert first.headers["Cache-Control"] == "public, max-age=3600"


def test_plotly_is_the_smaller_bundle_of_the_version_that_dash_expects(client: FlaskClient) -> None:
    script = client.get(PLOTLY).text
    assert f"(cartesian - minified) v{plotly.offline.get_plotlyjs_version()}" in script[:200]
    assert len(client.get(PLOTLY, headers={"Accept-Encoding": "br"}).data) < 460_000
    assert not any("plotly-cartesian" in address for address in addresses(client))


def trace_types() -> set[str]:
    """Every `"type": "..."` in a dictionary of layouts/ that draws something."""
    found = set()
    for path in (CHECKOUT / "layouts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "type" and isinstance(value, ast.Constant):
                        found.add(value.value)
    return found - NO_TRACES


def test_every_kind_of_trace_that_pages_draw_is_in_the_bundle() -> None:
    bundle = static_files.PLOTLY.read_text()
    traces = {"bar", "heatmap", "scatter"}
    assert traces <= trace_types()
    missing = {kind for kind in trace_types() if not re.search(rf'moduleType:"trace",name:"{kind}"', bundle)}
    assert missing == set()


@pytest.mark.parametrize(
    "address",
    [
        "/assets/../dashboard/settings.py",
        "/assets/%2e%2e/dashboard/settings.py",
        "/assets/nothing.js",
        "/_dash-component-suites/dash/../flask/app.py",
        "/_dash-component-suites/dash/dash.py",
        "/_dash-component-suites/os/path.py",
    ],
)
def test_nothing_else_is_served(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code >= 400 or answer.mimetype == "text/html"  # the index page: an unknown address of a page
    assert "def " not in answer.text


def test_a_folder_that_cannot_be_written_costs_only_bytes(client: FlaskClient, data: Path, tmp_path: Path) -> None:
    shelf = static_files.FileShelf(tmp_path / "file" / "below", 10, 10**6)
    (tmp_path / "file").write_text("")
    server = flask.Flask("plain")
    with server.test_request_context(headers={"Accept-Encoding": "br"}):
        answer = static_files.send(shelf, static_files.ASSETS / "20-vitrine.css", True)
        assert "Content-Encoding" not in answer.headers
        assert answer.data == (static_files.ASSETS / "20-vitrine.css").read_bytes()
    assert {path.suffix for path in (data / "static").iterdir()} == {".br", ".gzip"}
