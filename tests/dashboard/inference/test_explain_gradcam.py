"""Grad-CAM against the formula written out, against captum, and the same for a network and its exported program."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam

from dashboard.inference.explain_gradcam import gradcam, hirescam, trace
from mlflow_runs.errors import ModelUnavailable


def net(end=True):
    """Two convolutions, ten classes, a softmax at the end."""
    torch.manual_seed(1)
    body = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(96, 10),
    )  # fmt: skip
    return torch.nn.Sequential(body, torch.nn.Softmax(dim=1)).eval() if end else body.eval()


IMAGE = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 1, 8, 8)).astype(np.float32))


def by_hand(index):
    """The linear layer's weights are the gradient: relu(sum of mean(weights) * activation), and without the mean."""
    torch.manual_seed(3)
    conv, linear = torch.nn.Conv2d(1, 2, 3, bias=False), torch.nn.Linear(2 * 36, 3)
    module = torch.nn.Sequential(conv, torch.nn.Flatten(), linear).eval()
    activation = torch.nn.functional.conv2d(IMAGE, conv.weight)[0].detach().numpy()
    slopes = linear.weight[index].detach().numpy().reshape(2, 6, 6)
    maps = [sum(weight * activation[k] for k, weight in enumerate(kind)) for kind in (slopes.mean(axis=(1, 2)), slopes)]
    return module, *(np.maximum(found, 0) for found in maps)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_maps_are_those_computed_by_hand(index):
    module, expected, finer = by_hand(index)
    found = trace(module, IMAGE)
    assert list(found.layers) == ["0"]
    np.testing.assert_allclose(gradcam(found, "0", index), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(hirescam(found, "0", index), finer, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", ["0.0", "0.1", "0.3", "0.4"])
def test_the_map_is_captums_of_the_scores_before_the_softmax(layer):
    module, body = net(), net(end=False)
    expected = LayerGradCam(body, dict(body.named_modules())[layer.removeprefix("0.")]).attribute(
        IMAGE, target=7, relu_attributions=True
    )
    found = gradcam(trace(module, IMAGE), layer, 7)
    np.testing.assert_allclose(found, expected[0, 0].detach().numpy(), rtol=1e-4, atol=1e-6)


def test_an_exported_program_has_the_same_layers_and_maps():
    module = net()
    batch = torch.export.Dim.AUTO
    exported = torch.export.export(module, (IMAGE.repeat(2, 1, 1, 1),), dynamic_shapes=({0: batch},)).module()
    plain, found = trace(module, IMAGE), trace(exported, IMAGE)
    assert list(found.layers) == list(plain.layers) == ["0.0", "0.1", "0.3", "0.4"]
    for layer in found.layers:
        np.testing.assert_allclose(gradcam(found, layer, 3), gradcam(plain, layer, 3), rtol=1e-4, atol=1e-6)


def test_layers_before_a_convolution_or_with_one_place_only_are_left_out():
    module = torch.nn.Sequential(
        torch.nn.ReLU(), torch.nn.Conv2d(1, 3, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Conv2d(3, 2, 1)
    )
    assert list(trace(module.eval(), IMAGE).layers) == ["1"]


def test_one_output_means_two_classes_of_opposite_sign():
    torch.manual_seed(3)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(72, 1)).eval()
    found = trace(module, IMAGE)
    both = gradcam(found, "0", 1), gradcam(found, "0", 0)
    assert (both[0] * both[1] == 0).all()
    assert both[0].any() or both[1].any()


def test_a_layer_without_influence_is_told():
    class Idle(torch.nn.Module):
        """Its convolution leads nowhere."""

        def __init__(self):
            super().__init__()
            self.conv, self.linear = torch.nn.Conv2d(1, 1, 3), torch.nn.Linear(64, 2)

        def forward(self, x):
            self.conv(x)
            return self.linear(x.flatten(1))

    with pytest.raises(ModelUnavailable, match="'conv'"):
        gradcam(trace(Idle().eval(), IMAGE), "conv", 0)
