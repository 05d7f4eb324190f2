"""Between which numbers the truth probably lies when a regression answers one: from its evaluation's residuals."""

import math
from dataclasses import dataclass

from dashboard.cache import cache_key
from dashboard.inference.outputs import Prediction
from dashboard.metrics.columns import number, quoted
from dashboard.metrics.tables import source
from dashboard.reports.inputs import evaluation_of, tables_of
from dashboard.reports.row_pages import subject_of
from dashboard.services import Services
from mlflow_runs.records import Evaluation

LEVEL = 0.95
FEWEST = 40  # so that at least one residual lies beyond each end


@dataclass(frozen=True)
class Residuals:
    """The middle `LEVEL` of label minus prediction over `n` rows, in the label's unit."""

    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Interval:
    """A number's interval: the answer plus the residuals' quantiles; `n` residuals were looked at."""

    low: float
    high: float
    n: int
    level: float = LEVEL


def interval_of(services: Services, run_id: str, prediction: Prediction) -> Interval | None:
    """The interval of an answered number; None where the evaluation has fewer than FEWEST residuals.

    Quantiles of the residuals of all evaluated rows (split conformal without its finite-sample term): it holds for
    inputs like the evaluated ones, whatever the distribution of the errors, and is as wide everywhere.
    """
    if prediction.value is None:
        return None
    found = residuals_of(services, run_id)
    return None if found is None else Interval(prediction.value + found.low, prediction.value + found.high, found.n)


def residuals_of(services: Services, run_id: str) -> Residuals | None:
    """The quantiles of a run's residuals, computed once; None where there are too few or none."""
    evaluation = evaluation_of(services, run_id)
    if evaluation is None or evaluation.task != "regression" or evaluation.table is None:
        return None
    if evaluation.roles.label is None or evaluation.roles.prediction is None:
        return None
    roles = (evaluation.roles.label, evaluation.roles.prediction)
    key = cache_key("residual interval", 1, subject_of(evaluation), roles)
    low, high, n = services.cache.compute(key, lambda: _quantiles(services, evaluation)).value
    return Residuals(low, high, n) if n >= FEWEST else None


def _quantiles(services: Services, evaluation: Evaluation) -> tuple[float, float, int]:
    assert evaluation.table is not None
    label, said = (number(quoted(name or "")) for name in (evaluation.roles.label, evaluation.roles.prediction))
    tail = (1 - LEVEL) / 2
    found = tables_of(services).first(
        f"SELECT quantile_cont(r, {tail}) AS low, quantile_cont(r, {1 - tail}) AS high, count(*) AS n"
        f" FROM (SELECT {label} - {said} AS r FROM {source(evaluation.table)}) WHERE isfinite(r)"
    )
    low, high = (math.nan if found[name] is None else float(found[name]) for name in ("low", "high"))
    return low, high, int(found["n"])
