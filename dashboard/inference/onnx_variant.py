"""The ONNX form of a PyTorch model on this machine: its files, its sessions, what the engine may serve."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.inference.attempt import Attempt
from dashboard.inference.loading import as_outputs
from dashboard.inference.onnx_export import operator_in
from dashboard.inference.predictor import Loaded, Params, refuse_params
from dashboard.inference.protocol import Array, Tensors
from dashboard.inference.speed_report import versions
from dashboard.settings import Settings
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.models import folder_bytes

if TYPE_CHECKING:
    import onnxruntime

_REMOTE = ("AzureExecutionProvider",)
_VERDICT = "verdict.json"


def variant_folder(settings: Settings, model_id: str) -> Path:
    """Where the ONNX form of a model lies; made on first use."""
    return settings.folder("onnx/" + re.sub(r"[^\w.-]", "_", model_id))


def providers() -> list[str]:
    """The execution providers installed here that run on this machine, as ONNX Runtime orders them."""
    import onnxruntime  # late, here and below, because it costs 20 MB and a thread

    return [name for name in onnxruntime.get_available_providers() if name not in _REMOTE]


def open_session(file: Path, provider: str, threads: int) -> "onnxruntime.InferenceSession":
    """A session on that provider and no other; ModelUnavailable names the operator that the runtime lacks."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    found: list[onnxruntime.InferenceSession] = []
    with Attempt() as attempt:
        found.append(onnxruntime.InferenceSession(str(file), options, providers=_with_host(provider)))
    if attempt.error is not None:
        operator = operator_in(attempt.error)
        why = f"the operator {operator} is missing" if operator else " ".join(str(attempt.error).split())[:200]
        raise ModelUnavailable(f"ONNX Runtime cannot run the exported model on {provider}: {why}.")
    if provider not in found[0].get_providers():
        raise ModelUnavailable(f"{provider} is installed but did not start here.")
    return found[0]


def _with_host(provider: str) -> list[str]:
    """A device's provider leaves what it lacks to the processor."""
    return list(dict.fromkeys([provider, "CPUExecutionProvider"]))


def run_session(session: "onnxruntime.InferenceSession", names: Sequence[str], arrays: Sequence[Array]) -> Tensors:
    """The outputs under the names that the PyTorch model's outputs have."""
    feed = {item.name: array for item, array in zip(session.get_inputs(), arrays, strict=True)}
    return as_outputs(dict(zip(names, session.run(None, feed), strict=True)))


def keep_verdict(folder: Path, equal: bool, names: Sequence[str], stacked: bool) -> None:
    """Note beside the file whether it answers as PyTorch does, and how inputs and outputs correspond."""
    verdict = {"equal": equal, "outputs": list(names), "stacked": stacked, "versions": versions()}
    (folder / _VERDICT).write_text(json.dumps(verdict))


def approved(settings: Settings, model_id: str) -> bool:
    """Whether the engine may serve the ONNX form: allowed by setting, and found equal with the present versions."""
    verdict = _verdict(variant_folder(settings, model_id)) if settings.serve_onnx else {}
    return bool(verdict.get("equal")) and verdict.get("versions") == versions()


def load_variant(settings: Settings, model_id: str, device: str, threads: int) -> Loaded:
    """The ONNX form in the shape of a loaded model: the same inputs and outputs as the PyTorch one."""
    folder = variant_folder(settings, model_id)
    verdict = _verdict(folder)
    wanted = "CUDAExecutionProvider" if device.startswith("cuda") else "CPUExecutionProvider"
    session = open_session(folder / "model.onnx", wanted, threads)
    names, stacked = list(verdict["outputs"]), bool(verdict["stacked"])

    def run(tensors: Tensors, params: Params) -> Tensors:
        refuse_params(params)
        values = [*tensors.values()]
        return run_session(session, names, [np.concatenate(values, axis=1).astype(np.float32)] if stacked else values)

    return Loaded(run, folder_bytes(folder), "pytorch as onnx")


def _verdict(folder: Path) -> Mapping[str, Any]:
    file = folder / _VERDICT
    found = json.loads(file.read_text()) if file.exists() else {}
    return found if isinstance(found, dict) else {}
