"""One model never delays another: batches, tickets, refusals, and models that leave their thread."""

import sys
import threading
import time

import numpy as np
import pytest

from dashboard.errors import BadInput
from dashboard.inference.asking import in_line
from dashboard.inference.desk import Desk
from dashboard.inference.predictor import Loaded, Predictor
from dashboard.inference.protocol import Message
from tests.conftest import wait_for


class Room:
    """A desk whose models double their input; `gate` holds the slow one, `opening` the one that loads slowly."""

    def __init__(self, limit=30.0, refused=()):
        self.gate, self.opening, self.batches, self.at_work = threading.Event(), threading.Event(), [], [()]
        predictor = Predictor(self._load, 10 * 2**20)
        reasons = {model: f"{model} is refused" for model in refused}
        self.desk = Desk(predictor, limit, reasons.get, lambda models: self.at_work.append(tuple(models)))
        self.predictor = predictor

    def _load(self, model_id):
        if model_id == "slow to load":
            self.opening.wait(10)

        def run(tensors, params):
            self.batches.append((model_id, len(tensors["x"])))
            if model_id == "slow":
                self.gate.wait(10)
            if model_id == "leaver":
                sys.exit(4)
            return {"y": tensors["x"] * 2}

        return Loaded(run, 1, "fake")

    def ask(self, *models, value=1.0):
        return self.desk.answer([infer(model, value) for model in models])


@pytest.fixture
def room():
    made = Room()
    yield made
    made.gate.set()
    made.opening.set()


def infer(model, value=1.0, **params):
    return Message(
        {"op": "infer", "model_name": model, "parameters": {"params": params}}, {"x": np.array([[float(value)]])}
    )


def result(room, reply):
    def ask():
        return room.desk.answer([Message({"op": "result", "ticket": reply[0]["ticket"]})])[0]

    latest = [ask()]
    wait_for(lambda: latest[0][0]["state"] != "running" or latest.append(ask()) or (bool(latest.pop(0)) and False), 5)
    return latest[0]


def warm(room, *models):
    for model in models:
        room.desk.preload(model)
    wait_for(lambda: all(room.predictor.holds(model) for model in models), 5)


def test_one_batch_per_model_and_every_reply_in_its_place(room):
    warm(room, "a", "b")
    replies = room.desk.answer([infer("a", 1), infer("b", 2), BadInput("no"), infer("a", 3), Message({"op": "what"})])
    assert [reply[0]["state"] for reply in replies] == ["done", "done", "failed", "done", "lost"]
    assert [replies[n][1]["y"].item() for n in (0, 1, 3)] == [2, 4, 6]
    assert sorted(room.batches) == [("a", 2), ("b", 1)]
    assert replies[0][0]["parameters"]["rows"] == 2


def test_parameters_split_batches(room):
    warm(room, "a")
    room.desk.answer([infer("a", 1, top=1), infer("a", 2, top=2), infer("a", 3, top=1)])
    assert sorted(rows for _, rows in room.batches) == [1, 2]


def test_a_model_that_loads_slowly_gives_a_ticket_at_once_and_others_go_on(room):
    warm(room, "a")
    started = time.monotonic()
    slow, quick = room.ask("slow to load", "a")
    assert time.monotonic() - started < 1.0
    assert (slow[0]["state"], quick[0]["state"]) == ("running", "done")
    assert room.desk.waiting() == 1
    room.opening.set()
    assert result(room, slow)[1]["y"].item() == 2
    assert room.desk.waiting() == 0


def test_a_slow_prediction_gives_a_ticket_and_is_fetched_once(room):
    warm(room, "slow", "a")
    (ticket,) = room.ask("slow")
    assert ticket[0]["state"] == "running"
    assert room.ask("a")[0][0]["state"] == "done"
    assert room.desk.answer([Message({"op": "result", "ticket": ticket[0]["ticket"]})])[0][0]["state"] == "running"
    room.gate.set()
    assert result(room, ticket)[0]["state"] == "done"
    assert room.desk.answer([Message({"op": "result", "ticket": ticket[0]["ticket"]})])[0][0]["state"] == "lost"


def test_a_cancelled_ticket_is_forgotten(room):
    warm(room, "slow")
    (ticket,) = room.ask("slow")
    assert room.desk.answer([Message({"op": "cancel", "ticket": ticket[0]["ticket"]})])[0][0]["state"] == "cancelled"
    assert room.desk.waiting() == 0


