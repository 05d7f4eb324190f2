"""One input of the Inference page, read from its query: a row of the evaluation, a text, values, an upload."""

import base64
import csv
import io
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from dashboard import uploads
from dashboard.errors import BadInput, BadQuery
from dashboard.inference.cards import ModelCard
from dashboard.inference.images import open_image
from dashboard.metrics.rows import fetch_rows
from dashboard.metrics.tables import Tables
from dashboard.services import Services
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation

FOLDER = "examples"
_LONGEST_TEXT = 2**20


@dataclass(frozen=True)
class InferenceQuery:
    """The Inference page's URL: the run, and one input.

    `row` is a row number of the run's evaluation, `text` a text, `values` a JSON object by field name, `upload` the
    key of an uploaded picture or of an input too long for a URL, `flag` a flag's id, `file` a file that the run logged
    below examples/. The last one given of INPUTS wins. `slice` names the slice that examples are taken from,
    `unknown` is the score under which an answer reads "unknown".
    """

    run: str = ""
    row: str = ""
    text: str = ""
    values: str = ""
    upload: str = ""
    flag: str = ""
    file: str = ""
    slice: str = ""
    unknown: str = ""

    @property
    def asks(self) -> bool:
        """Whether the query holds an input."""
        return any(getattr(self, name) for name in INPUTS)


INPUTS = ("row", "text", "values", "upload", "flag", "file")
NO_INPUT = dict.fromkeys(INPUTS, "")


@dataclass(frozen=True)
class Given:
    """One input as the model takes it, with where it came from.

    `row` holds the whole row of an evaluation, `truth` what a flag says that the answer should be.
    """

    value: str | bytes | dict[str, Any] | list[Any]
    source: str
    row: dict[str, Any] = field(default_factory=dict)
    truth: Any = None


def read_input(services: Services, card: ModelCard, query: InferenceQuery) -> Given | None:
    """The query's input, None where it holds none; BadInput, BadQuery or DataMissing say what does not fit."""
    if query.file:
        return _from_file(services, card, query)
    if query.flag:
        return _from_flag(services, query.flag)
    if query.upload:
        return _from_upload(services, card, query.upload)
    if query.values:
        return Given(_object(query.values), "your values")
    if query.text:
        return Given(query.text, "your text")
    return _from_row(services, card, query) if query.row else None


def _from_flag(services: Services, flag_id: str) -> Given:
    flag = services.flags.flag(flag_id)
    value = services.flags.picture(flag.id) if flag.picture else json.loads(flag.input)
    said = json.loads(flag.corrected) if flag.corrected else None
    if said is None and flag.verdict == "right":
        answer = json.loads(flag.output)
        said = answer.get("label", answer.get("value"))
    return Given(value, f"flagged {flag.verdict}", truth=said)


def _from_file(services: Services, card: ModelCard, query: InferenceQuery) -> Given:
    """A file that the run logged: a picture, a text, a JSON value, or one line of a CSV file (path:line from 0)."""
    path, _, line = query.file.rpartition(":") if query.file.rpartition(":")[2].isdecimal() else (query.file, "", "")
    if not path.startswith(f"{FOLDER}/"):
        raise BadQuery(f"file={query.file[:60]!r} is not below {FOLDER}/, where a run's example inputs lie")
    data = services.predictions.artifact(query.run, path).read_bytes()
    if path.endswith(".csv"):
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace"))))
        if not line or int(line) >= len(rows):
            raise BadQuery(f"file={query.file[:60]!r} names no line; {path} has {len(rows)}, numbered from 0")
        known = {f.name for f in card.inputs}
        cells = {name: value for name, value in rows[int(line)].items() if name in known}
        return Given(next(iter(cells.values()), "") if card.kind == "text" else cells, f"{path}, line {line}")
    return replace(_from_bytes(card, data, ""), source=path)


def _from_upload(services: Services, card: ModelCard, key: str) -> Given:
    return _from_bytes(card, uploads.uploaded(services.settings, key).read_bytes(), "your ")


