"""Which versions and models one input can be given to together, and which of them are asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.errors import BadInput
from dashboard.inference.cards import ModelCard, model_card
from dashboard.reports.inputs import InferenceQuery
from dashboard.services import Services
from mlflow_runs.records import RunRow

MOST = 9
_OFFERED, _USUAL = 200, 5
_PRODUCTION = ("production", "prod", "champion")


@dataclass(frozen=True)
class VersionsQuery(InferenceQuery):
    """The Inference page's URL with `versions`: run ids separated by commas; empty for the usual choice."""

    versions: str = ""

    @property
    def named(self) -> list[str]:
        """The run ids in the order given, each once."""
        return list(dict.fromkeys(name for name in self.versions.split(",") if name))


def version_choices(services: Services, run_id: str) -> tuple[RunRow, ...]:
    """Runs whose model takes the same input: the model's own versions, newest first, then recent ones of others."""
    run = services.runs.run(run_id) if run_id else None
    if run is None or run.model_info is None:
        return ()
    card = model_card(run)
    recent, _ = services.runs.runs("", None, None, _OFFERED, 0)
    own = [row for row in reversed(services.runs.history(run.model)) if row.model_info is not None]
    others = [row for row in recent if row.model != run.model and row.model_info is not None]
    return tuple(row for row in (*own, *others) if fits(card, model_card(row)))[:_OFFERED]


def fits(card: ModelCard, other: ModelCard) -> bool:
    """Whether an input of the first model can be given to the other one."""
    if card.kind != other.kind or card.kind == "other":
        return False
    if card.kind == "tensor":
        return [(spec.dtype, spec.shape) for spec in card.tensors] == [(s.dtype, s.shape) for s in other.tensors]
    if card.kind == "table":
        return {item.name for item in other.inputs if item.required} <= {item.name for item in card.inputs}
    return True


def chosen_versions(services: Services, query: VersionsQuery) -> tuple[RunRow, ...]:
    """The runs that the query names, at most nine; else all styles of a model that gives pictures, or the page's run,
    the one in production and the newest ones. The page's run comes first, because its answer is waited for.
    """
    known = {row.run_id: row for row in version_choices(services, query.run)}
    if asked := query.named:
        missing = [name for name in asked if name not in known]
        if missing or len(asked) > MOST:
            wrong = (
                f"{missing[0][:40]!r} is no run whose model takes this input" if missing else f"there are {len(asked)}"
            )
            raise BadInput(f"versions: {wrong}; up to {MOST} run ids, separated by commas, are accepted.")
        return tuple(sorted((known[name] for name in asked), key=lambda row: row.run_id != query.run))
    first = known.get(query.run)
    if first is None:
        return ()
    own = [row for row in known.values() if row.model == first.model]
    if model_card(first).pictures:
        return _once([first, *reversed(own)])[:MOST]
    return _once([first, *[row for row in own if in_production(row)], *own])[:_USUAL]


def _once(rows: Sequence[RunRow]) -> tuple[RunRow, ...]:
    return tuple({row.run_id: row for row in rows}.values())


def in_production(row: RunRow) -> bool:
    """Whether an alias of the version says that it is the one in use."""
    return any(alias.lower() in _PRODUCTION for alias in row.aliases)


def version_name(row: RunRow) -> str:
    """A version in two words."""
    return f"{row.model} v{row.version}" if row.version else f"{row.model}: {row.run_name}"
