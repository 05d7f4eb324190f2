"""The routes of embedded panels: the frame's page, and the links that editors make, list and revoke."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any, Protocol
from urllib.parse import urlencode

import flask
from dash._utils import to_json

from dashboard.access.origin import own_url
from dashboard.access.refusals import refusal
from dashboard.access.users import current_user
from dashboard.callback_checks import PATH as CALLBACKS
from dashboard.embed_gate import PAGE, Panel, check_callback, current_link
from dashboard.embedding import EmbedLink, EmbedLinks, LinkRecord, make_link
from dashboard.errors import BadInput, NotAllowed
from dashboard.settings import Settings
from mlflow_runs.errors import DashboardError

_HEIGHT = 360
_GONE = "This embed link shows a panel that does not exist any more."


class Cutting(Protocol):
    """A panel's tree, and what its link may ask for."""

    @property
    def tree(self) -> Any: ...
    @property
    def panel(self) -> Panel: ...


class Buildable(Protocol):
    """A page that can be built from its query."""

    @property
    def build(self) -> Callable[..., Any]: ...


Cut = Callable[[Any, EmbedLink, Sequence[Mapping[str, Any]]], Cutting | None]


def register(
    app: Any,
    settings: Settings,
    links: EmbedLinks,
    pages: Mapping[str, Buildable],
    cut: Cut,
    revision: Callable[[], int],
) -> None:
    """Add the routes; the layout and the callbacks that a link's frame asks for become the panel's. `revision` tells
    how often the run index has changed, which is when panels are drawn anew."""

    def cutting(link: EmbedLink) -> Cutting:
        page = pages.get(link.path)
        found = cut(page.build(**link.params), link, app._callback_list) if page else None
        if found is None:
            raise NotAllowed(_GONE)
        return found

    @lru_cache(256)
    def panel(path: str, name: str, slot: str, scope: str) -> Panel:
        return cutting(EmbedLink("", path, name, slot, {}, scope, math.inf)).panel  # type: ignore[arg-type]

    def panel_of(link: EmbedLink) -> Panel:
        return panel(link.path, link.panel, link.slot, link.scope)

    _frame(app, cutting, panel_of)
    app.server.add_url_rule("/embed/revision", "embed.revision", lambda: flask.jsonify(revision=revision()))
    _desk(app.server, settings, links, cutting)


def _frame(app: Any, cutting: Callable[[EmbedLink], Cutting], panel_of: Callable[[EmbedLink], Panel]) -> None:
    """What a frame asks for: its page, layout, dependencies and callbacks."""
    server, functions = app.server, app.server.view_functions
    layout, dependencies = functions["/_dash-layout"], functions["/_dash-dependencies"]

    def embedded_layout() -> Any:
        link = current_link()
        return _json(to_json(cutting(link).tree)) if link else layout()

    def embedded_dependencies() -> Any:
        link = current_link()
        if not link:
            return dependencies()
        return _json(to_json([item for item in app._callback_list if item["output"] in panel_of(link).callbacks]))

    def check() -> flask.Response | None:
        link = current_link()
        if link and flask.request.path == CALLBACKS:
            try:
                check_callback(link, panel_of(link), flask.request.get_json())
            except NotAllowed as error:
                return refusal(403, str(error), X_Vitrine_Refused=str(error))
        return None

    functions["/_dash-layout"] = _told(embedded_layout)
    functions["/_dash-dependencies"] = _told(embedded_dependencies)
    server.before_request(check)
    server.add_url_rule("/embed", PAGE, app.index)


def _desk(server: flask.Flask, settings: Settings, links: EmbedLinks, possible: Callable[[EmbedLink], Any]) -> None:
    """What editors ask for."""

    def make() -> flask.Response:
        flask.request.max_content_length = 64 * 1024
        wanted = flask.request.get_json(silent=True)
        if not isinstance(wanted, dict):
            raise BadInput("A link is made from an object with path, panel, slot, params, scope and days.")
        link = make_link(settings, wanted)
        possible(link)
        links.remember(link, urlencode(link.params), current_user().name)
        address = own_url(settings, f"/embed?token={links.token(link)}&theme=auto")
        answer = flask.jsonify(id=link.id, url=address, code=snippet(address, link.panel), expires=link.expires)
        answer.status_code = 201
        return answer

    def listed() -> flask.Response:
        return flask.jsonify(links=[_facts(record) for record in links.records()])

    def revoke(identity: str) -> flask.Response:
        if not links.revoke(identity):
            return refusal(404, f"There is no embed link {identity[:40]!r}.")
        return flask.jsonify(revoked=identity)

    for rule, name, view, method in (
        ("/embed/links", "embed.links", listed, "GET"),
        ("/embed/links", "embed.make_link", make, "POST"),
        ("/embed/links/<identity>", "embed.revoke_link", revoke, "DELETE"),
    ):
        server.add_url_rule(rule, name, _told(view), methods=[method])


def _told(view: Callable[..., flask.Response]) -> Callable[..., flask.Response]:
    def answer(**path: str) -> flask.Response:
        try:
            return view(**path)
        except DashboardError as error:
            return refusal(error.status, str(error), X_Vitrine_Refused=str(error))

    return answer


def _facts(record: LinkRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _json(text: str) -> flask.Response:
    return flask.Response(text, mimetype="application/json")


def snippet(address: str, title: str) -> str:
    """The HTML to paste into a wiki page."""
    return (
        f'<iframe src="{escape(address)}" title="{escape(title)}" loading="lazy" data-vitrine'
        f' style="width:100%;height:{_HEIGHT}px;border:0"></iframe>'
    )
