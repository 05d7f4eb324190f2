"""MLflow's runs, versions and models as the rows of the index; how runs are grouped under a model's name."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from mlflow_runs.records import DatasetInput, ModelInfo, RunRow

HISTORY_TAG = "mlflow.log-model.history"  # before MLflow 3 the only trace of a logged model; long, so not kept
_LOGGED = re.compile(r"\bm-[0-9a-f]{32}\b")
_COMMIT_TAGS = ("mlflow.source.git.commit", "git_commit")


@dataclass(frozen=True)
class Version:
    """A registered version with its aliases."""

    model: str
    number: int
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Registry:
    """Which version a run or a logged model became; the newest where there are several."""

    by_run: Mapping[str, Version] = field(default_factory=dict)
    by_model: Mapping[str, Version] = field(default_factory=dict)

    def find(self, run_id: str, model_id: str | None) -> Version | None:
        """The run's own version, else that of the model it made or evaluated."""
        return self.by_run.get(run_id) or self.by_model.get(model_id or "")


def registry_of(models: Iterable[RegisteredModel], versions: Iterable[ModelVersion]) -> Registry:
    """Look-up tables of all versions; aliases come from the models because version searches may leave them out."""
    aliases: dict[tuple[str, int], list[str]] = {}
    for model in models:
        for alias, number in (model.aliases or {}).items():
            aliases.setdefault((model.name, int(number)), []).append(alias)
    by_run: dict[str, Version] = {}
    by_model: dict[str, Version] = {}
    for made in sorted(versions, key=lambda version: (version.creation_timestamp or 0, int(version.version))):
        number = int(made.version)
        version = Version(made.name, number, tuple(sorted(aliases.get((made.name, number), ()))))
        if made.run_id:
            by_run[made.run_id] = version
        in_source = _LOGGED.findall(made.source or "")  # because SQL stores keep the source, not the model's id
        for model_id in filter(None, [made.model_id, *in_source[-1:]]):
            by_model[model_id] = version
    return Registry(by_run, by_model)


def grouped(row: RunRow, registry: Registry) -> RunRow:
    """The row under its registered model and version, else under its experiment (and logged model's name)."""
    info = row.model_info
    version = registry.find(row.run_id, info.model_id if info else None)
    if version is not None:
        named = {"model": version.model, "version": str(version.number), "aliases": version.aliases}
        return dataclasses.replace(row, registered=True, **named)  # type: ignore[arg-type]
    group = f"{row.experiment} / {info.name}" if info and info.name else row.experiment
    return dataclasses.replace(row, registered=False, model=group, version=None, aliases=())


def made_models(run: Run) -> tuple[str, ...]:
    """The ids of the models that a run logged, newest first."""
    outputs = run.outputs.model_outputs if run.outputs else ()
    return tuple(str(link.model_id) for link in reversed(outputs or ()))


def model_id_of(run: Run) -> str | None:
    """The id of the model that a run made, else evaluated; `<run id>/<path>` for one logged by MLflow 2."""
    inputs = run.inputs.model_inputs if run.inputs else ()
    for model_id in (*made_models(run), *(str(link.model_id) for link in inputs or ())):
        return model_id
    path = _history_path(run.data.tags.get(HISTORY_TAG, ""))
    return f"{run.info.run_id}/{path}" if path else None


def _history_path(text: str) -> str | None:
    try:
        history = json.loads(text) if text else []
        return str(history[-1]["artifact_path"]) if history else None
    except (json.JSONDecodeError, LookupError, TypeError):
        return None


def row_of(run: Run, experiment: str, model: ModelInfo | None, registry: Registry, at: float) -> RunRow:
    """A run as the index holds it; `at` is now, in Unix seconds."""
    info, tags = run.info, run.data.tags
    row = RunRow(
        run_id=info.run_id,
        run_name=info.run_name or info.run_id[:8],
        experiment=experiment,
        experiment_id=str(info.experiment_id),
        status=str(info.status),
        start_time=(info.start_time or 0) / 1000,
        end_time=info.end_time / 1000 if info.end_time else None,
        model=experiment,
        registered=False,
        version=None,
        ordinal=1,
        aliases=(),
        task=None,
        state="pending",
        problems=(),
        metrics={key: float(value) for key, value in run.data.metrics.items()},
        params=dict(run.data.params),
        tags={key: value for key, value in tags.items() if key != HISTORY_TAG},
        git_commit=next((tags[key] for key in _COMMIT_TAGS if tags.get(key)), None),
        user=tags.get("mlflow.user") or info.user_id or None,
        datasets=tuple(map(_dataset, run.inputs.dataset_inputs if run.inputs else ())),
        model_info=model,
        synced_at=at,
    )
    return grouped(row, registry)


def _dataset(found: Any) -> DatasetInput:
    tags = {tag.key: tag.value for tag in found.tags or ()}
    made = found.dataset
    return DatasetInput(made.name, made.digest, tags.get("mlflow.data.context", ""), (made.source or "")[:1000])
