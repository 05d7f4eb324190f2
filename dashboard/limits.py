"""How often one client may ask for what is costly; counted in the cache's folder, so by all workers together.

With VITRINE_JOBS=celery it is counted in Redis, so by all machines together.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import flask

from dashboard.access import demands
from dashboard.access.origin import client
from dashboard.access.users import current_user
from dashboard.cache import CACHE_ERRORS, ResultCache
from dashboard.errors import TooMany
from dashboard.jobs import JobFailed
from dashboard.settings import Settings

Kind = demands.Kind | Literal["sign-ins", "embedded predictions", "embedded live pictures"]
_WINDOW = 60
_SIGN_INS = 20
_OF_LINKS: Mapping[str, Kind] = {"predictions": "embedded predictions", "live pictures": "embedded live pictures"}
_DRAG = 10  # pictures while a slider moves for one prediction: one in flight at a time, up to thirty a second


@dataclass(frozen=True)
class Limits:
    """Counts by client and minute; what cannot be counted (a full disk) passes."""

    settings: Settings
    cache: ResultCache

    def spend(self, kind: Kind, name: str = "") -> None:
        """Count one for the client (or `name`); TooMany above the limit. Nothing is counted while access is unset,
        because only this machine is served then, nor in job processes."""
        if kind in _OF_LINKS and current_user().link:
            kind, name = _OF_LINKS[kind], current_user().link
        named = kind == "sign-ins" or kind.startswith("embedded")
        if not flask.has_request_context() or not (self.settings.auth or named):
            return
        most = self._most(kind)
        try:
            used = self._used(f"{kind}/{name or client()}")
        except CACHE_ERRORS:
            return
        if used > most:
            wait = _WINDOW - int(time.time()) % _WINDOW
            told = f"More than {most} {kind} in one minute are not taken from one client; go on in {wait} s."
            raise TooMany(told, wait)

    def _used(self, key: str) -> int:
        """How often in this minute; while Redis does not answer, each machine counts for itself."""
        if self._shared is not None:
            with suppress(JobFailed):
                return int(self._shared.count(key, _WINDOW))
        return self.cache.count(key, _WINDOW)

    @cached_property
    def _shared(self) -> Any:
        if self.settings.jobs != "celery":
            return None
        from dashboard import celery_desk  # late, because Celery and Redis are optional

        return celery_desk.RedisCounts(self.settings)

    def _most(self, kind: Kind) -> int:
        settings = self.settings
        return {
            "predictions": settings.predictions_per_minute,
            "live pictures": _DRAG * settings.predictions_per_minute,
            "uploads": settings.uploads_per_minute,
            "jobs": settings.jobs_per_minute,
            "sign-ins": _SIGN_INS,
            "embedded predictions": settings.embed_predictions_per_minute,
            "embedded live pictures": _DRAG * settings.embed_predictions_per_minute,
        }[kind]
