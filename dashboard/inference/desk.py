"""Where requests meet models: a queue and a thread per model, tickets for what takes long: no model delays another."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from dashboard.errors import BadInput, EngineBusy
from dashboard.inference.predictor import UNIT, Outcome, Predictor
from dashboard.inference.protocol import Message, Tensors
from mlflow_runs.errors import DashboardError, ModelUnavailable

TICKET_LIFE = 120.0
LOAD_LIMIT = 300.0
_TOGETHER = 64
Reply = tuple[dict[str, Any], Tensors]


@dataclass(eq=False)
class Request:
    """One caller's request; `until` is when its answer is of no more use (monotonic seconds)."""

    tensors: Tensors
    params: str
    until: float
    rows: int = 1
    answer: Future[Outcome] = field(default_factory=Future)


@dataclass
class Lane:
    """One model's thread, what waits for it, and what it does now; `since` is 0 while idle.

    `pace` is the measured time of one request in seconds, a moving mean; 0 before the first.
    """

    pool: ThreadPoolExecutor
    queue: deque[Request] = field(default_factory=deque)
    since: float = 0.0
    loading: bool = False
    working: int = 0
    pace: float = 0.0

    def loaded(self) -> None:
        """Loading is over: the shorter limit of a prediction counts from now on."""
        self.loading, self.since = False, time.monotonic()

    def ahead(self, request: Request) -> int:
        """How many requests are before this one, those at work included; 0 when it is at work itself."""
        waiting = list(self.queue)
        return waiting.index(request) + self.working if request in waiting else 0

    def wait(self, ahead: int) -> float | None:
        """Seconds until that many requests are done, by the measured pace; None before anything was measured."""
        return ahead * self.pace if self.pace and not self.loading else None

    def take(self, rows: int) -> list[Request]:
        """The next requests with the same parameters, at most so many rows together but at least one request.

        Cancelled ones are left out; one whose time is over is answered here, before anything is spent on it.
        """
        taken: list[Request] = []
        while self.queue and len(taken) < _TOGETHER:
            first = self.queue[0]
            if taken and (first.params != taken[0].params or sum(r.rows for r in taken) + first.rows > rows):
                break
            self.queue.popleft()
            if not first.answer.set_running_or_notify_cancel():
                continue
            if first.until < time.monotonic():
                first.answer.set_result(
                    Outcome(error=EngineBusy("The prediction's time was over before its turn came."))
                )
                continue
            taken.append(first)
        self.working = len(taken)
        return taken

    def note(self, seconds: float, requests: int) -> None:
        """Count a measured batch into the pace."""
        each = seconds / max(requests, 1)
        self.pace = 0.7 * self.pace + 0.3 * each if self.pace else each


@dataclass(frozen=True)
class Ticket:
    """A request that is not answered yet, and the lane it is in."""

    request: Request
    lane: Lane
    made: float = field(default_factory=time.monotonic)


