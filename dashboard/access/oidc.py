"""VITRINE_AUTH=oidc: people sign in at an OpenID Connect provider; code flow with PKCE, then a session here."""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import flask
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from joserfc.errors import JoseError
from requests import RequestException

from dashboard.access import sessions
from dashboard.access.origin import own_url
from dashboard.access.refusals import refusal
from dashboard.access.users import User, user_of
from dashboard.settings import Settings

_log = logging.getLogger(__name__)
LOGIN, BACK, LOGOUT = "/login", "/login/back", "/logout"
_AFTER = "after"
_TIMEOUT = 10


def register(server: flask.Flask, settings: Settings) -> Callable[[], User | flask.Response]:
    """Add the routes of signing in and out; the user of a request, or the way to the provider."""
    sessions.register(server, settings)
    provider = _provider(server, settings)

    @server.get(LOGIN)
    def login() -> Any:
        flask.session[_AFTER] = local_path(flask.request.args.get("next", "/"))
        return _asked(lambda: provider.authorize_redirect(own_url(settings, BACK)))

    @server.get(BACK)
    def back() -> Any:
        return _asked(lambda: _signed_in(provider, settings))

    @server.get(LOGOUT)
    def logout() -> flask.Response:
        flask.session.clear()
        return flask.Response("You are signed out of Vitrine.", mimetype="text/plain")

    def known() -> User | flask.Response:
        if name := sessions.person(lambda _: settings.oidc_url):
            return user_of(settings, name, sessions.groups())
        if flask.request.method == "GET" and flask.request.accept_mimetypes.best == "text/html":
            after = quote(flask.request.full_path.rstrip("?"))
            return flask.redirect(own_url(settings, f"{LOGIN}?next={after}"))  # type: ignore[return-value]
        return refusal(401, "Sign in: open the page in a browser.")

    return known


def _provider(server: flask.Flask, settings: Settings) -> Any:
    """The client; the provider's own document is read at the first sign-in."""
    return OAuth(server).register(
        "vitrine",
        client_id=settings.oidc_client,
        client_secret=settings.oidc_secret,
        server_metadata_url=settings.oidc_url.rstrip("/") + "/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256", "timeout": _TIMEOUT},
    )


def _signed_in(provider: Any, settings: Settings) -> Any:
    """Exchange the code; Authlib checks state, nonce, signature, issuer, audience and time."""
    claims = provider.authorize_access_token().get("userinfo") or {}
    name = str(claims.get("preferred_username") or claims.get("email") or claims.get("sub") or "")
    if not name:
        return refusal(403, "The provider named nobody.")
    after = local_path(str(flask.session.get(_AFTER, "/")))
    groups = claims.get("groups")
    sessions.open_for(name, settings.oidc_url, map(str, groups) if isinstance(groups, list) else ())
    return flask.redirect(own_url(settings, after))


def _asked(step: Callable[[], Any]) -> Any:
    """What the provider's answer leads to; a provider that fails or refuses is a sentence, never a traceback."""
    try:
        return step()
    except (AuthlibBaseError, JoseError, RequestException, ValueError, KeyError) as exc:
        _log.warning("sign-in failed: %s: %s", type(exc).__name__, exc)
        return refusal(403, "Signing in did not work; open the page again to retry.")


def local_path(path: str) -> str:
    """A path of ours; anything that a browser could read as another site's address becomes the first page."""
    parts = urlsplit(path)
    clean = path.isprintable() and not (parts.scheme or parts.netloc or "\\" in path)
    return path if clean and path.startswith("/") and not path.startswith("//") else "/"
