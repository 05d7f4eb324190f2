"""The worker process of the engine: holds the models and answers mosec's batches."""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dashboard.errors import BadInput
from dashboard.inference import batch_sizes, guard, numerics, onnx_variant
from dashboard.inference.attempt import Attempt
from dashboard.inference.desk import Desk, Reply, failure
from dashboard.inference.loading import chosen_device, import_flavours, load, resident_bytes
from dashboard.inference.predictor import Loaded, Predictor
from dashboard.inference.protocol import ENGINE_VERSION, Message, decode, encode
from dashboard.settings import Settings
from mlflow_runs.errors import DashboardError
from mlflow_runs.models import fetch, model_client, resolve, trim

_BEAT = 0.25
_TOLD = ("flavor", "uses", "since", "used", "rows", "numerics")
_QUIET_START = 0.5  # callers that waited for this process come first


class Service:
    """What the worker does with mosec's batches; one per device, built in a fresh process."""

    def __init__(self) -> None:
        settings = Settings()
        run = settings.folder("run")
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self._settings, self._key = settings, os.environ["VITRINE_ENGINE_KEY"]
        name = os.environ.get("VITRINE_ENGINE_NAME", "engine")
        self._beat, self._suspects = guard.Beat(run / f"{name}.beat"), guard.Suspects(run / f"{name}.suspects.json")
        loader = partial(load_tuned, settings, chosen_device(settings.device))
        self._predictor = Predictor(loader, settings.engine_memory_mb * 2**20, chosen_device(settings.device))
        limits = settings.engine_timeout, self._suspects.refusal, self._beat.write, settings.engine_queue
        self._desk = Desk(self._predictor, *limits)
        self._told: Counter[str] = Counter()
        self._since, self._requests, self._pace = time.time(), 0, 0.0
        self._beat.write([])
        threading.Thread(target=self._keep_beating, args=(os.getppid(),), daemon=True).start()
        threading.Thread(target=self._preload, daemon=True).start()

    def read(self, data: bytes) -> Message | DashboardError:
        """The message, or the error of a body that is none: one broken body must not fail its whole batch."""
        try:
            message = decode(data)
        except BadInput as error:
            return error
        if message.header.pop("key", None) != self._key:
            return BadInput("The message does not carry this engine's key (VITRINE_ENGINE_KEY).")
        self._told.update(message.header.pop("told", {}))
        return message

    def answer(self, data: list[Message | DashboardError]) -> list[bytes]:
        """One reply per message, in mosec's order."""
        started = time.perf_counter()
        asked = [index for index, item in enumerate(data) if isinstance(item, Message) and item.header["op"] == "state"]
        rest = [item for index, item in enumerate(data) if index not in asked]
        answers = iter(self._desk.answer(rest))
        replies = [self._state() if index in asked else next(answers) for index in range(len(data))]
        self._requests += len(rest)
        if rest:
            spent = (time.perf_counter() - started) / len(rest)
            self._pace = 0.9 * self._pace + 0.1 * spent if self._pace else spent
        return [_packed(reply) for reply in replies]

    def _state(self) -> Reply:
        predictor = self._predictor
        percentiles = np.percentile([*predictor.seconds] or [0.0], [50, 95, 99]) * 1000
        models = [
            {"model_id": key, **{name: getattr(model, name) for name in _TOLD}, "bytes": model.nbytes}
            for key, model in predictor.models().items()
        ]
        return {
            "state": "done",
            "pid": os.getpid(),
            "version": ENGINE_VERSION,
            "device": predictor.device,
            "threads": torch.get_num_threads(),
            "memory": device_bytes(predictor.device),
            "budget": self._settings.engine_memory_mb * 2**20,
            "models": models,
            "counters": {**predictor.counters, **self._told, "requests": self._requests},
            "latency_ms": dict(zip(("p50", "p95", "p99"), percentiles.tolist(), strict=True)),
            "batch_rows": float(np.mean([*predictor.batch_rows] or [0])),
            "queue": self._desk.waiting(),
            "working": self._desk.working(),
            "rows_per_second": predictor.rows_per_second(),
            "since": self._since,
        }, {}

    def _keep_beating(self, parent: int) -> None:
        while True:
            self._beat.write(pace=self._pace)
            if os.getppid() != parent:
                guard.end_group("the engine's first process is gone")
            if stuck := self._desk.stuck():
                self._suspects.hung(stuck)
                self._beat.write([])
                guard.end_group(f"{', '.join(stuck)} did not come back in time")
            time.sleep(_BEAT)

    def _preload(self) -> None:
        client = model_client(self._settings.store_uri)
        for reference in self._settings.preload_models:
            with Attempt() as attempt:
                self._desk.preload(resolve(client, reference).model_id)
            if attempt.error is not None:
                print(f"engine: {reference!r} was not preloaded: {attempt.error}", flush=True)
        time.sleep(_QUIET_START)
        self._predictor.warm(import_flavours)


def load_tuned(settings: Settings, device: str, model_id: str) -> Loaded:
    """The model of that id in the form in which it is computed fastest here with the same answers, and in batches of
    the size found before."""
    loaded = load_by_id(settings, device, model_id)
    name = re.sub(r"[^\w.-]", "_", model_id)
    numerics.tune(loaded, device, settings.folder("numerics") / f"{name}.json", settings.half_precision)
    sizes = settings.folder("numerics") / f"{name}.rows.json"
    loaded.rows = min(loaded.most, batch_sizes.recorded(sizes, device) or loaded.rows)
    loaded.found = partial(batch_sizes.note, sizes, device)
    return loaded


def load_by_id(settings: Settings, device: str, model_id: str) -> Loaded:
    """The model of that id, from the configured store and from nowhere else; its ONNX form where that may be served."""
    if onnx_variant.approved(settings, model_id):
        return onnx_variant.load_variant(settings, model_id, device, torch.get_num_threads())
    client = model_client(settings.store_uri)
    folder = settings.folder("models")
    path: Path = fetch(client, resolve(client, model_id), folder)
    trim(folder, settings.artifact_cache_mb * 2**20, keep=path)
    return load(path, device, torch.get_num_threads())


def device_bytes(device: str) -> int:
    """Memory that the engine holds: on the GPU what torch reserved there, else what the process has in RAM."""
    return int(torch.cuda.memory_reserved(device)) if device.startswith("cuda") else resident_bytes()


def _packed(reply: Reply) -> bytes:
    header: dict[str, Any] = reply[0]
    packed: Sequence[bytes] = []
    with Attempt() as attempt:
        packed = [encode(header, reply[1], "outputs")]
    return (
        packed[0]
        if attempt.error is None
        else encode(*failure(BadInput(f"The answer cannot be sent: {attempt.error}")))
    )
