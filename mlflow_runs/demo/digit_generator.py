"""Demo: draw handwritten digits from a few numbers (the decoder of a small variational autoencoder)."""

import io
import itertools
from functools import partial
from typing import Any

import mlflow.pytorch
import numpy as np
import pandas as pd
import torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn

from mlflow_runs.demo.digit_reader import png
from mlflow_runs.demo.estimators import pinned
from mlflow_runs.demo.task import DemoTask, Split, Trained, Version, shuffled

SEED, TRAIN, WIDTH, BATCH, RATE = 11, 1500, 128, 64, 3e-3
EDGE, ENLARGED = 8, 8  # pixels of the data a side, and how many times larger a drawn digit is
WEIGHT = 0.15  # of the divergence from the standard normal distribution, against 64 pixels
REACH = 2.5  # the sliders' ends: 99 in 100 codes of real digits lie within


def load() -> Split:
    """1,500 training digits and 297 to measure on; there is no traffic, because people move the sliders."""
    pixels = np.rint(load_digits().images / 16 * 255).astype(np.uint8)
    rows = pd.DataFrame({"id": [f"digit-{at:04d}" for at in range(len(pixels))], "image": [png(one) for one in pixels]})
    train, evaluation = (rows.iloc[part] for part in shuffled(len(rows), SEED, TRAIN))
    return Split(train, evaluation, evaluation.head(0))


def _pixels(rows: pd.DataFrame) -> Tensor:
    """Pictures as (rows, 64) with values 0 to 1."""
    grey = np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in rows["image"]])
    return torch.from_numpy(grey.astype(np.float32).reshape(len(grey), -1) / 255)


def _layers(*sizes: int) -> nn.Sequential:
    """Linear layers with ELU between them."""
    pairs = [(nn.Linear(a, b), nn.ELU()) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*[layer for pair in pairs for layer in pair][:-1])


def _fit(train: pd.DataFrame, latent: int, epochs: int) -> Trained:
    """A variational autoencoder (Kingma and Welling 2014, arXiv:1312.6114) with `latent` numbers per picture."""
    torch.set_num_threads(1)  # because sums in another order would change the pictures from machine to machine
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        encoder = _layers(EDGE * EDGE, WIDTH, WIDTH, 2 * latent)
        decoder = nn.Sequential(_layers(latent, WIDTH, WIDTH, EDGE * EDGE), nn.Sigmoid())
        _descend(encoder, decoder, _pixels(train), epochs)
    return Trained(
        partial(_figures, encoder=encoder, decoder=decoder), partial(_log, model=_drawer(decoder), size=latent)
    )


def _descend(encoder: nn.Module, decoder: nn.Module, x: Tensor, epochs: int) -> None:
    steps = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(x)), BATCH):
            mean, log_variance = encoder(x[rows]).chunk(2, dim=1)
            code = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
            lost = nn.functional.binary_cross_entropy(decoder(code), x[rows], reduction="sum")
            divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
            steps.zero_grad()
            torch.autograd.backward((lost + WEIGHT * divergence) / len(rows))
            steps.step()


def _drawer(decoder: nn.Module) -> nn.Module:
    """The decoder with its picture enlarged, because eight pixels a side are hard to look at."""
    shape = nn.Unflatten(1, (1, EDGE, EDGE))
    return nn.Sequential(decoder, shape, nn.Upsample(scale_factor=ENLARGED, mode="bicubic"), nn.Hardtanh(0, 1)).eval()


def _figures(rows: pd.DataFrame, encoder: nn.Module, decoder: nn.Module) -> pd.DataFrame:
    """Per picture: root mean squared error of the pixels (0 to 1) after coding and drawing it again."""
    with torch.inference_mode():
        x = _pixels(rows)
        again = decoder(encoder(x).chunk(2, dim=1)[0])
    return pd.DataFrame({"reconstruction_error": ((again - x) ** 2).mean(1).sqrt().numpy()}, index=rows.index)


def _log(model: nn.Module, size: int) -> Any:
    numbers = Schema([TensorSpec(np.dtype(np.float32), (-1, size))])
    picture = Schema([TensorSpec(np.dtype(np.float32), (-1, 1, EDGE * ENLARGED, EDGE * ENLARGED))])
    return mlflow.pytorch.log_model(
        model,
        name="model",
        signature=ModelSignature(numbers, picture),
        input_example=np.zeros((2, size), np.float32),
        pip_requirements=pinned("torch", "numpy"),
        metadata={"input": {"kind": "latent", "low": -REACH, "high": REACH}, "output": {"kind": "image"}},
    )


def _version(run_name: str, change: str, age_days: float, latent: int, epochs: int) -> Version:
    params = {"network": "variational autoencoder", "latent": latent, "epochs": epochs, "seed": SEED}
    return Version(run_name, change, age_days, partial(_fit, latent=latent, epochs=epochs), params)


def task(epochs: int = 25) -> DemoTask:
    """The task; its data are loaded only when `load` is called."""
    return DemoTask(
        name="digit-generator",
        kind="generation",
        description="Draws a handwritten digit from a few numbers: move them and watch one digit become another.",
        source="Optical Recognition of Handwritten Digits (test part), shipped with scikit-learn; UCI, CC BY 4.0.",
        shift="",
        load=load,
        versions=(
            _version("two numbers", "First version: every digit from two numbers.", 16, 2, epochs),
            _version("six numbers", "Six numbers instead of two: finer strokes.", 0.2, 6, epochs),
        ),
        champion=2,
        label="",
        slices={},
        tags={"domain": "handwriting", "data": "images"},
    )
