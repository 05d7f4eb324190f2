"""Scripts, styles and fonts: compressed once into the data folder, cached by browsers for ever when the address names
a version; plotly's smaller bundle stands in for the full one."""

import gzip
import mimetypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import flask
from dash.fingerprint import check_fingerprint
from werkzeug.security import safe_join

from dashboard.settings import CHECKOUT, Settings
from dashboard.uploads import FileShelf, content_key

ASSETS = CHECKOUT / "assets"
PLOTLY = ASSETS / "plotly-cartesian" / "plotly-cartesian.min.js"
NOT_LOADED = r"plotly-cartesian.*"
_PLOTLY_ASKED = ("plotly", "package_data/plotly.min.js")
_TEXT = frozenset({".js", ".css", ".svg", ".json", ".map", ".txt", ".html"})
_YEAR, _HOUR = 31_536_000, 3600
_SHELF = (400, 128 * 2**20)
# Quality 9 takes 0.12 s for the largest file, the best one 3.4 s for 8% less; the first visitor waits for it.
_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda data: brotli.compress(data, quality=9),
    "gzip": lambda data: gzip.compress(data, 9, mtime=0),
}


def register(app: Any, settings: Settings) -> None:
    """Serve the two kinds of static addresses of a Dash application; what Dash would refuse stays refused."""
    shelf = FileShelf(settings.data_dir / "static", *_SHELF)
    functions = app.server.view_functions
    suites = next(name for name in functions if "_dash-component-suites" in name)
    assets = next(name for name in functions if name.endswith("_dash_assets.static"))
    dash_suite = functions[suites]

    def suite(package_name: str, fingerprinted_path: str) -> flask.Response:
        name, versioned = check_fingerprint(fingerprinted_path)
        if (package_name, name) == _PLOTLY_ASKED:
            return send(shelf, PLOTLY, versioned)
        if name not in app.registered_paths.get(package_name, ()):
            answer: flask.Response = dash_suite(package_name, fingerprinted_path)
            return answer
        return send(shelf, Path(str(sys.modules[package_name].__file__)).parent / name, versioned)

    def asset(filename: str) -> flask.Response:
        found = safe_join(str(ASSETS), filename)
        if found is None or not Path(found).is_file():
            flask.abort(404)
        return send(shelf, Path(found), "m" in flask.request.args)

    functions[suites] = suite
    functions[assets] = asset


def send(shelf: FileShelf, path: Path, versioned: bool) -> flask.Response:
    """One file in the best encoding that the client takes, or 304 when it has it already."""
    facts = path.stat()
    digest = content_key(str(path), str(facts.st_mtime_ns), str(facts.st_size))
    text = path.suffix in _TEXT
    encoding = flask.request.accept_encodings.best_match(list(_ENCODERS), "") if text else ""
    packed = _packed(shelf, path, digest, encoding) if encoding else None
    mimetype = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    answer = flask.Response((packed or path).read_bytes(), mimetype=mimetype)
    answer.set_etag(f"{digest}{encoding if packed else ''}")
    if packed:
        answer.headers["Content-Encoding"] = encoding
    if text:
        answer.vary.add("Accept-Encoding")
    answer.headers["Cache-Control"] = f"public, max-age={f'{_YEAR}, immutable' if versioned else _HOUR}"
    answer.make_conditional(flask.request)
    return answer


def _packed(shelf: FileShelf, path: Path, digest: str, encoding: str) -> Path | None:
    """The compressed file, made on first use; None when it cannot be written: pages load all the same."""
    kept = shelf.path(digest, f".{encoding}")
    try:
        if not kept.exists():
            draft = shelf.draft()
            draft.write_bytes(_ENCODERS[encoding](path.read_bytes()))
            shelf.keep(draft, digest, f".{encoding}")
    except OSError:
        return None
    return kept
