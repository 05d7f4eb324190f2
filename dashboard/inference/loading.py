"""Flavour-specific loading: from a model's files to a callable over named arrays. Runs the model author's code."""

import gc
import importlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.pytorch
import mlflow.sklearn
import numpy as np
import pandas as pd
import torch
from mlflow.models import Model

from dashboard.inference.attempt import Attempt
from dashboard.inference.cards import declared_padding
from dashboard.inference.detections import padded
from dashboard.inference.predictor import Loaded, Params, Runner, refuse_params
from dashboard.inference.protocol import Array, Tensors
from dashboard.inference.requirements import unmet
from mlflow_runs.errors import DashboardError, ModelUnavailable
from mlflow_runs.models import folder_bytes

_ORDER = ("pytorch", "onnx", "sklearn", "python_function")


def import_flavours() -> None:
    """Import what the first model of a common flavour would have to wait for: one to three seconds each."""
    for name in ("sklearn.linear_model", "torch.export.pt2_archive._package", "torch._inductor.codecache"):
        with Attempt():  # because the private ones may go; then the first model pays as before
            importlib.import_module(name)


def load(path: Path, device: str, threads: int = 1) -> Loaded:
    """The model in the folder, ready on the device.

    Raises ModelUnavailable naming the requirements that this environment does not meet, if any.
    """
    description = Model.load(str(path))
    flavor = next((name for name in _ORDER if name in description.flavors), None)
    if flavor is None:
        raise ModelUnavailable(
            f"The model has the flavours {', '.join(description.flavors) or 'none'}; {', '.join(_ORDER)} can be loaded."
        )
    loaded: list[Loaded] = []
    with Attempt() as attempt:
        loaded.append(_load(path, flavor, description, device, threads))
    if attempt.error is not None:
        raise _explained(path, attempt.error) from attempt.error
    loaded[0].padding = declared_padding(description.metadata or {})
    return loaded[0]


def _load(path: Path, flavor: str, description: Model, device: str, threads: int) -> Loaded:
    if flavor == "pytorch":
        return _torch(path, description, device)
    if flavor == "onnx":
        return _onnx(path, description, device, threads)
    before = resident_bytes()
    model: Any = mlflow.sklearn.load_model(str(path)) if flavor == "sklearn" else mlflow.pyfunc.load_model(str(path))
    gc.collect()
    size = max(folder_bytes(path), resident_bytes() - before)
    if flavor == "sklearn":
        return Loaded(_sklearn(model, description), size, flavor, _classes_of(model))
    return Loaded(_pyfunc(model, description), size, flavor)


def _torch(path: Path, description: Model, device: str) -> Loaded:
    module = mlflow.pytorch.load_model(str(path), **({"map_location": device} if device != "cpu" else {}))
    if not callable(module):
        raise ModelUnavailable("The model is a state dict without its module; log the module itself.")
    exported = (path / "data" / "model.pt2").exists()
    if not exported:  # because pt2 exports raise on .eval(): they were exported in one mode for good
        module.eval()
    module.to(device)
    stack = description.signature is not None and not description.signature.inputs.is_tensor_spec()

    def run(tensors: Tensors, params: Params) -> Tensors:
        refuse_params(params)
        arrays = [np.concatenate([*tensors.values()], axis=1).astype(np.float32)] if stack else [*tensors.values()]
        with torch.inference_mode():
            return as_outputs(module(*(_to_device(array, device) for array in arrays)))

    held = {id(tensor): tensor.nbytes for tensor in (*module.parameters(), *module.buffers())}
    form = "pt2" if exported else "pytorch"
    return Loaded(run, max(sum(held.values()), 1), form, module=module, example=_example(path, description))


def _example(path: Path, description: Model) -> Tensors | None:
    """The model's own input example as tensors; None where it is no array or there is none."""
    found: list[Any] = []
    with Attempt():
        found.append(description.load_input_example(str(path)))
    if not found or description.signature is None:
        return None
    if isinstance(found[0], Mapping):
        return {str(name): np.asarray(value) for name, value in found[0].items()}
    return {"input_0": found[0]} if isinstance(found[0], np.ndarray) else None


def _to_device(array: Array, device: str) -> torch.Tensor:
    tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
    return tensor if device == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def _onnx(path: Path, description: Model, device: str, threads: int) -> Loaded:
    import onnxruntime  # because it costs 20 MB and a thread, and most engines have no such model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    wanted = ["CUDAExecutionProvider"] * device.startswith("cuda") + ["CPUExecutionProvider"]
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    file = path / description.flavors["onnx"]["data"]
    session = onnxruntime.InferenceSession(str(file), options, providers=providers)
    inputs = [(item.name, item.type) for item in session.get_inputs()]
    outputs = [item.name for item in session.get_outputs()]
    stack = len(inputs) == 1 and description.signature is not None and not description.signature.inputs.is_tensor_spec()

    def run(tensors: Tensors, params: Params) -> Tensors:
        refuse_params(params)
        given = {inputs[0][0]: np.concatenate([*tensors.values()], axis=1)} if stack else _by_name(tensors, inputs)
        feed = {name: given[name].astype(_onnx_type(kind), copy=False) for name, kind in inputs}
        return as_outputs(dict(zip(outputs, session.run(None, feed), strict=True)))

    return Loaded(run, folder_bytes(path), "onnx")


