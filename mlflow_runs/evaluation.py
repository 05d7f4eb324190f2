"""The evaluation record: what can be read of one run's artifacts, and a problem for each that cannot."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow_runs import figures as ready_made
from mlflow_runs.artifacts import ArtifactFile, Source, Tables
from mlflow_runs.errors import ArtifactUnreadable
from mlflow_runs.prediction_tables import READER_VERSION, first_table
from mlflow_runs.records import Evaluation, EvaluationState, Figures, Problem, Roles, RunRow

FIGURES: dict[str, Callable[[Path, str], Figures]] = {
    "performance.json": ready_made.performance_figures,
    "per_class_metrics.csv": ready_made.per_class_figures,
}
PREPROCESSING = ("preprocessing.json", "preprocessor_config.json")
SLICES = ("slices.yaml", "slices.yml")
LONGEST_SLICES = 100_000
PREPROCESSOR_KEYS = ("size", "do_rescale", "rescale_factor", "image_mean", "image_std", "do_normalize", "do_resize")


def read_evaluation(
    run: RunRow, source: Source, tables: Tables, scratch: Path, correction: Mapping[str, Any] | None = None
) -> Evaluation:
    """Everything readable of a run; never raises for what the artifacts hold: that becomes `problems`.

    `scratch` is a folder for temporary files; `correction` goes before evaluation.json.
    Raises what `source.files()` raises when the store does not answer.
    """
    files = sorted(source.files(), key=lambda file: (file.path.count("/"), file.path))
    problems: list[Problem] = []
    table = first_table(run, files, source, tables, scratch, problems, correction or {})
    found = _figures(run, files, source, problems)
    task = table.task if table and table.task else (ready_made.task_of(found) if found else None)
    preprocessing, slices = _preprocessing(run, files, source, problems), _slices(files, source, problems)
    return Evaluation(
        run_id=run.run_id,
        task=task,
        roles=table.roles if table else Roles(),
        classes=table.classes if table else tuple(sorted(found.per_class)) if found else (),
        positive_class=table.positive_class if table else None,
        table=table.path if table else None,
        digest=table.digest if table else _digest_of(found),
        n_rows=table.n_rows if table else 0,
        artifact=table.artifact if table else found.artifact if found else "",
        figures=found,
        problems=tuple(dict.fromkeys(problems)),
        preprocessing=preprocessing,
        slices=slices,
    )


def state_of(evaluation: Evaluation) -> EvaluationState:
    """Ready when anything can be shown, broken when artifacts were there and none could be read, else none."""
    if evaluation.table or evaluation.figures:
        return "ready"
    return "broken" if evaluation.problems else "none"


def _figures(run: RunRow, files: Sequence[ArtifactFile], source: Source, problems: list[Problem]) -> Figures | None:
    """The first readable figures, completed by what later artifacts add, else the run's own metrics."""
    found: Figures | None = None
    for name, reader in FIGURES.items():
        for file in (file for file in files if PurePosixPath(file.path).name == name):
            try:
                read = reader(source.fetch(file.path), file.path)
            except ArtifactUnreadable as exc:
                problems.append(Problem(file.path, str(exc)))
                continue
            found = read if found is None else dataclasses.replace(found, per_class=found.per_class or read.per_class)
            break
    logged = ready_made.metric_figures(run.metrics)
    if found is None or found.overall or logged is None:
        return found or logged
    return dataclasses.replace(found, overall=logged.overall)


def _preprocessing(
    run: RunRow, files: Sequence[ArtifactFile], source: Source, problems: list[Problem]
) -> dict[str, Any]:
    """Params that begin with "preprocess", then preprocessing.json, then the model's image preprocessor metadata."""
    found: dict[str, Any] = {key: value for key, value in run.params.items() if key.lower().startswith("preprocess")}
    for file in (file for file in files if PurePosixPath(file.path).name in PREPROCESSING):
        try:
            data = ready_made.read_json(source.fetch(file.path))
        except ArtifactUnreadable as exc:
            problems.append(Problem(file.path, str(exc)))
            continue
        found |= data if isinstance(data, dict) else {PurePosixPath(file.path).stem: data}
    metadata = run.model_info.metadata if run.model_info else {}
    return found | {key: metadata[key] for key in PREPROCESSOR_KEYS if key in metadata}


def _slices(files: Sequence[ArtifactFile], source: Source, problems: list[Problem]) -> str:
    """The text of slices.yaml, the one nearest to the top; what its filters mean is the reader's matter."""
    file = next((file for file in files if PurePosixPath(file.path).name in SLICES), None)
    if file is None:
        return ""
    try:
        text = source.fetch(file.path).read_text(encoding="utf-8")
        if len(text) > LONGEST_SLICES:
            raise ArtifactUnreadable(f"has {len(text):,} characters; at most {LONGEST_SLICES:,} are read")
    except ArtifactUnreadable as exc:
        problems.append(Problem(file.path, str(exc)))
    except (OSError, UnicodeDecodeError):
        problems.append(Problem(file.path, "is not a UTF-8 text"))
    else:
        return text
    return ""


def _digest_of(found: Figures | None) -> str:
    text = json.dumps(dataclasses.asdict(found), sort_keys=True) if found else ""
    return hashlib.blake2b(f"{READER_VERSION}\n{text}".encode(), digest_size=16).hexdigest() if found else ""
