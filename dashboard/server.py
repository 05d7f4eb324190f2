"""The server factory: Dash, pages, security headers, health routes and the one error handler."""

import importlib
import logging
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dash
import flask

from dashboard import (
    callback_checks,
    embed_gate,
    embed_routes,
    exports,
    jobs,
    readiness,
    reverse_proxy,
    static_files,
    telemetry,
)
from dashboard.access import gate
from dashboard.api.routes import register_api
from dashboard.embedding import EmbedLinks
from dashboard.services import Services
from dashboard.settings import Settings
from mlflow_runs.errors import DashboardError, RunNotFound

_log = logging.getLogger(__name__)
_POLICY = "CONTENT_SECURITY_POLICY"


@dataclass(frozen=True)
class Page:
    """One page: its place in the navigation and its two verbs; `editor_jobs` are outputs of jobs for editors only."""

    name: str
    path: str
    question: str
    build: Callable[..., Any]
    register: Callable[[dash.Dash, Services], None]
    editor_jobs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shell:
    """The frame around the pages: `build(settings, pages)`, `register(app, services, pages)`, `notice(title, text)`;
    `nowhere()` is shown at an address without a page."""

    build: Callable[[Settings, Sequence[Page]], Any]
    register: Callable[[dash.Dash, Services, Sequence[Page]], None]
    notice: Callable[[str, str], Any]
    nowhere: Callable[..., Any]
    notices_id: str
    embed: embed_routes.Cut


def create_app(settings: Settings, services: Services, pages: Sequence[Page], shell: Shell) -> dash.Dash:
    """Build the whole web application; calling it twice gives two independent applications."""
    dash.page_registry.clear()
    app = dash.Dash(
        server=flask.Flask("vitrine"),
        use_pages=True,
        pages_folder="",
        assets_folder=str(static_files.ASSETS),
        assets_ignore=static_files.NOT_LOADED,
        title=settings.title,
        update_title="",
        use_async=False,
        enable_mcp=False,
        health_endpoint="health",
        on_error=lambda error: _show_error(error, shell),
        background_callback_manager=services.jobs,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.index_string = app.index_string.replace("<html>", '<html lang="en">')
    app.server.secret_key = _secret_key(settings)
    app.server.config["MAX_CONTENT_LENGTH"] = settings.max_upload_mb * 2**20 * 4 // 3
    for page in pages:
        dash.register_page(page.name, path=page.path, layout=page.build, title=f"{page.name} · {settings.title}")
    # the name by which Dash finds what it shows elsewhere
    dash.register_page("not_found_404", layout=shell.nowhere, title=settings.title)
    app.layout = shell.build(settings, pages)
    shell.register(app, services, pages)
    for page in pages:
        page.register(app, services)
    register_api(app.server, services)
    readiness.register(app.server, services)
    exports.register(app.server, services)
    telemetry.register(app.server, services, lambda: app.callback_map)
    static_files.register(app, settings)
    reverse_proxy.register(app, settings)
    editor_jobs = {name for page in pages for name in page.editor_jobs}
    callback_checks.register(app.server, services.limits, lambda: app.callback_map, editor_jobs)
    links = EmbedLinks(settings, app.server.secret_key)
    by_path = {page.path: page for page in pages}
    embed_routes.register(app, settings, links, by_path, shell.embed, lambda: services.runs.state().revision)
    shut = gate.register(app.server, settings, services.limits, embed_gate.guest(links))
    _secure(app, settings)
    _warm(app)
    app.server.config[_POLICY] = _policy(app, settings)
    shut()
    return app


def _secret_key(settings: Settings) -> str:
    """A signing key that survives restarts and is shared by all workers."""
    path = settings.folder("run") / "secret.key"
    if not path.exists():
        fresh = path.with_suffix(f".{uuid.uuid4().hex}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(32))
        fresh.rename(path)
    return path.read_text()


def _show_error(error: Exception, shell: Shell) -> Any:
    """Turn any error of a callback into a notice where its result would have stood, or into a floating one."""
    error = jobs.original_error(error)
    telemetry.note_error(getattr(error, "code", "internal_error"))
    if isinstance(error, DashboardError):
        title, text = "This could not be shown", str(error)
    else:
        number = uuid.uuid4().hex[:8]
        _log.error("callback failed, id %s", number, exc_info=error)
        title, text = "Something went wrong", f"The error was recorded under the number {number}."
    notice = shell.notice(title, text)
    outputs = dash.ctx.outputs_list or []
    several = isinstance(outputs, list)
    values = [notice if spec["property"] == "children" else dash.no_update for spec in _flat(outputs)]
    # a run that is not there is told once, by the page's run bar
    if all(value is dash.no_update for value in values) and not isinstance(error, RunNotFound):
        dash.set_props(shell.notices_id, {"children": notice})
    return values if several else values[0]


def _flat(outputs: Any) -> list[dict[str, Any]]:
    return outputs if isinstance(outputs, list) else [outputs]


def _secure(app: dash.Dash, settings: Settings) -> None:
    @app.server.after_request
    def add_headers(response: flask.Response) -> flask.Response:
        policy = app.server.config.get(_POLICY, "")
        if settings.auth in ("", "none") or embed_gate.current_link():
            policy += f"; frame-ancestors {settings.frame_ancestors}"
        else:  # because another site must not frame pages on which somebody is signed in
            policy += "; frame-ancestors 'self'"
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response


def _policy(app: dash.Dash, settings: Settings) -> str:
    """The content security policy; its script hashes are complete only after the first request."""
    hashes = " ".join(f"'{digest.strip(chr(39))}'" for digest in app.csp_hashes())
    rules = (
        "default-src 'self'",
        f"script-src 'self' {hashes}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
    return "; ".join(rules)


def _warm(app: dash.Dash) -> None:
    """Run the first request and import pandas here: both race when several threads meet them first.

    (plotly's JSON encoder looks into `sys.modules` for pandas and finds it half imported.)
    """
    importlib.import_module("pandas")
    with app.server.test_client() as client:
        client.get("/_dash-layout")
        client.get("/_dash-dependencies")
