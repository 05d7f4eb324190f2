"""Resolve a model reference to one immutable model id and bring its files to this machine; loads nothing."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_runs.errors import ModelUnavailable, RunNotFound

_LOGGED = re.compile(r"m-[0-9a-f]{32}")
_IN_RUN = re.compile(r"(?P<run>[0-9a-f]{32})/(?P<path>(?!.*\.\.)[\w][\w ./-]*)")
_RUN = re.compile(r"[0-9a-f]{32}")
_VERSION = re.compile(r"(?P<name>[^/:@]+)/(?P<version>[0-9]+)")
_ALIAS = re.compile(r"(?P<name>[^/:@]+)@(?P<alias>[\w.-]+)")
ACCEPTED = "a run id, name/version, name@alias or a model id is accepted"


@dataclass(frozen=True)
class ModelReference:
    """One immutable model: its id, the run it came from, and where the store keeps its files.

    The id is MLflow's `m-...`, or `<run id>/<artifact path>` for a model that an older MLflow logged into a run.
    """

    model_id: str
    run_id: str | None
    location: str


def model_client(store_uri: str) -> MlflowClient:
    """A client of that store and of no other; nothing global is set."""
    return MlflowClient(store_uri, store_uri)


def resolve(client: MlflowClient, reference: str) -> ModelReference:
    """The one model that the reference means now.

    Raises RunNotFound for an unknown run, version or alias and ModelUnavailable for a run without a model.
    """
    with _translated(reference):
        if _LOGGED.fullmatch(reference):
            return _logged(client.get_logged_model(reference))
        if found := _IN_RUN.fullmatch(reference):
            return _in_run(client.get_run(found["run"]), found["path"])
        if _RUN.fullmatch(reference):
            return _of_run(client, client.get_run(reference))
        if found := _VERSION.fullmatch(reference):
            return _of_version(client, found["name"], found["version"])
        if found := _ALIAS.fullmatch(reference):
            version = client.get_model_version_by_alias(found["name"], found["alias"])
            return _of_version(client, found["name"], str(version.version))
    raise RunNotFound(f"{reference!r} is no model reference; {ACCEPTED}.")


def fetch(client: MlflowClient, model: ModelReference, folder: Path) -> Path:
    """The folder with the model's files: the store's own where it is local, else a copy below `folder`.

    A copy is written under a temporary name and renamed, so that a crash never leaves half a model behind.
    """
    if (local := _local(model.location)) is not None:
        return _checked(local, model)
    target = folder / re.sub(r"[^\w.-]", "_", model.model_id)
    if target.exists():
        target.touch()
        return _checked(target, model)
    draft = folder / f".draft-{uuid4().hex}"
    draft.mkdir(parents=True, mode=0o700)
    try:
        with _translated(model.model_id):
            repository: Any = get_artifact_repository(model.location, tracking_uri=client.tracking_uri)
            repository.download_artifacts("", dst_path=str(draft))
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return _checked(target, model)


def trim(folder: Path, limit_bytes: int, keep: Path | None = None) -> int:
    """Delete the least recently used model copies until the folder fits its limit; bytes freed."""
    copies = sorted((path for path in folder.glob("[!.]*") if path.is_dir()), key=lambda path: path.stat().st_mtime)
    sizes = {path: folder_bytes(path) for path in copies}
    excess, freed = sum(sizes.values()) - limit_bytes, 0
    for path in copies:
        if freed >= excess:
            break
        if path != keep:
            shutil.rmtree(path, ignore_errors=True)
            freed += sizes[path]
    return freed


def folder_bytes(path: Path) -> int:
    """Size of all files below a folder, in bytes."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _logged(model: LoggedModel) -> ModelReference:
    if str(model.status) not in ("READY", "UNSPECIFIED"):
        reason = f" ({model.status_message})" if model.status_message else ""
        raise ModelUnavailable(f"Model {model.model_id} is {model.status}{reason}; only a READY model can be loaded.")
    return ModelReference(model.model_id, model.source_run_id, model.artifact_location)


def _in_run(run: Run, path: str) -> ModelReference:
    return ModelReference(f"{run.info.run_id}/{path}", run.info.run_id, f"{run.info.artifact_uri}/{path}")


def _of_run(client: MlflowClient, run: Run) -> ModelReference:
    linked = [*(run.outputs.model_outputs if run.outputs else ()), *(run.inputs.model_inputs if run.inputs else ())]
    models = [client.get_logged_model(model_id) for model_id in dict.fromkeys(link.model_id for link in linked)]
    ready = [model for model in models if str(model.status) == "READY"]
    if ready:
        return _logged(max(ready, key=lambda model: model.creation_timestamp))
    for item in client.list_artifacts(run.info.run_id):
        if item.is_dir and _holds_model(client, run, item.path):
            return _in_run(run, item.path)
    raise ModelUnavailable(f"Run {run.info.run_name!r} holds no model; log one with mlflow.<flavor>.log_model.")


def _holds_model(client: MlflowClient, run: Run, path: str) -> bool:
    return any(Path(file.path).name == "MLmodel" for file in client.list_artifacts(run.info.run_id, path))


def _of_version(client: MlflowClient, name: str, version: str) -> ModelReference:
    found = client.get_model_version(name, version)
    source = str(found.source or "")
    if found.model_id or source.startswith("models:/m-"):
        return _logged(client.get_logged_model(found.model_id or source.removeprefix("models:/")))
    if source.startswith("runs:/"):
        run_id, _, path = source.removeprefix("runs:/").partition("/")
        return _in_run(client.get_run(run_id), path)
    location = client.get_model_version_download_uri(name, version)
    return ModelReference(f"{name}/{version}", found.run_id, location)


def _local(location: str) -> Path | None:
    path = Path(url2pathname(urlsplit(location).path)) if location.startswith("file:") else Path(location)
    return path if path.is_absolute() and "://" not in str(path) else None


def _checked(path: Path, model: ModelReference) -> Path:
    if not (path / "MLmodel").is_file():
        raise ModelUnavailable(f"The files of model {model.model_id} are incomplete: {path.name}/MLmodel is missing.")
    return path


@contextmanager
def _translated(reference: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as exc:
        text = str(exc).splitlines()[0][:300]
        if exc.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise RunNotFound(f"The store holds no {reference!r} ({text}); {ACCEPTED}.") from exc
        raise ModelUnavailable(f"Model {reference!r} cannot be read from the store: {text}") from exc
    except OSError as exc:
        raise ModelUnavailable(f"Model {reference!r} cannot be read from the store: {exc}") from exc