def test_who_is_at_work_is_announced_and_a_stuck_model_is_found():
    room = Room(limit=0.1)
    warm(room, "slow")
    room.ask("slow")
    assert room.at_work[-1] == ("slow",)
    wait_for(lambda: room.desk.stuck() == ["slow"], 2)
    room.gate.set()
    wait_for(lambda: room.at_work[-1] == (), 2)
    assert room.desk.stuck() == []


def test_loading_may_take_longer_than_predicting():
    room = Room(limit=0.1)
    room.ask("slow to load")
    time.sleep(0.3)
    assert room.desk.stuck() == []
    room.opening.set()


def test_a_refused_model_is_never_loaded():
    room = Room(refused=("bad",))
    (reply,) = room.ask("bad")
    assert reply[0]["error"] == {"code": "model_unavailable", "message": "bad is refused"}
    assert room.predictor.counters["loads"] == 0


def test_a_model_that_exits_fails_its_callers_and_stays_usable(room):
    warm(room, "leaver")
    (reply,) = room.ask("leaver")
    assert "SystemExit" in reply[0]["error"]["message"]
    assert "SystemExit" in room.ask("leaver")[0][0]["error"]["message"]


def hold(room, count):
    """That many requests to the slow model: the first is at work, the others wait."""
    before = len(room.batches)
    first = room.ask("slow", value=0)[0]
    wait_for(lambda: len(room.batches) > before, 20)
    return [first, *(room.ask("slow", value=n)[0] for n in range(1, count))]


def test_what_waits_goes_into_the_next_batch_together(room):
    warm(room, "slow")
    tickets = hold(room, 5)
    room.gate.set()
    assert [result(room, ticket)[1]["y"].item() for ticket in tickets] == [0, 2, 4, 6, 8]
    assert room.batches == [("slow", 1), ("slow", 4)]


def test_a_ticket_tells_the_place_and_after_a_measurement_the_wait(room):
    room.gate.set()
    warm(room, "slow")
    measured = room.ask("slow")[0]
    assert measured[0]["state"] == "done" or result(room, measured)
    room.gate.clear()
    first, second, third = hold(room, 3)
    assert [first[0]["ahead"], second[0]["ahead"], third[0]["ahead"]] == [0, 1, 2]
    pace = room.desk._lanes["slow"].pace
    assert pace > 0
    assert third[0]["wait"] == pytest.approx(2 * pace)
    assert in_line(third[0]["ahead"], 2.2) == "3rd in the queue, about 2 s"


def test_a_cancelled_request_is_never_computed(room):
    warm(room, "slow")
    busy, cancelled, kept = hold(room, 3)
    room.desk.answer([Message({"op": "cancel", "ticket": cancelled[0]["ticket"]})])
    room.gate.set()
    assert result(room, kept)[1]["y"].item() == 4
    assert result(room, busy)[0]["state"] == "done"
    assert sum(rows for _, rows in room.batches) == 2


def test_a_request_whose_time_is_over_is_never_computed(room):
    warm(room, "slow")
    (busy,) = hold(room, 1)
    late = infer("slow", 7)
    late.header["parameters"]["left"] = 0.0
    (ticket,) = room.desk.answer([late])
    room.gate.set()
    told = result(room, ticket)[0]
    assert told["error"]["code"] == "engine_busy"
    assert "before its turn came" in told["error"]["message"]
    assert result(room, busy)[0]["state"] == "done"
    assert sum(rows for _, rows in room.batches) == 1


def test_a_full_queue_refuses_at_once_with_the_place(room):
    desk = Desk(room.predictor, 30.0, lambda _: None, lambda _: None, most=2)
    room.desk = desk
    warm(room, "slow")
    replies = hold(room, 4)
    assert [reply[0]["state"] for reply in replies] == ["running", "running", "running", "failed"]
    assert replies[3][0]["error"]["code"] == "engine_busy"
    assert replies[3][0]["error"]["ahead"] == 3
    room.gate.set()
    assert result(room, replies[2])[0]["state"] == "done"


def test_large_requests_are_not_put_together_beyond_the_batch_size(room):
    warm(room, "slow")
    model = room.predictor.models()["slow"]
    model.rows = model.most = 2
    tickets = hold(room, 6)
    room.gate.set()
    assert [result(room, ticket)[0]["state"] for ticket in tickets] == ["done"] * 6
    assert [rows for _, rows in room.batches] == [1, 2, 2, 1]
