"""An embedded panel: the part of a page's tree that draws it, and the callbacks that this part needs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dash import dcc, html
from dash.development.base_component import Component

from dashboard.embed_gate import Panel, current_link
from dashboard.embedding import EmbedLink
from layouts import parts, shell

_GIVEN = (shell.Ids.REVISION,)
_FRAME = (shell.Ids.REVISION, shell.Ids.RUN)
_GONE = "This panel is not part of the view any more"


@dataclass(frozen=True)
class Embedded:
    """A tree with nothing but the panel and what it needs, and what its link may ask for."""

    tree: Any
    panel: Panel


def build(page: Component, link: EmbedLink, callbacks: Sequence[Mapping[str, Any]]) -> Embedded | None:
    """Cut the panel out of a page's empty tree; None where the page has none such."""
    found = _find(page, link)
    if not found:
        return None
    target = html.Div(found, className="grid")
    places = {part.id: part for part in page._traverse() if isinstance(getattr(part, "id", None), str)}
    query_id = getattr(page, "data-query-store")
    inside = _ids(target)
    used, kept = needed(callbacks, inside | {shell.Ids.RUN}, {query_id, *_GIVEN}, set(places) | set(_FRAME))
    kept |= {query_id}
    others = [_alone(part) for name, part in places.items() if name in kept - inside]
    tree = html.Div(
        [
            *(dcc.Store(id=name) for name in _FRAME),
            html.Div(others, hidden=True),
            html.Main(target, id="content"),
            html.Div(id=shell.Ids.NOTICES, className="notices", **{"aria-live": "polite"}),
        ],
        **{"data-query-store": query_id, "data-embedded": json.dumps(_facts(link))},
    )
    views = {name: tuple(part.data["fields"]) for name, part in places.items() if _is_view(part)}
    return Embedded(tree, Panel(frozenset(used), query_id, views))


def _facts(link: EmbedLink) -> dict[str, Any]:
    """What the browser needs to know: assets/embed.js keeps visitors inside of it."""
    return {"path": link.path, "locked": link.locked, "free": sorted(link.free), "full": _full_view(link)}


def _full_view(link: EmbedLink) -> str:
    """The address of the same view with everything around it."""
    return f"{link.path}?{urlencode(link.params)}" if link.params else link.path


def _find(page: Component, link: EmbedLink) -> list[Component]:
    """The place that the panel is drawn into, or the boxes of the panel where they are part of the empty page."""
    if link.slot:
        return [part for part in page._traverse() if getattr(part, "id", None) == link.slot]
    return _panels(page, link.panel)


def _panels(tree: Component, name: str = "") -> list[Component]:
    """The panels of a tree, all of them or those of a name."""
    named = [part for part in (tree, *tree._traverse()) if getattr(part, "data-panel", None)]
    found = [part for part in named if name in ("", getattr(part, "data-panel"))]
    inner = {id(part) for box in found for part in box._traverse()}  # of boxes in a box the outer one is the panel
    return [part for part in found if id(part) not in inner]


def _ids(tree: Component) -> set[str]:
    """Every plain id of a tree, its root's included."""
    found = {getattr(part, "id", None) for part in (tree, *tree._traverse())}
    return {name for name in found if isinstance(name, str)}


def _alone(part: Component) -> Component:
    """The component without its children."""
    given = part.to_plotly_json()["props"]
    return type(part)(**{name: value for name, value in given.items() if name != "children"})


def _is_view(part: Component) -> bool:
    """Whether a component is a store that follows fields of the page's query (see layouts.page.view)."""
    return isinstance(part, dcc.Store) and isinstance(getattr(part, "data", None), dict) and "fields" in part.data


def needed(
    callbacks: Iterable[Mapping[str, Any]], shown: set[str], given: set[str], known: set[str]
) -> tuple[set[str], set[str]]:
    """The callbacks by `output` that fill what is shown, and every id that they name; `given` needs no filling."""
    possible = [item for item in callbacks if _draws(item) and _concrete(item) <= known]
    used: set[str] = set()
    kept = set(shown)
    growing = True
    while growing:
        new = [item for item in possible if item["output"] not in used and _serves(item, kept, given)]
        for item in new:
            used.add(item["output"])
            kept |= _concrete(item)
        growing = bool(new)
    return used, kept


def _draws(item: Mapping[str, Any]) -> bool:
    """Whether a callback only draws: jobs do not, nor what the server does when somebody clicks, such as flagging."""
    return not item["background"] and bool(item["clientside_function"] or not item["prevent_initial_call"])


def _serves(item: Mapping[str, Any], kept: set[str], given: set[str]) -> bool:
    """Whether a callback fills something that is kept, or reacts to controls that are kept."""
    outputs = _outputs(item)
    if outputs:
        return bool(outputs & (kept - given))
    named = _concrete(item)
    return bool(named & (kept - given)) and named <= kept | given


def _outputs(item: Mapping[str, Any]) -> set[str]:
    if item.get("no_output"):
        return set()
    names = item["output"].strip(".").split("...")
    return {name.rpartition(".")[0] for name in names if "." in name and not name.startswith("{")}


def _concrete(item: Mapping[str, Any]) -> set[str]:
    """Every id of a callback that is no pattern."""
    named = {part["id"] for part in [*item["inputs"], *item["state"]]}
    return {name for name in named if not name.startswith("{")} | _outputs(item)


def shown(tree: Any) -> Any:
    """Of what a page fills into a place, the panel that the request's embed link shows; all of it where there is no
    link, and where no panel is in it, because then it says why."""
    link = current_link()
    if link is None or not link.slot or not isinstance(tree, Component):
        return tree
    if not _panels(tree):
        return tree
    found = _panels(tree, link.panel)
    text = "The run, its filters or its slices have changed since the link was made."
    return html.Div(found, className="grid") if found else parts.empty(_GONE, text)
