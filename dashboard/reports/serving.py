"""What the Serving page shows: the inference process as it is now, the product's processes, engines compared."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.access.users import require_editor
from dashboard.cache import cache_key
from dashboard.errors import BadInput, BadQuery
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.heavy_lane import HeavyLane
from dashboard.inference.inputs import decode_input, join, layout
from dashboard.inference.protocol import Tensors
from dashboard.inference.speed_report import TAG, VERSION, Comparison, from_json, versions
from dashboard.inference.states import EngineState, LoadedModel
from dashboard.reports.inputs import InferenceQuery, evaluation_of, input_columns, read_input
from dashboard.services import Services
from dashboard.shared_work import SharedWork
from dashboard.uploads import content_key
from mlflow_runs.errors import DataMissing, ModelUnavailable
from mlflow_runs.records import RunRow

Report = Callable[[str, float], None]
_MOST_INPUTS = 64
_NAMED_RUNS = 1000


@dataclass(frozen=True)
class ServingQuery:
    """The Serving page's URL: the run whose model is compared."""

    run: str = ""


@dataclass(frozen=True)
class ServedModel:
    """A model in the engine's memory with the run it comes from, where the index knows it."""

    loaded: LoadedModel
    name: str
    run_id: str


@dataclass(frozen=True)
class Process:
    """One part of the product as its supervisor sees it; `pid` is None while it is down, `started` in Unix seconds."""

    name: str
    pid: int | None
    started: float | None
    restarts: int
    last_exit: int | None


@dataclass(frozen=True)
class ServingReport:
    """The engine now. `answered` counts rows predicted, from the cache, and joined to an equal request in flight.

    `from_cache` is the share of the latter two, None before the first answer. `restarts` are the engine's since the
    product was started, from its supervisor where there is one. `engines` are all that may be asked, one by one:
    those of several devices, of models' own environments, servers elsewhere; `engine` is the first of them as one.
    """

    engine: EngineState
    models: tuple[ServedModel, ...]
    model_bytes: int
    answered: int
    from_cache: float | None
    restarts: int
    processes: tuple[Process, ...]
    engines: tuple[EngineState, ...] = ()


@dataclass(frozen=True)
class EngineCard:
    """The comparison of a run's model; `reason` says why there can be none, `stale` with which other versions."""

    run: RunRow
    card: ModelCard | None
    reason: str = ""
    comparison: Comparison | None = None
    stale: str = ""


def serving_report(services: Services) -> ServingReport:
    """The engine's state and the processes; never fails, a part that is away says so."""
    state = services.inference.state()
    names = _names(services)
    engines = tuple(services.inference.states())
    held = [model for engine in engines for model in engine.models] or state.models
    served = tuple(ServedModel(model, *names.get(model.model_id, (model.model_id, ""))) for model in held)
    hits = state.counters.get("cache_hits", 0) + state.counters.get("joined", 0)
    answered = hits + state.counters.get("predictions", 0)
    processes = supervised(services.settings.data_dir)
    local = [process for process in processes if process.name.startswith("engine")]
    return ServingReport(
        engine=state,
        models=tuple(sorted(served, key=lambda item: -item.loaded.used)),
        model_bytes=sum(model.bytes for model in held),
        answered=answered,
        from_cache=hits / answered if answered else None,
        restarts=sum(process.restarts for process in local) if local else state.restarts,
        processes=processes,
        engines=engines,
    )


