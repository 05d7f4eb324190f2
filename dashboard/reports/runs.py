"""What the run bar offers: the models, the runs of the chosen one, and the run to show."""

import re
from dataclasses import dataclass

from dashboard.services import Services
from mlflow_runs.errors import RunNotFound
from mlflow_runs.records import RunRow

_MOST = 300


@dataclass(frozen=True)
class RunChoice:
    """Models and runs (oldest first, the newest 300) to choose from; `run` is empty where the store has none, or not
    the one that was asked for, which `missing` then names."""

    models: list[str]
    model: str | None
    rows: list[RunRow]
    run: str | None
    missing: str = ""


def file_stem(run: RunRow) -> str:
    """What a run's downloads are called: model and version, else model and run, in signs that every system takes."""
    version = f"v{run.version}" if run.version else run.run_name or run.run_id[:8]
    words = (re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[:60] for text in (run.model, version))
    return "-".join(word for word in words if word) or run.run_id[:8]


def run_choice(services: Services, asked: str, model: str = "") -> RunChoice:
    """The asked run with its model; else the newest readable run of `model`, or of the whole store."""
    row = _asked(services, asked) if asked else _newest(services, model)
    if row is None:
        return RunChoice(services.runs.models(), None, [], None, asked)
    rows = services.runs.history(row.model)[-_MOST:]
    if row.run_id not in {r.run_id for r in rows}:
        rows = [row, *rows]
    return RunChoice(services.runs.models(), row.model, rows, row.run_id)


def _asked(services: Services, run_id: str) -> RunRow | None:
    try:
        return services.runs.run(run_id)
    except RunNotFound:
        return None


def _newest(services: Services, model: str) -> RunRow | None:
    rows, _total = services.runs.runs(model=model or None, limit=200)
    readable = [row for row in rows if row.state == "ready"] or [row for row in rows if row.state == "pending"]
    return next(iter(readable or rows), None)
