"""Models that nobody prepared: logged with MLflow's default options, they have a form that works and an answer."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer

from dashboard.inference.cards import model_card
from dashboard.inference.inputs import decode_input
from dashboard.inference.outputs import predictions
from dashboard.reports.inference import FormField, InferenceForm
from layouts import inference
from tests.conftest import CHECKOUT
from tests.layouts.test_inference import parts_of

ROW = load_breast_cancer(as_frame=True).data.iloc[0].to_dict()
# a process of its own, because MLflow's store and experiment are global
LOG = """
import json, sys, mlflow, torch, numpy as np
from tests.dashboard.inference.small_models import onnx_model, table_model
uri, artifacts = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_experiment(experiment_id=mlflow.create_experiment("plain", artifact_location=artifacts))
torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Linear(3, 2))
logs = {
    "torch": lambda: mlflow.pytorch.log_model(module, input_example=np.zeros((2, 3), np.float32)),
    "onnx": lambda: mlflow.onnx.log_model(onnx_model()),
    "pipeline": lambda: mlflow.sklearn.log_model(table_model()),
}
runs = {}
for name, log in logs.items():
    with mlflow.start_run(run_name=name) as run:
        log()
    runs[name] = run.info.run_id
print(json.dumps(runs))
"""


@pytest.fixture(scope="module")
def late():
    """`load` and `run_row`; imported late, because MLflow warns when it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dashboard.inference.loading import load
        from tests.dashboard.inference.small_models import run_row
    return load, run_row


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Client and run ids of a torch module (its default form asks for an example), an ONNX file and a pipeline."""
    folder = tmp_path_factory.mktemp("plain")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    # without guessing requirements, which takes a process and ten seconds for each model
    own = os.environ | {"MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-W", "ignore", "-c", LOG, uri, str(folder / "artifacts")]
    done = subprocess.run(command, cwd=CHECKOUT, env=own, capture_output=True, text=True, check=True, timeout=120)
    return MlflowClient(uri, uri), json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("name", "kind", "written"),
    [
        ("torch", "tensor", ("1, 2, 3", "[1, 2, 3]", "[[1, 2, 3]]")),
        ("onnx", "other", ("[1, 2, 3]", "[[1, 2, 3]]")),
        ("pipeline", "other", (json.dumps(ROW), json.dumps([ROW]), json.dumps(list(ROW.values())))),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_model_logged_with_default_options_has_a_form_that_works(plain, late, name, kind, written):
    (client, runs), (load, run_row) = plain, late
    row = run_row(client, runs[name])
    card = model_card(row)
    form = InferenceForm(row, card, tuple(FormField(field, field.example) for field in card.inputs))
    (control,) = parts_of(inference.render(form), "Textarea")
    assert (card.kind, control.id["as"], inference.kind(form)) == (kind, "json", "fields")
    model = client.get_logged_model(card.model_id)
    loaded = load(Path(model.artifact_location), "cpu")
    said = []
    for text in written:
        sample = decode_input(card, {control.id["name"]: text})
        said += predictions(card, loaded.run(sample, {}), loaded.facts, 1)
    assert all(one == said[0] for one in said)
    assert (said[0].label == "0") if name == "pipeline" else len(said[0].raw) == 2
