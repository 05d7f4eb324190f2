"""How runs and evaluations are written into the index's rows and read back."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from mlflow_runs.records import DatasetInput, Evaluation, Figures, ModelInfo, Problem, Roles, RunRow

COLUMNS = "body, info, ordinal, task, state, problems, synced_at"
_ELSEWHERE = ("model_info", "ordinal", "task", "state", "problems", "synced_at")
_LONG_TAGS = ("mlflow.log-model.history", "mlflow.loggedArtifacts", "mlflow.datasets")


def dumps(value: object) -> str:
    """JSON text; what JSON cannot hold becomes its text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def body_of(row: RunRow) -> str:
    """Everything the store says of a run, in a fixed order; what the back office adds has columns of its own."""
    fields = {name: value for name, value in dataclasses.asdict(row).items() if name not in _ELSEWHERE}
    return dumps(fields | {name: dict(sorted(fields[name].items())) for name in ("metrics", "params", "tags")})


def needle_of(row: RunRow) -> str:
    """The folded text that a search looks into."""
    tags = (f"{key}={value}" for key, value in row.tags.items() if key not in _LONG_TAGS)
    version = f"v{row.version} version {row.version}" if row.version else ""
    parts = (row.run_name, row.run_id, row.model, version, " ".join(row.aliases), row.experiment, "\n".join(tags))
    return "\n".join(parts).casefold()


def row_from(record: tuple[Any, ...], confirmed: float) -> RunRow:
    """A run from the columns named in COLUMNS; `confirmed` is when the whole store was last compared."""
    body, info, ordinal, task, state, problems, synced_at = record
    fields = json.loads(body)
    fields["aliases"] = tuple(fields["aliases"])
    fields["datasets"] = tuple(DatasetInput(**item) for item in fields["datasets"])
    return RunRow(
        **fields,
        model_info=_model_info(json.loads(info)) if info else None,
        ordinal=int(ordinal),
        task=task,
        state=state,
        problems=_problems(json.loads(problems)),
        synced_at=max(float(synced_at), confirmed),
    )


def evaluation_text(evaluation: Evaluation) -> str:
    """An evaluation as JSON; of its table only whether there is one, because its name follows from the digest."""
    fields = dataclasses.asdict(evaluation)
    return dumps({**fields, "table": evaluation.table is not None})


def evaluation_from(text: str, tables: Path) -> Evaluation:
    """The evaluation that `evaluation_text` wrote; `tables` is the folder of prediction tables."""
    fields = json.loads(text)
    roles = fields["roles"]
    roles |= {name: tuple(roles[name]) for name in ("slices", "features")}
    figures = fields["figures"]
    fields |= {
        "roles": Roles(**roles),
        "classes": tuple(fields["classes"]),
        "figures": Figures(**figures) if figures else None,
        "problems": _problems(fields["problems"]),
        "table": tables / f"{fields['digest']}.parquet" if fields["table"] else None,
    }
    return Evaluation(**fields)


def _problems(items: list[dict[str, str]]) -> tuple[Problem, ...]:
    return tuple(Problem(**item) for item in items)


def _model_info(fields: dict[str, Any]) -> ModelInfo:
    return ModelInfo(**{**fields, "flavors": tuple(fields["flavors"]), "requirements": tuple(fields["requirements"])})
