"""A run's predictions table: which artifact it is, what its columns mean, its normalised local copy."""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from mlflow_runs import formats, roles
from mlflow_runs.artifacts import ArtifactFile, Source, Tables
from mlflow_runs.class_sets import is_sets
from mlflow_runs.errors import ArtifactUnreadable
from mlflow_runs.figures import read_json
from mlflow_runs.records import Problem, Roles, RunRow, Task

READER_VERSION = "3"  # part of every digest: raise it when the same bytes are read differently
MANY_CLASSES = 10_000
TABLES = ("predictions.parquet", "predictions.csv", "eval_results_table.json")


@dataclass(frozen=True)
class Table:
    """A predictions table that was read and kept."""

    artifact: str
    path: Path
    digest: str
    n_rows: int
    task: Task | None
    roles: Roles
    classes: tuple[str, ...]
    positive_class: str | None


def first_table(
    run: RunRow,
    files: Sequence[ArtifactFile],
    source: Source,
    tables: Tables,
    scratch: Path,
    problems: list[Problem],
    correction: Mapping[str, Any],
) -> Table | None:
    """The first table that can be read, by preference of names; what cannot be read is added to `problems`.

    What `correction` says, in the form of evaluation.json, goes before what the run says.
    """
    for file in _table_candidates(run, files):
        description = _corrected(_description(file, files, source, problems), correction)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            try:
                return _read_table(file.path, description, source, tables, Path(folder), problems)
            except ArtifactUnreadable as exc:
                problems.append(Problem(file.path, str(exc)))
    return None


def _table_candidates(run: RunRow, files: Sequence[ArtifactFile]) -> list[ArtifactFile]:
    """By preference: the names that Vitrine knows (shallowest first), then tables that `mlflow.log_table` lists."""
    named = [file for name in TABLES for file in files if PurePosixPath(file.path).name == name]
    logged = _logged_tables(run.tags)
    by_path = {file.path: file for file in files}
    listed = [by_path.get(path) or ArtifactFile(path, None) for path in logged]
    return list(dict.fromkeys([*named, *(file for file in listed if file not in named)]))


def _logged_tables(tags: Mapping[str, str]) -> list[str]:
    try:
        listed = json.loads(tags.get("mlflow.loggedArtifacts", "[]"))
    except json.JSONDecodeError:
        return []
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return [str(item["path"]) for item in items if item.get("type") == "table" and item.get("path")]


def _description(
    file: ArtifactFile, files: Sequence[ArtifactFile], source: Source, problems: list[Problem]
) -> tuple[str, dict[str, Any]]:
    """evaluation.json beside the table, else at the top; its path and content, empty when absent or unreadable."""
    paths = {known.path for known in files}
    beside = str(PurePosixPath(file.path).with_name("evaluation.json"))
    path = next((name for name in (beside, "evaluation.json") if name in paths), "")
    try:
        data = read_json(source.fetch(path)) if path else {}
        if not isinstance(data, dict) or not isinstance(data.get("columns", {}), dict):
            raise ArtifactUnreadable('is not of the form {"task": ..., "columns": {role: name}}; roles are guessed')
    except ArtifactUnreadable as exc:
        problems.append(Problem(path, str(exc)))
        return path, {}
    return path, data


