"""The models themselves, without MLflow: what the engine's answers are compared with."""

from typing import Any

import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TEXTS = ["sum of an array", "plot a line", "merge two frames", "draw an axis", "array of zeros", "join frames on keys"]
TOPICS = ["numpy", "matplotlib", "pandas", "matplotlib", "numpy", "pandas"]


def cnn() -> torch.nn.Module:
    """A tiny image classifier with fixed weights: 1 x 8 x 8 to 3 classes."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 3)
    ).eval()


def heavy() -> torch.nn.Module:
    """About 40 MB of weights that take no time: 16 numbers to 16 numbers."""
    net = torch.nn.Sequential(torch.nn.Linear(16, 16))
    net.register_buffer("ballast", torch.zeros(10_000_000))
    return net.eval()


class Bessel(torch.nn.Module):
    """A function that ONNX has no operator for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x)


def text_model() -> Any:
    """A text classifier of three topics."""
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, TOPICS)


def table_model() -> Any:
    """Breast cancer from 30 numbers."""
    cancer = load_breast_cancer(as_frame=True)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(cancer.data, cancer.target)


def regression_model() -> Any:
    """Diabetes from 10 numbers."""
    diabetes = load_diabetes(as_frame=True)
    return LinearRegression().fit(diabetes.data, diabetes.target)
