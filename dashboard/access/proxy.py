"""VITRINE_AUTH=proxy: a reverse proxy that signs people in names the user in a header."""

import ipaddress
from collections.abc import Callable

import flask

from dashboard.access.origin import peer
from dashboard.access.refusals import refusal
from dashboard.access.users import User, user_of
from dashboard.settings import Settings

_GROUPS = "X-Forwarded-Groups"
_LONGEST = 200


def known(settings: Settings) -> Callable[[], User | flask.Response]:
    """The user whom a proxy in one of the named networks names; everybody else is refused."""
    networks = [ipaddress.ip_network(network) for network in settings.auth_proxies]

    def named() -> User | flask.Response:
        address = peer()
        if address is None or not any(address in network for network in networks):
            return refusal(403, "Only the proxies of VITRINE_AUTH_PROXIES may speak to Vitrine.")
        name = flask.request.headers.get(settings.auth_header, "").strip()
        if not name or len(name) > _LONGEST:
            return refusal(401, f"The proxy named no user in {settings.auth_header}.")
        groups = flask.request.headers.get(_GROUPS, "").split(",")
        return user_of(settings, name, [group.strip() for group in groups if group.strip()])

    return named
