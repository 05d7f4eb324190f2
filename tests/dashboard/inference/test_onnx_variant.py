"""The ONNX form as a loaded model: only when allowed and equal, and with the PyTorch model's names and shapes."""

import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dashboard.errors import BadInput
from dashboard.settings import Settings
from mlflow_runs.errors import ModelUnavailable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # because importing mlflow.pyfunc warns about MLflow's own type hints
    from dashboard.inference import onnx_variant

WEIGHTS = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, serve_onnx=True)


def model_of(nodes, constants=()):
    """A model from x (any rows, 3) to y."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], constants), opset_imports=imports, ir_version=9)


def kept(settings, equal=True, stacked=False):
    """The ONNX form of model "m-1", y = x @ W, with its verdict."""
    folder = onnx_variant.variant_folder(settings, "m-1")
    nodes = [helper.make_node("MatMul", ["x", "W"], ["y"])]
    onnx.save(
        model_of(nodes, [helper.make_tensor("W", TensorProto.FLOAT, (3, 2), WEIGHTS.ravel())]), folder / "model.onnx"
    )
    onnx_variant.keep_verdict(folder, equal, ["scores"], stacked)


def test_it_is_served_only_when_allowed_equal_and_of_these_versions(settings):
    assert not onnx_variant.approved(settings, "m-1")
    kept(settings, equal=False)
    assert not onnx_variant.approved(settings, "m-1")
    kept(settings)
    assert onnx_variant.approved(settings, "m-1")
    assert not onnx_variant.approved(settings.model_copy(update={"serve_onnx": False}), "m-1")
    verdict = onnx_variant.variant_folder(settings, "m-1") / "verdict.json"
    verdict.write_text(verdict.read_text().replace('"torch": "', '"torch": "0'))
    assert not onnx_variant.approved(settings, "m-1")


@pytest.mark.parametrize("stacked", [False, True])
def test_it_answers_under_the_models_own_output_names(settings, stacked):
    kept(settings, stacked=stacked)
    loaded = onnx_variant.load_variant(settings, "m-1", "cpu", 1)
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = {str(column): rows[:, [column]].astype(np.float64) for column in range(3)} if stacked else {"any": rows}
    found = loaded.run(tensors, {})
    assert list(found) == ["scores"]
    np.testing.assert_allclose(found["scores"], rows @ WEIGHTS)
    assert loaded.nbytes > 100
    with pytest.raises(BadInput):
        loaded.run(tensors, {"depth": 3})


def test_an_operator_that_the_runtime_lacks_is_named(tmp_path):
    onnx.save(model_of([helper.make_node("Telepathy", ["x"], ["y"], domain="mine")]), tmp_path / "m.onnx")
    with pytest.raises(ModelUnavailable, match="Telepathy"):
        onnx_variant.open_session(tmp_path / "m.onnx", "CPUExecutionProvider", 1)


def test_providers_that_compute_elsewhere_are_left_out():
    assert "CPUExecutionProvider" in onnx_variant.providers()
    assert "AzureExecutionProvider" not in onnx_variant.providers()


def test_a_provider_that_does_not_start_is_told(settings):
    kept(settings)
    file = onnx_variant.variant_folder(settings, "m-1") / "model.onnx"
    with pytest.raises(ModelUnavailable, match="TensorrtExecutionProvider"), pytest.warns(UserWarning):
        onnx_variant.open_session(file, "TensorrtExecutionProvider", 1)
