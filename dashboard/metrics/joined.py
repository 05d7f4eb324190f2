"""Another evaluation's predictions beside an evaluation's rows: joined by id, else by position."""

from dataclasses import dataclass
from typing import Literal

from dashboard.errors import BadQuery
from dashboard.metrics.columns import class_text, quoted
from dashboard.metrics.comparison import aligned, row_id
from dashboard.metrics.crosstab import Axis
from dashboard.metrics.cube import needed
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation

_OTHER, _KEY = "vitrine_other_", "vitrine_key_"
How = Literal["id", "position"]


@dataclass(frozen=True)
class Joined:
    """Rows of an evaluation with another one's prediction: `rows` is a FROM item with all its columns, `prediction` SQL
    of the other's class; rows without one are not in it."""

    rows: str
    prediction: str
    how: How


def join_prediction(tables: Tables, ours: Evaluation, theirs: Evaluation, same_data: bool) -> Joined:
    """Join by ids where both have them (those that occur once in the other), else by position where `same_data` says
    that both were made from the same data set, and labels and lengths agree. BadQuery says why neither is possible."""
    path, label, _ = needed(ours)
    other, their_label, prediction = needed(theirs)
    kinds, here = tables.columns(other), tables.columns(path)
    text = class_text(quoted(prediction), kinds[prediction])
    by_id = bool(ours.roles.id and theirs.roles.id)
    if by_id and not aligned(tables, ours, theirs):
        key = row_id(tables, theirs)
        columns = f"{key} AS {_KEY}, any_value({text}) AS {_OTHER}"
        once = f"(SELECT {columns} FROM {source(other)} WHERE {key} IS NOT NULL GROUP BY 1 HAVING count(*) = 1)"
        return Joined(f"{source(path, numbered=True)} JOIN {once} ON {_KEY} = {row_id(tables, ours)}", _OTHER, "id")
    their_text = class_text(quoted(their_label), kinds[their_label])
    beside = f"(SELECT file_row_number AS {_KEY}, {text} AS {_OTHER}, {their_text} AS vitrine_label_ FROM"
    rows = f"{source(path, numbered=True)} JOIN {beside} {source(other, numbered=True)}) ON {_KEY} = file_row_number"
    if by_id:
        return Joined(rows, _OTHER, "id")
    if not same_data or ours.n_rows != theirs.n_rows:
        raise BadQuery(
            "The two runs have no id column in common, and were not made from the same data set with the same number of"
            " rows, so that their rows cannot be told apart."
        )
    differs = f"({class_text(quoted(label), here[label])}) IS DISTINCT FROM vitrine_label_"
    wrong = int(tables.first(f"SELECT count(*) AS n FROM {rows} WHERE {differs}")["n"])
    if wrong:
        raise BadQuery(
            f"The two runs have no id column in common, and {wrong:,} of {ours.n_rows:,} rows have another label at the"
            " same position."
        )
    return Joined(rows, _OTHER, "position")


def joined_axis(name: str, classes: tuple[str, ...], joined: Joined) -> Axis:
    """The other's predictions as a grouping."""
    return Axis("other", name, classes, sql=joined.prediction, rows=joined.rows)
