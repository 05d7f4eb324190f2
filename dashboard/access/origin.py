"""Where a request comes from: which machine, which user, which site's page."""

import ipaddress
from urllib.parse import urlsplit

import flask

from dashboard.access.users import current_user
from dashboard.settings import Settings

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def forged(settings: Settings) -> str:
    """The other site whose page asks to change something here; empty for our pages and where no Origin is sent."""
    origin = flask.request.headers.get("Origin", "")
    if not origin or flask.request.method in _SAFE or urlsplit(origin).netloc in _ours(settings):
        return ""
    return origin[:200]


def cross_site() -> bool:
    """Whether a browser says that another site's page made it send this, as an image or a script would."""
    headers = flask.request.headers
    return headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and headers.get("Sec-Fetch-Mode") != "navigate"


def own_url(settings: Settings, path: str) -> str:
    """An absolute address of ours; `path` begins with a slash."""
    return (settings.public_url or flask.request.url_root).rstrip("/") + path


def _ours(settings: Settings) -> tuple[str, ...]:
    named = urlsplit(settings.public_url).netloc
    return (flask.request.host, named) if named else (flask.request.host,)


def peer() -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Who is connected to the server, whatever a proxy's headers say; None on a Unix socket."""
    environ = flask.request.environ
    text = str(environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR") or "")
    if not text:
        return None
    found = ipaddress.ip_address(text.split("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def client() -> str:
    """One name for whoever asks, to count by: the user, else the address."""
    return current_user().name or flask.request.remote_addr or "local"
