"""Who signed in, in a signed cookie that scripts cannot read and other sites do not send. Embedded views need none."""

import time
from collections.abc import Callable, Iterable

import flask
from flask.sessions import SecureCookieSessionInterface

from dashboard.settings import Settings

_NAME, _GROUPS, _PROOF, _UNTIL = "name", "groups", "proof", "until"


class _Cookies(SecureCookieSessionInterface):
    """The cookie is marked Secure whenever the request came over https."""

    def get_cookie_secure(self, app: flask.Flask) -> bool:
        return flask.request.is_secure


def register(server: flask.Flask, settings: Settings) -> None:
    """Give sessions their flags and their length."""
    server.session_interface = _Cookies()
    server.config.update(
        SESSION_COOKIE_NAME="vitrine_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=int(settings.session_hours * 3600),
        SESSION_REFRESH_EACH_REQUEST=False,
    )


def open_for(name: str, proof: str, groups: Iterable[str] = ()) -> None:
    """Begin a session; `proof` is what it must show later."""
    flask.session.clear()
    flask.session.permanent = True
    length = flask.current_app.permanent_session_lifetime.total_seconds()
    flask.session.update({_NAME: name, _GROUPS: list(groups), _PROOF: proof, _UNTIL: time.time() + length})


def person(proof_of: Callable[[str], str]) -> str:
    """The name of whoever signed in, empty where nobody did, the time is over or the proof is another one by now."""
    name = str(flask.session.get(_NAME, ""))
    current = name and flask.session.get(_UNTIL, 0) > time.time() and flask.session.get(_PROOF) == proof_of(name)
    return name if current else ""


def groups() -> list[str]:
    """The groups that the session was opened with."""
    return list(flask.session.get(_GROUPS, ()))
