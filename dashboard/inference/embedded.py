"""The way to one of Vitrine's own engines: tickets for what takes long, one more try after a restart, cancelling."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dashboard.errors import BadInput, EngineBusy, EngineUnavailable
from dashboard.inference.asking import Ask, in_line, waiting_words
from dashboard.inference.guard import pace
from dashboard.inference.protocol import Message, Tensors, decode, encode
from dashboard.inference.states import EngineState, LoadedModel
from dashboard.inference.wire import Address, EngineLost, QueueFull, Wire, wait_for_next
from mlflow_runs.errors import DashboardError, ModelUnavailable, RunNotFound

_RESTART, _START, _SILENCE = 10.0, 120.0, 16.0
_NAMES = ("device", "threads", "memory", "budget", "counters", "latency_ms", "batch_rows", "queue", "since")
_ERRORS: dict[str, type[DashboardError]] = {
    error.code: error for error in (BadInput, EngineUnavailable, ModelUnavailable, RunNotFound)
}


class Told:
    """Counts that callers keep for the engine, which adds those of all processes up; safe between threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str, count: int) -> None:
        """Count something."""
        with self._lock:
            self._counts[name] += count

    def take(self) -> dict[str, int]:
        """The counts since the last call."""
        with self._lock:
            told, self._counts = dict(self._counts), Counter()
        return told


