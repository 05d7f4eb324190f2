"""The one number that an explanation is about, for many rows: a class's probability, or the model's number."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dashboard.errors import BadInput
from dashboard.inference.cards import ModelCard
from dashboard.inference.outputs import Prediction, predictions
from dashboard.inference.predictor import Loaded
from dashboard.inference.protocol import Tensors
from mlflow_runs.errors import ModelUnavailable

Floats = NDArray[np.float64]
_ROWS = 256


class Scorer:
    """Scores rows of a model's input tensors exactly as its predictions are read on the page.

    `target` is a class; "" means the one that the model gives to `sample`, or its number where it has no classes.
    """

    def __init__(self, card: ModelCard, loaded: Loaded, sample: Tensors, target: str = "") -> None:
        self._card, self._loaded, self.passes = card, loaded, 0
        self.tell: Callable[[int], None] = lambda rows: None
        (first,) = self._predictions(sample)
        self.classes = tuple(first.probabilities) or ((first.label,) if first.label is not None else ())
        self.target = target or (first.label or "")
        self._check(first, target)
        self.score = self._of(first)

    def __call__(self, tensors: Tensors) -> Floats:
        """The score of every row, shape (rows,)."""
        rows = len(next(iter(tensors.values())))
        parts = [
            self._some({name: array[start : start + _ROWS] for name, array in tensors.items()})
            for start in range(0, rows, _ROWS)
        ]
        return np.concatenate(parts)

    def _some(self, tensors: Tensors) -> Floats:
        found = np.array([self._of(item) for item in self._predictions(tensors)], dtype=np.float64)
        self.tell(self.passes)
        return found

    def _predictions(self, tensors: Tensors) -> tuple[Prediction, ...]:
        rows = len(next(iter(tensors.values())))
        self.passes += rows
        return predictions(self._card, self._loaded.run(tensors, {}), self._loaded.facts, rows)

    def _of(self, found: Prediction) -> float:
        if found.probabilities:
            return found.probabilities.get(self.target, 0.0)
        return found.value if found.value is not None else float(found.label == self.target)

    def _check(self, first: Prediction, target: str) -> None:
        if first.label is None and first.value is None:
            raise ModelUnavailable(
                f"{self._card.name} answers with neither a class nor a number, so there is no score to explain."
            )
        if target and target not in self.classes and len(self.classes) != 1:
            known = ", ".join(map(repr, self.classes[:12])) or "none, because the model answers with a number"
            raise BadInput(f"The model has no class {target[:60]!r}; its classes are: {known}.")
