"""What enters the last linear layer is what a network sees."""

import warnings

import pytest
import torch
from torch import nn

from mlflow_runs.errors import ModelUnavailable


@pytest.fixture(scope="module")
def penultimate():
    """Imported late, because MLflow warns when it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dashboard.inference.features import penultimate as found
    return found


def network():
    """1 x 8 x 8 pictures, five numbers before the last layer."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5), nn.ReLU(), nn.Linear(5, 3), nn.Softmax(1)
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("exported", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_the_numbers_before_the_last_layer(penultimate, exported):
    plain, pictures = network(), torch.rand(4, 1, 8, 8)
    batch = {0: torch.export.Dim("n")}
    module = torch.export.export(plain, (pictures,), dynamic_shapes=(batch,)).module() if exported else plain
    torch.testing.assert_close(penultimate(module, pictures), plain[:5](pictures))


def test_a_network_without_a_linear_layer_at_its_end_is_told(penultimate):
    with pytest.raises(ModelUnavailable, match="does not end in a linear layer"):
        penultimate(nn.Conv2d(1, 2, 3), torch.rand(4, 1, 8, 8))
