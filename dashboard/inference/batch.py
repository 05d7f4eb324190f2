"""Predictions for a whole file: read in chunks, ask the engine, keep a CSV that is found again."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import orjson

from dashboard.errors import BadInput, EngineBusy, EngineUnavailable
from dashboard.inference.batch_files import BatchFile, Item, inspect, items, reading
from dashboard.inference.batch_results import ResultWriter, Tally
from dashboard.inference.cards import ModelCard
from dashboard.inference.outputs import Prediction
from dashboard.uploads import FileShelf, content_key

Ask = Callable[[list[Any]], Sequence[Prediction]]
Report = Callable[[int, int], None]

VERSION = 2
_FIRST_CHUNK, _LARGEST_CHUNK = 8, 256
_CHUNK_SECONDS = 0.25
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class BatchSummary:
    """What a finished batch is told by: file, model, rows, failed rows, seconds, count per label, mean of values."""

    key: str
    name: str
    model: str
    n: int
    failed: int
    seconds: float
    labels: dict[str, int] = field(default_factory=dict)
    mean: float | None = None
    problem: str = ""
    cached: bool = False


def result_key(model_id: str, file_key: str) -> str:
    """The key of a result: this model on these bytes by this version of the code."""
    return content_key("batch", str(VERSION), model_id, file_key)


def finished(shelf: FileShelf, key: str, name: str) -> BatchSummary | None:
    """The summary of a result that is already there, marked as cached."""
    path = shelf.path(key, ".json")
    if not path.is_file() or not shelf.path(key, ".csv").is_file():
        return None
    return BatchSummary(**{**orjson.loads(path.read_bytes()), "name": name, "cached": True})


def run(path: Path, card: ModelCard, file: BatchFile, ask: Ask, target: IO[str], report: Report) -> dict[str, Any]:
    """Predict every row and write the result CSV; returns n, failed, seconds, labels, mean and the first problem.

    Inputs go to `ask` in chunks that take about 0.25 s. A row the model refuses gets its reason in column `error`.
    """
    started, tally, writer = time.monotonic(), Tally(), ResultWriter(target, file.columns)
    report(0, file.rows)
    with reading(file.format):
        for chunk, answers in _answered(items(path, file.format, card), ask):
            for item, answer in zip(chunk, answers, strict=True):
                writer.write(item.cells, answer)
                tally.add(answer)
            report(tally.n, file.rows)
    writer.close()
    return {**tally.facts(), "seconds": time.monotonic() - started}


def predict_file(
    path: Path, card: ModelCard, name: str, ask: Ask, shelf: FileShelf, report: Report = lambda _done, _all: None
) -> BatchSummary:
    """Run a batch and keep its CSV and summary on the shelf; an equal batch that is already there is returned."""
    key = result_key(card.model_id, path.name)
    if (known := finished(shelf, key, name)) is not None:
        return known
    file = inspect(path, card)
    draft = shelf.draft()
    try:
        with draft.open("x", encoding="utf-8", newline="") as target:
            facts = run(path, card, file, ask, target, report)
        shelf.keep(draft, key, ".csv")
    finally:
        draft.unlink(missing_ok=True)
    model = f"{card.name} version {card.version}" if card.version else card.name
    summary = BatchSummary(key=key, name=name, model=model, **facts)
    draft.write_bytes(orjson.dumps(asdict(summary)))
    shelf.keep(draft, key, ".json")
    return summary


def _answered(source: Iterator[Item], ask: Ask) -> Iterator[tuple[list[Item], list[Prediction | str]]]:
    """Chunks with their answers (a text says why there is none); the chunk's size follows the time it takes."""
    size = _FIRST_CHUNK
    while chunk := list(islice(source, size)):
        started = time.monotonic()
        given = [item.given for item in chunk if not item.problem]
        found = iter(_patiently(ask, given) if given else ())
        yield chunk, [item.problem or next(found) for item in chunk]
        size = next_size(size, time.monotonic() - started)


def next_size(size: int, seconds: float) -> int:
    """Twice the chunk when it took less than half the aim, half when it took more than the aim, else the same."""
    if seconds < _CHUNK_SECONDS / 2:
        return min(2 * size, _LARGEST_CHUNK)
    return max(1, size // 2) if seconds > _CHUNK_SECONDS else size


def _patiently(ask: Ask, given: list[Any]) -> list[Prediction | str]:
    """Ask for a chunk; wait while the engine is busy or away; a chunk that is refused is asked for row by row."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return list(ask(given))
        except (EngineBusy, EngineUnavailable):
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        except BadInput as exc:
            return [str(exc)] if len(given) == 1 else [answer for one in given for answer in _patiently(ask, [one])]
