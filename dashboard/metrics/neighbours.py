"""The evaluated rows that are nearest to one input: by standardised columns, by words, by small pictures."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dashboard.metrics.columns import is_number, number, quoted, string
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

TEXTS, PICTURES, EDGE = 5000, 1000, 16
_TERMS = 20_000


@dataclass(frozen=True)
class Near:
    """A row (0-based) and how far it is: 0 is equal."""

    row: int
    distance: float


@dataclass(frozen=True, eq=False)
class Vectors:
    """Rows drawn evenly from a table as vectors: row numbers, one line of the matrix each, what made words of texts."""

    numbers: NDArray[np.int64]
    matrix: Any
    vectorizer: Any = None


def by_columns(
    tables: Tables, evaluation: Evaluation, values: Mapping[str, Any], skip: int | None, limit: int = 5
) -> list[Near]:
    """Nearest rows by the given columns: root mean square over columns of the difference in standard deviations.

    A text that differs, or a value that is missing on one side only, counts as one standard deviation.
    """
    assert evaluation.table is not None
    types = tables.columns(evaluation.table)
    rows = source(evaluation.table, numbered=True)
    numeric = [name for name in values if is_number(types[name])]
    spread = _spread(tables, rows, numeric)
    terms = [_term(name, values[name], spread.get(name)) for name in values]
    if not terms:
        return []
    other = "" if skip is None else f" WHERE file_row_number <> {skip:d}"
    found = tables.query(
        f"SELECT file_row_number AS i, sqrt(({' + '.join(terms)}) / {len(terms)}) AS d FROM {rows}{other}"
        f" ORDER BY d, i LIMIT {limit:d}"
    )
    return [Near(int(i), float(d)) for i, d in zip(found["i"].to_pylist(), found["d"].to_pylist(), strict=True)]


def _spread(tables: Tables, rows: str, numeric: list[str]) -> dict[str, float]:
    if not numeric:
        return {}
    sums = ", ".join(f"stddev_pop({number(quoted(name))}) AS s{i}" for i, name in enumerate(numeric))
    found = tables.first(f"SELECT {sums} FROM {rows}")
    return {name: float(found[f"s{i}"] or 1.0) for i, name in enumerate(numeric)}


def _term(name: str, value: Any, spread: float | None) -> str:
    """SQL of one column's squared difference."""
    column = quoted(name)
    if value is None:
        return f"CAST({column} IS NOT NULL AS DOUBLE)"
    if spread is None:
        return f"CAST(coalesce(CAST({column} AS VARCHAR) <> {string(str(value))}, true) AS DOUBLE)"
    return f"coalesce((({number(column)} - ({float(value)!r})) / {spread!r}) ** 2, 1.0)"


def text_vectors(tables: Tables, evaluation: Evaluation, column: str) -> Vectors | None:
    """TF-IDF vectors (unit length) of at most 5,000 texts, evenly drawn; None where no text holds a word."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # because pages without texts need not pay for it

    numbers, texts = _drawn(tables, evaluation, column, TEXTS)
    vectorizer = TfidfVectorizer(max_features=_TERMS, sublinear_tf=True)
    try:
        matrix = vectorizer.fit_transform([str(text or "") for text in texts])
    except ValueError:  # because texts without any word are nobody's neighbours
        return None
    return Vectors(numbers, matrix.astype(np.float32), vectorizer)


def by_text(found: Vectors, text: str, skip: int | None, limit: int = 5) -> list[Near]:
    """Nearest texts by cosine distance; texts that share no word with it (distance 1) are left out."""
    likeness = (found.matrix @ found.vectorizer.transform([text]).T).toarray().ravel()
    return [near for near in _nearest(found, 1.0 - likeness, skip, limit) if near.distance < 1]


def picture_vectors(tables: Tables, evaluation: Evaluation, column: str) -> Vectors | None:
    """At most 1,000 pictures, evenly drawn, as 16 x 16 grey values 0..1; None where the column holds no pictures."""
    numbers, pictures = pictures_of(tables, evaluation, column)
    return Vectors(numbers, np.stack([small(_opened(data)) for data in pictures])) if pictures else None


def pictures_of(tables: Tables, evaluation: Evaluation, column: str) -> tuple[NDArray[np.int64], list[bytes]]:
    """Row numbers and files of at most 1,000 pictures, evenly drawn; none where the column holds no pictures."""
    numbers, values = _drawn(tables, evaluation, column, PICTURES)
    data = [value.get("bytes") if isinstance(value, Mapping) else value for value in values]
    held = [(place, value) for place, value in enumerate(data) if isinstance(value, bytes)]
    return numbers[[place for place, _ in held]], [value for _, value in held]


def by_vector(found: Vectors, vector: NDArray[Any], skip: int | None, limit: int = 5) -> list[Near]:
    """Nearest rows by cosine distance."""
    sizes = np.linalg.norm(found.matrix, axis=1) * np.linalg.norm(vector)
    return _nearest(found, 1.0 - (found.matrix @ vector) / np.maximum(sizes, 1e-12), skip, limit)


def by_picture(found: Vectors, picture: Image.Image, skip: int | None, limit: int = 5) -> list[Near]:
    """Nearest pictures by the root mean square difference of their small grey forms."""
    gaps = np.sqrt(((found.matrix - small(picture)) ** 2).mean(axis=1))
    return _nearest(found, gaps, skip, limit)


def small(picture: Image.Image) -> NDArray[np.float32]:
    """A picture as 256 grey values."""
    grey = picture.convert("L").resize((EDGE, EDGE), Image.Resampling.BILINEAR)
    values: NDArray[np.float32] = np.asarray(grey, dtype=np.float32).ravel() / np.float32(255)
    return values


def _opened(data: bytes) -> Image.Image:
    """A stored picture; one that cannot be read is white."""
    try:
        return Image.open(io.BytesIO(data)).convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return Image.new("L", (EDGE, EDGE), 255)


def _nearest(found: Vectors, distances: NDArray[Any], skip: int | None, limit: int) -> list[Near]:
    order = np.argsort(distances, kind="stable")[: limit + 1]
    near = [Near(int(found.numbers[at]), max(0.0, float(distances[at]))) for at in order]
    return [one for one in near if one.row != skip][:limit]


def _drawn(tables: Tables, evaluation: Evaluation, column: str, most: int) -> tuple[NDArray[np.int64], list[Any]]:
    assert evaluation.table is not None
    step = max(1, -(-evaluation.n_rows // most))
    result = tables.query(
        f"SELECT file_row_number AS i, {quoted(column)} AS v FROM {source(evaluation.table, numbered=True)}"
        f" WHERE file_row_number % {step} = 0 ORDER BY i"
    )
    return result["i"].to_numpy().astype(np.int64), result["v"].to_pylist()
