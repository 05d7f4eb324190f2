"""VITRINE_AUTH=basic: name and password as browsers ask for them, then a session, because hashing is slow by design."""

from collections.abc import Callable

import flask

from dashboard.access import sessions
from dashboard.access.passwords import PasswordFile
from dashboard.access.refusals import refusal
from dashboard.access.users import User, user_of
from dashboard.limits import Limits
from dashboard.settings import Settings
from dashboard.uploads import content_key


def register(server: flask.Flask, settings: Settings, limits: Limits) -> Callable[[], User | flask.Response]:
    """The user of a request; everybody else is asked for name and password."""
    assert settings.auth_passwords is not None
    file = PasswordFile(settings.auth_passwords)
    sessions.register(server, settings)

    def known() -> User | flask.Response:
        if name := sessions.person(lambda name: _proof(file, name)):
            return user_of(settings, name)
        given = flask.request.authorization
        if given is None or given.type != "basic" or not given.username:
            return refusal(401, "Sign in with name and password.", WWW_Authenticate='Basic realm="Vitrine"')
        limits.spend("sign-ins", f"{flask.request.remote_addr}")
        if not file.admits(given.username, given.password or ""):
            return refusal(401, "Name or password are wrong.", WWW_Authenticate='Basic realm="Vitrine"')
        sessions.open_for(given.username, _proof(file, given.username))
        return user_of(settings, given.username)

    return known


def _proof(file: PasswordFile, name: str) -> str:
    """What a session must know, so that a new password or a removed user ends it."""
    return content_key(file.users().get(name, ""))
