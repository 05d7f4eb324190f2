"""The classical effects: against their definitions, and within the range of a picture."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from mlflow_runs.demo.effects import blur, brightness, kuwahara, slope
from mlflow_runs.demo.photo_styles import STYLES


@pytest.fixture
def photo():
    return torch.from_numpy(np.random.default_rng(0).random((1, 3, 24, 30), np.float32))


@pytest.mark.parametrize("name", STYLES)
def test_every_effect_gives_a_picture_of_the_same_size(photo, name):
    painted = STYLES[name][0](photo)
    assert painted.shape == photo.shape
    assert torch.isfinite(painted).all() and painted.min() >= 0 and painted.max() <= 1


def test_blur_and_slope_are_those_of_scipy(photo):
    grey = brightness(photo)
    radius = int(3 * 1.5)
    wanted = ndimage.gaussian_filter(grey[0, 0].numpy(), 1.5, mode="mirror", radius=radius)
    assert np.allclose(blur(grey, 1.5)[0, 0], wanted, atol=1e-5)
    right, down = slope(grey)
    assert np.allclose(right[0, 0], ndimage.sobel(grey[0, 0].numpy(), axis=1, mode="mirror") / 4, atol=1e-5)
    assert np.allclose(down[0, 0], ndimage.sobel(grey[0, 0].numpy(), axis=0, mode="mirror") / 4, atol=1e-5)


def test_kuwahara_keeps_an_edge_that_a_blur_would_wash_out():
    step = torch.zeros(1, 3, 16, 16)
    step[..., 8:] = 1
    assert torch.allclose(kuwahara(step, 3), step, atol=1e-3)
    assert not torch.allclose(blur(step, 2.0), step, atol=0.2)
