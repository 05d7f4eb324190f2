"""Models served elsewhere: Open Inference Protocol v2 with binary tensors, plain JSON where those are refused.

Source: https://kserve.github.io/website/ (Open Inference Protocol; extension: binary tensor data).
"""

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.errors import BadInput, EngineBusy, EngineUnavailable
from dashboard.inference.asking import Ask
from dashboard.inference.protocol import (
    DATATYPES,
    HEADER_FIELD,
    Array,
    Message,
    Tensors,
    decode_parts,
    encode_json,
    encode_parts,
)  # fmt: skip
from dashboard.inference.states import EngineState
from dashboard.inference.targets import Target
from dashboard.inference.wire import Connections, EngineLost, Reply, Server
from mlflow_runs.errors import ModelUnavailable

_METADATA_LIFE = 60.0
_UNVERSIONED_LIFE = 300.0
_READY_WAIT = 2.0
_BINARY_REFUSED = (400, 406, 415, 422, 500, 501)


class Remote:
    """An HTTP server that is asked with a bearer token where one is set; errors name its address."""

    def __init__(self, target: Target, token: str) -> None:
        self.target, self.name = target, target.origin
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._server = Server(target.host, target.port, target.tls)
        self._connections = Connections()

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str], until: float) -> Reply:
        """The answer with status 200, or any other that is about the request itself; a lost one is asked once more.

        Raises EngineBusy for 429 and 503 and EngineUnavailable when nobody answers in time.
        """
        for last in (False, True):
            left = until - time.monotonic()
            if left <= 0:
                raise EngineBusy(f"The inference server {self.name} did not answer in the time given.")
            try:
                reply = self._connections.send(
                    self._server, method, self.target.prefix + path, body, {**self._headers, **headers}, left
                )
                return self._checked(reply)
            except (EngineLost, ssl.SSLError) as exc:
                if last or time.monotonic() >= until:
                    raise EngineUnavailable(f"The inference server {self.name} does not answer: {exc}.") from exc
            time.sleep(0.1)
        raise AssertionError

    def ready(self, path: str) -> EngineState:
        """Whether the server says that it is ready."""
        try:
            reply = self.ask("GET", path, b"", {}, time.monotonic() + _READY_WAIT)
        except (EngineBusy, EngineUnavailable) as exc:
            return EngineState(False, str(exc), device="remote", name=self.name, address=self.name)
        message = "" if reply.status == 200 else f"The inference server {self.name} answers {reply.status} to {path}."
        return EngineState(not message, message, device="remote", name=self.name, address=self.name)

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()

    def _checked(self, reply: Reply) -> Reply:
        if reply.status in (429, 503):
            wait = _seconds(reply.headers.get("retry-after", ""))
            again = "in a second" if wait is None else f"in {wait:.0f} s"
            raise EngineBusy(
                f"The inference server {self.name} is busy ({reply.status}); try again {again}.", None, wait
            )
        if reply.status in (401, 403):
            raise EngineUnavailable(
                f"The inference server {self.name} refuses access ({reply.status}); VITRINE_INFERENCE_TOKEN is sent."
            )
        if reply.status in (502, 504):
            raise EngineUnavailable(f"The inference server {self.name} is not reached by its gateway ({reply.status}).")
        return reply


@dataclass(frozen=True)
class _Metadata:
    """What the server says of a model: its inputs as (name, datatype, shape), and when it said so (monotonic)."""

    inputs: tuple[tuple[str, str, tuple[int, ...]], ...]
    read: float


