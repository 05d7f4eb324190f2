"""Small real models, logged with plain MLflow into a SQLite store, for the engine's tests.

`python -m tests.dashboard.inference.small_models FOLDER` fills the folder with store, artifacts, index and runs.json;
a process of its own, because MLflow's imports warn and its fluent functions leave global state behind.
"""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import Model
from onnx import TensorProto, helper
from sklearn.datasets import load_breast_cancer, load_diabetes

from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.records import ModelInfo, RunRow
from tests.dashboard.inference.nets import TEXTS, Bessel, cnn, heavy, regression_model, table_model, text_model

IMAGE_METADATA = {
    "size": {"height": 8, "width": 8},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "image_mean": [0.5],
    "image_std": [0.25],
    "id2label": {"0": "zero", "1": "one", "2": "two"},
}


class Counting(mlflow.pyfunc.PythonModel):
    """Doubles its column; each load and each call leaves a line in a file."""

    def load_context(self, context: Any) -> None:
        _line("load")

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        _line("predict")
        import time

        time.sleep(0.2)
        return model_input["x"] * 2.0


class Moody(mlflow.pyfunc.PythonModel):
    """Raises, hangs, exits or answers garbage when asked to."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        import sys
        import time

        for mood in model_input["mood"]:
            if mood == "raise":
                raise ZeroDivisionError("the mood is bad")
            if mood == "hang":
                time.sleep(3600)
            if mood == "exit":
                sys.exit(3)
            if mood == "short":
                return np.zeros(len(model_input) + 1)
            if mood == "nan":
                return np.full(len(model_input), np.nan)
            if mood == "die":
                os.kill(os.getpid(), 9)
        return np.ones(len(model_input))


class Unloadable(mlflow.pyfunc.PythonModel):
    """Needs a package that is not there."""

    def load_context(self, context: Any) -> None:
        import surely_not_installed  # noqa: F401

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        return model_input


class Pinned(mlflow.pyfunc.PythonModel):
    """Answers with the major version of a package that it needs in another version than this environment has."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        import importlib.metadata

        import iniconfig

        major = int(importlib.metadata.version("iniconfig").split(".")[0])
        return model_input["x"] * 0.0 + (major if iniconfig.__name__ == "iniconfig" else 0)


def _line(word: str) -> None:
    with Path(os.environ["COUNTING_FILE"]).open("a") as file:
        file.write(word + "\n")


