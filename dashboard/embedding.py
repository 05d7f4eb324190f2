"""Signed embed links: what they hold, how they are made, checked and revoked.

A link locks one panel of one page with its run and filters. Nothing of it is secret, everything is signed; whoever
holds it may look, until it expires or is revoked.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import sqlalchemy as sa
from itsdangerous import BadData, URLSafeSerializer

from dashboard.errors import BadInput, NotAllowed
from dashboard.settings import Settings
from dashboard.state import transaction
from dashboard.uploads import content_key

Scope = Literal["view", "predict"]
SCOPES: tuple[Scope, ...] = ("view", "predict")
LONGEST = 6000
FREE = frozenset({"sort", "order", "offset", "arrange", "shares"})
INPUTS = frozenset({"row", "text", "values", "upload", "unknown"})
_LONGEST_NAME = 200
_DAY = 86_400.0
_FRESH = 2.0


@dataclass(frozen=True)
class EmbedLink:
    """One panel of one page. `slot` is the id of the place that the page fills with the panel, "" where the panel is
    part of the empty page; `params` is the page's query; `expires` is Unix seconds (UTC)."""

    id: str
    path: str
    panel: str
    slot: str
    params: Mapping[str, str] = field(hash=False)
    scope: Scope
    expires: float

    @property
    def free(self) -> frozenset[str]:
        """Parameters that a visitor may change: how the panel is arranged, and with `predict` the model's input."""
        return FREE | INPUTS if self.scope == "predict" else FREE

    @property
    def locked(self) -> dict[str, str]:
        """Parameters that stay as they are."""
        return {name: value for name, value in self.params.items() if name not in self.free}


@dataclass(frozen=True)
class LinkRecord:
    """A link as it is listed: who made it and when, and since when it is revoked; times are Unix seconds (UTC)."""

    id: str
    path: str
    panel: str
    query: str
    scope: str
    author: str
    created: float
    expires: float
    revoked: float | None = None


def make_link(settings: Settings, wanted: Mapping[str, Any]) -> EmbedLink:
    """A link from {path, panel, slot, params, scope, days}; BadInput names what is wrong."""
    params = wanted.get("params")
    if not isinstance(params, dict) or not all(isinstance(value, str) for value in params.values()):
        raise BadInput("params is not an object of texts.")
    texts = {name: wanted.get(name, "") for name in ("path", "panel", "slot")}
    for name, value in texts.items():
        if not isinstance(value, str) or len(value) > _LONGEST_NAME or (not value and name != "slot"):
            raise BadInput(f"{name} is not a text of 1 to {_LONGEST_NAME} characters.")
    if wanted.get("scope", "view") not in SCOPES:
        raise BadInput(f"scope {str(wanted.get('scope'))[:20]!r} is unknown; accepted are view and predict.")
    days = wanted.get("days", settings.embed_days)
    if not isinstance(days, int | float) or not 0 < days <= settings.embed_days:
        raise BadInput(f"days is {str(days)[:20]!r}; accepted is a number up to {settings.embed_days}.")
    known = {str(name): value for name, value in params.items() if value}
    expires = float(int(time.time() + days * _DAY))
    identity = content_key(repr((texts, sorted(known.items()))), repr(time.time_ns()))[:16]
    return EmbedLink(identity, **texts, params=known, scope=wanted.get("scope", "view"), expires=expires)


@dataclass(frozen=True)
class EmbedLinks:
    """Makes tokens, checks them, and remembers which links were made and revoked."""

    settings: Settings
    own_key: str

    @cached_property
    def _signer(self) -> URLSafeSerializer:
        """itsdangerous signs with the last key and accepts all, so the newest of the setting goes last."""
        keys = [*reversed(self.settings.embed_keys)] or [f"embed {self.own_key}"]
        return URLSafeSerializer(
            keys, salt="vitrine embed link", signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        )

    @cached_property
    def _seen(self) -> dict[str, Any]:
        """What was last read of the revoked links."""
        return {"at": 0.0, "ids": frozenset()}

    def token(self, link: EmbedLink) -> str:
        """The link as a signed text for an address."""
        return str(self._signer.dumps([1, *asdict(link).values()]))

    def read(self, token: str) -> EmbedLink:
        """The link of a token; NotAllowed where it is not ours, is over or was revoked."""
        try:
            version, *values = self._signer.loads(token if len(token) <= LONGEST else "")
            link = EmbedLink(*values)
        except (BadData, ValueError, TypeError) as exc:
            raise NotAllowed("This embed link is not valid here.") from exc
        if version != 1 or link.expires <= time.time():
            raise NotAllowed("This embed link has expired.")
        if link.id in self._revoked():
            raise NotAllowed("This embed link was revoked.")
        return link

    def _revoked(self) -> frozenset[str]:
        """Ids of revoked links, read at most every two seconds."""
        seen, table = self._seen, _links()
        if time.monotonic() - seen["at"] > _FRESH or not seen["at"]:
            chosen = sa.select(table.c.id).where(table.c.revoked.is_not(None), table.c.expires > time.time())
            with transaction(self.settings.state_url, _links) as connection:
                seen["ids"] = frozenset(connection.execute(chosen).scalars())
            seen["at"] = time.monotonic()
        found: frozenset[str] = seen["ids"]
        return found

    def remember(self, link: EmbedLink, query: str, author: str) -> LinkRecord:
        """Note that a link was made, so that it can be listed and revoked."""
        record = LinkRecord(link.id, link.path, link.panel, query, link.scope, author, time.time(), link.expires)
        with transaction(self.settings.state_url, _links) as connection:
            connection.execute(_links().insert().values(**asdict(record)))
        return record

    def records(self) -> list[LinkRecord]:
        """Every link that was made and has not expired, newest first."""
        table = _links()
        chosen = sa.select(table).where(table.c.expires > time.time()).order_by(table.c.created.desc())
        with transaction(self.settings.state_url, _links) as connection:
            return [LinkRecord(**row._mapping) for row in connection.execute(chosen)]

    def revoke(self, identity: str) -> bool:
        """Revoke a link for good; whether there was one."""
        table = _links()
        change = table.update().where(table.c.id == identity, table.c.revoked.is_(None)).values(revoked=time.time())
        with transaction(self.settings.state_url, _links) as connection:
            connection.execute(change)
            return connection.execute(sa.select(table.c.id).where(table.c.id == identity)).first() is not None


def _links() -> sa.Table:
    """The table of embed links."""
    return sa.Table(
        "embed_links",
        sa.MetaData(),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("path", sa.String(_LONGEST_NAME), nullable=False),
        sa.Column("panel", sa.String(_LONGEST_NAME), nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("scope", sa.String(20), nullable=False),
        sa.Column("author", sa.String(_LONGEST_NAME), nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("expires", sa.Float(53), nullable=False),
        sa.Column("revoked", sa.Float(53)),
    )
