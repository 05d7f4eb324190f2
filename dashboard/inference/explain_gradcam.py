"""Grad-CAM: where in a picture a convolutional network saw what speaks for a class.

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization" (ICCV).
Networks that flatten their last feature maps weigh every place differently, so that the mean gradient says little:
HiResCAM (Draelos and Carin 2020, arXiv:2011.08891) keeps the gradient of each place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dashboard.inference.protocol import Array
from mlflow_runs.errors import ModelUnavailable

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish)
_OPERATIONS = ("conv", "relu", "elu", "silu", "hardswish", "mish")
_SOFTMAXES = (nn.Softmax, nn.LogSoftmax)


@dataclass(frozen=True)
class Trace:
    """One forward pass: the feature maps by layer name in the order they were made, and the classes' scores.

    Feature maps are the outputs of convolutions and of the activations behind them. `scores` has shape (1, classes):
    what enters the last softmax where one ends the network, else its output.
    """

    layers: Mapping[str, Tensor]
    scores: Tensor


def trace(module: nn.Module, image: Tensor) -> Trace:
    """Run one picture (1 x ...) and keep what Grad-CAM needs, gradients included.

    Exported programs have no modules to hook into: they are interpreted operation by operation. Only layers that look
    at more than one place (height x width > 1) count; the last one is the usual choice.
    """
    given = image.detach().clone().requires_grad_(image.is_floating_point())
    seen: dict[str, Tensor] = {}
    before: list[Tensor] = []
    with torch.enable_grad():
        run = _interpreted if isinstance(module, torch.fx.GraphModule) else _hooked
        output = _scores(run(module, given, seen, before))
    layers = {name: found for name, found in seen.items() if found.ndim == 4 and found.shape[2] * found.shape[3] > 1}
    return Trace(layers, _logits(output, before))


def gradcam(found: Trace, layer: str, index: int) -> Array:
    """The layer's map for the class at `index`: relu(sum over channels of mean gradient x activation).

    Shape (height, width) of the layer, float32, not scaled. ModelUnavailable where no gradient reaches the layer.
    """
    gradient = _gradient(found, layer, index)
    return _map(gradient.mean(dim=(2, 3), keepdim=True) * found.layers[layer])


def hirescam(found: Trace, layer: str, index: int) -> Array:
    """The same without the mean: relu(sum over channels of gradient x activation), place by place."""
    return _map(_gradient(found, layer, index) * found.layers[layer])


def _gradient(found: Trace, layer: str, index: int) -> Tensor:
    one = found.scores.shape[1] == 1
    score = found.scores[0, 0] * (1 if index else -1) if one else found.scores[0, index]
    gradient = torch.autograd.grad(score, found.layers[layer], retain_graph=True, allow_unused=True)[0]
    if gradient is None:
        raise ModelUnavailable(f"The score does not depend on the layer {layer!r}; choose another one.")
    return gradient


def _map(weighted: Tensor) -> Array:
    return torch.relu(weighted.sum(dim=1))[0].detach().float().cpu().numpy()


def _hooked(module: nn.Module, image: Tensor, seen: dict[str, Tensor], before: list[Tensor]) -> Any:
    def remember(name: str, convolution: bool) -> Callable[..., None]:
        return lambda _module, _args, output: _keep(seen, name, output, convolution)

    handles = []
    for name, part in module.named_modules():
        if isinstance(part, _CONVOLUTIONS + _ACTIVATIONS):
            handles.append(part.register_forward_hook(remember(name, isinstance(part, _CONVOLUTIONS))))
        elif isinstance(part, _SOFTMAXES):
            handles.append(part.register_forward_pre_hook(lambda _module, args: before.append(args[0])))
    try:
        return module(image)
    finally:
        for handle in handles:
            handle.remove()


def _interpreted(module: nn.Module, image: Tensor, seen: dict[str, Tensor], before: list[Tensor]) -> Any:
    class Recorder(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            found = super().run_node(n)
            operation = str(n.target)
            if n.op == "call_function" and any(name in operation for name in _OPERATIONS):
                _keep(seen, _layer_name(n), found, "conv" in operation)
            if n.op == "call_function" and "softmax" in operation:
                before.append(self.fetch_args_kwargs_from_env(n)[0][0])
            return found

    assert isinstance(module, torch.fx.GraphModule)
    return Recorder(module).run(image)


def _keep(seen: dict[str, Tensor], name: str, output: Any, convolution: bool) -> None:
    """Remember a feature map; one that is made twice under a name keeps its last place and output."""
    if isinstance(output, Tensor) and (convolution or seen):  # because what comes before a convolution is no feature
        seen.pop(name, None)
        seen[name] = output


def _layer_name(node: torch.fx.Node) -> str:
    """The module that an exported operation came from, else the operation's own name."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]).removeprefix("L['self'].") if stack and stack[-1][0] else node.name


def _scores(output: Any) -> Tensor:
    first = output
    while not isinstance(first, Tensor):
        parts = list(first.values()) if isinstance(first, Mapping) else list(first)
        first = parts[0]
    return first.reshape(1, -1)


def _logits(output: Tensor, before: list[Tensor]) -> Tensor:
    """The input of the last softmax if that made the output; a saturated probability has hardly any gradient."""
    for scores in reversed(before):
        flat = scores.reshape(1, -1)
        same = flat.shape == output.shape and torch.allclose(flat.softmax(1), output, atol=1e-5)
        if same or (flat.shape == output.shape and torch.allclose(flat.log_softmax(1), output, atol=1e-4)):
            return flat
    return output