def _corrected(description: tuple[str, dict[str, Any]], correction: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    data = description[1]
    if not correction:
        return description
    columns = {**data.get("columns", {}), **correction.get("columns", {})}
    return "corrected column roles", {**data, **correction, "columns": columns}


def _read_table(
    artifact: str,
    description: tuple[str, dict[str, Any]],
    source: Source,
    tables: Tables,
    folder: Path,
    problems: list[Problem],
) -> Table:
    local = source.fetch(artifact)
    parquet, notes = formats.to_parquet(local, artifact, folder / "table.parquet")
    scan = formats.scan(parquet)
    if not len(scan.schema):
        raise ArtifactUnreadable("is a table without columns")
    found: list[Problem] = [Problem(artifact, note) for note in (*notes, *scan.notes)]
    if not scan.n_rows:
        found.append(Problem(artifact, "is a table without rows"))
    task, chosen, classes, positive = _meaning(scan, description, artifact, found)
    if task == "multilabel":
        named = [name for name in (chosen.label, chosen.prediction) if name]
        scan = formats.with_sets(scan, named, from_csv=artifact.lower().endswith(".csv"))
    digest = _digest(local, description[1])
    path = tables.keep(f"{digest}.parquet", lambda target: formats.copy(scan, target))
    problems.extend(found)
    return Table(artifact, path, digest, scan.n_rows, task, chosen, classes, positive)


def _meaning(
    scan: formats.Scan, description: tuple[str, dict[str, Any]], artifact: str, problems: list[Problem]
) -> tuple[Task | None, Roles, tuple[str, ...], str | None]:
    """Task, roles, classes and positive class: as declared, else as guessed from names and values."""
    path, data = description
    schema = {field.name: field.type for field in scan.schema}
    declared, wrong = roles.declared_roles(data.get("columns", {}), schema, path)
    problems.extend(wrong)
    omitted = {role for role, name in data.get("columns", {}).items() if name is None}
    chosen = roles.complete_roles(declared, schema, omitted)
    task = roles.checked_task(data.get("task"))
    if data.get("task") is not None and task is None:
        problems.append(Problem(path, f"task {data['task']!r} is unknown; it is inferred from the values"))
    task = task or _inferred(scan, chosen)
    if task not in ("classification", "multilabel"):
        return task, chosen, _declared(data) if task == "detection" else (), None
    classes = _classes(scan, task, chosen, data, problems, artifact)
    if task == "multilabel":
        return task, roles.with_scores(chosen, schema, classes, single=False), classes, None
    positive = roles.class_text(data["positive_class"]) if data.get("positive_class") is not None else None
    if positive is not None and positive not in classes:
        problems.append(Problem(path, f"positive class {positive!r} does not occur; the last class is taken"))
        positive = None
    found = roles.with_scores(chosen, schema, classes, single="score" not in omitted)
    return task, found, classes, positive or (classes[-1] if classes else None)


def _inferred(scan: formats.Scan, chosen: Roles) -> Task | None:
    name = chosen.label or chosen.prediction
    if name is not None and not chosen.boxes and is_sets(scan.schema.field(name).type):
        return "multilabel"
    if name is None or pa.types.is_nested(scan.schema.field(name).type):
        return "detection" if chosen.boxes else None
    return roles.infer_task(formats.column(scan, name)) if scan.n_rows else None


def _classes(
    scan: formats.Scan,
    task: Task,
    chosen: Roles,
    data: Mapping[str, Any],
    problems: list[Problem],
    artifact: str,
) -> tuple[str, ...]:
    """Declared classes first and in their order, then what else occurs as label or prediction, sorted."""
    declared = _declared(data)
    seen: set[str] = set()
    for name in filter(None, (chosen.label, chosen.prediction)):
        if task == "multilabel":
            seen |= formats.class_names(scan, name)
        elif not pa.types.is_nested(scan.schema.field(name).type):
            seen |= set(roles.class_texts(formats.column(scan, name)))
    classes = tuple(dict.fromkeys([*declared, *sorted(seen)]))
    if len(classes) > MANY_CLASSES:
        problems.append(Problem(artifact, f"has {len(classes)} classes; at most {MANY_CLASSES} can be shown"))
        return ()
    return classes


def _declared(data: Mapping[str, Any]) -> tuple[str, ...]:
    given = data.get("classes")
    return tuple(roles.class_text(name) for name in given) if isinstance(given, list) else ()


def _digest(path: Path, description: Mapping[str, Any]) -> str:
    """What decides how the table reads: the reader's version, the description and the bytes."""
    known = hashlib.blake2b(digest_size=16)
    known.update(f"{READER_VERSION}\n{json.dumps(description, sort_keys=True, default=str)}\n".encode())
    with path.open("rb") as file:
        while block := file.read(2**20):
            known.update(block)
    return known.hexdigest()
