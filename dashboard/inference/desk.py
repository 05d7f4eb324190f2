"""Where requests meet models: one thread per model, tickets for what takes long, so that no model delays another."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from dashboard.errors import BadInput
from dashboard.inference.predictor import UNIT, Outcome, Predictor
from dashboard.inference.protocol import Message, Tensors
from mlflow_runs.errors import DashboardError, ModelUnavailable

TICKET_LIFE = 120.0
LOAD_LIMIT = 300.0
Reply = tuple[dict[str, Any], Tensors]


@dataclass
class Lane:
    """One model's thread and what it does now; `since` is 0 while idle."""

    pool: ThreadPoolExecutor
    since: float = 0.0
    loading: bool = False

    def loaded(self) -> None:
        """Loading is over: the shorter limit of a prediction counts from now on."""
        self.loading, self.since = False, time.monotonic()


@dataclass(frozen=True)
class Ticket:
    """A request that is still being worked on: its group's future and its place in it."""

    future: Future[list[Outcome]]
    place: int
    made: float = field(default_factory=time.monotonic)


class Desk:
    """Answers a batch of messages in at most about a quarter of a second each; the rest gets tickets.

    A model that is not loaded, or is slow or hangs, keeps only its own thread busy: its callers ask again with
    their ticket, while the messages of other models are answered.
    """

    def __init__(
        self,
        predictor: Predictor,
        limit: float,
        refused: Callable[[str], str | None],
        working: Callable[[Sequence[str]], None],
    ) -> None:
        self._predictor, self._limit = predictor, limit
        self._refused, self._working = refused, working
        self._lanes: dict[str, Lane] = {}
        self._tickets: dict[str, Ticket] = {}
        self._lock = threading.Lock()

    def answer(self, messages: Sequence[Message | DashboardError]) -> list[Reply]:
        """One reply per message, in their order."""
        replies: list[Reply | None] = [None] * len(messages)
        groups: dict[tuple[str, str], list[int]] = {}
        for index, message in enumerate(messages):
            if isinstance(message, DashboardError):
                replies[index] = failure(message)
            elif message.header.get("op") == "infer":
                groups.setdefault(_group(message), []).append(index)
            else:
                replies[index] = self._other(message)
        self._predict(groups, messages, replies)
        return [reply or failure(BadInput("The message was not understood.")) for reply in replies]

    def stuck(self) -> list[str]:
        """The models whose thread has been busy with one task for longer than allowed."""
        now = time.monotonic()
        return [
            model_id
            for model_id, lane in list(self._lanes.items())
            if lane.since and now - lane.since > (LOAD_LIMIT if lane.loading else self._limit)
        ]

    def waiting(self) -> int:
        """Requests that hold a ticket and are not done."""
        return sum(not ticket.future.done() for ticket in list(self._tickets.values()))

    def working(self) -> int:
        """Models that are being loaded or at work now."""
        return sum(lane.since > 0 for lane in list(self._lanes.values()))

    def preload(self, model_id: str) -> None:
        """Begin to load a model."""
        self._submit(model_id, [], {})

    def _predict(
        self,
        groups: Mapping[tuple[str, str], list[int]],
        messages: Sequence[Message | DashboardError],
        replies: list[Reply | None],
    ) -> None:
        pending: list[tuple[Future[list[Outcome]], list[int]]] = []
        quick = []
        for (model_id, params), indexes in groups.items():
            if (reason := self._refused(model_id)) is not None:
                for index in indexes:
                    replies[index] = failure(ModelUnavailable(reason))
                continue
            quick += [model_id] if self._predictor.holds(model_id) else []
            requests = [message.tensors for i in indexes if isinstance(message := messages[i], Message)]
            future = self._submit(model_id, requests, orjson.loads(params))
            pending.append((future, indexes))
        wait([future for future, _ in pending], timeout=UNIT if quick else 0.02)
        for future, indexes in pending:
            for place, index in enumerate(indexes):
                replies[index] = self._settle(future, place) if future.done() else self._ticket(future, place)

    def _submit(self, model_id: str, requests: Sequence[Tensors], params: Mapping[str, Any]) -> Future[list[Outcome]]:
        with self._lock:
            lane = self._lanes.get(model_id)
            if lane is None:
                lane = Lane(ThreadPoolExecutor(1, thread_name_prefix=f"lane-{model_id[:10]}"))
                self._lanes[model_id] = lane
        return lane.pool.submit(self._work, lane, model_id, requests, params)

    def _work(self, lane: Lane, model_id: str, requests: Sequence[Tensors], params: Mapping[str, Any]) -> list[Outcome]:
        lane.loading, lane.since = not self._predictor.holds(model_id), time.monotonic()
        self._announce()
        try:
            return self._predictor.run(model_id, requests, params, lane.loaded)
        finally:
            lane.since = 0.0
            self._announce()

    def _announce(self) -> None:
        self._working([model_id for model_id, lane in list(self._lanes.items()) if lane.since])

    def _ticket(self, future: Future[list[Outcome]], place: int) -> Reply:
        name = uuid4().hex
        oldest = time.monotonic() - TICKET_LIFE
        self._tickets = {key: ticket for key, ticket in self._tickets.items() if ticket.made > oldest}
        self._tickets[name] = Ticket(future, place)
        return {"state": "running", "ticket": name}, {}

    def _other(self, message: Message) -> Reply:
        name = str(message.header.get("ticket"))
        ticket = self._tickets.get(name)
        if ticket is None:
            return {"state": "lost"}, {}
        if message.header.get("op") == "cancel":
            del self._tickets[name]
            return {"state": "cancelled"}, {}
        if not ticket.future.done():
            return {"state": "running", "ticket": name}, {}
        del self._tickets[name]
        return self._settle(ticket.future, ticket.place)

    def _settle(self, future: Future[list[Outcome]], place: int) -> Reply:
        error = future.exception()
        if error is not None:  # because a model may even call sys.exit()
            return failure(ModelUnavailable(f"The model ended its thread with {type(error).__name__}: {error}"))
        outcome = future.result()[place]
        if outcome.error is not None:
            return failure(outcome.error)
        facts = {**outcome.facts, "ms": 1000 * outcome.seconds, "rows": outcome.rows}
        return {"state": "done", "parameters": facts}, outcome.outputs


def failure(error: DashboardError) -> Reply:
    """The reply that carries an error to its caller."""
    return {"state": "failed", "error": {"code": error.code, "message": str(error)}}, {}


def _group(message: Message) -> tuple[str, str]:
    params = message.header.get("parameters", {}).get("params", {})
    return str(message.header.get("model_name")), orjson.dumps(params, option=orjson.OPT_SORT_KEYS).decode()