class OpenInference:
    """A model server that speaks Open Inference Protocol v2, such as Triton, KServe, MLServer or Ray Serve."""

    def __init__(self, target: Target, token: str) -> None:
        self._remote = Remote(target, token)
        self._json_only = False
        self._known: dict[str, _Metadata] = {}
        self.name = target.origin
        self.subject = target.text
        self.keep: float | None = None if target.pinned else _UNVERSIONED_LIFE

    def infer(self, ask: Ask) -> Message:
        """The server's outputs; its names and types of the inputs are taken from its metadata.

        Raises ModelUnavailable when it does not hold the model or refuses the input.
        """
        path = self._remote.target.path(ask.card)
        given = fitted(ask.tensors, self._metadata(path, ask.until).inputs, f"{self.name}{path}")
        parameters = {"parameters": dict(ask.params)} if ask.params else {}
        if not self._json_only:
            reply = self._binary(path, parameters, given, ask.until)
            if reply.status == 200:
                return _read(reply)
            if reply.status not in _BINARY_REFUSED:
                raise self._refusal(path, reply)
        plain = self._plain(path, parameters, given, ask.until)
        if plain.status != 200:
            raise self._refusal(path, plain)
        self._json_only = True
        return _read(plain)

    def state(self) -> EngineState:
        """Whether the server is ready."""
        return self._remote.ready("/v2/health/ready")

    def close(self) -> None:
        """Close idle connections."""
        self._remote.close()

    def _binary(self, path: str, parameters: Mapping[str, Any], tensors: Tensors, until: float) -> Reply:
        asked = {"parameters": {**parameters.get("parameters", {}), "binary_data_output": True}}
        text, blobs = encode_parts(asked, tensors)
        headers = {HEADER_FIELD: str(len(text)), "Content-Type": "application/octet-stream"}
        return self._remote.ask("POST", f"{path}/infer", b"".join((text, *blobs)), headers, until)

    def _plain(self, path: str, parameters: Mapping[str, Any], tensors: Tensors, until: float) -> Reply:
        body = encode_json(parameters, tensors)
        return self._remote.ask("POST", f"{path}/infer", body, {"Content-Type": "application/json"}, until)

    def _metadata(self, path: str, until: float) -> _Metadata:
        known = self._known.get(path)
        if known is not None and time.monotonic() - known.read < _METADATA_LIFE:
            return known
        reply = self._remote.ask("GET", path, b"", {}, until)
        if reply.status != 200:
            raise self._refusal(path, reply)
        try:
            described = json.loads(reply.body).get("inputs") or []
            inputs = tuple((str(i["name"]), str(i["datatype"]), tuple(map(int, i["shape"]))) for i in described)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ModelUnavailable(
                f"The metadata of {self.name}{path} is not Open Inference Protocol v2: {exc}."
            ) from exc
        self._known[path] = _Metadata(inputs, time.monotonic())
        return self._known[path]

    def _refusal(self, path: str, reply: Reply) -> ModelUnavailable:
        if reply.status == 404:
            return ModelUnavailable(
                f"The inference server {self.name} holds no model at {path}; VITRINE_INFERENCE_MODELS can name another."
            )
        return ModelUnavailable(f"The inference server {self.name} answered {reply.status} to {path}: {_told(reply)}")


def fitted(tensors: Tensors, wanted: Sequence[tuple[str, str, tuple[int, ...]]], where: str) -> Tensors:
    """The tensors under the server's names and types.

    Equal names go together, else they go by position. Columns become one matrix where the server wants one tensor.
    Raises BadInput when the numbers of tensors differ otherwise.
    """
    if not wanted:
        return tensors
    if len(wanted) == 1 and len(tensors) > 1:
        if any(array.dtype.kind in "OUS" for array in tensors.values()):
            raise BadInput(f"{where} takes one tensor {wanted[0][0]!r}; columns of text cannot be put into one.")
        tensors = {wanted[0][0]: np.concatenate([array.reshape(len(array), -1) for array in tensors.values()], axis=1)}
    if len(wanted) != len(tensors):
        names = ", ".join(name for name, _, _ in wanted)
        raise BadInput(f"{where} takes {len(wanted)} inputs ({names}); the model of the run takes {len(tensors)}.")
    if {name for name, _, _ in wanted} <= set(tensors):
        return {name: _typed(tensors[name], kind, shape) for name, kind, shape in wanted}
    return {
        name: _typed(array, kind, shape) for (name, kind, shape), array in zip(wanted, tensors.values(), strict=True)
    }


def _typed(array: Array, kind: str, shape: tuple[int, ...]) -> Array:
    if len(shape) == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if kind == "BYTES" or kind not in DATATYPES:
        return array
    return array.astype(DATATYPES[kind], copy=False)


def _read(reply: Reply) -> Message:
    size = reply.headers.get(HEADER_FIELD.lower())
    view = memoryview(reply.body)
    try:
        length = len(view) if size is None else int(size)
        message = decode_parts(view[:length], view[length:])
    except (BadInput, ValueError) as exc:
        raise ModelUnavailable(f"The inference server's answer cannot be read: {exc}") from exc
    facts = message.header.get("parameters") or {}
    kept = {"parameters": {"classes": facts["classes"]}} if isinstance(facts.get("classes"), list) else {}
    return Message(kept, message.tensors)


def _told(reply: Reply) -> str:
    try:
        found = json.loads(reply.body)
        text = str(found.get("error") or found.get("message") or found) if isinstance(found, dict) else str(found)
    except ValueError:
        text = reply.body[:300].decode(errors="replace")
    return " ".join(text.split())[:300]


def _seconds(text: str) -> float | None:
    return float(text) if text.strip().isdigit() else None
