"""Demo: repaint a photograph; a family of nine small feed-forward networks, one style each."""

import io
from functools import partial
from importlib.resources import as_file, files
from typing import Any

import mlflow.pytorch
import numpy as np
import pandas as pd
import torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from mlflow_runs.demo import effects
from mlflow_runs.demo.digit_reader import png
from mlflow_runs.demo.effects import Effect
from mlflow_runs.demo.estimators import pinned
from mlflow_runs.demo.task import DemoTask, Split, Trained, Version

SEED, WIDTH, PIXELS, RATE, SIDE = 3, 32, 2048, 0.015, 9
TRAINED = 480  # columns of 640: the networks never see the rest, on which they are measured
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
OUTPUT = {"kind": "image"}
STYLES: dict[str, tuple[Effect, str]] = {
    "pencil": (effects.pencil, "A pencil drawing: colour dodge with the blurred negative."),
    "watercolour": (effects.watercolour, "Watercolour: calm pale areas with darker rims."),
    "ink": (effects.ink, "Ink on warm paper: difference of Gaussians with a soft threshold."),
    "oil": (effects.oil, "Oil paint: Kuwahara's filter with stronger colours."),
    "comic": (effects.comic, "Comic: oil paint with black outlines."),
    "neon": (effects.neon, "Neon: edges that glow in their own colour."),
    "relief": (effects.relief, "Relief: lit from the upper left, in warm grey."),
    "solarised": (effects.solarised, "Solarised: bright parts turn dark again."),
    "cyanotype": (effects.cyanotype, "Cyanotype: Prussian blue and paper white."),
}


def load() -> Split:
    """The left three quarters of two photographs to learn from, the right quarter to measure on."""
    photos = [load_sample_image(name) for name in PHOTOGRAPHS]
    names = [name.removesuffix(".jpg") for name in PHOTOGRAPHS]
    left, right = (
        pd.DataFrame({"id": names, "image": [png(np.ascontiguousarray(photo[:, part])) for photo in photos]})
        for part in (slice(TRAINED), slice(TRAINED, None))
    )
    return Split(left, right, right.head(0))


def _photos(rows: pd.DataFrame) -> list[Tensor]:
    pictures = [np.asarray(Image.open(io.BytesIO(data)), np.float32) / 255 for data in rows["image"]]
    return [torch.from_numpy(one).permute(2, 0, 1)[None] for one in pictures]


