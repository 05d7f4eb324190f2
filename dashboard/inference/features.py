"""The heavy worker's task "features": what a network sees in pictures, the numbers that enter its last linear layer."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dashboard.inference.explain import loaded_model
from dashboard.inference.loading import chosen_device
from dashboard.inference.protocol import Tensors
from dashboard.settings import Settings
from mlflow_runs.errors import ModelUnavailable

Tell = Callable[[str, float], None]
_ROWS = 32


def features(
    settings: Settings, arguments: Mapping[str, Any], tensors: Tensors, tell: Tell
) -> tuple[dict[str, Any], Tensors]:
    """`arguments`: model, its id. Tensors: the pictures as the model takes them, n x ...; the answer's are n x d.

    ModelUnavailable where the network cannot be reached or does not end in a linear layer.
    """
    tell("Loading the model", 0.02)
    module = loaded_model(settings, str(arguments["model"])).module
    if module is None:
        raise ModelUnavailable("The inner layers of this model cannot be reached.")
    (pictures,) = tensors.values()
    device, found = chosen_device(settings.device), []
    for start in range(0, len(pictures), _ROWS):
        tell("Looking at the pictures", 0.1 + 0.9 * start / len(pictures))
        batch = torch.from_numpy(pictures[start : start + _ROWS].copy()).to(device)
        found.append(penultimate(module, batch).float().cpu().numpy())
    return {"result": {}}, {"features": np.concatenate(found)}


def penultimate(module: nn.Module, batch: Tensor) -> Tensor:
    """What enters the last linear layer, n x d; exported programs are interpreted operation by operation."""
    held: list[Tensor] = []
    with torch.inference_mode():
        (_interpreted if isinstance(module, torch.fx.GraphModule) else _hooked)(module, batch, held)
    if not held or held[-1].ndim != 2 or len(held[-1]) != len(batch):
        raise ModelUnavailable("The network does not end in a linear layer.")
    return held[-1]


def _hooked(module: nn.Module, batch: Tensor, held: list[Tensor]) -> None:
    layers = [part for part in module.modules() if isinstance(part, nn.Linear)]
    handles = [part.register_forward_pre_hook(lambda _part, given: held.append(given[0])) for part in layers]
    try:
        module(batch)
    finally:
        for handle in handles:
            handle.remove()


def _interpreted(module: nn.Module, batch: Tensor, held: list[Tensor]) -> None:
    class Recorder(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            operation = str(n.target)
            if n.op == "call_function" and ("linear" in operation or "addmm" in operation):
                held.append(self.fetch_args_kwargs_from_env(n)[0][1 if "addmm" in operation else 0])
            return super().run_node(n)

    assert isinstance(module, torch.fx.GraphModule)
    Recorder(module).run(batch)
