"""Export with a free batch axis; what stands in the way is named."""

import numpy as np
import onnxruntime
import pytest
import torch

from dashboard.inference.onnx_export import CannotExport, export, operator_in
from tests.dashboard.inference.nets import Bessel, cnn

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # from torch's exporter


class Branch(torch.nn.Module):
    """Its path depends on the data, which no graph can hold."""

    def forward(self, x):
        return x + 1 if x.sum() > 0 else x - 1


@torch.library.custom_op("vitrinetest::double", mutates_args=())
def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@double.register_fake
def _(x):
    return torch.empty_like(x)


class Custom(torch.nn.Module):
    """Uses an operator of its author's own."""

    def forward(self, x):
        return double(x)


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
def test_the_exported_model_takes_any_number_of_rows_and_agrees(tmp_path_factory, rows):
    file = tmp_path_factory.getbasetemp() / "cnn.onnx"
    if not file.exists():
        assert export(cnn(), [torch.zeros(2, 1, 8, 8)], file) == "torch.export"
    given = np.random.default_rng(rows).normal(size=(rows, 1, 8, 8)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: given})
    with torch.no_grad():
        np.testing.assert_allclose(found, cnn()(torch.from_numpy(given)).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("module", "operator"), [(Bessel(), "bessel_j0"), (Custom(), "vitrinetest.double")])
def test_an_operator_without_onnx_form_is_named(tmp_path, module, operator):
    with pytest.raises(CannotExport, match=operator.replace(".", r"\W+")) as told:
        export(module, [torch.ones(2, 3)], tmp_path / "m.onnx")
    assert operator.split(".")[-1] in told.value.operator


def test_code_that_has_no_graph_is_told_in_a_sentence(tmp_path):
    with pytest.raises(CannotExport, match="data-dependent") as told:
        export(Branch(), [torch.ones(3, 2)], tmp_path / "m.onnx")
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


def test_an_operator_is_found_in_the_messages_of_the_runtime():
    text = "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for Gelu(20) node with name 'g'"
    assert operator_in(RuntimeError(text)) == "Gelu"
    assert operator_in(RuntimeError("Fatal error: mine:Odd(-1) is not a registered function/op")) == "mine:Odd"
    assert operator_in(RuntimeError("out of memory")) == ""
