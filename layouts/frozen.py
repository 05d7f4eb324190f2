"""Plain HTML sent as data: Dash needs about 2 ms in the browser for each component, a table has thousands.

`freeze` keeps what callbacks can see (ids, controls, graphs) and turns the children of every other element into one
`data-tree` attribute, which assets/vitrine.js draws with createElement and text nodes. Nothing is parsed as HTML.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from dash import html
from dash.development.base_component import Component

from layouts import embedded

TAGS = (
    frozenset(["a", "b", "button", "br", "caption", "code", "dd", "details", "div", "dl", "dt", "em", "figcaption"])
    | frozenset(
        [
            "figure",
            "footer",
            "h1",
            "h2",
            "h3",
            "h4",
            "header",
            "i",
            "img",
            "li",
            "nav",
            "ol",
            "p",
            "pre",
            "section",
            "small",
        ]
    )
    | frozenset(["span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"])
)
_NAMES = {"className": "class", "htmlFor": "for", "tabIndex": "tabindex", "colSpan": "colspan", "rowSpan": "rowspan"}
_ADDRESSES = {"href": ("/", "?", "#", "http://", "https://"), "src": ("/", "data:image/")}
_NOT_GIVEN = frozenset(["children", "available_properties", "available_wildcard_properties"])
_FEWEST = 4


def freeze(tree: Any) -> Any:
    """The same content with as few Dash components as possible; the tree that was given stays as it is.

    For an embed link only its panel is left."""
    return _frozen(embedded.shown(tree))


def _frozen(tree: Any) -> Any:
    if isinstance(tree, list | tuple):
        return [_frozen(part) for part in tree]
    if not isinstance(tree, Component):
        return tree
    children = _children(tree)
    if _is_html(tree) and children and all(map(_is_static, children)):
        if sum(map(_size, children)) < _FEWEST:
            return tree
        spec = orjson.dumps([_spec(child) for child in children]).decode()
        return type(tree)(**_own(tree), **{"data-tree": spec})
    if not children:
        return tree
    frozen = _frozen(tree.children)
    return type(tree)(children=frozen, **_own(tree))


def _own(tree: Component) -> dict[str, Any]:
    """The component's properties but its children.

    As `to_plotly_json` tells them, which checks the names one by one and takes several times as long."""
    return {name: value for name, value in vars(tree).items() if name[0] != "_" and name not in _NOT_GIVEN}


def _children(tree: Component) -> list[Any]:
    children = getattr(tree, "children", None)
    found = list(children) if isinstance(children, list | tuple) else [children]
    return [child for child in found if child is not None]


def _is_html(part: Component) -> bool:
    return isinstance(part, html.Div) or part._namespace == "dash_html_components"


def _is_static(part: Any) -> bool:
    """Whether the part can be data: a text, or an allowed element without id whose children are static."""
    if not isinstance(part, Component):
        return isinstance(part, str | int | float)
    ours = _is_html(part) and part._type.lower() in TAGS and getattr(part, "id", None) is None
    return ours and all(map(_is_static, _children(part)))


def _size(part: Any) -> int:
    return 1 + sum(map(_size, _children(part))) if isinstance(part, Component) else 0


def _spec(part: Any) -> Any:
    """A text, or [tag, attributes, children]."""
    if not isinstance(part, Component):
        return str(part)
    given = {name: value for name, value in _own(part).items() if value is not None}
    attributes = {_NAMES.get(name, name): value for name, value in given.items() if _allowed(name, value)}
    return [part._type.lower(), attributes, [_spec(child) for child in _children(part)]]


def _allowed(name: str, value: Any) -> bool:
    """Only known kinds of addresses, no event handlers, no objects but styles."""
    if name in _ADDRESSES:
        return str(value).startswith(_ADDRESSES[name])
    if name.lower().startswith("on") or name in ("key", "n_clicks", "disable_n_clicks"):
        return False
    return name == "style" or not isinstance(value, Mapping)
