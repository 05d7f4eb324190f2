"""GET /ready: whether store, cache and inference process answer, each named."""

import time

import flask

from dashboard.access.users import current_user
from dashboard.cache import CACHE_ERRORS
from dashboard.services import Services

_STALE = 30.0


def register(server: flask.Flask, services: Services) -> None:
    """Add the route to the Flask server."""

    @server.get("/ready")
    def ready() -> tuple[flask.Response, int]:
        parts = readiness(services)
        status = 200 if all(part["ok"] for part in parts.values()) else 503
        if not current_user().edits:  # because reasons name addresses, and a probe may ask without signing in
            parts = {name: {"ok": part["ok"]} for name, part in parts.items()}
        return flask.jsonify(parts), status


def readiness(services: Services) -> dict[str, dict[str, object]]:
    """Each part with `ok` and a sentence."""
    return {"store": _store(services), "cache": _cache(services), "inference": _inference(services)}


def _store(services: Services) -> dict[str, object]:
    state = services.runs.state()
    fresh = state.synced_at is not None and time.time() - state.synced_at < _STALE
    return {"ok": state.reachable and fresh, "message": state.message or ("" if fresh else "not synchronised yet")}


def _cache(services: Services) -> dict[str, object]:
    try:
        services.cache.store("ready", 1, expire=60)
        return {"ok": services.cache.peek("ready") is not None, "message": ""}
    except CACHE_ERRORS as error:
        return {"ok": False, "message": str(error)}


def _inference(services: Services) -> dict[str, object]:
    state = services.inference.state()
    if state.ready:
        return {"ok": True, "message": f"{state.address} answers" if state.address else state.message}
    return {"ok": False, "message": state.message or "the inference process does not answer (yet)"}
