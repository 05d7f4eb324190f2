"""A model of 100 MB for photographs, logged with a small evaluation: `python -m tests.bench.plant_model STORE FOLDER`.

Its weights are chance; what counts here is its size, and that it is a convolutional network that Grad-CAM looks into.
"""

import sys

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from mlflow_runs.publish import log_evaluation

NAME = "plant-scan"
CLASSES = ("healthy", "rust", "mildew", "blight")
_EDGE, _ROWS = 224, 1000
_PREPROCESSING = {
    "size": {"height": _EDGE, "width": _EDGE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "id2label": {str(at): name for at, name in enumerate(CLASSES)},
}


def network() -> torch.nn.Module:
    """25 million weights, 100 MB."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 7, stride=4, padding=3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(14),
        torch.nn.Flatten(),
        torch.nn.Linear(6272, 4000),
        torch.nn.ReLU(),
        torch.nn.Linear(4000, len(CLASSES)),
        torch.nn.Softmax(dim=1),
    ).eval()


def main(store: str, folder: str) -> None:
    """Log the run and print its id."""
    mlflow.set_tracking_uri(store)
    experiment = mlflow.MlflowClient().create_experiment(NAME, artifact_location=folder)
    chance = np.random.default_rng(3)
    labels = chance.choice(CLASSES, _ROWS)
    given = np.where(chance.random(_ROWS) < 0.8, labels, chance.choice(CLASSES, _ROWS))
    rows = pd.DataFrame({"id": range(_ROWS), "field": chance.integers(0, 9, _ROWS), "label": labels, "given": given})
    example = chance.random((2, 3, _EDGE, _EDGE), dtype=np.float32)
    shapes = (Schema([TensorSpec(np.dtype(np.float32), shape)]) for shape in ((-1, *example.shape[1:]), (-1, 4)))
    with mlflow.start_run(experiment_id=experiment) as run:
        model = mlflow.pytorch.log_model(
            network(),
            name="model",
            signature=ModelSignature(*shapes),
            input_example=example,
            pip_requirements=["torch"],
            metadata=_PREPROCESSING,
        )
        log_evaluation(rows, label="label", prediction="given", id="id", model=model)
    print(run.info.run_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
