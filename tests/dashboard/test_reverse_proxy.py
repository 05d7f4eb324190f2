"""Prefixes and forwarded headers as the real application answers them."""

import gzip
import json
import re
from pathlib import Path

import brotli
import flask
import pytest
from flask.testing import FlaskClient

import app
from dashboard.settings import Settings


def client(folder: Path, **settings: str) -> FlaskClient:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINE_DATA_DIR", str(folder))
        for name, value in settings.items():
            patch.setenv(f"VITRINE_{name.upper()}", value)
        return app.create_server().test_client()


def seen(client: FlaskClient, path: str, **headers: str) -> list[str | None]:
    """Who asked for what, as the application sees it."""
    with client:
        assert client.get(path, headers=headers).status_code == 200
        return [flask.request.remote_addr, flask.request.url]


def prefix(client: FlaskClient, path: str, **headers: str) -> str:
    """What the page is told, once every address in it has been seen to begin with it."""
    text = client.get(path, headers=headers).text
    told = json.loads(re.search(r'id="_dash-config"[^>]*>(.*?)</script>', text, re.S)[1])["requests_pathname_prefix"]
    assert all(address.startswith(told) for address in re.findall(r'(?:src|href)="([^"]+)"', text))
    return str(told)


def test_the_prefix_holds_whether_or_not_the_proxy_takes_it_off(tmp_path: Path) -> None:
    below = client(tmp_path, url_prefix="vitrine/models/")
    for path in ("/vitrine/models/performance?run=a", "/vitrine/models", "/performance", "/"):
        assert prefix(below, path) == "/vitrine/models/"
    assert below.get("/vitrine/models/health").text == below.get("/health").text == "OK"
    assert seen(below, "/vitrine/models/health")[1] == "http://localhost/vitrine/models/health"
    assert seen(below, "/vitrine/modelsandmore")[1] == "http://localhost/vitrine/models/vitrine/modelsandmore"
    script = re.search(r'src="([^"]+vitrine\.js[^"]+)"', below.get("/").text)[1]
    assert "dash_clientside" in below.get(script).text


def test_forwarded_headers_are_believed_only_when_told(tmp_path: Path) -> None:
    told = {
        "X-Forwarded-Prefix": "/wiki/vitrine",
        "X-Forwarded-For": "10.1.2.3",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "example.org",
    }
    plain, behind = client(tmp_path / "a"), client(tmp_path / "b", proxy_hops="1")
    assert seen(plain, "/health", **told) == ["127.0.0.1", "http://localhost/health"]
    assert prefix(plain, "/", **told) == "/"
    assert seen(behind, "/health", **told) == ["10.1.2.3", "https://example.org/wiki/vitrine/health"]
    assert prefix(behind, "/", **told) == "/wiki/vitrine/"
    assert prefix(behind, "/") == "/"


@pytest.mark.parametrize("value", ["/a b", '/"><script>', "/a/../b", "/a//b", "//evil.example"])
def test_a_prefix_is_a_plain_path(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_URL_PREFIX", value)
    if value == "//evil.example":
        assert Settings().url_prefix == "/evil.example"
        return
    with pytest.raises(ValueError, match="a prefix is a path"):
        Settings()


def test_computed_answers_are_compressed_where_it_is_worth_it(tmp_path: Path) -> None:
    here = client(tmp_path)
    plain = here.get("/_dash-dependencies")
    packed = here.get("/_dash-dependencies", headers={"Accept-Encoding": "gzip, br"})
    zipped = here.get("/_dash-dependencies", headers={"Accept-Encoding": "gzip"})
    assert brotli.decompress(packed.data) == gzip.decompress(zipped.data) == plain.data
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert int(packed.headers["Content-Length"]) < len(plain.data) / 4
    assert "Content-Encoding" not in here.get("/health", headers={"Accept-Encoding": "gzip"}).headers
    refused = here.get("/_dash-dependencies", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers
