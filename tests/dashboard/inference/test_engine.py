"""The real engine with real MLflow models: right answers, one load, and what happens when it dies."""

import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_diabetes

from dashboard.cache import ResultCache
from dashboard.errors import BadInput, EngineBusy, EngineUnavailable
from dashboard.inference import guard
from dashboard.inference.client import InferenceClient
from dashboard.inference.engine import address_file, main
from dashboard.settings import Settings
from mlflow_runs.errors import ModelUnavailable, RunNotFound
from mlflow_runs.index import RunIndex
from tests.conftest import alive, wait_for
from tests.dashboard.inference.conftest import CHECKOUT, Engine

pytestmark = pytest.mark.process
ASK = r"""
import os, sys, time
from dashboard.cache import ResultCache
from dashboard.inference.client import InferenceClient
from dashboard.settings import Settings
from mlflow_runs.index import RunIndex

settings, run = Settings(), sys.argv[1]
for _ in range(10):
    if os.fork() == 0:
        while time.time() < float(sys.argv[2]):
            time.sleep(0.001)
        folder = settings.data_dir
        client = InferenceClient(folder, ResultCache(folder / "ten", 64), RunIndex(folder / "index.db"), settings)
        os.write(1, f"{client.predict(run, [{'x': float(sys.argv[3])}]).predictions[0].value}\n".encode())
        os._exit(0)
for _ in range(10):
    os.wait()
"""


def children(pid):
    """The processes of the engine's group, its first one excluded, by what they run."""
    found = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != pid and alive(int(path.name)):
            try:
                if os.getpgid(int(path.name)) == pid:
                    found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
    return found


def worker_of(engine):
    return guard.Beat(engine.data_dir / "run" / "engine.beat").read()[1]


def passes(client):
    return client.state().counters.get("forward_passes", 0)


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_the_image_model_agrees_with_torch(engine: Engine, rows):
    from tests.dashboard.inference.nets import cnn

    pixels = np.random.default_rng(rows).integers(0, 256, (rows, 8, 8), dtype=np.uint8)
    files = []
    for array in pixels:
        file = io.BytesIO()
        Image.fromarray(array).save(file, "PNG")
        files.append(file.getvalue())
    answer = engine.client("images").predict(engine.runs["pt2"], files)
    batch = torch.from_numpy((pixels[:, None].astype(np.float32) / 255 - 0.5) / 0.25)
    expected = torch.softmax(cnn()(batch).double(), dim=1).detach().numpy()
    names = ("zero", "one", "two")
    found = np.array([[p.probabilities[name] for name in names] for p in answer.predictions])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert [p.label for p in answer.predictions] == [names[row.argmax()] for row in expected]
    assert (answer.cached, answer.age) == (False, None)


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_the_tables_agree_with_scikit_learn(engine: Engine, rows):
    from tests.dashboard.inference.nets import regression_model, table_model

    cancer, diabetes = load_breast_cancer(as_frame=True).data[-rows:], load_diabetes(as_frame=True).data[-rows:]
    client = engine.client("tables")
    found = client.predict(engine.runs["table"], cancer.to_dict("records")).predictions
    expected = table_model().predict_proba(cancer)
    np.testing.assert_allclose([[p.probabilities["0"], p.probabilities["1"]] for p in found], expected, atol=1e-9)
    values = client.predict(engine.runs["regression"], diabetes.to_numpy().tolist()).predictions
    np.testing.assert_allclose([p.value for p in values], regression_model().predict(diabetes), rtol=1e-9)


@pytest.mark.parametrize("name", ["text", "bare"])
def test_texts_agree_with_scikit_learn(engine: Engine, name):
    from tests.dashboard.inference.nets import text_model

    texts = ["zeros in an array", "draw lines", "frames with keys", "日本語 <b>"]
    found = engine.client().predict(engine.runs[name], texts).predictions
    assert [p.label for p in found] == text_model().predict(texts).tolist()
    best = [max(p.probabilities.values()) for p in found]
    np.testing.assert_allclose(best, text_model().predict_proba(texts).max(axis=1), rtol=1e-9)


def test_onnx_and_pickled_torch(engine: Engine):
    from tests.dashboard.inference.nets import cnn

    found = engine.client().predict(engine.runs["onnx"], [[1, 2, 3], [0, 0, 1]]).predictions
    assert [p.raw for p in found] == [[16.0, 22.0], [4.0, 5.0]]
    pixels = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    (raw,) = engine.client().predict(engine.runs["pickled"], [pixels.tolist()]).predictions
    np.testing.assert_allclose(raw.raw, cnn()(torch.from_numpy(pixels)[None]).detach().numpy()[0], atol=1e-6)


def test_the_same_input_twice_is_one_forward_pass(engine: Engine):
    client = engine.client()
    before = passes(client)
    first, second = (client.predict(engine.runs["onnx"], [[7, 8, 9]]) for _ in range(2))
    assert passes(client) - before == 1
    assert (first.cached, second.cached) == (False, True)
    assert first.predictions == second.predictions
    assert second.age is not None
    assert 0 <= second.age < 60
    assert client.state().counters["cache_hits"] >= 1


def test_only_the_misses_are_predicted(engine: Engine):
    client = engine.client()
    client.predict(engine.runs["onnx"], [[1, 1, 1]])
    before = client.state().counters["predictions"]
    answer = client.predict(engine.runs["onnx"], [[1, 1, 1], [2, 2, 2], [3, 3, 3], [2, 2, 2]])
    assert client.state().counters["predictions"] - before == 2
    assert answer.cached is False
    assert [p.raw[0] for p in answer.predictions] == [6, 12, 18, 12]


def test_ten_processes_asking_at_once_cause_one_load_and_one_forward_pass(engine: Engine):
    before, x = engine.lines(), round(time.time())
    command = [sys.executable, "-c", ASK, engine.runs["counting"], str(time.time() + 2.5), str(x)]
    done = subprocess.run(command, cwd=CHECKOUT, env=engine.environment, capture_output=True, text=True, timeout=40)
    assert done.stdout.split() == [f"{2.0 * x}"] * 10, done.stderr
    assert engine.lines()[len(before) :] == ([] if before else ["load"]) + ["predict"]


def test_a_large_request_is_cut_into_chunks_that_report_progress(engine: Engine):
    heard = []
    rows = [[n, 0, 0] for n in range(100)]
    answer = engine.client("chunks").predict(
        engine.runs["onnx"], rows, progress=lambda done, total: heard.append((done, total))
    )
    assert heard == [(32, 100), (64, 100), (96, 100), (100, 100)]
    assert [p.raw for p in answer.predictions] == [[0.0, float(n)] for n in range(100)]


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("raise", "ZeroDivisionError: the mood is bad"),
        ("exit", "SystemExit"),
        ("short", "should be 1"),
        ("nan", "a finite number is needed"),
    ],
)
def test_a_model_that_misbehaves_harms_only_its_callers(engine: Engine, mood, words):
    client = engine.client()
    with ThreadPoolExecutor(5) as pool:
        bad = pool.submit(client.predict, engine.runs["moody"], [mood])
        good = [pool.submit(client.predict, engine.runs["onnx"], [[hash(mood) % 1000, n, 5]]) for n in range(4)]
        with pytest.raises(ModelUnavailable, match=words):
            bad.result()
        assert [future.result().predictions[0].raw[0] for future in good] == [2 * n + 20 for n in range(4)]
    assert client.predict(engine.runs["moody"], ["fine"]).predictions[0].value == 1.0


def test_a_model_deleted_while_in_use_goes_on_from_memory_and_one_not_loaded_is_told(engine: Engine, store):
    client = engine.client()
    assert client.predict(engine.runs["doomed"], ["fine"]).predictions[0].value == 1.0
    for name in ("doomed", "gone"):
        shutil.rmtree(
            Path(store["index"]).parent / "artifacts" / "models" / client.card(engine.runs[name]).model_id,
            ignore_errors=True,
        )
    assert client.predict(engine.runs["doomed"], ["still fine"]).predictions[0].value == 1.0
    with pytest.raises(ModelUnavailable, match=client.card(engine.runs["gone"]).model_id):
        client.predict(engine.runs["gone"], ["x"])
    assert client.predict(engine.runs["moody"], ["fine as ever"]).predictions[0].value == 1.0


@pytest.mark.parametrize("text", ["👩🏽‍🚀 rocket 🚀", "مرحبا بالعالم matplotlib", "x" * 2**20, " "])
def test_any_text_is_answered(engine: Engine, text):
    assert engine.client().predict(engine.runs["text"], [text]).predictions[0].label


def test_a_megabyte_of_text_takes_little_time_and_gives_its_memory_back(engine: Engine):
    client, held = engine.client(), []
    for n in range(4):
        began = time.monotonic()
        assert client.predict(engine.runs["text"], [f"{n} " * 2**19]).predictions[0].label
        assert time.monotonic() - began < 5
        held.append(client.state().memory / 2**20)
    assert held[-1] - held[0] < 30, held


def test_missing_requirements_are_named(engine: Engine):
    with pytest.raises(ModelUnavailable, match=r"surely-not-installed==7\.1 \(not installed\)"):
        engine.client().predict(engine.runs["unloadable"], ["x"])


def test_wrong_inputs_and_runs_never_reach_the_engine(engine: Engine):
    client = engine.client()
    before = client.state().counters["requests"]
    with pytest.raises(BadInput, match="Input 2: The columns do not fit"):
        row = load_breast_cancer(as_frame=True).data.iloc[0].to_dict()
        client.predict(engine.runs["table"], [row, {"wrong": 1}])
    with pytest.raises(BadInput, match="cannot be read as a picture"):
        client.predict(engine.runs["pt2"], [b"broken"])
    with pytest.raises(BadInput, match="list of inputs is empty"):
        client.predict(engine.runs["text"], [])
    with pytest.raises(RunNotFound):
        client.predict("0" * 32, ["x"])
    assert client.state().counters["requests"] == before


def test_parameters_are_part_of_the_key_and_refused_where_the_model_takes_none(engine: Engine):
    with pytest.raises(BadInput, match="takes no parameters"):
        engine.client().predict(engine.runs["onnx"], [[1, 2, 3]], params={"temperature": 2})


