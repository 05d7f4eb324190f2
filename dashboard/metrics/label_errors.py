"""Rows whose label the model's scores speak against: confident learning, counted in the database.

Northcutt, Jiang and Chuang 2021 (J. Artif. Intell. Res. 70, eq. 1 and 2): class j's threshold is the mean score of j
over the rows labelled j; a row belongs to the confident joint of the class with the largest score among those that
reach their threshold, and off the diagonal it is a suspect. A row whose label also has the largest score of all is
left out, as cleanlab does. Written here and not taken from cleanlab, which needs the whole rows x classes array in
memory; these are two scans that hold a few numbers.
"""

from collections.abc import Mapping

from dashboard.metrics.columns import class_text, number, quoted, string
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

_ROUNDING = 1e-6
_SUM_ERROR = 0.02


def suspects(tables: Tables, evaluation: Evaluation) -> str | None:
    """SQL that selects `row`, the positions of suspected label errors; None where the scores cannot tell.

    Needed are a label and one probability per class (between 0 and 1, adding up to 1) or the positive one's of two.
    Rows without a label, or with a score missing, are never suspects.
    """
    roles, path = evaluation.roles, evaluation.table
    if path is None or roles.label is None or evaluation.task != "classification":
        return None
    types = tables.columns(path)
    scores = scores_of(evaluation, types)
    if len(scores) < 2:
        return None
    label = class_text(quoted(roles.label), types[roles.label])
    rows = _rows(source(path, numbered=True), label, scores)
    thresholds = _thresholds(tables, rows, list(scores))
    return None if thresholds is None else _suspects(rows, list(scores), thresholds)


def scores_of(evaluation: Evaluation, types: Mapping[str, str]) -> dict[str, str]:
    """SQL of the probability of every class that has one."""
    roles = evaluation.roles
    if roles.scores:
        return {name: number(quoted(column)) for name, column in roles.scores.items() if column in types}
    positive, others = evaluation.positive_class, [c for c in evaluation.classes if c != evaluation.positive_class]
    if roles.score is None or positive is None or len(others) != 1:
        return {}
    score = number(quoted(roles.score))
    return {positive: score, others[0]: f"(1 - {score})"}


def _rows(rows: str, label: str, scores: Mapping[str, str]) -> str:
    """Rows with a label that has a score and with all scores: position `i`, label `y`, scores `p0`, `p1`, ..."""
    chosen = ", ".join(f"{text} AS p{k}" for k, text in enumerate(scores.values()))
    known = ", ".join(string(name) for name in scores)
    whole = " AND ".join(f"p{k} IS NOT NULL" for k in range(len(scores)))
    return (
        f"(SELECT * FROM (SELECT file_row_number AS i, {label} AS y, {chosen} FROM {rows})"
        f" WHERE y IN ({known}) AND {whole})"
    )


def _thresholds(tables: Tables, rows: str, names: list[str]) -> list[float | None] | None:
    """Each class's mean score over the rows labelled so (None without rows); None where scores are no probabilities."""
    every = [f"p{k}" for k in range(len(names))]
    means = ", ".join(f"avg(p{k}) FILTER (WHERE y = {string(name)}) AS t{k}" for k, name in enumerate(names))
    found = tables.first(
        f"SELECT {means}, min(least({', '.join(every)})) AS low, max(abs({' + '.join(every)} - 1)) AS off FROM {rows}"
    )
    if found["low"] is None or found["low"] < 0 or found["off"] > _SUM_ERROR:
        return None
    return [found[f"t{k}"] for k in range(len(names))]


def _suspects(rows: str, names: list[str], thresholds: list[float | None]) -> str:
    best = ", ".join(f"p{k}" for k in range(len(names)))
    # less than any score where the class does not reach its threshold
    confident = [
        f"CASE WHEN p{k} >= {t - _ROUNDING!r} THEN p{k} ELSE -1 END" if t is not None else "-1"
        for k, t in enumerate(thresholds)
    ]
    own = "CASE y " + " ".join(f"WHEN {string(name)} THEN {{0}}{k}" for k, name in enumerate(names)) + " END"
    kept = ", ".join(f"{text} AS c{k}" for k, text in enumerate(confident))
    return (
        f"SELECT i AS row FROM (SELECT *, {kept} FROM {rows}) WHERE"
        f" greatest({', '.join(f'c{k}' for k in range(len(names)))}) > greatest({own.format('c')}, -1)"
        f" AND greatest({best}) > {own.format('p')} ORDER BY i"
    )