def supervised(data_dir: Path) -> tuple[Process, ...]:
    """The processes that the supervisor of this data folder keeps; empty where none runs."""
    try:
        parts = json.loads((data_dir / "run" / "supervisor.json").read_text())["parts"]
        return tuple(_process(name, facts) for name, facts in parts.items() if facts["started"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def _process(name: str, facts: Mapping[str, Any]) -> Process:
    return Process(name, facts["pid"], facts["started"], int(facts["restarts"]), facts["last_exit"])


def _names(services: Services) -> dict[str, tuple[str, str]]:
    """Model id -> name with version, and run id; computed once per change of the index."""
    key = cache_key("model-names", 1, f"revision-{services.runs.state().revision}", services.settings.store_uri)
    return services.cache.compute(key, lambda: _read_names(services), expire=600).value


def _read_names(services: Services) -> dict[str, tuple[str, str]]:
    rows, _total = services.runs.runs(limit=_NAMED_RUNS)
    newest_last = reversed([row for row in rows if row.model_info is not None])
    return {row.model_info.model_id: (_name(row), row.run_id) for row in newest_last if row.model_info is not None}


def _name(row: RunRow) -> str:
    return f"{row.model} v{row.version}" if row.version else f"{row.model}, {row.run_name}"


def engine_card(services: Services, query: ServingQuery) -> EngineCard:
    """What is known about the engines for the run's model: from the cache, else from the run's tag in MLflow."""
    run = services.runs.run(query.run)
    if run.model_info is None:
        return EngineCard(
            run, None, "This run holds no model. Choose a run that logged one with mlflow.pytorch.log_model."
        )
    card = model_card(run)
    if "pytorch" not in card.flavors:
        flavors = ", ".join(flavor for flavor in card.flavors if flavor != "python_function") or "none that is known"
        return EngineCard(
            run, card, f"Only PyTorch models are exported and compared; this one has the flavour {flavors}."
        )
    found = services.cache.peek(_key(services, card.model_id))
    if found is not None:
        return EngineCard(run, card, comparison=from_json(str(found.value)))
    return _recorded(run, card)


def _recorded(run: RunRow, card: ModelCard) -> EngineCard:
    with suppress(DataMissing):
        comparison = from_json(run.tags[TAG]) if TAG in run.tags else None
        if comparison is not None and comparison.model_id == card.model_id:
            made = ", ".join(f"{name} {version}" for name, version in comparison.versions.items())
            return EngineCard(run, card, comparison=comparison, stale="" if comparison.versions == versions() else made)
    return EngineCard(run, card)


def compare_engines(services: Services, run_id: str, report: Report) -> Comparison:
    """Export, check and time the run's model in the heavy worker, or follow who does; cached and kept as the run's tag.

    Raises ModelUnavailable, DataMissing (no inputs to check it with) or EngineUnavailable.
    """
    report("Reading inputs", 0.0)
    known = engine_card(services, ServingQuery(run_id))
    if known.card is None or known.reason:
        raise ModelUnavailable(known.reason)
    card, key = known.card, _key(services, known.card.model_id)

    def work(told: Report) -> Comparison:
        tensors, source = real_inputs(services, known.run, card)
        told("Starting the process for exports", 0.01)
        lane = HeavyLane(services.settings.data_dir)
        text = str(lane.ask("compare", {"run": run_id, "source": source}, tensors, told).header["result"])
        services.cache.store(key, text)
        return from_json(text)

    def found() -> Comparison | None:
        stored = services.cache.peek(key)
        return None if stored is None else from_json(str(stored.value))

    return _work(services, card.model_id).run(work, found, report)


def comparing(services: Services, run_id: str) -> bool:
    """Whether the engines for the run's model are being compared now, for whichever page."""
    info = services.runs.run(run_id).model_info
    return info is not None and _work(services, info.model_id).running()


def cancel_comparison(services: Services, run_id: str) -> None:
    """End it, whichever page began it."""
    require_editor("cancel a comparison")
    _work(services, model_card(services.runs.run(run_id)).model_id).cancel()


def _work(services: Services, model_id: str) -> SharedWork:
    return SharedWork(services.settings.folder("run/work"), content_key("engines", model_id))


def _key(services: Services, model_id: str) -> str:
    settings = services.settings
    query = (sorted(versions().items()), settings.device, settings.engine_threads)
    return cache_key("engines", VERSION, model_id, query)


def real_inputs(services: Services, run: RunRow, card: ModelCard) -> tuple[Tensors, str]:
    """Up to 64 inputs of one shape, and where they come from: the evaluation's rows, else the input example."""
    evaluation = evaluation_of(services, run.run_id)
    if evaluation is not None and input_columns(card, evaluation):
        step = max(1, evaluation.n_rows // _MOST_INPUTS)
        numbers = range(0, evaluation.n_rows, step)[:_MOST_INPUTS]
        samples = [_sample(services, card, run.run_id, number) for number in numbers]
        if alike := _alike(samples):
            return join(alike), f"{len(alike)} rows of the run's evaluation"
    example = example_rows(run.model_info.input_example if run.model_info else None)[:_MOST_INPUTS]
    with suppress(BadInput):
        if alike := _alike([decode_input(card, row) for row in example]):
            return join(alike), f"the model's input example ({len(alike)} rows)"
    raise DataMissing(
        f"There is nothing to check {card.name} with: run {run.run_name!r} holds neither evaluated rows with the "
        "model's inputs nor a readable input example; log the model with input_example=."
    )


def _sample(services: Services, card: ModelCard, run_id: str, number: int) -> Tensors:
    """One row as tensors; empty where the row cannot be given to the model."""
    with suppress(BadInput, BadQuery, DataMissing):
        given = read_input(services, card, InferenceQuery(run=run_id, row=str(number)))
        return decode_input(card, given.value) if given else {}
    return {}


def _alike(samples: list[Tensors]) -> list[Tensors]:
    known = [sample for sample in samples if sample]
    return [sample for sample in known if layout(sample) == layout(known[0])]


def example_rows(example: Any) -> list[Any]:
    """All rows of an MLflow input example: a list, {"columns", "data"}, {"inputs": ...} or one bare value."""
    if isinstance(example, list):
        return example
    if isinstance(example, Mapping):
        if isinstance(example.get("columns"), list) and isinstance(example.get("data"), list):
            return [dict(zip(map(str, example["columns"]), row, strict=False)) for row in example["data"]]
        for name in ("inputs", "instances", "dataframe_records", "dataframe_split"):
            if name in example:
                return example_rows(example[name])
        return [dict(example)]
    return [] if example is None else [example]
