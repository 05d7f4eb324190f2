"""The heavy worker behind the real engine: right answers, cancelled, killed, and never in the way of predictions."""

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from dashboard.errors import BadInput, EngineUnavailable
from dashboard.inference.heavy_lane import HeavyLane, encode, send
from dashboard.inference.speed_report import BATCHES, TAG, from_json
from mlflow_runs.errors import ModelUnavailable
from tests.conftest import alive, wait_for
from tests.dashboard.inference.nets import cnn

pytestmark = pytest.mark.process
ROWS = np.random.default_rng(3).normal(size=(20, 1, 8, 8)).astype(np.float32)


def workers(engine):
    """The heavy worker of this engine, if there is one now."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and alive(int(path.name)):
            command = (path / "cmdline").read_text() if (path / "cmdline").exists() else ""
            mine = str(engine.data_dir).encode() in (path / "environ").read_bytes() if "heavy" in command else False
            found += [int(path.name)] * ("inference.heavy" in command and mine)
    return found


def ask(engine, run="pt2", task="compare", tell=lambda *_: None, rows=ROWS):
    """A comparison of the run's model."""
    return HeavyLane(engine.data_dir).ask(task, {"run": engine.runs[run], "source": "20 rows"}, {"input": rows}, tell)


def started(engine, until):
    """A comparison in a thread that is past that step; (its errors, the thread)."""
    steps, errors = [], []

    def work():
        try:
            ask(engine, tell=lambda step, share: steps.append(step))
        except EngineUnavailable as exc:
            errors.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: until in steps, 60)
    return errors, thread


def predict(engine, seed):
    """A prediction that is in no cache."""
    image = np.random.default_rng(seed).normal(size=(1, 8, 8)).astype(np.float32)
    found = engine.client(f"heavy-{seed}").predict(engine.runs["pickled"], [image.tolist()]).predictions[0]
    with torch.no_grad():
        expected = cnn()(torch.from_numpy(image[None])).numpy()[0]
    np.testing.assert_allclose(found.raw, expected, rtol=1e-4, atol=1e-5)


def test_a_killed_worker_is_told_and_predictions_go_on(engine):
    predict(engine, 1)
    errors, thread = started(engine, "Loading the model")
    (worker,) = workers(engine)
    restarts = engine.client().state().restarts
    os.kill(worker, signal.SIGKILL)
    began = time.monotonic()
    predict(engine, 2)
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - began < 5
    assert "ended in the middle" in str(errors[0])
    assert engine.client().state().restarts == restarts


def test_hanging_up_ends_the_worker_at_once(engine):
    with HeavyLane(engine.data_dir)._connect() as connection:
        send(connection, encode({"task": "compare", "arguments": {"run": engine.runs["pt2"]}}, {"input": ROWS}))
        connection.recv(1)
        (worker,) = workers(engine)
    wait_for(lambda: not alive(worker), 1.0)
    predict(engine, 3)


def test_engines_agree_with_torch_and_the_result_is_kept_with_the_run(engine, store):
    steps = []
    text = ask(engine, tell=lambda *told: steps.append(told)).header["result"]
    found = from_json(text)
    names = [item.name for item in found.engines]
    assert names == ["PyTorch eager", "ONNX Runtime, CPU", "torch.compile"]
    assert [share for _, share in steps] == sorted(share for _, share in steps)
    for item in found.engines:
        assert (item.skipped, item.n, item.agreed, item.equal) == ("", 20, 20, True)
        assert [timing.batch for timing in item.timings] == list(BATCHES)
        assert all(0 < timing.p50_ms <= timing.p95_ms and timing.calls >= 5 for timing in item.timings)
    assert found.source == "20 rows"
    assert found.note == ""
    with closing(sqlite3.connect(store["uri"].removeprefix("sqlite:///"))) as database:
        query = "SELECT value FROM tags WHERE run_uuid = ? AND key = ?"
        assert database.execute(query, (engine.runs["pt2"], TAG)).fetchone() == (text,)


def test_an_operator_without_onnx_form_is_named_and_the_others_measured(engine):
    found = from_json(ask(engine, "bessel", rows=np.ones((4, 3), np.float32)).header["result"])
    onnx = next(item for item in found.engines if item.name.startswith("ONNX"))
    assert "bessel_j0" in onnx.skipped
    assert found.onnx_bytes == 0
    assert found.engines[0].at(1).calls > 0


@pytest.mark.parametrize(
    ("run", "task", "kind", "words"),
    [("table", "compare", ModelUnavailable, "only PyTorch"), ("pt2", "dance", BadInput, "'dance'.*compare")],
)
def test_what_cannot_be_done_is_told(engine, run, task, kind, words):
    rows = np.ones((2, 30)) if run == "table" else ROWS
    with pytest.raises(kind, match=words):
        ask(engine, run, task, rows=rows)


def test_rows_that_do_not_fit_the_model_are_told(engine):
    with pytest.raises(ModelUnavailable):
        ask(engine, rows=np.ones((2, 5), np.float32))
