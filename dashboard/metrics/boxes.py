"""Objects in pictures: true and predicted boxes of an evaluation's rows as flat arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dashboard.metrics.columns import quoted
from dashboard.metrics.tables import Tables, source
from mlflow_runs.errors import ArtifactUnreadable, DataMissing
from mlflow_runs.records import Evaluation
from mlflow_runs.roles import class_text

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
WANTED = "a list of {label, x, y, w, h} in pixels, w and h not negative, and of a score where predicted"
_PLACE = ("x", "y", "w", "h")
_ENTRY = pa.struct([("label", pa.string()), *((name, pa.float64()) for name in (*_PLACE, "score"))])


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of many pictures: position of the picture, index of the class, (x, y, w, h) in pixels, score.

    (x, y) is the corner at the top left of the upright picture. True boxes have the score 1.
    """

    image: Ints
    label: Ints
    place: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, eq=False)
class Scenes:
    """Pictures with what is in them and what was found: `numbers` are their 0-based rows in the table.

    `slices` tells which pictures (second axis) are in which slice; `unlabelled` counts rows that were left out because
    true or predicted boxes are missing (an empty list is not missing).
    """

    numbers: Ints
    classes: tuple[str, ...]
    truth: Boxes
    found: Boxes
    slices: Flags
    unlabelled: int


def columns_of(evaluation: Evaluation) -> tuple[str, str]:
    """The columns with true and predicted boxes; DataMissing where the evaluation lacks table or column."""
    roles = evaluation.roles
    if evaluation.table is None or roles.boxes is None or roles.predicted_boxes is None:
        raise DataMissing(
            f"Run {evaluation.run_id} has no table with the columns boxes and predicted_boxes, each {WANTED};"
            " detection is measured from both."
        )
    return roles.boxes, roles.predicted_boxes


def read_scenes(tables: Tables, evaluation: Evaluation, where: str, conditions: Sequence[str] = ()) -> Scenes:
    """The pictures where checked SQL holds; classes in the evaluation's order, then others sorted.

    Raises DataMissing without the columns, ArtifactUnreadable for a row whose boxes cannot be read.
    """
    truth, found = columns_of(evaluation)
    assert evaluation.table is not None
    marks = "".join(f", coalesce({text}, false) AS s{i}" for i, text in enumerate(conditions))
    rows = source(evaluation.table, numbered=True)
    table = tables.query(
        f"SELECT file_row_number AS i, {quoted(truth)} AS t, {quoted(found)} AS p{marks} FROM {rows} WHERE {where}"
        " ORDER BY file_row_number"
    )
    kept = table.filter(pc.and_(table["t"].is_valid(), table["p"].is_valid()))
    numbers = kept["i"].to_numpy().astype(np.int64)
    flat = _Flat(kept["t"], truth, numbers, 1.0), _Flat(kept["p"], found, numbers, None)
    classes = tuple(dict.fromkeys([*evaluation.classes, *sorted({*flat[0].names, *flat[1].names})]))
    marked = [kept[f"s{i}"].to_numpy() for i in range(len(conditions))]
    slices = np.array(marked, dtype=bool).reshape(len(conditions), len(numbers))
    return Scenes(
        numbers, classes, flat[0].boxes(classes), flat[1].boxes(classes), slices, table.num_rows - kept.num_rows
    )


class _Flat:
    """The boxes of one column, flattened; `names` are the classes that occur."""

    def __init__(self, column: pa.ChunkedArray, name: str, numbers: Ints, score: float | None) -> None:
        self._name, self._numbers = name, numbers
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            column = pa.chunked_array([self._from_texts(column.to_pylist())])
        lists = column.combine_chunks()
        self.image = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
        inner = pc.list_flatten(lists)
        if not len(inner):  # because a column of empty lists has no fields
            inner = pa.array([], _ENTRY)
        fields = set(inner.type.names) if pa.types.is_struct(inner.type) else set()
        if missing := {"label", *_PLACE, *(() if score else ("score",))} - fields:
            raise ArtifactUnreadable(f"column {name!r} lacks {', '.join(sorted(missing))}; a row needs {WANTED}")
        self.place = np.stack([self._numbers_of(inner, field) for field in _PLACE], axis=1)
        self.score = np.ones(len(self.image)) if score else self._numbers_of(inner, "score")
        self._refuse(~np.isfinite(self.place).all(1) | ~np.isfinite(self.score) | (self.place[:, 2:] < 0).any(1))
        labels = pc.struct_field(inner, "label").dictionary_encode()
        self._codes = labels.indices.fill_null(-1).to_numpy().astype(np.int64)
        self._refuse(self._codes < 0)
        self._texts = [class_text(value) for value in labels.dictionary.to_pylist()]
        self.names = set(self._texts)

    def boxes(self, classes: Sequence[str]) -> Boxes:
        """With labels as indices into the classes."""
        place = {name: index for index, name in enumerate(classes)}
        index = np.array([place[text] for text in self._texts], dtype=np.int64)
        return Boxes(self.image, index[self._codes] if len(index) else self._codes, self.place, self.score)

    def _from_texts(self, texts: Sequence[Any]) -> pa.Array:
        lists = []
        for at, text in enumerate(texts):
            found = boxes_of(text)
            if found is None:
                raise self._unreadable(at)
            lists.append([_Entry(box) for box in found])
        try:
            return pa.array(lists, pa.list_(_ENTRY))
        except (pa.ArrowException, TypeError, ValueError) as exc:
            raise ArtifactUnreadable(f"column {self._name!r} is not {WANTED}: {str(exc)[:120]}") from exc

    def _numbers_of(self, inner: pa.Array, field: str) -> Floats:
        try:
            values = pc.struct_field(inner, field).cast(pa.float64())
        except (pa.ArrowException, ValueError) as exc:
            raise ArtifactUnreadable(f"{field!r} in column {self._name!r} is not a number; it is {WANTED}") from exc
        return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)

    def _refuse(self, wrong: Flags) -> None:
        if wrong.any():
            raise self._unreadable(int(self.image[wrong.argmax()]))

    def _unreadable(self, at: int) -> ArtifactUnreadable:
        return ArtifactUnreadable(f"row {int(self._numbers[at])} of column {self._name!r} is not {WANTED}")


class _Entry(dict[str, Any]):
    """One box of a JSON text, with its label as text; a true box needs no score."""

    def __init__(self, box: Mapping[str, Any]) -> None:
        label = box.get("label")
        super().__init__({**box, "label": None if label is None else class_text(label), "score": box.get("score", 1.0)})


def boxes_of(value: Any) -> list[dict[str, Any]] | None:
    """The boxes of one cell: a list of objects, or its JSON text; None for anything else."""
    if isinstance(value, str | bytes):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    known = isinstance(value, list) and all(isinstance(box, dict) for box in value)
    return list(value) if known else None