class Desk:
    """Answers a batch of messages in at most about a quarter of a second each; the rest gets tickets.

    A model that is not loaded, or is slow or hangs, keeps only its own thread busy: its callers ask again with
    their ticket, while the messages of other models are answered. What waits for one model goes into the next batch
    together; more than `most` of them are refused at once, with the time the queue will take.
    """

    def __init__(
        self,
        predictor: Predictor,
        limit: float,
        refused: Callable[[str], str | None],
        working: Callable[[Sequence[str]], None],
        most: int = 64,
    ) -> None:
        self._predictor, self._limit, self._most = predictor, limit, most
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
        return sum(not ticket.request.answer.done() for ticket in list(self._tickets.values()))

    def working(self) -> int:
        """Models that are being loaded or at work now."""
        return sum(lane.since > 0 for lane in list(self._lanes.values()))

    def preload(self, model_id: str) -> None:
        """Begin to load a model."""
        lane = self._lane(model_id)
        lane.pool.submit(self._work, lane, model_id)

    def _predict(
        self,
        groups: Mapping[tuple[str, str], list[int]],
        messages: Sequence[Message | DashboardError],
        replies: list[Reply | None],
    ) -> None:
        pending: list[tuple[int, Lane, Request]] = []
        quick = []
        for (model_id, params), indexes in groups.items():
            if (reason := self._refused(model_id)) is not None:
                for index in indexes:
                    replies[index] = failure(ModelUnavailable(reason))
                continue
            quick += [model_id] if self._predictor.holds(model_id) else []
            lane = self._lane(model_id)
            for index in indexes:
                message = messages[index]
                if len(lane.queue) >= self._most:
                    replies[index] = failure(_full(lane))
                elif isinstance(message, Message):
                    pending.append((index, lane, self._enqueue(lane, model_id, message, params)))
        wait([request.answer for _, _, request in pending], timeout=UNIT if quick else 0.02)
        for index, lane, request in pending:
            replies[index] = self._settle(request) if request.answer.done() else self._ticket(request, lane)

    def _lane(self, model_id: str) -> Lane:
        with self._lock:
            if model_id not in self._lanes:
                self._lanes[model_id] = Lane(ThreadPoolExecutor(1, thread_name_prefix=f"lane-{model_id[:10]}"))
            return self._lanes[model_id]

    def _enqueue(self, lane: Lane, model_id: str, message: Message, params: str) -> Request:
        left = message.header.get("parameters", {}).get("left")
        until = time.monotonic() + (float(left) if isinstance(left, int | float) else TICKET_LIFE)
        rows = max((len(array) if array.ndim else 1 for array in message.tensors.values()), default=1)
        request = Request(message.tensors, params, until, rows)
        lane.queue.append(request)
        lane.pool.submit(self._work, lane, model_id)
        return request

    def _work(self, lane: Lane, model_id: str) -> None:
        """Answer what waits, or load the model when nothing does; finds an empty queue when it was answered before."""
        known = self._predictor.models().get(model_id)
        requests = lane.take(known.rows if known is not None else _TOGETHER)
        if not requests and known is not None:
            return
        outcomes: list[Outcome] = []
        lane.loading, lane.since = known is None, time.monotonic()
        self._announce()
        try:
            params = orjson.loads(requests[0].params) if requests else {}
            outcomes = self._predictor.run(model_id, [r.tensors for r in requests], params, lane.loaded)
            lane.note(time.monotonic() - lane.since, len(requests))
        finally:  # because a model may even call sys.exit()
            lane.since, lane.working = 0.0, 0
            left = sys.exception()
            error = ModelUnavailable(f"The model ended its thread with {type(left).__name__}: {left}")
            for place, request in enumerate(requests):
                request.answer.set_result(outcomes[place] if place < len(outcomes) else Outcome(error=error))
            self._announce()

    def _announce(self) -> None:
        self._working([model_id for model_id, lane in list(self._lanes.items()) if lane.since])

    def _ticket(self, request: Request, lane: Lane) -> Reply:
        name = uuid4().hex
        oldest = time.monotonic() - TICKET_LIFE
        self._tickets = {key: ticket for key, ticket in self._tickets.items() if ticket.made > oldest}
        self._tickets[name] = Ticket(request, lane)
        return _running(name, self._tickets[name]), {}

    def _other(self, message: Message) -> Reply:
        name = str(message.header.get("ticket"))
        ticket = self._tickets.get(name)
        if ticket is None:
            return {"state": "lost"}, {}
        if message.header.get("op") == "cancel":
            del self._tickets[name]
            ticket.request.answer.cancel()
            return {"state": "cancelled"}, {}
        if not ticket.request.answer.done():
            return _running(name, ticket), {}
        del self._tickets[name]
        return self._settle(ticket.request)

    def _settle(self, request: Request) -> Reply:
        try:
            outcome = request.answer.result(0)
        except CancelledError:
            return failure(EngineBusy("The prediction was cancelled."))
        if outcome.error is not None:
            return failure(outcome.error)
        facts = {**outcome.facts, "ms": 1000 * outcome.seconds, "rows": outcome.rows}
        return {"state": "done", "parameters": facts}, outcome.outputs


def failure(error: DashboardError) -> Reply:
    """The reply that carries an error to its caller."""
    told: dict[str, Any] = {"code": error.code, "message": str(error)}
    if isinstance(error, EngineBusy):
        told |= {"ahead": error.ahead, "wait": error.wait}
    return {"state": "failed", "error": told}, {}


def _running(name: str, ticket: Ticket) -> dict[str, Any]:
    ahead = ticket.lane.ahead(ticket.request)
    lane = ticket.lane
    return {"state": "running", "ticket": name, "ahead": ahead, "wait": lane.wait(ahead), "loading": lane.loading}


def _full(lane: Lane) -> EngineBusy:
    ahead = len(lane.queue) + lane.working
    wait = lane.wait(ahead)
    again = "in a few seconds" if wait is None else f"in {max(1, round(wait))} s"
    return EngineBusy(f"{ahead} predictions wait for this model already; try again {again}.", ahead, wait)


def _group(message: Message) -> tuple[str, str]:
    params = message.header.get("parameters", {}).get("params", {})
    return str(message.header.get("model_name")), orjson.dumps(params, option=orjson.OPT_SORT_KEYS).decode()
