"""Explanations through the real heavy worker: every kind of model, the right method, what cannot be done."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from dashboard.errors import BadInput
from dashboard.inference.explain_gradcam import gradcam, trace
from dashboard.inference.explain_record import unpack
from dashboard.inference.heavy_lane import HeavyLane
from mlflow_runs.errors import ModelUnavailable
from tests.dashboard.inference.nets import cnn, regression_model, table_model, text_model

pytestmark = pytest.mark.process
IMAGE = np.random.default_rng(3).normal(size=(1, 1, 8, 8)).astype(np.float32)


def why(engine, run, tensors, tell=lambda *_: None, **how):
    """The explanation of one input of that model."""
    message = HeavyLane(engine.data_dir).ask("explain", {"run": engine.runs[run], **how}, tensors, tell)
    return unpack(message.header, message.tensors)


def test_pictures_get_the_grad_cam_of_the_network(engine):
    found = why(engine, "pt2", {"input": IMAGE}, target="two")
    expected = gradcam(trace(cnn(), torch.from_numpy(IMAGE)), "1", 2)
    assert expected.any()
    np.testing.assert_allclose(found.map, expected, rtol=1e-4, atol=1e-6)
    assert (found.method, found.layer, found.layers) == ("gradcam", "1", ("0", "1"))
    assert found.able == ("gradcam", "hirescam", "occlusion", "gradients")


def test_other_methods_explain_the_same_picture_and_the_predicted_class(engine):
    with torch.no_grad():
        chances = torch.softmax(cnn()(torch.from_numpy(IMAGE)), 1)[0].numpy()
    steps = []
    for method in ("occlusion", "gradients"):
        found = why(engine, "pt2", {"input": IMAGE}, lambda *told: steps.append(told), method=method)
        assert (found.method, found.map.shape) == (method, (8, 8))
        assert found.target == ("zero", "one", "two")[chances.argmax()]
        assert found.score == pytest.approx(chances.max(), abs=1e-5)
    # completeness: integrated gradients add up to the output's distance from that of an input of zeros
    outputs = cnn()(torch.from_numpy(np.concatenate([IMAGE, IMAGE * 0]))).detach()[:, int(chances.argmax())]
    assert found.map.sum() == pytest.approx(float(outputs[0] - outputs[1]), abs=0.02)
    assert all(0 <= share <= 1 for _, share in steps)


def test_words_are_left_out_of_texts(engine):
    text = "plot a line of zeros"
    found = why(engine, "text", {"text": np.array([[text]], dtype=object)}, target="matplotlib")
    model = text_model()
    at = list(model.classes_).index("matplotlib")
    full, without = model.predict_proba([text, "a line of zeros"])[:, at]
    assert [part.name for part in found.parts] == text.split()
    assert found.parts[0].effect == pytest.approx(full - without)
    assert found.score == pytest.approx(full)


@pytest.mark.parametrize(("run", "exact"), [("regression", True), ("table", False)])
def test_columns_of_a_row_add_up_to_the_score(engine, run, exact):
    data = load_breast_cancer(as_frame=True).data
    model = regression_model() if exact else table_model()
    names = list(model.feature_names_in_)
    frame = data[data.columns[:10]].set_axis(names, axis=1) if exact else data
    tensors = {name: frame[name].to_numpy()[:1, None] for name in names}
    rows = {f"background/{name}": frame[name].to_numpy()[5:25, None] for name in names}
    found = why(engine, run, tensors | rows)
    assert (found.method, found.exact) == ("shapley", exact)
    answer = model.predict if exact else lambda x: model.predict_proba(x)[:, model.classes_ == int(found.target)][:, 0]
    assert found.score == pytest.approx(answer(frame[:1])[0])
    assert found.base == pytest.approx(answer(frame[5:25]).mean())
    assert sum(part.effect for part in found.parts) == pytest.approx(found.score - found.base)


def test_an_answer_that_is_neither_class_nor_number_is_told(engine):
    with pytest.raises(ModelUnavailable, match="neither a class nor a number"):
        why(engine, "onnx", {"x": np.array([[1.0, 2.0, 3.0]], np.float32)})


@pytest.mark.parametrize(
    ("how", "words"),
    [({"target": "nine"}, "'nine'"), ({"layer": "7"}, "'7'"), ({"method": "magic"}, "'magic'")],
)
def test_what_does_not_exist_is_named(engine, how, words):
    with pytest.raises(BadInput, match=words):
        why(engine, "pt2", {"input": IMAGE}, **how)