def test_strangers_without_the_key_are_refused_and_learn_nothing(engine: Engine):
    import http.client

    port = json.loads(address_file(engine.data_dir).read_text())["port"]
    for body in (b"junk", struct.pack(">I", 16) + b'{"op":"state"}  ', struct.pack(">I", 2) + b"{}"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("POST", "/v2/infer", body)
        answer = connection.getresponse().read()
        assert b"failed" in answer
        assert b"device" not in answer
        connection.close()
    assert address_file(engine.data_dir).stat().st_mode & 0o077 == 0


@pytest.fixture
def elsewhere(store, engine, tmp_path):
    """Clients of the engine as if it were on another machine: by address and key."""
    facts, opened = json.loads(address_file(engine.data_dir).read_text()), []

    def client(key=facts["key"]):
        index = RunIndex(store["index"])
        url = f"vitrine+http://127.0.0.1:{facts['port']}"
        settings = Settings(data_dir=tmp_path, inference_url=url, engine_key=key, engine_timeout=40.0)
        opened.append((InferenceClient(tmp_path, ResultCache(tmp_path / "c", 16), index, settings), index))
        return opened[-1][0]

    yield client
    for made, index in opened:
        made.close()
        index.close()


def test_an_engine_elsewhere_is_asked_by_address_and_key(engine: Engine, elsewhere):
    client = elsewhere()
    assert client.predict(engine.runs["onnx"], [[4, 4, 4]]).predictions[0].raw == [24.0, 36.0]
    assert client.state().device == "cpu"
    stranger = elsewhere(key="wrong")
    assert "VITRINE_ENGINE_KEY" in stranger.state().message
    with pytest.raises(BadInput, match="VITRINE_ENGINE_KEY"):
        stranger.predict(engine.runs["onnx"], [[4, 4, 5]])


def test_an_engine_that_others_reach_needs_a_key(monkeypatch, tmp_path):
    monkeypatch.setenv("VITRINE_ENGINE_HOST", "0.0.0.0")
    monkeypatch.setenv("VITRINE_DATA_DIR", str(tmp_path))
    with pytest.raises(SystemExit, match="needs VITRINE_ENGINE_KEY"):
        main()


def test_state_tells_device_models_and_latencies(engine: Engine):
    client = engine.client()
    client.predict(engine.runs["pt2"], [np.zeros((1, 8, 8)).tolist()])
    state = client.state()
    assert (state.ready, state.device, state.threads) == (True, "cpu", 1)
    held = next(model for model in state.models if model.flavor == "pt2")
    from tests.dashboard.inference.nets import cnn

    assert held.bytes == sum(tensor.nbytes for tensor in cnn().parameters())
    assert state.memory > 50e6
    assert 0 < state.latency_ms["p50"] <= state.latency_ms["p95"] <= state.latency_ms["p99"]


def test_a_hanging_model_delays_nobody_and_is_refused_after_its_engine_was_replaced(engine: Engine):
    client = engine.client()
    client.predict(engine.runs["moody"], ["warm"])
    before = engine.process.pid
    with ThreadPoolExecutor(2) as pool:
        hanging = pool.submit(client.predict, engine.runs["moody"], ["hang"])
        time.sleep(0.5)
        started = time.monotonic()
        for n in range(5):
            client.predict(engine.runs["onnx"], [[n, 3, 3]])
        assert time.monotonic() - started < 3
        with pytest.raises((ModelUnavailable, EngineBusy, EngineUnavailable)):  # the last where the restart takes long
            hanging.result()
    wait_for(lambda: engine.process.pid != before and client.ready(), 60)
    with pytest.raises(ModelUnavailable, match="made the inference process hang"):
        client.predict(engine.runs["moody"], ["fine again"])
    assert client.predict(engine.runs["onnx"], [[5, 5, 5]]).predictions[0].raw == [30.0, 45.0]
    assert client.state().restarts >= 1


@pytest.mark.parametrize("victim", ["worker", "first process", "server"])
def test_after_kill_9_callers_in_flight_are_answered_by_the_next_engine(engine: Engine, victim):
    client = engine.client()
    client.predict(engine.runs["onnx"], [[0, 0, len(victim)]])
    first = engine.process.pid
    group = {first, *children(first)}
    server = next(pid for pid, line in children(first).items() if "config.json" in line)
    target = {"worker": worker_of(engine), "first process": first, "server": server}[victim]
    with ThreadPoolExecutor(8) as pool:
        futures = [
            pool.submit(client.predict, engine.runs["onnx"], [[n, 0, len(victim)]], deadline=30) for n in range(40)
        ]
        os.kill(target, signal.SIGKILL)
        answers = [future.result() for future in futures]
    assert [answer.predictions[0].raw for answer in answers] == [
        [4.0 * len(victim), n + 5.0 * len(victim)] for n in range(40)
    ]
    wait_for(lambda: engine.process.pid != first, 10)
    wait_for(lambda: not any(alive(pid) for pid in group), 10)
    wait_for(client.ready, 30)


def test_without_an_engine_a_sentence(store, tmp_path):
    from dashboard.cache import ResultCache
    from dashboard.inference.client import InferenceClient
    from dashboard.settings import Settings
    from mlflow_runs.index import RunIndex

    index = RunIndex(store["index"])
    client = InferenceClient(tmp_path, ResultCache(tmp_path / "c", 16), index, Settings())
    assert not client.ready()
    with pytest.raises(EngineUnavailable, match="has not been started"):
        client.predict(store["runs"]["text"], ["x"])
    index.close()


def test_a_small_budget_evicts_and_a_deep_folder_and_the_stop_leave_nothing_behind(store, tmp_path):
    deep = tmp_path / ("deep" * 20) / ("er" * 20)
    engine = Engine(store, deep, engine_memory_mb="64", preload_models=store["runs"]["onnx"])
    try:
        engine.wait_ready()
        client = engine.client()
        wait_for(lambda: len(client.state().models) == 1, 10)
        first = client.state().models[0]
        assert first.flavor == "onnx"
        client.predict(engine.runs["heavy"], [[1.0] * 16])
        assert [model.bytes > 32e6 for model in client.state().models] == [False, True]
        client.predict(engine.runs["heavier"], [[1.0] * 16])
        state = client.state()
        assert sum(model.bytes for model in state.models) <= 64 * 2**20
        assert state.counters["evictions"] == 2
        assert client.predict(engine.runs["heavy"], [[2.0] * 16]).cached is False
        group = {engine.process.pid, *children(engine.process.pid)}
    finally:
        engine.stop()
    wait_for(lambda: not any(alive(pid) for pid in group), 5)
    assert not (deep / "run" / "engine").exists()


def test_the_engine_ends_when_its_parent_is_gone(store, tmp_path):
    engine = Engine(store, tmp_path / "data")
    engine.stop()
    start = "subprocess.Popen([sys.executable, '-m', 'dashboard.inference.engine'])"
    code = f"import subprocess, sys, time; {start}; time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT, env=engine.environment)
    file = address_file(engine.data_dir)
    file.unlink(missing_ok=True)
    wait_for(file.exists, 30)
    wait_for(engine.client().ready, 30)
    pid = json.loads(file.read_text())["pid"]
    group = {pid, *children(pid)}
    assert len(group) >= 3
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(alive(member) for member in group), 5)
    engine.client().close()