class EmbeddedEngine:
    """One engine behind its wire. `limit` is the length of its queue, `log` where it says why it ended.

    `patience` is for how many seconds a fresh engine is waited for when this one is gone, within the request's time;
    an engine that runs on demand is told by `knock` that it is needed, as long as someone waits.
    """

    subject = ""
    keep: float | None = None

    def __init__(
        self,
        name: str,
        wire: Wire,
        limit: int,
        log: Path,
        told: Told,
        knock: Callable[[], None] | None = None,
    ) -> None:
        self.name, self._wire, self._limit, self._log = name, wire, limit, log
        self._told, self._knock = told, knock or (lambda: None)
        self._patience = _RESTART if knock is None else _START

    def infer(self, ask: Ask) -> Message:
        """The engine's answer, asked a second time when the engine was restarted meanwhile."""
        self._knock()
        try:
            address = self._wire.address()
        except EngineUnavailable:
            if self._patience == _RESTART or (first := self._next(None, ask)) is None:
                raise
            return self._again(first, ask)
        try:
            return self._once(address, ask)
        except EngineLost:
            fresh = self._next(address, ask)
        if fresh is None:
            raise self._away(address)
        return self._again(fresh, ask)

    def try_infer(self, ask: Ask) -> Message:
        """The engine's answer; raises EngineLost at once where it is gone, for callers who have another."""
        try:
            address = self._wire.address()
        except EngineUnavailable as exc:
            raise EngineLost(str(exc)) from exc
        return self._once(address, ask)

    def state(self) -> EngineState:
        """The engine as it is now; never raises for an engine that is away."""
        try:
            address = self._wire.address()
            reply = decode(self._wire.post(address, self._body(address, {"op": "state"}, {}), 2.0)).header
        except EngineUnavailable as exc:
            return EngineState(False, str(exc), name=self.name)
        except QueueFull:
            return EngineState(True, "The queue is full.", name=self.name)
        except EngineLost as exc:
            return EngineState(False, f"The inference process does not answer: {exc}.", name=self.name)
        if reply.get("state") == "failed":
            return EngineState(False, str(reply["error"]["message"]), name=self.name)
        models = tuple(LoadedModel(**model) for model in reply["models"])
        known = {name: reply[name] for name in (*_NAMES, "working", "rows_per_second")}
        return EngineState(True, models=models, restarts=max(0, address.starts - 1), name=self.name, **known)

    def close(self) -> None:
        """Close idle connections; the engine stays reachable."""
        self._wire.close()

    def _next(self, last: Address | None, ask: Ask) -> Address | None:
        return wait_for_next(self._wire, last, self._patient(ask), self._knock)

    def _patient(self, ask: Ask) -> float:
        return min(ask.until, time.monotonic() + self._patience)

    def _again(self, address: Address, ask: Ask) -> Message:
        patience = self._patient(ask)
        while True:
            self._knock()
            try:
                return self._once(address, ask)
            except EngineLost as exc:  # because a fresh engine writes its address just before it listens
                if time.monotonic() > patience or "refused" not in str(exc):
                    raise self._away(address) from exc
            time.sleep(0.05)

    def _once(self, address: Address, ask: Ask) -> Message:
        left = max(0.0, ask.until - time.monotonic())
        header = {
            "op": "infer",
            "model_name": ask.card.model_id,
            "parameters": {"params": dict(ask.params), "left": left},
        }
        message = self._post(address, header, ask.tensors, ask.until)
        if message.header.get("state") == "running":
            message = self._fetched(address, message, ask)
        if message.header.get("state") == "lost":
            raise EngineLost("the engine was restarted")
        if message.header.get("state") == "failed":
            raise _error(message.header["error"])
        return message

    def _fetched(self, address: Address, message: Message, ask: Ask) -> Message:
        """The answer behind a ticket. Whoever stops waiting, for whatever reason, takes it out of the queue."""
        ticket, pause = message.header["ticket"], 0.01
        try:
            while message.header.get("state") == "running":
                ahead, wait = message.header.get("ahead", 0), message.header.get("wait")
                if time.monotonic() + pause > ask.until:
                    raise _over(ask, ahead, wait)
                if words := waiting_words(ahead, wait, bool(message.header.get("loading"))):
                    ask.waiting(words)
                self._knock()
                time.sleep(pause)
                pause = min(0.25, pause * 1.5)
                message = self._post(address, {"op": "result", "ticket": ticket}, {}, ask.until)
        except BaseException:
            self._cancel(address, ticket)
            raise
        return message

    def _cancel(self, address: Address, ticket: str) -> None:
        with suppress(EngineLost, QueueFull):
            self._wire.post(address, self._body(address, {"op": "cancel", "ticket": ticket}, {}), 1.0)

    def _post(self, address: Address, header: Mapping[str, Any], tensors: Tensors, until: float) -> Message:
        left = min(_SILENCE, until - time.monotonic())
        if left <= 0:
            raise EngineBusy("The prediction was given up because its time was over; try again in a few seconds.")
        try:
            return decode(self._wire.post(address, self._body(address, header, tensors), left))
        except QueueFull as exc:
            wait = self._limit * pace(self._wire.file.with_suffix(".beat"))
            raise EngineBusy(
                f"{self._limit} predictions are waiting already (the limit); try again in {max(1, round(wait))} s.",
                self._limit,
                wait,
            ) from exc

    def _body(self, address: Address, header: Mapping[str, Any], tensors: Tensors) -> bytes:
        return encode({**header, "key": address.key, "told": self._told.take()}, tensors)

    def _away(self, address: Address) -> EngineUnavailable:
        where = f"{address.host}:{address.port}"
        if not address.pid:
            return EngineUnavailable(f"The inference server {where} (VITRINE_INFERENCE_URL) does not answer.")
        return EngineUnavailable(
            f"The inference process {address.pid} ({where}) does not answer; it is restarted by "
            f"itself, try again in a few seconds. Its log is {self._log}."
        )


def _over(ask: Ask, ahead: int, wait: float | None) -> EngineBusy:
    place = f" It was {in_line(ahead, wait)}." if ahead else ""
    return EngineBusy(
        f"Model {ask.card.model_id} is still being loaded or at work after the time given; "
        f"try again in a few seconds.{place}",
        ahead,
        wait,
    )


def _error(told: Mapping[str, Any]) -> DashboardError:
    if told["code"] == EngineBusy.code:
        return EngineBusy(told["message"], told.get("ahead"), told.get("wait"))
    return _ERRORS.get(told["code"], ModelUnavailable)(told["message"])
