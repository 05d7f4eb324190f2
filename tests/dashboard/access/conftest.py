"""Servers behind a gate, asked through Flask's test client."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

import app
from dashboard.access import gate
from dashboard.access.passwords import password_line
from dashboard.cache import ResultCache
from dashboard.limits import Limits
from dashboard.server import create_app
from dashboard.services import build_services
from dashboard.settings import Settings

PASSWORD = "correct horse"
PROXY: dict[str, Any] = {"auth": "proxy", "auth_proxies": ("10.1.0.0/16",), "editors": ("ada", "group:leads")}


@pytest.fixture(scope="session")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with ada, an editor by VITRINE_EDITORS, and bob."""
    path = tmp_path_factory.mktemp("access") / "passwords.txt"
    path.write_text("".join(password_line(name, PASSWORD) + "\n" for name in ("ada", "bob")))
    return path


@pytest.fixture
def served(tmp_path: Path) -> Callable[..., flask.Flask]:
    """A server with a few routes behind a gate with these settings."""

    def make(**values: Any) -> flask.Flask:
        settings = Settings(data_dir=tmp_path, **values)
        server = flask.Flask("x")
        server.secret_key = "secret of this test"
        for path in ("/", "/health", "/_dash-layout"):
            server.add_url_rule(path, path, lambda: "the page", methods=["GET", "POST"])
        server.add_url_rule("/metrics", "metrics", lambda: "the figures")
        gate.register(server, settings, Limits(settings, ResultCache(tmp_path / "cache", 16)), lambda: None)()
        if settings.proxy_hops:
            server.wsgi_app = ProxyFix(server.wsgi_app)  # type: ignore[method-assign]
        return server

    return make


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> flask.Flask:
    """The whole web application behind a proxy that names users."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("whole"), **PROXY)
    return create_app(settings, build_services(settings), app.PAGES, app.SHELL).server
