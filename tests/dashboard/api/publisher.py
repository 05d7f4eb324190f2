"""Fills a tracking store for the tests of the API; run as a process of its own because MLflow's state is global.

`python -m tests.dashboard.api.publisher FOLDER` makes FOLDER/mlflow.db and runs.json, {run name: run id}.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.models import ModelSignature
from mlflow.types.schema import Schema, TensorSpec
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlflow_runs.publish import log_evaluation

COLUMNS = ["mean radius", "mean texture", "mean smoothness", "mean symmetry"]
NAMES = ["<b>malignant</b>", "gutartig ü"]


def classification(folder: Path) -> None:
    """Breast cancer with hostile class names, a slice too small to tell, and a scikit-learn model."""
    data = load_breast_cancer(as_frame=True)
    table = data.data[COLUMNS].copy()
    label = pd.Series([NAMES[n] for n in data.target])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(table, label)
    scores = dict(zip(model.classes_, model.predict_proba(table).T, strict=True))
    table["label"], table["prediction"], table["id"] = label, model.predict(table), np.arange(len(table))
    for name, values in scores.items():
        table[f"score_{name}"] = values
    log_evaluation(
        table,
        label="label",
        prediction="prediction",
        id="id",
        slices={"large": lambda row: row["mean radius"] > 15, "tiny": lambda row: row["id"] < 3},
        model=model,
    )
    mlflow.log_metric("loss", float("nan"))
    table.assign(slice_large=table["mean radius"] > 15, slice_tiny=table["id"] < 3).to_parquet(
        folder / "cancer.parquet"
    )
    table[COLUMNS].head(5).to_json(folder / "cancer_rows.json", orient="records")


def regression(folder: Path) -> None:
    """Diabetes, without a model."""
    data = load_diabetes(as_frame=True)
    table = data.data[["age", "bmi"]].assign(label=data.target)
    table["prediction"] = Ridge().fit(data.data, data.target).predict(data.data)
    log_evaluation(table, label="label", prediction="prediction")
    table.to_parquet(folder / "diabetes.parquet")


class Brightest(torch.nn.Module):
    """Scores the left and the right half of a digit by their ink."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, 8, 8) -> (n, 2)."""
        return torch.stack([x[..., :4].sum((1, 2, 3)), x[..., 4:].sum((1, 2, 3))], dim=1)


def images(folder: Path) -> None:
    """A torch model that takes pictures, and three pictures."""
    inputs = Schema([TensorSpec(np.dtype("float32"), (-1, 1, 8, 8), "pixels")])
    outputs = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    mlflow.pytorch.log_model(
        Brightest(),
        name="model",
        signature=ModelSignature(inputs, outputs),
        serialization_format="pickle",
        pip_requirements=["torch"],
        metadata={"size": {"height": 8, "width": 8}, "do_rescale": True, "id2label": {"0": "left", "1": "right"}},
    )
    mlflow.log_dict({"overall": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "num_samples": 3}}, "performance.json")
    for number, pixels in enumerate(load_digits().images[:3]):
        buffer = io.BytesIO()
        Image.fromarray((pixels * 15).astype("uint8")).save(buffer, "PNG")
        (folder / f"digit{number}.png").write_bytes(buffer.getvalue())


def figures() -> None:
    """Ready-made figures only, with num_samples as a float."""
    entry = {"precision": 0.75, "recall": 0.5, "f1": 0.6, "num_samples": 40.0}
    mlflow.log_dict({"overall": entry, "class": {"cat": entry}, "slices": {"short": entry}}, "performance.json")


def half() -> None:
    """Ready-made figures beside predictions that cannot be read."""
    figures()
    mlflow.log_text("no Parquet", "predictions.parquet")


def cut_off() -> None:
    """Ready-made figures that end in the middle, and nothing else."""
    mlflow.log_text('{"overall": {"precision": 0.7', "performance.json")


def bare() -> None:
    """Nothing but a parameter."""
    mlflow.log_param("depth", 3)


def main(folder: Path) -> dict[str, str]:
    """Publish everything; the run names are the keys."""
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("api", artifact_location=str(folder / "mlartifacts"))
    mlflow.set_experiment("api")
    takes: dict[str, tuple[Any, ...]] = {
        "classification": (classification, folder),
        "regression": (regression, folder),
        "images": (images, folder),
        "figures": (figures,),
        "half": (half,),
        "cut off": (cut_off,),
        "bare": (bare,),
    }
    found = {}
    for name, (function, *arguments) in takes.items():
        with mlflow.start_run(run_name=name) as started:
            function(*arguments)
            found[name] = started.info.run_id
    return found


if __name__ == "__main__":
    Path(sys.argv[1], "runs.json").write_text(json.dumps(main(Path(sys.argv[1]))))