def filter_bank() -> Tensor:
    """28 fixed filters (28, 3, 9, 9): colours at three sharpnesses, slopes and lines of the brightness at two scales,
    and the mean colour of the four corners. Trained layers follow; fixed ones make their training a matter of seconds.
    """
    down, right = torch.meshgrid(*[torch.arange(-(SIDE // 2), SIDE // 2 + 1.0)] * 2, indexing="ij")
    point = ((down == 0) & (right == 0)).float()

    def gauss(sigma: float) -> Tensor:
        drawn = torch.exp(-(down**2 + right**2) / (2 * sigma**2))
        return drawn / drawn.sum()

    near = (down.abs() <= 3) & (right.abs() <= 3)
    corners = [(near & (down * a >= 0) & (right * b >= 0)).float() for a in (-1, 1) for b in (-1, 1)]
    of_colours = [point, gauss(0.8), gauss(2.2), *[corner / corner.sum() for corner in corners]]
    slopes = [3 * way * gauss(sigma) / sigma for sigma in (0.8, 1.6) for way in (right, down)]
    lines = [6 * (gauss(0.8) - gauss(1.6)), 4 * (gauss(1.4) - gauss(2.6)), 6 * (point - gauss(1.0))]
    coloured = [colour[:, None, None] * kernel for kernel in of_colours for colour in torch.eye(3)]
    grey = [torch.tensor(effects.LUMA)[:, None, None] * kernel for kernel in (*slopes, *lines)]
    return torch.stack([*coloured, *grey])


def network() -> nn.Sequential:
    """The fixed filters, then three trained layers that see one pixel's filter answers each."""
    bank = filter_bank()
    eyes = nn.Conv2d(3, len(bank), SIDE, padding=SIDE // 2, padding_mode="reflect", bias=False)
    eyes.weight = nn.Parameter(bank, requires_grad=False)
    return nn.Sequential(
        eyes,
        nn.Conv2d(len(bank), WIDTH, 1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, WIDTH, 1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, 3, 1),
        nn.Sigmoid(),
    ).eval()


def _fit(train: pd.DataFrame, effect: Effect, steps: int) -> Trained:
    torch.set_num_threads(1)  # because sums in another order would change the pictures from machine to machine
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = network()
        _descend(model, _photos(train), effect, steps)
    return Trained(partial(_figures, model=model, effect=effect), partial(_log, model=model))


def _descend(model: nn.Sequential, photos: list[Tensor], effect: Effect, steps: int) -> None:
    """Squared error on pixels drawn at random; the layers after the filters see pixels one by one, as columns here."""
    with torch.inference_mode():
        seen, wanted = (torch.cat([_as_rows(paint(one)) for one in photos]) for paint in (model[0], effect))
    seen, wanted = seen.clone(), wanted.clone()  # because inference tensors cannot be learned from
    trained = model[1:]
    adam = torch.optim.Adam(trained.parameters(), lr=RATE)
    pace = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=steps)
    for _ in range(steps):
        drawn = torch.randint(len(seen), (PIXELS,))
        adam.zero_grad()
        painted = trained(seen[drawn].T[None, :, :, None])[0, :, :, 0].T
        torch.autograd.backward(nn.functional.mse_loss(painted, wanted[drawn]))
        adam.step()
        pace.step()


def _as_rows(picture: Tensor) -> Tensor:
    return picture[0].flatten(1).T


def _figures(rows: pd.DataFrame, model: nn.Module, effect: Effect) -> pd.DataFrame:
    """Per photograph: root mean squared difference from the effect computed exactly (values 0 to 1)."""
    with torch.inference_mode():
        off = [float(((model(one) - effect(one)) ** 2).mean().sqrt()) for one in _photos(rows)]
    return pd.DataFrame({"difference_from_effect": off}, index=rows.index)


def example() -> NDArray[np.float32]:
    """Two small cuts of the photographs, as the networks take them: (2, 3, 24, 32), values 0 to 1."""
    cuts = [load_sample_image(name)[200:224, 300:332] for name in PHOTOGRAPHS]
    return (np.stack(cuts).transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32)


def _log(model: nn.Module) -> Any:
    for name in PHOTOGRAPHS:  # whole, to be tried on the Inference page
        with as_file(files("sklearn.datasets.images") / name) as path:
            mlflow.log_artifact(str(path), "examples")
    pictures = Schema([TensorSpec(np.dtype(np.float32), (-1, 3, -1, -1))])
    return mlflow.pytorch.log_model(
        model,
        name="model",
        signature=ModelSignature(pictures, pictures),
        input_example=example(),
        pip_requirements=pinned("torch", "numpy"),
        metadata={"do_rescale": True, "rescale_factor": 1 / 255, "size": {"shortest_edge": 400}, "output": OUTPUT},
    )


def _version(name: str, age_days: float, steps: int) -> Version:
    effect, change = STYLES[name]
    params = {"style": name, "network": "28 fixed filters, 3 trained layers", "steps": steps, "seed": SEED}
    return Version(name, change, age_days, partial(_fit, effect=effect, steps=steps), params)


def task(steps: int = 200) -> DemoTask:
    """The task; its data are loaded only when `load` is called."""
    names = list(STYLES)
    return DemoTask(
        name="photo-styles",
        kind="image_to_image",
        description="Repaints a photograph. Each version is one style of a family; none is better than another.",
        source="Two photographs shipped with scikit-learn: china.jpg and flower.jpg, CC BY 2.0.",
        shift="",
        load=load,
        versions=tuple(_version(name, len(names) - at, steps) for at, name in enumerate(names)),
        champion=1,
        label="",
        slices={},
        tags={"domain": "photographs", "data": "images", "family": "styles"},
    )
