"""Vitrine behind a reverse proxy: both kinds of prefix, its headers only when told, smaller answers."""

import gzip
from collections.abc import Callable, Iterable
from typing import Any

import brotli
import flask
from werkzeug.middleware.proxy_fix import ProxyFix

from dashboard.settings import Settings

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_WORTH_IT = 500
# The levels at which 31 kB of JSON take less than a millisecond; Brotli is 15% smaller than gzip there.
_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda data: brotli.compress(data, quality=5),
    "gzip": lambda data: gzip.compress(data, 4, mtime=0),
}
_TEXT = frozenset({"application/json", "text/html", "text/css", "text/plain"})


def register(app: Any, settings: Settings) -> None:
    """Let every address that the server writes begin with the prefix of the request; compress what it computes."""
    object.__setattr__(app.config, "__class__", _config_class(type(app.config)))
    if settings.proxy_hops:
        hops = settings.proxy_hops
        app.server.wsgi_app = ProxyFix(app.server.wsgi_app, hops, hops, hops, hops, hops)
    if settings.url_prefix:
        app.server.wsgi_app = _below(settings.url_prefix, app.server.wsgi_app)
    app.server.after_request(compressed)


def _below(prefix: str, inner: Wsgi) -> Wsgi:
    """The application below a prefix, whether or not the proxy has taken it off the path."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        if path == prefix or path.startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        environ["SCRIPT_NAME"] = prefix
        return inner(environ, start_response)

    return serve


def _config_class(plain: type) -> type:
    """Dash's configuration with `requests_pathname_prefix` as the request has it."""

    class Config(plain):  # type: ignore[misc]
        def __getitem__(self, key: str) -> Any:
            if key == "requests_pathname_prefix" and flask.has_request_context():
                return f"{flask.request.script_root}/"
            return super().__getitem__(key)

    return Config


def compressed(answer: flask.Response) -> flask.Response:
    """A computed answer of text, compressed where the client takes it; streams and static files stay as they are."""
    if answer.mimetype not in _TEXT or answer.is_streamed or answer.direct_passthrough:
        return answer
    answer.vary.add("Accept-Encoding")
    body = answer.get_data() if answer.status_code == 200 and "Content-Encoding" not in answer.headers else b""
    encoding = next((name for name in _ENCODERS if flask.request.accept_encodings[name] > 0), "")
    if len(body) >= _WORTH_IT and encoding:
        answer.set_data(_ENCODERS[encoding](body))
        answer.headers["Content-Encoding"] = encoding
    return answer
