"""Which server a model is asked at: the addresses in the settings, and the rule from a model to its name there.

A model of the run index is known elsewhere by its registered name and version, else by its model id. With
`VITRINE_INFERENCE_URL=http://host:8000` version 3 of `churn` is asked at `/v2/models/churn/versions/3`.
`VITRINE_INFERENCE_MODELS` sends single models elsewhere: `churn=..., churn/4=..., m-0123...=...`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

from dashboard.inference.cards import ModelCard

Scheme = Literal["v2", "mlflow", "vitrine"]
LOCAL = "local"
ACCEPTED = (
    "http(s)://host:port for a server that speaks Open Inference Protocol v2, vitrine+http://host:port for an engine "
    "of Vitrine, or in VITRINE_INFERENCE_MODELS also mlflow+http(s)://host:port for `mlflow models serve`"
)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """A server, and for one model its `model` and `version` there; both empty where the rule gives them.

    `prefix` is the path below which the protocol's own paths begin.
    """

    scheme: Scheme
    host: str
    port: int
    tls: bool = False
    prefix: str = ""
    model: str = ""
    version: str = ""

    @property
    def origin(self) -> str:
        """The server's address for people."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{self.prefix}"

    @property
    def text(self) -> str:
        """All that tells this target from another."""
        return f"{self.scheme} {self.origin} {self.model} {self.version}"

    @property
    def pinned(self) -> bool:
        """Whether it always means the same version of the model."""
        return not self.model or bool(self.version)

    def path(self, card: ModelCard) -> str:
        """The model's path in Open Inference Protocol v2."""
        name, version = (self.model, self.version) if self.model else named(card)
        return f"/v2/models/{quote(name, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")


def named(card: ModelCard) -> tuple[str, str]:
    """Name and version of a model elsewhere: the registered ones, else its model id and no version."""
    return (card.name, card.version) if card.version else (card.model_id, "")


def parse_target(text: str) -> Target:
    """The target of an address such as http://host:8000/v2/models/churn/versions/3; raises ValueError."""
    kind, rest = text.split("+", 1) if text.startswith(("mlflow+", "vitrine+")) else ("v2", text)
    parts = urlsplit(rest)
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    if parts.scheme not in _PORTS or not parts.hostname or not port or parts.query or parts.username:
        raise ValueError(f"{text!r} is no address of an inference server; accepted is {ACCEPTED}.")
    if kind == "vitrine" and parts.scheme == "https":
        raise ValueError(f"{text!r}: Vitrine's engine speaks http; put it into a network of its own.")
    prefix, marker, model = parts.path.rstrip("/").partition("/v2/models/")
    name, _, version = model.partition("/versions/") if marker else ("", "", "")
    scheme: Scheme = "mlflow" if kind == "mlflow" else "vitrine" if kind == "vitrine" else "v2"
    return Target(scheme, parts.hostname, port, parts.scheme == "https", prefix.removesuffix("/v2"), name, version)


@dataclass(frozen=True)
class Directory:
    """The parsed settings: the server for every model, if any, and those of single models."""

    default: Target | None = None
    models: tuple[tuple[str, Target | None], ...] = ()

    def target(self, card: ModelCard) -> Target | None:
        """The model's server, None where this machine's own engine serves it. The most exact entry wins."""
        known = dict(self.models)
        exact = f"{card.name}/{card.version}" if card.version else card.name
        for key in (card.model_id, exact, card.name):
            if key in known:
                return known[key]
        return self.default

    def all(self) -> tuple[Target, ...]:
        """Every server that may be asked, once each, whatever its models."""
        found = [target for target in (self.default, *(target for _, target in self.models)) if target is not None]
        return tuple({(target.scheme, target.origin): target for target in found}.values())


def directory(url: str, models: Sequence[str]) -> Directory:
    """The settings' text as targets; ValueError names what is wrong and what is accepted."""
    default = parse_target(url) if url else None
    if default is not None and default.scheme == "mlflow":
        raise ValueError(
            f"{url!r}: an MLflow server holds one model; name it: VITRINE_INFERENCE_MODELS=model/version={url}"
        )
    return Directory(default, tuple(_entry(text, default) for text in models))


def _entry(text: str, default: Target | None) -> tuple[str, Target | None]:
    model, equals, place = (part.strip() for part in text.partition("="))
    if not model or not equals or not place:
        raise ValueError(f"{text!r} is not model=place, such as churn/3=http://host:8000/v2/models/champion.")
    if place == LOCAL:
        return model, None
    if "://" in place:
        return model, parse_target(place)
    if default is None or default.scheme != "v2":
        raise ValueError(f"{text!r} names a model on no server; set VITRINE_INFERENCE_URL or give a whole address.")
    name, _, version = place.partition("/")
    return model, Target("v2", default.host, default.port, default.tls, default.prefix, name, version)
