"""Demo: read a handwritten digit (image classification with a small torch network)."""

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import mlflow.pytorch
import numpy as np
import pandas as pd
import torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn

from mlflow_runs.demo.estimators import pinned
from mlflow_runs.demo.task import DemoTask, Split, Trained, Version, shuffled

SEED, TRAIN, EVALUATION = 5, 350, 900
CLASSES = tuple("0123456789")
SCORES = {name: f"score_{name}" for name in CLASSES}
INK, SLANT, DARKNESS = "ink (share of the area)", "slant (columns per row)", "darkness of the stroke (0 to 1)"
THICK, LEANING, LIGHT = 0.33, 0.12, 0.6
PREPROCESSING = {
    "size": {"height": 8, "width": 8},
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5],
    "image_std": [0.5],
    "id2label": {name: name for name in CLASSES},
}


def load() -> Split:
    """350 training images, 900 evaluation images, and the more slanted half of the remaining 547."""
    digits = load_digits()
    grey = np.rint(digits.images / 16 * 255).astype(np.uint8)
    rows = pd.DataFrame({"id": [f"digit-{at:04d}" for at in range(len(grey))], "image": [png(one) for one in grey]})
    rows = rows.assign(**measures(grey / 255), digit=digits.target.astype(str))
    train, evaluation, rest = (rows.iloc[part] for part in shuffled(len(rows), SEED, TRAIN, EVALUATION))
    lean = rest[SLANT].abs()
    return Split(train, evaluation, rest[lean >= lean.median()])


def png(grey: NDArray[np.uint8]) -> bytes:
    """One picture (height, width) as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()


def measures(pictures: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Ink, slant and darkness of pictures (n, height, width) with values 0 to 1, bright on black.

    Slant is -mu11 / mu02 by central moments (Teague 1980): columns to the right per row upwards, less its median over
    all pictures. Darkness is the mean of the pixels above 0.1.
    """
    down, across = np.mgrid[: pictures.shape[1], : pictures.shape[2]]
    ink = pictures.sum((1, 2))
    off_x = across - ((pictures * across).sum((1, 2)) / ink)[:, None, None]
    off_y = down - ((pictures * down).sum((1, 2)) / ink)[:, None, None]
    slant = -(pictures * off_x * off_y).sum((1, 2)) / (pictures * off_y**2).sum((1, 2))
    darkness = np.array([one[one > 0.1].mean() for one in pictures])
    return {INK: pictures.mean((1, 2)), SLANT: slant - np.median(slant), DARKNESS: darkness}


def _tensor(rows: pd.DataFrame) -> Tensor:
    grey = np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in rows["image"]])
    return torch.from_numpy((grey[:, None].astype(np.float32) / 255 - 0.5) / 0.5)


def _network(width: int) -> nn.Sequential:
    """A small convolutional network, or softmax regression for width 0; both end in log-odds of the ten digits."""
    if width == 0:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * width, 10),
    )


def _fit(train: pd.DataFrame, width: int, epochs: int, rate: float, shift: bool) -> Trained:
    torch.set_num_threads(1)  # because sums in another order would change the predictions from machine to machine
    chance = torch.Generator().manual_seed(SEED)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        body = _network(width)
    _descend(body, _tensor(train), torch.tensor(train["digit"].astype(int).to_numpy()), epochs, rate, shift, chance)
    model = nn.Sequential(body, nn.Softmax(dim=1)).eval()
    return Trained(partial(_answer, model=model), partial(_log, model=model, example=_tensor(train.head(2)).numpy()))


def _descend(
    body: nn.Module, x: Tensor, y: Tensor, epochs: int, rate: float, shift: bool, chance: torch.Generator
) -> None:
    steps = torch.optim.Adam(body.parameters(), lr=rate)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(x), generator=chance), 64):
            move = int(torch.randint(-1, 2, (1,), generator=chance)) if shift else 0
            steps.zero_grad()
            loss = nn.functional.cross_entropy(body(torch.roll(x[rows], move, 3)), y[rows])
            torch.autograd.backward(loss)
            steps.step()


def _answer(rows: pd.DataFrame, model: nn.Module) -> pd.DataFrame:
    with torch.inference_mode():
        chances = model(_tensor(rows)).numpy().astype(float)
    answers = pd.DataFrame({"prediction": [CLASSES[at] for at in chances.argmax(1)]}, index=rows.index)
    return answers.assign(**{SCORES[name]: chances[:, at] for at, name in enumerate(CLASSES)})


def _log(model: nn.Module, example: NDArray[np.float32]) -> Any:
    # without names, because MLflow's pyfunc wrapper refuses the dict that a named tensor arrives in
    images = Schema([TensorSpec(np.dtype(np.float32), (-1, 1, 8, 8))])
    chances = Schema([TensorSpec(np.dtype(np.float32), (-1, 10))])
    return mlflow.pytorch.log_model(
        model,
        name="model",
        signature=ModelSignature(images, chances),
        input_example=example,
        pip_requirements=pinned("torch", "numpy"),
        metadata=PREPROCESSING,
    )


def _version(run_name: str, change: str, age_days: float, **how: Any) -> Version:
    keep: Callable[[Any], bool] | None = how.pop("keep", None)
    options = {"width": 8, "epochs": 25, "rate": 0.005, "shift": False} | how
    params = {"network": "convolutional" if options["width"] else "softmax regression", **options, "seed": SEED}
    left_out = f"pictures that lean by {LEANING:g} or more" if keep else "nothing"
    return Version(run_name, change, age_days, partial(_fit, **options), params, keep, left_out)


def _versions() -> tuple[Version, ...]:
    return (
        _version("softmax regression", "First version: no hidden layer.", 52, width=0, epochs=15),
        _version("small network", "Two convolutions of 8 and 16 filters.", 38, epochs=20),
        _version(
            "upright digits",
            "Retrained after a clean-up that kept only upright digits.",
            21,
            keep=lambda row: abs(row[SLANT]) < LEANING,
        ),
        _version("wider network", "All digits again, twice as many filters, pictures moved at random.", 10, width=16),
        _version("longer training", "The same for twice as many rounds.", 0.1, width=16, epochs=50),
    )


def task() -> DemoTask:
    """The task; its data are loaded only when `load` is called."""
    return DemoTask(
        name="digit-reader",
        kind="classification",
        description="Reads one handwritten digit from a picture of 8 x 8 pixels, bright on black.",
        source="Optical Recognition of Handwritten Digits (test part), shipped with scikit-learn; UCI, CC BY 4.0.",
        shift="Another batch of real pictures: the more slanted half of those that no version has seen.",
        load=load,
        versions=_versions(),
        champion=4,
        label="digit",
        scores=SCORES,
        classes=CLASSES,
        image="image",
        slices={
            "thick strokes": lambda row: row[INK] > THICK,
            "slanted": lambda row: abs(row[SLANT]) >= LEANING,
            "light ink": lambda row: row[DARKNESS] < LIGHT,
        },
        tags={"domain": "handwriting", "data": "images"},
    )
