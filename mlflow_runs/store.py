"""The tracking store: an incremental, cheap comparison of its runs with the local index."""

import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from mlflow_runs import sqlite_store
from mlflow_runs.errors import StoreUnavailable
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.records import ModelInfo, RunRow
from mlflow_runs.store_rows import Registry, grouped, made_models, model_id_of, registry_of, row_of

PAGE = 50
SWEEP_PAGE = 200
SWEEP_EVERY = 60.0
SWEEP_SHARE = 20  # a full comparison takes at most one twentieth of the time
_ORDERS = (("", "start_time"), ("", "end_time"), ("attributes.status = 'RUNNING'", "start_time"))
T = TypeVar("T")


class Store:
    """One tracking store; `sync` brings an index up to date and never raises for a store that does not answer.

    MLflow cannot be asked "what changed since": each look reads the newest started, the newest ended and the running
    runs; a sweep over all runs, in pages between looks, finds later edits, deletions and restorations.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.replaced = False  # then only a new process sees the new file, because MLflow keeps connections by address
        self._inode: int | None = None
        self._client: MlflowClient | None = None
        self._signature: tuple[object, ...] | None = None
        self._registry = Registry()
        self._registered: object = None
        self._experiments: dict[str, str] = {}
        self._models: dict[str, ModelInfo] = {}
        self._linked: dict[str, str] = {}
        self._chosen: dict[tuple[str, ...], str] = {}
        self._sweep: Iterator[None] | None = None
        self._swept_at = self._sweep_cost = 0.0
        self._swept_signature: tuple[object, ...] | None = None

    @property
    def client(self) -> MlflowClient:
        """The client, made when the store can be opened without changing it; raises StoreUnavailable."""
        if self._client is None:
            with _translated(self.uri):
                sqlite_store.check(self.uri)
                self._client = MlflowClient(tracking_uri=self.uri)
        return self._client

    def sync(self, index: IndexWriter) -> bool:
        """One look; whether the store answered. What was found wrong is recorded in the index's state."""
        try:
            with _translated(self.uri):
                self._look(index)
        except StoreUnavailable as exc:
            self._signature = self._sweep = None
            index.set_state(without_password(self.uri), False, str(exc))
            return False
        index.set_state(without_password(self.uri), True, "", synced_at=time.time())
        return True

    def refresh(self) -> None:
        """Let the next `sync` look and sweep, whatever was seen before."""
        self._signature = None
        self._swept_at = 0.0

    def _look(self, index: IndexWriter) -> None:
        client, signature = self.client, sqlite_store.signature(self.uri)
        if signature is None or signature != self._signature:
            self._note_file(sqlite_store.probe(self.uri))
            self._read_experiments(client)
            self._read_registry(client, index)
            for condition, order in _ORDERS:
                self._read_newest(client, index, condition, order)
        self._advance_sweep(client, index, signature)
        self._signature = signature

    def _note_file(self, inode: int | None) -> None:
        if self._inode not in (None, inode):
            self.replaced = True
            raise StoreUnavailable("the tracking store's database was replaced; it is opened anew")
        self._inode = inode

    def _read_experiments(self, client: MlflowClient) -> None:
        found = _all(lambda token: client.search_experiments(ViewType.ACTIVE_ONLY, 1000, page_token=token))
        experiments = {str(item.experiment_id): item.name for item in found}
        if set(experiments) != set(self._experiments):
            self._swept_at = 0.0
        self._experiments = experiments

    def _read_registry(self, client: MlflowClient, index: IndexWriter) -> None:
        """Read versions again only when a registered model, its newest versions or its aliases changed."""
        models = _all(lambda token: client.search_registered_models(max_results=100, page_token=token))

        def newest(item: Any) -> list[tuple[Any, Any]]:
            return [(made.version, made.run_id) for made in item.latest_versions or ()]

        seen = repr(
            [
                (item.name, item.last_updated_timestamp, sorted((item.aliases or {}).items()), newest(item))
                for item in models
            ]
        )
        if seen == self._registered:
            return
        versions = _all(lambda token: client.search_model_versions(max_results=1000, page_token=token))
        self._registry = registry_of(models, versions)
        index.upsert(grouped(row, self._registry) for row in index.runs(limit=10**9)[0])
        self._registered = seen

    def _read_newest(self, client: MlflowClient, index: IndexWriter, condition: str, order: str) -> None:
        """Pages in the given order while everything on them is news, at most five (a sweep does the rest)."""
        for page in itertools.islice(self._pages(client, PAGE, condition, order), 5):
            if index.upsert(self._rows(client, page)) < len(page):
                break

    def _pages(self, client: MlflowClient, size: int, condition: str, order: str) -> Iterator[Sequence[Run]]:
        token: str | None = None
        while self._experiments:
            page = client.search_runs(
                list(self._experiments),
                condition,
                ViewType.ACTIVE_ONLY,
                size,
                [f"attributes.{order} DESC"],
                page_token=token,
            )
            yield page
            token = page.token
            if not token:
                return

    def _rows(self, client: MlflowClient, page: Sequence[Run]) -> list[RunRow]:
        at = time.time()
        return [
            row_of(run, self._experiments[run.info.experiment_id], self._model(client, run), self._registry, at)
            for run in page
            if run.info.experiment_id in self._experiments
        ]

    def _model(self, client: MlflowClient, run: Run) -> ModelInfo | None:
        """Id and name of the run's model; its MLmodel file is read later, by whoever reads the evaluation."""
        model_id = self._ready(client, run) or model_id_of(run) or self._evaluated(client, run)
        if not model_id:
            return None
        if model_id not in self._models:
            self._models[model_id] = ModelInfo(model_id, _model_name(client, model_id))
        return self._models[model_id]

    def _ready(self, client: MlflowClient, run: Run) -> str | None:
        """Of several models that the run logged the newest usable one: a failed attempt is no model."""
        made = made_models(run)
        if len(made) < 2:
            return None
        if made not in self._chosen:
            found = next((model for model in made if _model_status(client, model) == "READY"), None)
            if found is None:
                return None
            self._chosen[made] = found
        return self._chosen[made]

    def _evaluated(self, client: MlflowClient, run: Run) -> str:
        """The id of a model that the run evaluated, else ""; asked once per ended run because searches leave it out."""
        run_id = run.info.run_id
        if run_id not in self._linked:
            found = model_id_of(client.get_run(run_id)) or ""
            if not found and run.info.end_time is None:
                return found
            self._linked[run_id] = found
        return self._linked[run_id]

    def _advance_sweep(self, client: MlflowClient, index: IndexWriter, signature: tuple[object, ...] | None) -> None:
        """Start a sweep when it is due; read its pages for at most half a second."""
        started = time.monotonic()
        if self._sweep is None:
            swept = min(self._swept_at, index.swept_at())
            if time.time() - swept < max(SWEEP_EVERY, SWEEP_SHARE * self._sweep_cost):
                return
            if swept and signature is not None and signature == self._swept_signature:
                self._swept(index, signature)
                return
            self._sweep, self._sweep_cost = self._sweep_pages(client, index, signature), 0.0
        for _ in self._sweep:
            if time.monotonic() - started > 0.5:
                self._sweep_cost += time.monotonic() - started
                return
        self._sweep = None
        self._sweep_cost += time.monotonic() - started

    def _sweep_pages(
        self, client: MlflowClient, index: IndexWriter, signature: tuple[object, ...] | None
    ) -> Iterator[None]:
        known = {row.run_id: row.experiment_id for row in index.runs(limit=10**9)[0]}
        for page in self._pages(client, SWEEP_PAGE, "", "start_time"):
            index.upsert(self._rows(client, page))
            for run in page:
                known.pop(run.info.run_id, None)
            yield
        for run_id, experiment_id in known.items():
            if experiment_id not in self._experiments or _is_gone(client, run_id):
                index.delete([run_id])
            yield
        self._swept(index, signature)

    def _swept(self, index: IndexWriter, signature: tuple[object, ...] | None) -> None:
        self._swept_at, self._swept_signature = time.time(), signature
        index.set_swept(self._swept_at)


