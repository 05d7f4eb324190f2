"""The way between a page's frozen query object and its URL parameters."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, TypeVar
from urllib.parse import urlencode

from dashboard.errors import BadQuery

Q = TypeVar("Q")
_LONGEST = 4000


def from_params(kind: type[Q], params: Mapping[str, Any]) -> Q:
    """A query object from unvalidated texts; unknown parameters are ignored, a malformed one is a BadQuery."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: _convert(known[name], value) for name, value in params.items() if name in known})


def _convert(field: Field[Any], value: Any) -> Any:
    text = str(value)
    if len(text) > _LONGEST:
        raise BadQuery(f"parameter {field.name!r} has {len(text)} characters; at most {_LONGEST} are accepted")
    if not isinstance(field.default, int):
        return text
    if not text.isdecimal() or len(text) > 12:
        raise BadQuery(f"parameter {field.name}={text[:40]!r} is not a whole number of 0 or more")
    return int(text)


def to_params(query: Any, **changes: Any) -> dict[str, Any]:
    """The parameters that differ from their defaults, after `changes`, in the order of the fields."""
    values = {field.name: changes.get(field.name, getattr(query, field.name)) for field in fields(query)}
    return {field.name: values[field.name] for field in fields(query) if values[field.name] != field.default}


def to_url(path: str, query: Any, **changes: Any) -> str:
    """The address of a view: the path and the query's parameters."""
    encoded = urlencode(to_params(query, **changes))
    return f"{path}?{encoded}" if encoded else path
