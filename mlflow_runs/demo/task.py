"""What a demo task is: real data, versions trained on it, and what is said about them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Predicate = Callable[[Any], bool]


@dataclass(frozen=True)
class Split:
    """Disjoint rows of the real data: to learn from, to evaluate on, and as traffic seen after training.

    All three have an `id` column and the same columns otherwise; the label of `production` is never published.
    """

    train: pd.DataFrame
    evaluation: pd.DataFrame
    production: pd.DataFrame


@dataclass(frozen=True)
class Trained:
    """A fitted model: `answer` turns rows into the prediction column and score columns; `log` logs it to MLflow.

    Where the task has no label, `answer` turns rows into figures instead, one column each; their means are logged.
    `log` needs an active run and returns what `log_model` returned.
    """

    answer: Callable[[pd.DataFrame], pd.DataFrame]
    log: Callable[[], Any]


@dataclass(frozen=True)
class Version:
    """One version: how it is trained, what changed since the one before, and how old its run is in days."""

    run_name: str
    change: str
    age_days: float
    fit: Callable[[pd.DataFrame], Trained]
    params: Mapping[str, object]
    keep: Predicate | None = None
    left_out: str = "nothing"

    def training_rows(self, train: pd.DataFrame) -> pd.DataFrame:
        """The rows this version is trained on."""
        if self.keep is None:
            return train
        return train[[bool(self.keep(row)) for row in train.to_dict("records")]]


@dataclass(frozen=True)
class DemoTask:
    """One registered model with its versions, oldest first. `champion` counts from 1.

    `scores` maps class to probability column, or names the one column that belongs to `positive_class`.
    `shift` says how the production rows differ. `label` is empty where there is nothing to be right about.
    """

    name: str
    kind: Literal["classification", "regression", "detection", "image_to_image", "generation"]
    description: str
    source: str
    shift: str
    load: Callable[[], Split]
    versions: tuple[Version, ...]
    champion: int
    label: str
    slices: Mapping[str, Predicate]
    scores: Mapping[str, str] | str | None = None
    classes: tuple[str, ...] | None = None
    positive_class: str | None = None
    text: str | None = None
    image: str | None = None
    prediction: str = "prediction"
    tags: Mapping[str, str] = field(default_factory=dict)

    def key(self, number: int) -> str:
        """What marks the run of version `number` (from 1) in the store."""
        return f"{self.name}/{number}"


def shuffled(n: int, seed: int, *sizes: int) -> list[NDArray[np.int64]]:
    """Positions 0..n-1 in a seeded order, cut into parts of the given sizes and a last part with the rest."""
    order = np.random.default_rng(seed).permutation(n)
    return np.split(order, np.cumsum(sizes))
