"""The result of a batch: its CSV, safe to open in a spreadsheet, and the counts over its answers."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import IO, Any

import orjson

from dashboard.inference.detections import shown
from dashboard.inference.outputs import Prediction
from dashboard.spreadsheet import escaped


class Tally:
    """Counts over the answers so far."""

    def __init__(self) -> None:
        self.n = self.failed = 0
        self._labels: Counter[str] = Counter()
        self._values: list[float] = []
        self._problem = ""

    def add(self, answer: Prediction | str) -> None:
        """Count one answer; a text is the reason why there is none."""
        self.n += 1
        if isinstance(answer, str):
            self.failed += 1
            self._problem = self._problem or answer
        elif answer.label is not None:
            self._labels[answer.label] += 1
        elif answer.value is not None:
            self._values.append(answer.value)

    def facts(self) -> dict[str, Any]:
        """n, failed, labels (most frequent first), mean of the values, the first problem."""
        mean = sum(self._values) / len(self._values) if self._values else None
        labels = dict(self._labels.most_common())
        return {"n": self.n, "failed": self.failed, "labels": labels, "mean": mean, "problem": self._problem}


class ResultWriter:
    """The result's lines: the file's columns, the prediction, one score per class, the reason of a failure.

    Rows before the first answer wait, because only an answer tells the names of the classes.
    """

    def __init__(self, target: IO[str], columns: Sequence[str]) -> None:
        self._csv = csv.writer(target)
        self._columns = columns
        self._classes: list[str] | None = None
        self._waiting: list[tuple[list[str], str]] = []

    def write(self, cells: Mapping[str, Any], answer: Prediction | str) -> None:
        """One row."""
        own = [escaped(cells.get(name)) for name in self._columns]
        if self._classes is None and isinstance(answer, str):
            self._waiting.append((own, answer))
            return
        if self._classes is None:
            self._begin(sorted(answer.probabilities) if isinstance(answer, Prediction) else [])
        self._row(own, answer)

    def close(self) -> None:
        """Write what still waits."""
        if self._classes is None:
            self._begin([])

    def _begin(self, classes: list[str]) -> None:
        self._classes = classes
        names = ["prediction", *(f"score_{name}" for name in classes), "error"]
        own = [name if name not in self._columns else f"{name} (model)" for name in names]
        self._csv.writerow([escaped(name) for name in (*self._columns, *own)])
        for cells, problem in self._waiting:
            self._row(cells, problem)
        self._waiting.clear()

    def _row(self, own: list[str], answer: Prediction | str) -> None:
        classes = self._classes or []
        if isinstance(answer, str):
            self._csv.writerow([*own, "", *("" for _ in classes), escaped(answer)])
            return
        said = answer.label if answer.label is not None else answer.value if answer.value is not None else _rest(answer)
        scores = [f"{answer.probabilities[c]:.6g}" if c in answer.probabilities else "" for c in classes]
        self._csv.writerow([*own, escaped(said), *scores, ""])


def _rest(answer: Prediction) -> Any:
    """What else a model answered: of boxes those that suppression leaves, as JSON."""
    if answer.boxes is None:
        return answer.raw
    return orjson.dumps([box._asdict() for box in shown(answer.boxes)]).decode()
