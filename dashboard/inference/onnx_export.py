"""From a PyTorch module to an ONNX file with a free batch axis; names the operator that stands in the way."""

import importlib.util
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dashboard.inference.attempt import Attempt
from mlflow_runs.errors import ModelUnavailable

_OPERATORS = (
    re.compile(r"No ONNX function found for <OpOverload\(op='([\w.:]+)'"),
    re.compile(r"No ONNX function found for ([\w.:]+)"),
    re.compile(r"operator '([\w:.]+)' to ONNX"),
    re.compile(r"Could not find an implementation for (?:the node )?(?:[\w/]+:)?(\w+)\("),
    re.compile(r"No Op registered for (\w+)"),
    re.compile(r"([\w.:]+)\(-?\d+\) is not a registered function"),
    re.compile(r"torch\.ops\.([\w.]+?)(?:\.default)?\b.*(?:fake|meta|abstract)"),
    re.compile(r"call_function\[target=torch\.ops\.([\w.]+)\]"),
)


class CannotExport(ModelUnavailable):
    """The model has no ONNX form here; `operator` names the one that stands in the way, if it is one."""

    def __init__(self, text: str, operator: str = "") -> None:
        super().__init__(text)
        self.operator = operator


def export(module: torch.nn.Module, inputs: Sequence[torch.Tensor], file: Path) -> str:
    """Write the module as ONNX, first axis of every input free; the exporter's name is returned.

    `inputs` are an example with at least two rows. Weights lie in the file, or beside it where they are large. Raises
    CannotExport, naming the operator where one is to blame.
    """
    modern = importlib.util.find_spec("onnxscript") is not None
    with Attempt() as attempt, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # because they are addressed to the model's author
        (_modern if modern else _classic)(module, tuple(inputs), file)
    if attempt.error is not None:
        raise _explained(attempt.error) from attempt.error
    return "torch.export" if modern else "TorchScript"


def _modern(module: Any, inputs: tuple[torch.Tensor, ...], file: Path) -> None:
    free = tuple({0: torch.export.Dim.AUTO} for _ in inputs)
    program = torch.onnx.export(module, inputs, dynamo=True, dynamic_shapes=free, verbose=False)
    if program is None:
        raise CannotExport("The exporter returned nothing.")
    program.save(str(file))


def _classic(module: Any, inputs: tuple[torch.Tensor, ...], file: Path) -> None:
    names = [f"input_{place}" for place in range(len(inputs))]
    axes = {name: {0: "batch"} for name in names}
    torch.onnx.export(module, inputs, str(file), dynamo=False, input_names=names, dynamic_axes=axes)


def operator_in(error: BaseException) -> str:
    """The operator that an exporter's or runtime's error is about, the innermost cause first; else ""."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    texts = [str(item) for item in reversed(chain)]
    return next((found[1] for pattern in _OPERATORS for text in texts if (found := pattern.search(text))), "")


def _explained(error: Exception) -> CannotExport:
    if isinstance(error, CannotExport):
        return error
    if operator := operator_in(error):
        return CannotExport(f"The operator {operator} has no ONNX form; the model cannot be exported.", operator)
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return CannotExport(f"The export failed: {type(cause).__name__}: {' '.join(str(cause).split())[:240]}")
