"""One input through several versions or models: what each says, where they differ, and which is measurably best."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from dashboard.cache import cache_key
from dashboard.errors import BadInput
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.outputs import Prediction
from dashboard.metrics.ranking import Ranking, ranking
from dashboard.pictures import Kept, is_kept, keep
from dashboard.reports.context import known_columns, membership
from dashboard.reports.inputs import INPUTS, Given, evaluation_of, read_input, tables_of
from dashboard.reports.residual_interval import interval_of
from dashboard.reports.version_choice import VersionsQuery, chosen_versions, in_production, version_name
from dashboard.services import Services
from mlflow_runs.errors import DashboardError
from mlflow_runs.records import Evaluation, RunRow

_SLICES = 4
_AT_ONCE = 2
State = Literal["waiting", "asking", "done", "failed"]


@dataclass(frozen=True)
class Tile:
    """One version's place in the result.

    `label` with its `score`, or `value` with the interval `low` to `high` that 95% of its residuals give, or
    `picture`, or `raw`. `differs` says that label or number differ from the reference's. `ms` is how long the answer
    took from being asked for, `at` when it was there (Unix seconds); `problem` why there is none.
    """

    run: RunRow
    state: State = "waiting"
    label: str = ""
    score: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    picture: Kept | None = None
    raw: str = ""
    differs: bool = False
    cached: bool = False
    ms: float = 0.0
    at: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Best:
    """Which version is best on some rows of the evaluation; `slice` is "" for all of them."""

    slice: str
    n: int
    name: str
    word: Literal["best", "same", "too few rows"]


@dataclass(frozen=True)
class VersionsReport:
    """Tiles in the order of asking; the `reference` is the one in production, else the first."""

    tiles: tuple[Tile, ...]
    reference: str
    bests: tuple[Best, ...] = ()
    note: str = ""

    @property
    def done(self) -> int:
        """How many have answered or failed."""
        return sum(tile.state in ("done", "failed") for tile in self.tiles)


Show = Callable[[VersionsReport], None]


def versions_found(services: Services, query: VersionsQuery) -> VersionsReport | None:
    """What was found before for the same input and versions; None where it has to be asked."""
    if not query.run or not query.asks:
        return None
    with suppress(DashboardError):  # because the answer beside says what is wrong with the input
        found = services.cache.peek(_key(services, query, chosen_versions(services, query)))
        if found is not None and isinstance(found.value, VersionsReport):
            pictures = [tile.picture for tile in found.value.tiles if tile.picture]
            return found.value if all(is_kept(services.settings, picture) for picture in pictures) else None
    return None


def _key(services: Services, query: VersionsQuery, rows: Sequence[RunRow]) -> str:
    models = tuple(row.model_info.model_id for row in rows if row.model_info)
    given = tuple(getattr(query, name) for name in INPUTS)
    return cache_key("versions", 1, query.run, (models, given))


def ask_versions(services: Services, query: VersionsQuery, show: Show) -> VersionsReport:
    """Ask all chosen versions; `show` hears of every change.

    The first whose answer is not in the cache is asked alone, so that nothing delays it.
    """
    rows = chosen_versions(services, query)
    given = read_input(services, model_card(services.runs.run(query.run)), query) if rows and query.asks else None
    if given is None:
        raise BadInput("There is no input to ask about: click an example, or give an input of your own.")
    tiles = {row.run_id: Tile(row) for row in rows}
    reference = next((row.run_id for row in rows if in_production(row)), rows[0].run_id)

    def told(tile: Tile) -> None:
        tiles[tile.run.run_id] = tile
        show(_marked(tuple(tiles.values()), reference))

    left = iter(rows)
    for row in left:
        told(Tile(row, "asking"))
        tile = _answer(services, row, given)
        told(tile)
        if not tile.cached:
            break
    rest = list(left)
    waiting = iter(rest)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {pool.submit(_answer, services, row, given) for row in rest}
        for row in islice(waiting, _AT_ONCE):
            told(Tile(row, "asking"))
        for finished in as_completed(asked):
            done = finished.result()
            begun = [row for row in islice(waiting, 1) if tiles[row.run_id].state == "waiting"]
            tiles |= {row.run_id: Tile(row, "asking") for row in begun}
            told(done)
    report = _marked(tuple(tiles.values()), reference)
    bests, note = _bests(services, query, rows, given)
    report = replace(report, bests=bests, note=note)
    if all(tile.state == "done" for tile in report.tiles):
        services.cache.store(_key(services, query, rows), report)
    return report


def _answer(services: Services, row: RunRow, given: Given) -> Tile:
    """One version's tile; what goes wrong with one version stays in its own tile."""
    try:
        card = model_card(row)
        answer = services.inference.predict(row.run_id, [_adapted(card, given.value)])
    except DashboardError as error:
        return Tile(row, "failed", problem=str(error))
    said = _said(services, row, answer.predictions[0])
    return replace(said, state="done", cached=answer.cached, ms=answer.latency_ms, at=time.time())