def onnx_model() -> Any:
    """y = x @ W with x of 3 numbers."""
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    tensor = helper.make_tensor("W", TensorProto.FLOAT, (3, 2), weights.ravel())
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [tensor],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def log_all(uri: str, artifacts: Path) -> dict[str, str]:
    """Log one run per model; name -> run id."""
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("models", artifact_location=str(artifacts))
    mlflow.set_experiment("models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _log_all()


def _log_all() -> dict[str, str]:
    cancer, diabetes = load_breast_cancer(as_frame=True), load_diabetes(as_frame=True)
    sklearn = {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
    frame, image = pd.DataFrame({"x": [1.0, 2.0]}), np.zeros((2, 1, 8, 8), np.float32)
    moods = pd.DataFrame({"mood": ["fine", "fine"]})
    runs = {}
    for name, log in {
        "text": lambda: mlflow.sklearn.log_model(
            text_model(), name="m", input_example=pd.DataFrame({"text": TEXTS}), **sklearn
        ),
        "bare": lambda: mlflow.sklearn.log_model(text_model(), name="m", **sklearn),
        "table": lambda: mlflow.sklearn.log_model(
            table_model(), name="m", input_example=cancer.data.head(3), **sklearn
        ),
        "regression": lambda: mlflow.sklearn.log_model(
            regression_model(),
            name="m",
            input_example=diabetes.data.head(3),
            **sklearn,
        ),
        "pt2": lambda: mlflow.pytorch.log_model(
            cnn(), name="m", input_example=image, pip_requirements=["torch"], metadata=IMAGE_METADATA
        ),
        "pickled": lambda: mlflow.pytorch.log_model(
            cnn(), name="m", input_example=image, pip_requirements=["torch"], serialization_format="pickle"
        ),
        "bessel": lambda: mlflow.pytorch.log_model(
            Bessel(),
            name="m",
            input_example=np.zeros((2, 3), np.float32),
            pip_requirements=["torch"],
            serialization_format="pickle",
        ),
        "heavy": _heavy,
        "heavier": _heavy,
        "onnx": lambda: mlflow.onnx.log_model(
            onnx_model(), name="m", input_example=np.zeros((2, 3), np.float32), pip_requirements=["onnxruntime"]
        ),
        "counting": lambda: mlflow.pyfunc.log_model(
            name="m", python_model=Counting(), input_example=frame, pip_requirements=["mlflow"]
        ),
        **dict.fromkeys(
            ("doomed", "gone"),
            lambda: mlflow.pyfunc.log_model(
                name="m", python_model=Moody(), input_example=moods, pip_requirements=["mlflow"]
            ),
        ),
        "moody": lambda: mlflow.pyfunc.log_model(
            name="m", python_model=Moody(), input_example=moods, pip_requirements=["mlflow"]
        ),
        "pinned": lambda: mlflow.pyfunc.log_model(
            name="m", python_model=Pinned(), input_example=frame, pip_requirements=["iniconfig==99.0", "mlflow"]
        ),
        "unloadable": lambda: mlflow.pyfunc.log_model(
            name="m", python_model=Unloadable(), pip_requirements=["surely-not-installed==7.1", "mlflow"]
        ),
    }.items():
        with mlflow.start_run(run_name=name) as run:
            log()
        runs[name] = run.info.run_id
    return runs


def _heavy() -> None:
    example = np.zeros((2, 16), np.float32)
    mlflow.pytorch.log_model(
        heavy(), name="m", input_example=example, pip_requirements=["torch"], serialization_format="pickle"
    )


def run_row(client: MlflowClient, run_id: str, **changes: Any) -> RunRow:
    """The run as the index would hold it, its model read from MLmodel."""
    run = client.get_run(run_id)
    logged = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    path = Path(logged.artifact_location)
    model = Model.load(str(path))
    example = path / "input_example.json"
    signature = {k: json.loads(v) for k, v in (model.signature.to_dict() if model.signature else {}).items() if v}
    info = ModelInfo(
        logged.model_id,
        logged.name,
        tuple(model.flavors),
        signature,
        json.loads(example.read_text()) if example.exists() else None,
        dict(model.metadata or {}),
        tuple((path / "requirements.txt").read_text().splitlines()),
    )
    fields: dict[str, Any] = {
        "run_id": run_id, "run_name": run.info.run_name, "experiment": "models", "experiment_id": "1",
        "status": "FINISHED", "start_time": 0.0, "end_time": 1.0, "model": run.info.run_name, "registered": False,
        "version": None, "ordinal": 1, "aliases": (), "task": None, "state": "none", "problems": (), "metrics": {},
        "params": {}, "tags": {}, "git_commit": None, "user": None, "datasets": (), "model_info": info,
        "synced_at": 0.0,
    }  # fmt: skip
    return RunRow(**{**fields, **changes})


TASKS = {"regression": "regression", "text": "classification", "table": "classification", "pt2": "classification"}


def main(folder: Path) -> None:
    """Store, index and the table of run ids."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    runs = log_all(uri, folder / "artifacts")
    client = MlflowClient(uri)
    writer = IndexWriter(folder / "index.db")
    writer.upsert(run_row(client, run, task=TASKS.get(name)) for name, run in runs.items())
    writer.close()
    (folder / "runs.json").write_text(json.dumps({"uri": uri, "runs": runs}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
