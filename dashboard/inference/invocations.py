"""A model behind MLflow's scoring server (`mlflow models serve`): one model per address, JSON at /invocations.

Source: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ (inference server specification).
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from dashboard.inference.asking import Ask
from dashboard.inference.protocol import Array, Message, Tensors
from dashboard.inference.remote import Remote
from dashboard.inference.states import EngineState
from dashboard.inference.targets import Target
from mlflow_runs.errors import ModelUnavailable

_LIFE = 300.0


class Invocations:
    """One model served by MLflow itself."""

    def __init__(self, target: Target, token: str) -> None:
        self._remote = Remote(target, token)
        self.name, self.subject = target.origin, target.text
        self.keep: float | None = _LIFE  # because the address does not tell which version is served

    def infer(self, ask: Ask) -> Message:
        """The server's predictions; raises ModelUnavailable when it refuses the input."""
        body = {**document(ask), **({"params": dict(ask.params)} if ask.params else {})}
        text = json.dumps(body, allow_nan=False, default=str).encode()
        reply = self._remote.ask("POST", "/invocations", text, {"Content-Type": "application/json"}, ask.until)
        if reply.status != 200:
            raise ModelUnavailable(f"The MLflow server {self.name} answered {reply.status}: {_told(reply.body)}")
        try:
            return Message({}, outputs(json.loads(reply.body)))
        except (ValueError, KeyError, TypeError) as exc:
            raise ModelUnavailable(f"The MLflow server {self.name} gave an answer that cannot be read: {exc}") from exc

    def state(self) -> EngineState:
        """Whether the server answers its ping."""
        return self._remote.ready("/ping")

    def close(self) -> None:
        """Close idle connections."""
        self._remote.close()


def document(ask: Ask) -> dict[str, Any]:
    """The tensors as MLflow wants them: columns as `dataframe_split`, tensors and everything else as `inputs`."""
    tensors = ask.tensors
    if ask.card.columns or (not ask.card.tensors and list(tensors) != ["input"]):
        columns = [_values(array.reshape(len(array), -1)[:, 0]) for array in tensors.values()]
        rows = [list(row) for row in zip(*columns, strict=True)]
        return {"dataframe_split": {"columns": list(tensors), "data": rows}}
    if len(tensors) == 1 and (not ask.card.tensors or next(iter(tensors)).startswith("input_")):
        return {"inputs": _values(next(iter(tensors.values())))}
    return {"inputs": {name: _values(array) for name, array in tensors.items()}}


def outputs(answer: Any) -> Tensors:
    """Named arrays from `{"predictions": ...}`: a list of values, of rows or of records, or a mapping of lists."""
    found = answer["predictions"] if isinstance(answer, Mapping) else answer
    if isinstance(found, Mapping):
        return {str(name): _array(values) for name, values in found.items()}
    if found and all(isinstance(row, Mapping) for row in found):
        return {str(name): _array([row.get(name) for row in found]) for name in found[0]}
    return {"output": _array(found)}


def _array(values: Any) -> Array:
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array
    return np.array([str(value) for value in array.ravel()], dtype=object).reshape(array.shape)


def _values(array: Array) -> Any:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array.tolist()
    values = array.astype(object)
    values[~np.isfinite(array)] = None
    return values.tolist()


def _told(body: bytes) -> str:
    try:
        found = json.loads(body)
        text = str(found.get("message") or found.get("detail") or found) if isinstance(found, dict) else str(found)
    except ValueError:
        text = body.decode(errors="replace")
    return " ".join(text.split())[:300]
