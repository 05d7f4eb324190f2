"""The gate in front of every route: who is not known does not pass; demands.py lists what each route demands."""

import hmac
from collections.abc import Callable

import flask

from dashboard.access import basic, proxy
from dashboard.access.demands import Demand, demand_of
from dashboard.access.origin import cross_site, forged, peer
from dashboard.access.refusals import refusal
from dashboard.access.users import LOCAL, User, require_editor, set_user
from dashboard.errors import NotAllowed, TooMany
from dashboard.limits import Limits
from dashboard.settings import Settings

Known = Callable[[], User | flask.Response | None]


def register(server: flask.Flask, settings: Settings, limits: Limits, guest: Known) -> Callable[[], None]:
    """Add the routes of signing in; the returned function puts the gate before all else, after the server's own
    first request. `guest` knows embedded views, which no other way in may serve."""
    known = _way_in(server, settings, limits)

    def enter() -> flask.Response | None:
        set_user(User())
        demand = demand_of(flask.request.endpoint)
        if site := forged(settings):
            return refusal(403, f"{site} may not change anything here.")
        if (demand.counts or demand.starts) and cross_site():
            return refusal(403, "Another site's page may not start this.")
        try:
            found = guest() or _scraper(settings)
            found = found or (User() if demand.role == "open" and _shut(settings) else known())
            if not isinstance(found, User):
                return found or refusal(403, "Nobody is signed in.")
            set_user(found)
            _admit(demand, limits)
        except NotAllowed as error:
            return refusal(403, str(error))
        except TooMany as error:
            return refusal(429, str(error), Retry_After=str(error.wait))
        return None

    def shut() -> None:
        server.before_request_funcs.setdefault(None, []).insert(0, enter)
        server.config["TRUSTED_HOSTS"] = [*settings.trusted_hosts] or None

    return shut


def _admit(demand: Demand, limits: Limits) -> None:
    """Hold the user to what the route demands."""
    if demand.role == "editor":
        require_editor()
    if demand.counts:
        limits.spend(demand.counts)


def _scraper(settings: Settings) -> User | None:
    """Prometheus, which brings the token of VITRINE_METRICS_TOKEN to /metrics."""
    given = flask.request.authorization
    if flask.request.endpoint != "metrics" or not settings.metrics_token or given is None or given.type != "bearer":
        return None
    return User("metrics") if hmac.compare_digest(f"{given.token}".encode(), settings.metrics_token.encode()) else None


def _shut(settings: Settings) -> bool:
    """Whether people sign in; else everybody who comes is known as an editor."""
    return settings.auth in ("proxy", "basic", "oidc")


def _way_in(server: flask.Flask, settings: Settings, limits: Limits) -> Known:
    """The function that knows the users of the chosen way in."""
    if settings.auth == "proxy":
        return proxy.known(settings)
    if settings.auth == "basic":
        return basic.register(server, settings, limits)
    if settings.auth == "oidc":
        from dashboard.access import oidc  # late, because Authlib and cryptography cost every worker memory

        return oidc.register(server, settings)
    return _everybody if settings.auth == "none" else _local


def _everybody() -> User:
    return LOCAL


def _local() -> User | flask.Response:
    """Access is unset: only this machine, whatever address the server was bound to."""
    address = peer()
    if address is not None and not address.is_loopback:
        return refusal(403, "Vitrine serves this machine only until VITRINE_AUTH says who may enter.")
    return LOCAL
