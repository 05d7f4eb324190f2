"""Where a prediction stands in its model's queue, in words: left by who waits for it, read by its page meanwhile."""

from contextlib import suppress
from typing import TYPE_CHECKING

from dashboard.cache import CACHE_ERRORS, cache_key
from dashboard.reports.inputs import INPUTS, InferenceQuery

if TYPE_CHECKING:
    from dashboard.services import Services

_LIFE = 3.0


def tell_place(services: "Services", query: InferenceQuery, words: str) -> None:
    """Leave the words; they are forgotten in a moment."""
    with suppress(*CACHE_ERRORS):
        services.cache.store(_key(query), words, expire=_LIFE)


def place_of(services: "Services", query: InferenceQuery) -> str:
    """The words that were left for the same question, empty where none were."""
    with suppress(*CACHE_ERRORS):
        found = services.cache.peek(_key(query)) if query.run and query.asks else None
        return str(found.value) if found is not None else ""
    return ""


def _key(query: InferenceQuery) -> str:
    return cache_key("place", 1, query.run, tuple(getattr(query, name) for name in INPUTS))
