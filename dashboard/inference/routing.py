"""Which engine a model is asked at: a remote server, an engine with the model's own environment, or one per device."""

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from dashboard.inference import environments
from dashboard.inference.asking import Ask, Engine
from dashboard.inference.cards import ModelCard
from dashboard.inference.embedded import EmbeddedEngine, Told
from dashboard.inference.invocations import Invocations
from dashboard.inference.protocol import ROUTE, Message
from dashboard.inference.remote import OpenInference
from dashboard.inference.states import EngineState, combined
from dashboard.inference.targets import Directory, Target, directory
from dashboard.inference.wire import Address, EngineLost, Wire
from dashboard.settings import Settings


class Routes:
    """The engines of an installation; opens nothing before the first use, so that it may be built before a fork."""

    def __init__(self, data_dir: Path, settings: Settings, told: Told) -> None:
        self._data_dir, self._settings, self._told = data_dir, settings, told
        self._directory: Directory = directory(settings.inference_url, settings.inference_models)
        self._engines: dict[str, Engine] = {}
        self._lock = threading.Lock()

    def engine(self, card: ModelCard) -> Engine:
        """The engine that serves the model now."""
        target = self._directory.target(card)
        if target is not None:
            return self._remote(target)
        own = environments.ready(self._data_dir, card.requirements)
        if own is not None:
            return self._own(own)
        return self._fleet()

    def elsewhere(self, card: ModelCard) -> str:
        """The address of the model's server on another machine; empty where it is served here."""
        target = self._directory.target(card)
        return target.origin if target is not None else ""

    def states(self) -> list[EngineState]:
        """Every engine as it is now: those of this machine first, then servers elsewhere."""
        local: list[Engine] = []
        if self._directory.default is None or None in dict(self._directory.models).values():
            local = [self._embedded(name) for name in engine_names(self._data_dir)]
        idle = self._settings.environment_idle
        local += [self._own(digest) for digest in environments.serving(self._data_dir, idle)]
        return [engine.state() for engine in (*local, *map(self._remote, self._directory.all()))]

    def default_states(self) -> list[EngineState]:
        """The engines that a model without needs of its own may be asked at."""
        if self._directory.default is not None:
            return [self._remote(self._directory.default).state()]
        return [self._embedded(name).state() for name in engine_names(self._data_dir)]

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            engines = list(self._engines.values())
        for engine in engines:
            engine.close()

    def _fleet(self) -> Engine:
        names = engine_names(self._data_dir)
        if len(names) == 1:
            return self._embedded(names[0])
        return Fleet([self._embedded(name) for name in names])

    def _own(self, digest: str) -> EmbeddedEngine:
        return self._embedded(environments.engine_name(digest), partial(environments.want, self._data_dir, digest))

    def _embedded(self, name: str, knock: Callable[[], None] | None = None) -> EmbeddedEngine:
        wire = Wire(self._data_dir / "run" / f"{name}.json", ROUTE)
        log = self._data_dir / "logs" / f"{name}.log"
        limit = self._settings.engine_queue
        found = self._kept(name, lambda: EmbeddedEngine(name, wire, limit, log, self._told, knock))
        assert isinstance(found, EmbeddedEngine)
        return found

    def _remote(self, target: Target) -> Engine:
        return self._kept(target.text, lambda: self._opened(target))

    def _opened(self, target: Target) -> Engine:
        token = self._settings.inference_token
        if target.scheme == "mlflow":
            return Invocations(target, token)
        if target.scheme == "v2":
            return OpenInference(target, token)
        address = Address(target.port, 0, self._settings.engine_key, 0.0, 1, target.host)
        wire = Wire(self._data_dir / "run" / "elsewhere.json", ROUTE, address)
        return EmbeddedEngine(target.origin, wire, self._settings.engine_queue, Path(), self._told)

    def _kept(self, key: str, make: Callable[[], Engine]) -> Engine:
        with self._lock:
            if key not in self._engines:
                self._engines[key] = make()
            return self._engines[key]


class Fleet:
    """One engine per device. A model stays with its engine; while that is gone, the next in its order takes over."""

    name = "engine"
    subject = ""
    keep: float | None = None

    def __init__(self, engines: Sequence[EmbeddedEngine]) -> None:
        self._engines = engines

    def infer(self, ask: Ask) -> Message:
        """The answer of the model's engine, else of the next one that is there; waits when none is."""
        order = preference(ask.card.model_id, self._engines)
        for engine in order:
            try:
                return engine.try_infer(ask)
            except EngineLost:
                continue
        return order[0].infer(ask)

    def state(self) -> EngineState:
        """All of them as one."""
        return combined([engine.state() for engine in self._engines])

    def close(self) -> None:
        """Close idle connections."""
        for engine in self._engines:
            engine.close()


def preference(model_id: str, engines: Sequence[EmbeddedEngine]) -> list[EmbeddedEngine]:
    """The engines in the model's order by rendezvous hashing: stable, and a lost engine moves only its own models.

    Source: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous", 1996.
    """

    def weight(engine: EmbeddedEngine) -> bytes:
        return hashlib.blake2b(f"{engine.name}/{model_id}".encode(), digest_size=8).digest()

    return sorted(engines, key=weight, reverse=True)


def engine_names(data_dir: Path) -> tuple[str, ...]:
    """The engines that the supervisor keeps, one per device; one named `engine` where nobody said otherwise."""
    try:
        names = json.loads((data_dir / "run" / "engines.json").read_text())
    except (OSError, ValueError):
        return ("engine",)
    known = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return tuple(names) if known else ("engine",)