def _from_bytes(card: ModelCard, data: bytes, whose: str) -> Given:
    if card.kind == "image":
        return Given(data, f"{whose}picture")
    if len(data) > _LONGEST_TEXT:
        raise BadInput(f"The input has {len(data):,} bytes; at most {_LONGEST_TEXT:,} are accepted.")
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise BadInput(f"The input is not text in UTF-8 (byte {exc.start}); {card.name} takes {card.kind}.") from exc
    return Given(text, f"{whose}text") if card.kind == "text" else Given(_object(text), f"{whose}values")


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadQuery(f'values={text[:60]!r} is not a JSON object such as {{"age": 40}}') from exc
    if not isinstance(found, dict):
        raise BadQuery(f'values={text[:60]!r} is not a JSON object such as {{"age": 40}}')
    return found


def _from_row(services: Services, card: ModelCard, query: InferenceQuery) -> Given:
    row = evaluation_row(services, query.run, query.row)
    evaluation = evaluation_of(services, query.run)
    columns = input_columns(card, evaluation) if evaluation else {}
    if not columns:
        wanted = ", ".join(f.name for f in card.inputs[:8])
        raise DataMissing(f"Row {query.row} cannot be given to the model: the evaluation lacks its input ({wanted}).")
    path = row[columns["image"]] if card.kind == "image" else None
    if isinstance(path, str) and path and not path.startswith("data:"):  # a picture that the run logged as a file
        return Given(services.predictions.artifact(query.run, path).read_bytes(), f"row {query.row}", row)
    return Given(row_input(card, columns, row, query.row), f"row {query.row}", row)


def row_input(card: ModelCard, columns: dict[str, str], row: dict[str, Any], number: object) -> Any:
    """An evaluation's row as the model takes it: picture, text or values; DataMissing where it holds no picture."""
    values = {name: row[column] for name, column in columns.items()}
    first = next(iter(values.values()))
    if card.kind == "image":
        return _image_bytes(first, number)
    return str(first if first is not None else "") if card.kind == "text" else values


def evaluation_row(services: Services, run_id: str, number: str) -> dict[str, Any]:
    """One row of the evaluation by its 0-based number, values as on the Data page; BadQuery when there is none."""
    if not number.isdecimal() or len(number) > 12:
        raise BadQuery(f"row={number[:40]!r} is not a row number of 0 or more")
    evaluation = evaluation_of(services, run_id)
    if evaluation is None:
        raise DataMissing(f"row={number}: run {run_id} carries no predictions table to take a row from")
    found = fetch_rows(tables_of(services), evaluation, "true", "", int(number), 1)
    if not found.rows:
        raise BadQuery(f"there is no row {number}; the evaluation has {found.total:,} rows, numbered from 0")
    return dict(zip(found.columns, found.rows[0], strict=True))


def tables_of(services: Services) -> Tables:
    """The door to the data folder's tables."""
    return Tables(services.settings.data_dir, services.settings.query_memory_mb)


def _image_bytes(value: Any, number: object) -> bytes:
    head, _, body = str(value or "").partition(",")
    if not head.startswith("data:image/"):
        raise DataMissing(f"Row {number} holds no picture; its image column is {str(value)[:60]!r}.")
    return base64.b64decode(body)


def evaluation_of(services: Services, run_id: str) -> Evaluation | None:
    """The evaluation with its table; None where the run has none, because a model can be tried without."""
    with suppress(DataMissing):
        found = services.predictions.evaluation(run_id)
        return found if found.table is not None else None
    return None


def input_columns(card: ModelCard, evaluation: Evaluation) -> dict[str, str]:
    """Input name -> column of the evaluation's table; empty where a required input has none."""
    roles = evaluation.roles
    if card.kind == "image":
        return {"image": roles.image} if roles.image else {}
    if card.kind == "text":
        named = card.inputs[0].name if card.inputs and card.inputs[0].name in roles.features else None
        column = roles.text or named
        return {card.inputs[0].name: column} if column else {}
    known = {*roles.features, *(c for c in (roles.text, roles.time, roles.id) if c)}
    missing = [f for f in card.inputs if f.required and f.name not in known]
    return {} if missing or card.kind != "table" else {f.name: f.name for f in card.inputs if f.name in known}


def data_uri(data: bytes, edge: int) -> str:
    """The picture as the model sees it (upright, 8 bits), at most `edge` pixels a side, as a PNG data URI."""
    image = open_image(data)
    image.thumbnail((edge, edge))
    target = io.BytesIO()
    image.save(target, "PNG")
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()
