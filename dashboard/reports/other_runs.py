"""Predictions of other runs of the same model, to be set against this run's."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.cache import cache_key
from dashboard.errors import BadQuery
from dashboard.metrics.crosstab import Axis
from dashboard.metrics.joined import Joined, join_prediction, joined_axis
from dashboard.reports.row_pages import subject_of, tables_of
from mlflow_runs.records import Evaluation, RunRow

if TYPE_CHECKING:
    from dashboard.services import Services

PREFIX = "run:"
CODE_VERSION = 1
_MOST = 15


@dataclass(frozen=True)
class OtherPrediction:
    """Another run's predictions beside this run's rows; `note` says how rows were matched."""

    title: str
    classes: tuple[str, ...]
    joined: Joined
    note: str

    def axis(self, classes: tuple[str, ...]) -> Axis:
        """A grouping by the other's classes, this run's first."""
        return joined_axis(self.title, tuple(dict.fromkeys([*classes, *self.classes])), self.joined)


def other_titles(services: "Services", evaluation: Evaluation) -> dict[str, str]:
    """The newest other runs of the model whose rows may be matched, by `run:<run id>`, from the index alone."""
    run = services.runs.run(evaluation.run_id)
    found = {}
    for row in reversed(services.runs.history(run.model)):
        if row.run_id == run.run_id or row.state != "ready" or row.task != "classification":
            continue
        other = services.runs.evaluation(row.run_id)
        if other is not None and None not in (other.table, other.roles.label, other.roles.prediction):
            by_id = evaluation.roles.id and other.roles.id
            if by_id or (same_data(run, row) and evaluation.n_rows == other.n_rows):
                found[PREFIX + row.run_id] = _title(row)
        if len(found) == _MOST:
            break
    return found


def other_prediction(services: "Services", evaluation: Evaluation, name: str) -> OtherPrediction:
    """The predictions of the run that `name` (`run:<run id>`) names; BadQuery unless it is one of the same model and
    its rows can be matched."""
    run, other = services.runs.run(evaluation.run_id), services.runs.run(name.removeprefix(PREFIX))
    found = services.predictions.evaluation(other.run_id)
    if other.model != run.model or found.task != "classification":
        raise BadQuery(f"Run {other.run_id} is no classification of {run.model}.")
    tables, same = tables_of(services), same_data(run, other)
    asked = (evaluation.roles, found.roles, same)
    key = cache_key("joined", CODE_VERSION, f"{subject_of(evaluation)}+{subject_of(found)}", asked)
    joined = services.cache.compute(key, lambda: join_prediction(tables, evaluation, found, same)).value
    how = "by id" if joined.how == "id" else "by position: both runs have the same data set and the same labels"
    return OtherPrediction(_title(other), found.classes, joined, f"Rows are matched with {_name(other)} {how}.")


def same_data(one: RunRow, other: RunRow) -> bool:
    """Whether both runs name the same evaluation data set, by MLflow's digest; data for training does not count."""
    digests = [{d.digest for d in run.datasets if "train" not in d.context.lower()} for run in (one, other)]
    return bool(digests[0] & digests[1])


def _title(row: RunRow) -> str:
    return f"prediction of {_name(row)}"


def _name(row: RunRow) -> str:
    return f"v{row.version} ({row.run_name})" if row.version else row.run_name
