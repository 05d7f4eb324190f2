"""Models asked now about rows of an evaluation: their answers, measured and paired, and where they disagree."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.errors import BadInput
from dashboard.inference.cards import ModelCard, model_card
from dashboard.metrics import comparison
from dashboard.metrics.columns import quoted
from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.metrics.rows import LONGEST_PAGE, fetch_rows
from dashboard.metrics.tables import Tables, source
from dashboard.reports.inputs import input_columns, row_input, tables_of
from dashboard.reports.selection import Selection, measure
from dashboard.services import Services
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation, Roles, RunRow

SEED = 20_17
Row = dict[str, Any]
_CHUNK = 64
_SHOWN = 25
_NAMED = 4


@dataclass(frozen=True)
class Score:
    """One model over the rows: figures by name, how many rows got no answer and why the first did not.

    `verdict` compares the headline figure with the first model's on the same rows, None for the first itself.
    """

    run: RunRow
    overall: dict[str, Estimate]
    failed: int
    problem: str
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Dispute:
    """A row on which the models disagree: its number, how it looks, its label, what each model says."""

    row: int
    title: str
    image: str
    label: str
    said: tuple[str, ...]


def draw_rows(tables: Tables, evaluation: Evaluation, where: str, limit: int) -> tuple[list[int], int]:
    """Positions of labelled rows where checked SQL holds, at most `limit`, and how many there are.

    More are drawn at random with a fixed seed, the same ones whatever the models.
    """
    assert evaluation.table is not None
    label = quoted(evaluation.roles.label or "")
    found = tables.query(
        f"SELECT file_row_number AS i FROM {source(evaluation.table, numbered=True)}"
        f" WHERE ({where}) AND {label} IS NOT NULL ORDER BY i"
    )["i"].to_numpy()
    if len(found) <= limit:
        return found.tolist(), len(found)
    return np.sort(np.random.default_rng(SEED).choice(found, limit, replace=False)).tolist(), len(found)


def cells_of(tables: Tables, evaluation: Evaluation, numbers: Sequence[int]) -> list[Row]:
    """Rows by position, in that order, values as on the Data page."""
    rows: list[Row] = []
    for start in range(0, len(numbers), LONGEST_PAGE):
        wanted = ", ".join(map(str, numbers[start : start + LONGEST_PAGE]))
        page = fetch_rows(tables, evaluation, f"file_row_number IN ({wanted})", "", 0, LONGEST_PAGE)
        rows += [dict(zip(page.columns, row, strict=True)) for row in page.rows]
    return rows


@dataclass
class Answers:
    """What a model says to each row: a class, a number, or None where it failed; why the first failed."""

    values: list[str | float | None]
    problem: str = ""


def through(
    services: Services,
    run: RunRow,
    evaluation: Evaluation,
    cells: Sequence[Row],
    done: Callable[[int], None],
) -> Answers:
    """One model's answers to all rows; `done` hears how many are asked. Raises the engine's errors."""
    card = model_card(run)
    columns = input_columns(card, evaluation)
    if not columns:
        raise DataMissing(f"{model_name(run)} cannot be run over these rows: the evaluation lacks its inputs.")
    found = Answers([])
    for start in range(0, len(cells), _CHUNK):
        chunk = cells[start : start + _CHUNK]
        found.values += _chunk(services, run, card, columns, chunk, found)
        done(start + len(chunk))
    return found


def _chunk(
    services: Services, run: RunRow, card: ModelCard, columns: dict[str, str], chunk: Sequence[Row],
    found: Answers,
) -> list[str | float | None]:  # fmt: skip
    """A chunk at once; row by row when one of its rows is refused, so that one bad row costs one answer."""
    try:
        given = [row_input(card, columns, row, "") for row in chunk]
        answers = services.inference.predict(run.run_id, given, deadline=services.settings.job_timeout).predictions
        return [answer.label if answer.label is not None else answer.value for answer in answers]
    except (BadInput, DataMissing) as exc:
        if len(chunk) == 1:
            found.problem = found.problem or str(exc)
            return [None]
    return [_chunk(services, run, card, columns, [row], found)[0] for row in chunk]


def scores_of(
    services: Services, evaluation: Evaluation, runs: Sequence[RunRow], numbers: Sequence[int],
    cells: Sequence[Row], answers: Sequence[Answers],
) -> tuple[Score, ...]:  # fmt: skip
    """Every model's answers as an evaluation of its own, measured as any other and paired with the first."""
    regression, min_rows = evaluation.task == "regression", services.settings.min_rows
    labels = [row[evaluation.roles.label or ""] for row in cells]
    tables, measured, scores = tables_of(services), list[Evaluation](), list[Score]()
    with tempfile.TemporaryDirectory(dir=services.settings.folder("spill")) as folder:
        for at, (run, answer) in enumerate(zip(runs, answers, strict=True)):
            path = Path(folder, f"{at}.parquet")
            pq.write_table(pa.table({"id": list(numbers), "label": labels, "prediction": answer.values}), path)
            roles = Roles(label="label", prediction="prediction", id="id")
            own = replace(evaluation, roles=roles, table=path, digest="", n_rows=len(numbers), figures=None)
            overall = measure(tables, own, Selection(), min_rows).overall
            verdict = _against(tables, own, measured[0], regression, min_rows) if measured else None
            measured.append(own)
            scores.append(Score(run, overall, sum(v is None for v in answer.values), answer.problem, verdict))
    return tuple(scores)


def disputes(
    evaluation: Evaluation, numbers: Sequence[int], cells: Sequence[Row], answers: Sequence[Answers],
    inputs: Sequence[str] = (),
) -> tuple[int, tuple[Dispute, ...]]:  # fmt: skip
    """How many rows the models disagree on, and the first of them; numbers differ beyond the fourth digit.

    A row without text is told by its first `inputs`, the columns that models are given (default: the features).
    """
    said = [[_text(value) if value is not None else "no answer" for value in answer.values] for answer in answers]
    places = [at for at, texts in enumerate(zip(*said, strict=True)) if len(set(texts)) > 1]
    shown = places[:_SHOWN]
    told = inputs or evaluation.roles.features
    found = (_dispute(evaluation, numbers[at], cells[at], [texts[at] for texts in said], told) for at in shown)
    return len(places), tuple(found)


def _against(tables: Tables, candidate: Evaluation, baseline: Evaluation, regression: bool, min_rows: int) -> Verdict:
    if regression:
        return comparison.paired_rmse(tables, candidate, baseline, min_rows=min_rows)
    return comparison.paired_macro_f1(comparison.joint_counts(tables, candidate, baseline), min_rows=min_rows)


def _dispute(evaluation: Evaluation, number: int, row: Row, said: Sequence[str], inputs: Sequence[str]) -> Dispute:
    roles = evaluation.roles
    image = str(row.get(roles.image or "") or "")
    title = _text(row.get(roles.text)) if roles.text else _named(row, inputs)
    label, title = _text(row[roles.label or ""]), title[:160]
    return Dispute(number, title, image if image.startswith("data:image/") else "", label, tuple(said))


def _named(row: Row, columns: Sequence[str]) -> str:
    """The first values of a row with their names."""
    return ", ".join(f"{name} {_text(row.get(name))}" for name in columns[:_NAMED])


def _text(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.4g}"
    return str(value)


def model_name(run: RunRow) -> str:
    """A version, else the run's name."""
    return f"{run.model} v{run.version}" if run.version else run.run_name