def _adapted(card: ModelCard, value: Any) -> Any:
    """A row without the columns that this version does not take."""
    if card.columns and isinstance(value, Mapping):
        return {item.name: value[item.name] for item in card.inputs if item.name in value}
    if card.kind == "tensor" and isinstance(value, Mapping):
        return {spec.name: given for spec, given in zip(card.tensors, value.values(), strict=False)}
    return value


def _said(services: Services, row: RunRow, prediction: Prediction) -> Tile:
    if prediction.image is not None:
        return Tile(row, picture=keep(services.settings, prediction.image))
    if prediction.label is not None:
        return Tile(row, label=prediction.label, score=prediction.probabilities.get(prediction.label))
    if prediction.value is None:
        return Tile(row, raw=str(prediction.raw)[:400])
    found = interval_of(services, row.run_id, prediction)
    low, high = (None, None) if found is None else (found.low, found.high)
    return Tile(row, value=prediction.value, low=low, high=high)


def _marked(tiles: tuple[Tile, ...], reference: str) -> VersionsReport:
    """Mark what differs from the reference: another label, or a number outside the reference's interval."""
    base = next(tile for tile in tiles if tile.run.run_id == reference)
    return VersionsReport(tuple(replace(tile, differs=_differs(tile, base)) for tile in tiles), reference)


def _differs(tile: Tile, base: Tile) -> bool:
    if tile.state != "done" or base.state != "done" or tile.run.run_id == base.run.run_id:
        return False
    if tile.value is not None and base.value is not None:
        known = base.low is not None and base.high is not None
        return known and not float(base.low or 0) <= tile.value <= float(base.high or 0)
    return tile.label != base.label


def _bests(
    services: Services, query: VersionsQuery, rows: Sequence[RunRow], given: Given
) -> tuple[tuple[Best, ...], str]:
    """The measurably best version over all rows and on the input's slices; a sentence where that cannot be said."""
    first = evaluation_of(services, query.run)
    measured = [(row, found) for row in rows if (found := _comparable(services, row, rows[0], first)) is not None]
    if first is None or len(measured) < 2:
        return (), "" if model_card(rows[0]).pictures else "No two of these were evaluated on the same labelled rows."
    known = known_columns(model_card(rows[0]), first, given)
    inside, _, undecided = membership(services, first, known, int(query.row) if given.row else None)
    places = [("", "true"), *[(item.name, item.condition) for item in inside[:_SLICES]]]
    tables, least = tables_of(services), services.settings.min_rows
    evaluations = [found for _, found in measured]
    bests = [
        _best(name, ranking(tables, evaluations, condition, least), [row for row, _ in measured])
        for name, condition in places
    ]
    unknown = f"Whether it is in {len(undecided)} other slices cannot be told from the input." if undecided else ""
    return tuple(bests), unknown


def _comparable(services: Services, row: RunRow, first: RunRow, base: Evaluation | None) -> Evaluation | None:
    """The run's evaluation where it can be paired with the first one's rows: the same model's, with ids."""
    found = evaluation_of(services, row.run_id) if row.model == first.model else None
    if found is None or base is None or found.task != base.task or found.task not in ("classification", "regression"):
        return None
    return found if found.roles.id and found.roles.label and found.roles.prediction else None


def _best(slice_: str, found: Ranking, rows: Sequence[RunRow]) -> Best:
    word: Literal["best", "same", "too few rows"] = "too few rows" if found.too_few else "same"
    return Best(slice_, found.n, version_name(rows[found.best]), "best" if found.named else word)
