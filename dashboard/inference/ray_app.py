"""The engine's larger sibling: the same predictor as a Ray Serve application that speaks Open Inference Protocol v2.

    VITRINE_TRACKING_URI=... serve run dashboard.inference.ray_app:build replicas=4 gpus=1

Ray is no dependency: `pip install "ray[serve]"`. Point Vitrine at it with VITRINE_INFERENCE_URL=http://host:8000.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import torch
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dashboard.errors import BadInput
from dashboard.inference.loading import chosen_device
from dashboard.inference.predictor import Outcome, Predictor
from dashboard.inference.protocol import HEADER_FIELD, Message, Tensors, decode_parts, encode_json, encode_parts
from dashboard.inference.worker import load_by_id
from dashboard.settings import Settings
from mlflow_runs.errors import DashboardError, RunNotFound
from mlflow_runs.models import model_client, resolve

_MODELS = 8  # ids a replica is known by for routing; what it really holds is decided by measured bytes
_TOGETHER, _WINDOW = 64, 0.002
_ALIASES_LIFE = 30.0
_STATUS = {RunNotFound: 404, BadInput: 400}
Asked = tuple[str, str, Tensors]


class Models:
    """One replica: a predictor of its own, requests of one model batched together."""

    def __init__(self, settings: Settings) -> None:
        self._device = chosen_device(settings.device)
        self._threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
        torch.set_num_threads(self._threads)
        loader = partial(load_by_id, settings, self._device)
        self._predictor = Predictor(loader, settings.engine_memory_mb * 2**20, self._device)

    @serve.multiplexed(max_num_models_per_replica=_MODELS)
    async def held(self, model_id: str) -> str:
        """Load the model here; Ray sends its later requests to replicas that hold it."""
        await asyncio.to_thread(self._predictor.ensure, model_id)
        return model_id

    @serve.batch(max_batch_size=_TOGETHER, batch_wait_timeout_s=_WINDOW)
    async def together(self, asked: list[Asked]) -> list[Outcome]:
        """The outcome of each request, in their order; those of one model and equal parameters run as one batch."""
        return await asyncio.to_thread(self._run, asked)

    async def infer(self, params: str, tensors: Tensors) -> Outcome:
        """The outcome of one request to the model that the caller multiplexed to."""
        model_id = serve.get_multiplexed_model_id()
        try:
            await self.held(model_id)
        except DashboardError as error:
            return Outcome(error=error)
        outcome: Outcome = await self.together((model_id, params, tensors))
        return outcome

    def _run(self, asked: Sequence[Asked]) -> list[Outcome]:
        outcomes = [Outcome()] * len(asked)
        groups: dict[tuple[str, str], list[int]] = {}
        for index, (model_id, params, _) in enumerate(asked):
            groups.setdefault((model_id, params), []).append(index)
        for (model_id, params), indexes in groups.items():
            found = self._predictor.run(model_id, [asked[index][2] for index in indexes], orjson.loads(params))
            for index, outcome in zip(indexes, found, strict=True):
                outcomes[index] = outcome
        return outcomes


class Door:
    """The HTTP side: paths of Open Inference Protocol v2, binary or JSON tensors, names resolved in the store."""

    def __init__(self, settings: Settings, models: DeploymentHandle) -> None:
        self._client, self._models = model_client(settings.store_uri), models
        self._ids: dict[str, tuple[str, float]] = {}

    async def __call__(self, request: Request) -> Response:
        """Answer one request; what is wrong is told in the protocol's `error`."""
        parts = [unquote(part) for part in request.url.path.strip("/").split("/")]
        if parts in (["v2", "health", "live"], ["v2", "health", "ready"]):
            return Response()
        if parts[:2] != ["v2", "models"] or len(parts) < 3:
            return JSONResponse({"error": f"There is nothing at {request.url.path[:200]}."}, 404)
        try:
            reference = f"models:/{parts[2]}/{parts[4]}" if parts[3:4] == ["versions"] else parts[2]
            model_id = await self._resolved(reference)
            if parts[-1] != "infer":
                return JSONResponse({"name": parts[2], "platform": "mlflow", "inputs": [], "outputs": []})
            return await self._infer(model_id, parts[2], _message(await request.body(), request.headers))
        except DashboardError as error:
            return _refused(error)

    async def _infer(self, model_id: str, name: str, message: Message) -> Response:
        params = dict(message.header.get("parameters") or {})
        binary = params.pop("binary_data_output", False)
        handle = self._models.options(multiplexed_model_id=model_id)
        text = orjson.dumps(params, option=orjson.OPT_SORT_KEYS).decode()
        outcome: Outcome = await handle.infer.remote(text, message.tensors)
        if outcome.error is not None:
            return _refused(outcome.error)
        header = {"model_name": name, "parameters": _plain(outcome.facts)}
        if not binary:
            return Response(encode_json(header, outcome.outputs, "outputs"), media_type="application/json")
        described, blobs = encode_parts(header, outcome.outputs, "outputs")
        body = b"".join((described, *blobs))
        return Response(body, headers={HEADER_FIELD: str(len(described))}, media_type="application/octet-stream")

    async def _resolved(self, reference: str) -> str:
        """The model id; an alias may move, so what was found is asked again after a while."""
        now = asyncio.get_running_loop().time()
        found, until = self._ids.get(reference, ("", 0.0))
        if not found or until < now:
            found = (await asyncio.to_thread(resolve, self._client, reference)).model_id
            self._ids[reference] = (found, now + _ALIASES_LIFE)
        return found


def _message(body: bytes, headers: Mapping[str, str]) -> Message:
    size = headers.get(HEADER_FIELD, str(len(body)))
    if not size.isdigit() or int(size) > len(body):
        raise BadInput(f"{HEADER_FIELD} is {size[:20]!r}; a number up to the body's {len(body)} bytes is needed.")
    view = memoryview(body)
    return decode_parts(view[: int(size)], view[int(size) :])


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"classes": [str(name) for name in facts["classes"]]} if "classes" in facts else {}


def _refused(error: DashboardError) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse({"error": str(error)}, status)


def build(options: Mapping[str, str]) -> Application:
    """The application for `serve run`: `replicas` (1) of the predictor, each with `gpus` (0) and `cpus` (1)."""
    settings = Settings()
    resources = {"num_cpus": float(options.get("cpus", 1)), "num_gpus": float(options.get("gpus", 0))}
    # replicas run elsewhere, so they get what was read here and not their own surroundings
    replicas = serve.deployment(
        num_replicas=int(options.get("replicas", 1)), ray_actor_options=resources, max_ongoing_requests=4 * _TOGETHER
    )(Models)
    door = serve.deployment(max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0.1})(Door)
    return door.bind(settings, replicas.bind(settings))


def main() -> None:
    """Serve on this machine alone until ended: `python -m dashboard.inference.ray_app`; PORT is 8000 by default."""
    import ray

    ray.init(address="local", include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": str(_checkout())}})
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ.get("PORT", "8000"))})
    with suppress(KeyboardInterrupt):
        serve.run(build({}), blocking=True)
    ray.shutdown()


def _checkout() -> Path:
    return Path(__file__).resolve().parent.parent.parent


if __name__ == "__main__":
    main()