def _by_name(tensors: Tensors, inputs: Sequence[tuple[str, str]]) -> Tensors:
    if all(name in tensors for name, _ in inputs):
        return tensors
    return {name: array for (name, _), array in zip(inputs, tensors.values(), strict=True)}


def _onnx_type(kind: str) -> str:
    names = {"float": "float32", "double": "float64", "bool": "bool", "string": "object", "float16": "float16"}
    inner = kind.removeprefix("tensor(").removesuffix(")")
    return names.get(inner, inner)


def _sklearn(model: Any, description: Model) -> Runner:
    named = hasattr(model, "feature_names_in_")
    single_text = not named and _is_one_text(description)

    def run(tensors: Tensors, params: Params) -> Tensors:
        refuse_params(params)
        data = next(iter(tensors.values())).ravel().tolist() if single_text else as_data(tensors, description)
        if not isinstance(model, type) and hasattr(model, "predict_proba") and np.ndim(model.classes_[0]) == 0:
            return {"probabilities": np.asarray(model.predict_proba(data), dtype=np.float64)}
        return as_outputs(model.predict(data))

    return run


def _pyfunc(model: Any, description: Model) -> Runner:
    return lambda tensors, params: as_outputs(model.predict(as_data(tensors, description), params=params or None))


def _is_one_text(description: Model) -> bool:
    if description.signature is None:
        return True
    kinds = [str(item.type) for item in description.signature.inputs.inputs]
    return len(kinds) == 1 and ("string" in kinds[0].lower() or "str" in kinds[0] or "object" in kinds[0])


def _classes_of(model: Any) -> dict[str, Any]:
    classes = getattr(model, "classes_", None)
    flat = classes is not None and all(np.ndim(name) == 0 for name in classes)
    return {"classes": [str(name) for name in classes]} if flat and classes is not None else {}


def as_data(tensors: Tensors, description: Model) -> Any:
    """The arrays in the form that MLflow's signature asks for: a frame, one array, several arrays, or a list."""
    signature = description.signature
    if signature is not None and signature.inputs.is_tensor_spec():
        named = signature.inputs.has_input_names()
        return dict(tensors) if named else next(iter(tensors.values()))
    if signature is None and list(tensors) == ["input"]:
        array = tensors["input"]
        return array.tolist() if array.dtype == object else array
    frame = pd.DataFrame({name: array.reshape(len(array), -1)[:, 0] for name, array in tensors.items()})
    if signature is not None and not signature.inputs.has_input_names():
        frame.columns = pd.RangeIndex(frame.shape[1])
    return frame


def as_outputs(answer: Any) -> Tensors:
    """Named arrays from whatever a model returned: array, frame, series, list, mapping, tensors or boxes."""
    if (boxes := padded(answer)) is not None:
        return boxes
    if isinstance(answer, pd.DataFrame):
        return {str(name): _plain(answer[name].to_numpy()) for name in answer.columns}
    if isinstance(answer, Mapping):
        return {str(name): _plain(value) for name, value in answer.items()}
    if isinstance(answer, tuple) or (isinstance(answer, list) and answer and isinstance(answer[0], torch.Tensor)):
        return {f"output_{index}": _plain(value) for index, value in enumerate(answer)}
    if isinstance(answer, list) and answer and all(isinstance(row, Mapping) for row in answer):
        return as_outputs(pd.DataFrame(answer))
    return {"output": _plain(answer)}


def _plain(value: Any) -> Array:
    if isinstance(value, torch.Tensor):
        value = value.detach().to("cpu")
        return np.asarray(value.float() if value.dtype == torch.bfloat16 else value)
    array = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
    return (
        array
        if array.dtype.kind in "biuf"
        else np.array([str(item) for item in array.ravel()], object).reshape(array.shape)
    )


def missing_requirements(path: Path) -> tuple[str, ...]:
    """The lines of the model's requirements.txt that this environment does not meet, with what is installed."""
    file = path / "requirements.txt"
    return unmet(file.read_text().splitlines() if file.exists() else [])


def _explained(path: Path, error: Exception) -> ModelUnavailable:
    if isinstance(error, DashboardError):
        return ModelUnavailable(str(error))
    unmet = missing_requirements(path)
    advice = f" Its requirements are not met here: {', '.join(unmet)}." if unmet else ""
    text = re.sub(r"\s+", " ", str(error))[:300]
    return ModelUnavailable(f"The model cannot be loaded: {type(error).__name__}: {text}.{advice}")


def resident_bytes() -> int:
    """Memory of this process that is held in RAM; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    if sys.platform != "linux" or not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def chosen_device(wanted: str) -> str:
    """The device of the engine; raises ModelUnavailable when the one asked for is not there."""
    found = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda:0" if found else "cpu"
    if wanted.startswith("cuda") and not found:
        raise ModelUnavailable(f"VITRINE_DEVICE is {wanted!r}, but torch finds no GPU here; 'auto' or 'cpu' work.")
    return "cuda:0" if wanted == "cuda" else wanted
