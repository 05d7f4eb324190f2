"""Services: what the pages work with; frozen, paths and settings only until first use, built once per process."""

from dataclasses import dataclass
from functools import cached_property

from dashboard.cache import ResultCache
from dashboard.flags import Flags
from dashboard.inference.client import InferenceClient
from dashboard.jobs import JobManager, background_manager
from dashboard.limits import Limits
from dashboard.predictions import Predictions
from dashboard.settings import Settings
from dashboard.state import State
from mlflow_runs.index import RunIndex


@dataclass(frozen=True)
class Services:
    """The doors to the index, the predictions, the engine, the result cache, background jobs and saved slices."""

    settings: Settings
    runs: RunIndex
    predictions: Predictions
    inference: InferenceClient
    cache: ResultCache

    @cached_property
    def jobs(self) -> JobManager:
        """The door to background jobs, of pages and of the API."""
        return background_manager(self.settings)

    @property
    def flags(self) -> Flags:
        """What people said of single answers."""
        return Flags(self.settings.state_url)

    @property
    def limits(self) -> Limits:
        """How often one client may ask."""
        return Limits(self.settings, self.cache)

    @property
    def state(self) -> State:
        """What people made."""
        return State(self.settings.state_url)


def build_services(settings: Settings) -> Services:
    """Wire the services; opens nothing, so that a later fork is safe."""
    runs = RunIndex(settings.data_dir / "index.db")
    cache = ResultCache(settings.data_dir / "cache", settings.result_cache_mb)
    return Services(
        settings=settings,
        runs=runs,
        predictions=Predictions(runs, settings.data_dir),
        inference=InferenceClient(settings.data_dir, cache, runs, settings),
        cache=cache,
    )
