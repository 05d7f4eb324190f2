"""One run's artifacts and its model's description, read from the store: local folders in place, others by download."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import yaml  # type: ignore[import-untyped]
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_runs.artifacts import ArtifactFile, inside, safe_artifact_path
from mlflow_runs.errors import ArtifactUnreadable, ModelUnavailable, StoreUnavailable
from mlflow_runs.models import resolve
from mlflow_runs.records import ModelInfo

MAX_DEPTH = 3
MAX_FOLDERS = 60
MAX_FILES = 5_000


class RunArtifacts:
    """The artifacts of one run; downloads go to `scratch` and are refused beyond `limit` bytes."""

    def __init__(self, client: MlflowClient, run_id: str, scratch: Path, limit: int) -> None:
        self._scratch = scratch
        self._limit = limit
        with _store_errors(run_id):
            location = str(client.get_run(run_id).info.artifact_uri)
            self._root = local_folder(location)
            self._remote: Any = get_artifact_repository(location, tracking_uri=client.tracking_uri)
        self._sizes: dict[str, int | None] = {}

    def files(self) -> Sequence[ArtifactFile]:
        """Files down to three folders deep, models and very large folders left out; empty when there are none."""
        found: list[ArtifactFile] = []
        folders = [""]
        with _store_errors("artifacts"):
            for folder in _growing(folders):
                listed = self._list(folder)
                if any(PurePosixPath(path).name == "MLmodel" for path, _, _ in listed):
                    continue
                found += [ArtifactFile(path, size) for path, is_folder, size in listed if not is_folder]
                folders += [path for path, is_folder, _ in listed if is_folder and path.count("/") < MAX_DEPTH - 1]
                if len(found) >= MAX_FILES:
                    break
        self._sizes = {file.path: file.size for file in found}
        return found[:MAX_FILES]

    def fetch(self, path: str) -> Path:
        """A local file; raises ArtifactUnreadable when it is missing, too large or does not arrive."""
        if self._root is not None:
            return self._checked(inside(self._root, path))
        size = self._sizes.get(path)
        if size and size > self._limit:
            raise ArtifactUnreadable(_too_large(size, self._limit))
        try:
            return self._checked(Path(self._remote.download_artifacts(safe_artifact_path(path), str(self._scratch))))
        except (MlflowException, OSError) as exc:
            raise ArtifactUnreadable(f"cannot be downloaded: {_first_line(exc)}") from exc

    def _checked(self, path: Path) -> Path:
        if path.is_dir():
            raise ArtifactUnreadable("is a folder, expected a file")
        size = path.stat().st_size
        if size > self._limit:
            raise ArtifactUnreadable(_too_large(size, self._limit))
        return path

    def _list(self, folder: str) -> list[tuple[str, bool, int | None]]:
        if self._root is None:
            return [(item.path, item.is_dir, item.file_size) for item in self._remote.list_artifacts(folder or None)]
        here = self._root / folder
        if not here.is_dir():
            return []
        return [
            (path.relative_to(self._root).as_posix(), path.is_dir(), path.stat().st_size)
            for path in sorted(here.iterdir())
            if path.exists() and not path.name.startswith(".")
        ]


def _growing(folders: list[str]) -> Iterator[str]:
    """The folders of a growing list, at most MAX_FOLDERS of them."""
    at = 0
    while at < min(len(folders), MAX_FOLDERS):
        yield folders[at]
        at += 1


def fingerprint(files: Sequence[ArtifactFile]) -> str:
    """A text that changes when a file appears, goes or changes its size."""
    return json.dumps(sorted((file.path, file.size) for file in files))


def local_folder(location: str) -> Path | None:
    """The folder of a local artifact location, None for a remote one."""
    scheme = urlsplit(location).scheme
    if scheme == "file":
        return Path(url2pathname(urlsplit(location).path))
    return Path(location) if not scheme else None


def model_details(client: MlflowClient, info: ModelInfo, scratch: Path) -> ModelInfo:
    """What the model's MLmodel file says: flavours, signature, input example, metadata; plus its requirements.

    Raises ModelUnavailable when the model or that file cannot be read.
    """
    with _store_errors(info.model_id):
        location = resolve(client, info.model_id).location
        repository: Any = get_artifact_repository(location, tracking_uri=client.tracking_uri)
    described = yaml_file(_model_file(repository, location, "MLmodel", scratch), info.model_id)
    signature = {
        part: json.loads(text) if isinstance(text, str) else text
        for part, text in (described.get("signature") or {}).items()
        if text
    }
    return ModelInfo(
        model_id=info.model_id,
        name=info.name,
        flavors=tuple(described.get("flavors") or {}),
        signature=signature,
        input_example=_example(repository, location, described, scratch),
        metadata=dict(described.get("metadata") or {}),
        requirements=_requirements(repository, location, scratch),
    )


def yaml_file(path: Path, model_id: str) -> dict[str, Any]:
    """The mapping in a YAML file."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ModelUnavailable(f"the MLmodel file of {model_id} is not YAML: {_first_line(exc)}") from exc
    if not isinstance(found, dict):
        raise ModelUnavailable(f"the MLmodel file of {model_id} holds no mapping")
    return found


def _model_file(repository: Any, location: str, name: str, scratch: Path) -> Path:
    root = local_folder(location)
    if root is not None:
        return inside(root, name)
    try:
        return Path(repository.download_artifacts(safe_artifact_path(name), str(scratch)))
    except (MlflowException, OSError) as exc:
        raise ArtifactUnreadable(f"cannot be downloaded: {_first_line(exc)}") from exc


def _requirements(repository: Any, location: str, scratch: Path) -> tuple[str, ...]:
    with contextlib.suppress(ArtifactUnreadable, OSError, UnicodeDecodeError):
        lines = _model_file(repository, location, "requirements.txt", scratch).read_text(encoding="utf-8").splitlines()
        return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    return ()


def _example(repository: Any, location: str, described: dict[str, Any], scratch: Path) -> Any:
    """The saved input example as JSON; None when there is none, when it is not JSON or larger than 1 MB."""
    path = (described.get("saved_input_example_info") or {}).get("artifact_path")
    if not path or not str(path).endswith(".json"):
        return None
    with contextlib.suppress(ArtifactUnreadable, OSError, ValueError):
        file = _model_file(repository, location, str(path), scratch)
        return json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size < 2**20 else None
    return None


@contextmanager
def _store_errors(subject: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, OSError) as exc:
        raise StoreUnavailable(f"the store does not give {subject}: {_first_line(exc)}") from exc


def _too_large(size: int, limit: int) -> str:
    return f"has {size / 2**20:.0f} MB, more than the disk budget of {limit / 2**20:.0f} MB (VITRINE_ARTIFACT_CACHE_MB)"


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]
