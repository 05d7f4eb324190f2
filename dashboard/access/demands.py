"""What every route demands of whoever asks. A route that is not listed here is for editors, and a test says so."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["predictions", "live pictures", "uploads", "jobs"]


@dataclass(frozen=True)
class Demand:
    """Who may ask (`open` to all, viewers, editors), what is counted by client and minute, and which embed links may
    ask: those that show (`view`), only those that also predict, or none. What `starts` work counts it itself."""

    role: Literal["open", "viewer", "editor"] = "editor"
    counts: Kind | None = None
    embedded: Literal["", "view", "predict"] = ""
    starts: bool = False


_OPEN, _VIEWER, _EDITOR = Demand("open"), Demand("viewer"), Demand("editor")

# By endpoint. Health checks carry no user; scripts, styles and fonts are Vitrine's published source and hold nothing of
# the store. Signing in is open by nature. Everything else needs a user; what embed links may do is in embedding.py.
DEMANDS = {
    "/health": _OPEN,
    "ready": _OPEN,
    "/_favicon.ico": _OPEN,
    "_dash_assets.static": _OPEN,
    "/_dash-component-suites/<string:package_name>/<path:fingerprinted_path>": _OPEN,
    "login": _OPEN,
    "back": _OPEN,
    "logout": _OPEN,
    "static": _VIEWER,
    "/": _VIEWER,
    "/<path:path>": _VIEWER,
    "/_reload-hash": _VIEWER,
    "/_dash-layout": Demand("viewer", embedded="view"),
    "/_dash-dependencies": Demand("viewer", embedded="view"),
    "/_dash-update-component": Demand("viewer", embedded="view"),
    "embed.page": Demand("viewer", embedded="view"),
    "embed.revision": Demand("viewer", embedded="view"),
    "embed.links": _EDITOR,
    "embed.make_link": _EDITOR,
    "embed.revoke_link": _EDITOR,
    "metrics": _VIEWER,
    "export": Demand("viewer", embedded="view"),
    "export_flags": _VIEWER,
    "prediction_input": _VIEWER,
    "prediction_place": _VIEWER,
    "prediction_report": Demand("viewer", "predictions"),
    "results": _VIEWER,
    "pictures": Demand("viewer", embedded="view"),
    "live_picture": Demand("viewer", "live pictures", "predict"),
    "uploads_limit": Demand("viewer", embedded="predict"),
    "uploads": Demand("viewer", "uploads", "predict"),
    "api.models": _VIEWER,
    "api.runs": _VIEWER,
    "api.run": _VIEWER,
    "api.performance": _VIEWER,
    "api.discovered": Demand("viewer", starts=True),
    "api.curves": _VIEWER,
    "api.data": _VIEWER,
    "api.columns": _VIEWER,
    "api.predict": Demand("viewer", "predictions", "predict"),
    "api.flags": _VIEWER,
    "api.make_flag": _EDITOR,
    "api.undo_flag": _EDITOR,
    "api.start_batch": Demand("editor", "jobs"),
    "api.batch": _EDITOR,
    "api.serving": _VIEWER,
    "api.openapi": _VIEWER,
    "api.reference": _VIEWER,
    "api.elsewhere": _VIEWER,
}


def demand_of(endpoint: str | None) -> Demand:
    """What the endpoint demands; an address that does not exist is as good as any page."""
    return DEMANDS.get(endpoint, _EDITOR) if endpoint else _VIEWER
