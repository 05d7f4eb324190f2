"""What an embed link may ask: its panel's layout and callbacks with its own run and filters, and nothing else."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import flask

from dashboard.access.demands import demand_of
from dashboard.access.refusals import refusal
from dashboard.access.users import User
from dashboard.embedding import EmbedLink, EmbedLinks
from dashboard.errors import NotAllowed, StateUnavailable

HEADER = "X-Vitrine-Embed"
PAGE = "embed.page"
_IN_ADDRESS = (PAGE, "pictures", "export")  # because a frame's page, its pictures and files are fetched without headers
_PLACE = "vitrine_embed"
_RUN = re.compile(r"[0-9a-f]{32}")
_DEEPEST = 12


# the table behind a panel, which its link may also fetch as CSV: by page and panel
TABLE_OF = {
    ("/performance", "overall"): "overall",
    ("/performance", "per-class"): "classes",
    ("/performance", "per-slice"): "slices",
    ("/performance", "confusion"): "confusion",
    ("/performance", "rows"): "error-rows",
    ("/data", "columns"): "columns",
    ("/data", "rows"): "rows",
    ("/data", "images"): "rows",
}


@dataclass(frozen=True)
class Panel:
    """What one link draws: the callbacks that it needs by their `output`, the id of the page's query store, and the
    fields of each view by the id of its store."""

    callbacks: frozenset[str]
    query_id: str
    views: Mapping[str, tuple[str, ...]]


def current_link() -> EmbedLink | None:
    """The embed link of the request that is being answered."""
    return flask.g.get(_PLACE) if flask.has_request_context() else None


def guest(links: EmbedLinks) -> Callable[[], User | flask.Response | None]:
    """The visitor of an embedded view; None where no token came along."""

    def known() -> User | flask.Response | None:
        page = flask.request.endpoint == PAGE
        in_address = flask.request.args.get("token", "") if flask.request.endpoint in _IN_ADDRESS else ""
        token = in_address or flask.request.headers.get(HEADER, "")
        if not (token or page):
            return None
        try:
            link = links.read(token)
            _within(link)
        except (NotAllowed, StateUnavailable) as error:
            return _explained(str(error)) if page else _refused(str(error), error.status)
        setattr(flask.g, _PLACE, link)
        return User(f"embed link {link.id}", link=link.id)

    return known


def _within(link: EmbedLink) -> None:
    """Raise NotAllowed where the route is none of the link's."""
    request, allowed = flask.request, demand_of(flask.request.endpoint).embedded
    if not allowed or (allowed == "predict" and link.scope != "predict"):
        raise NotAllowed("This embed link does not reach that far.")
    run = (request.view_args or {}).get("run_id")
    if run is not None and run != link.params.get("run"):
        raise NotAllowed("This embed link is for another run.")
    if request.endpoint == "export":
        if (request.view_args or {}).get("name") != TABLE_OF.get((link.path, link.panel)):
            raise NotAllowed("This embed link shows another table.")
        _same_query(link, {name: text for name, text in request.args.items() if name != "token"})


def check_callback(link: EmbedLink, panel: Panel, body: Mapping[str, Any]) -> None:
    """Raise NotAllowed where a callback is none of the panel's, or what it is asked with is not the link's view."""
    if body["output"] not in panel.callbacks:
        raise NotAllowed("This embed link does not show that.")
    for given in [*body.get("inputs", []), *body.get("state", [])]:
        for item in given if isinstance(given, list) else [given]:
            value = item.get("value")
            if item["id"] == panel.query_id and item["property"] == "data":
                _same_query(link, value)
            elif item["id"] in panel.views and item["property"] == "data":
                _same_view(link, panel.views[item["id"]], value)
            else:
                _names_nothing_else(link, value)


def _same_query(link: EmbedLink, value: Any) -> None:
    """The page's query is the link's, but for what a visitor may change."""
    if not isinstance(value, dict):
        raise NotAllowed("This embed link shows one view only.")
    texts = {name: str(text) for name, text in value.items() if text not in (None, "")}
    if {name: text for name, text in texts.items() if name not in link.free} != link.locked:
        raise NotAllowed("This embed link shows one run with its filters only.")


def _same_view(link: EmbedLink, fields: Collection[str], value: Any) -> None:
    """A view holds the fields of the link's query that it follows, or nothing yet."""
    if not isinstance(value, dict) or value.get("fields") != list(fields):
        raise NotAllowed("This embed link shows one view only.")
    others = set(value) - {"fields", "fresh"}
    wanted = {} if value.get("fresh") else {name: link.locked[name] for name in fields if name in link.locked}
    given = {name: str(value[name]) for name in others - link.free}
    if given != wanted:
        raise NotAllowed("This embed link shows one run with its filters only.")


def _names_nothing_else(link: EmbedLink, value: Any, depth: int = 0) -> None:
    """No other input may name another run, filter or slice."""
    if depth > _DEEPEST:
        raise NotAllowed("This embed link takes no values as deep as these.")
    if isinstance(value, str) and _RUN.fullmatch(value) and value not in link.params.values():
        raise NotAllowed("This embed link is for another run.")
    if isinstance(value, dict):
        for name in ("run", "filter", "slice"):
            if name in value and str(value[name] or "") != link.params.get(name, ""):
                raise NotAllowed("This embed link shows one run with its filters only.")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _names_nothing_else(link, part, depth + 1)


def _refused(sentence: str, status: int) -> flask.Response:
    answer = refusal(status, sentence)
    answer.headers["X-Vitrine-Refused"] = sentence
    return answer


def _explained(sentence: str) -> flask.Response:
    """One line in the frame, with the way to the full view."""
    home = flask.request.script_root + "/"
    page = flask.render_template_string(_PAGE, sentence=sentence, home=home)
    answer = flask.Response(page, 403)
    answer.headers["Cache-Control"] = "no-store"
    return answer


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Vitrine</title>
<style>body { margin: 12px; font: 15px/1.5 system-ui, sans-serif; color: #56606e; }</style></head>
<body><p role="alert">{{ sentence }}
<a href="{{ home }}" target="_blank" rel="noopener">Open Vitrine</a></p></body></html>
"""