def _all(ask: Callable[[str | None], Any]) -> list[Any]:
    """All pages of one of MLflow's paged searches."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = ask(token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _model_name(client: MlflowClient, model_id: str) -> str:
    if "/" in model_id:
        return model_id.partition("/")[2]
    try:
        return str(client.get_logged_model(model_id).name)
    except MlflowException as exc:
        if exc.error_code == "RESOURCE_DOES_NOT_EXIST":  # deleted since
            return model_id
        raise


def _model_status(client: MlflowClient, model_id: str) -> str:
    try:
        return str(client.get_logged_model(model_id).status)
    except MlflowException as exc:
        if exc.error_code == "RESOURCE_DOES_NOT_EXIST":  # deleted since
            return "deleted"
        raise


def _is_gone(client: MlflowClient, run_id: str) -> bool:
    try:
        return str(client.get_run(run_id).info.lifecycle_stage) == "deleted"
    except MlflowException as exc:
        if exc.error_code == "RESOURCE_DOES_NOT_EXIST":
            return True
        raise


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Whatever the store's libraries raise as one sentence."""
    try:
        yield
    except (MlflowException, OSError, sqlite3.Error) as exc:
        text = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]
        raise StoreUnavailable(f"the tracking store {without_password(uri)} does not answer: {text}") from exc


def without_password(uri: str) -> str:
    """The address without a password, fit for a page."""
    scheme, mark, rest = uri.partition("://")
    account, at, place = rest.rpartition("@")
    return f"{scheme}{mark}{account.partition(':')[0]}{at}{place}" if at else uri
