"""What can be written in a filter of a run's rows: its columns, their kinds, and their most frequent values."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dashboard.access.users import require_editor
from dashboard.cache import cache_key
from dashboard.errors import BadInput
from dashboard.metrics.columns import class_text, is_number, is_text, quoted
from dashboard.metrics.filters import filter_text, parse_filter
from dashboard.metrics.rows import json_safe, shown_columns
from dashboard.metrics.tables import Tables, source
from dashboard.reports.row_pages import require_table, subject_of, tables_of
from dashboard.reports.selection import selection_of, slices_of
from dashboard.state import SavedSlice
from mlflow_runs.records import Evaluation

if TYPE_CHECKING:
    from dashboard.services import Services

CODE_VERSION = 1
_TOP = 20
_LONGEST = 80
Kind = Literal["number", "text", "boolean", "time"]


@dataclass(frozen=True)
class Word:
    """A column as a filter names it, its kind, and examples: frequent texts, or a number's smallest and largest."""

    name: str
    kind: Kind
    values: tuple[Any, ...] = ()


def filter_words(services: "Services", run_id: str) -> tuple[Word, ...]:
    """The words of a run's filters, in reading order; empty where it has no table."""
    evaluation = services.predictions.evaluation(run_id)
    if evaluation.table is None:
        return ()
    tables = tables_of(services)
    key = cache_key("filter_words", CODE_VERSION, subject_of(evaluation), evaluation.roles)
    return services.cache.compute(key, lambda: words_of(tables, evaluation)).value


def words_of(tables: Tables, evaluation: Evaluation) -> tuple[Word, ...]:
    """The words of a table, its examples from one scan."""
    path = require_table(evaluation).table
    assert path is not None
    types, roles = tables.columns(path), evaluation.roles
    classes = [roles.label, roles.prediction] if evaluation.task != "regression" else []
    kinds = {name: kind for name in shown_columns(roles, types) if (kind := _kind(types[name])) is not None}
    chosen = []
    for index, (name, kind) in enumerate(kinds.items()):
        if kind == "text" or name in classes:
            text = class_text(quoted(name), types[name])
            chosen.append(f"approx_top_k({text}, {_TOP}) FILTER (WHERE length({text}) <= {_LONGEST}) AS v{index}")
        elif kind == "number":
            chosen.append(f"[min({quoted(name)})::DOUBLE, max({quoted(name)})::DOUBLE] AS v{index}")
    found = tables.first(f"SELECT {', '.join(chosen)} FROM {source(path)}") if chosen else {}
    return tuple(
        Word(filter_text(name), kind, tuple(json_safe(v) for v in found.get(f"v{index}") or () if v is not None))
        for index, (name, kind) in enumerate(kinds.items())
    )


def _kind(type_name: str) -> Kind | None:
    if is_number(type_name):
        return "number"
    if is_text(type_name):
        return "text"
    if type_name == "BOOLEAN":
        return "boolean"
    return "time" if type_name.startswith(("DATE", "TIMESTAMP")) else None


def save_slice(services: "Services", run_id: str, saved: SavedSlice) -> SavedSlice:
    """Save a filter under a name for the run's model, by whoever is signed in. BadQuery for a filter that does not
    fit the run's rows, BadInput without a filter or with a name that the run's slices already use."""
    saved = replace(saved, author=require_editor("save slices").name or saved.author)
    evaluation = require_table(services.predictions.evaluation(run_id))
    tables, path = tables_of(services), evaluation.table
    assert path is not None
    if not saved.filter.strip():
        raise BadInput("There is no filter to save; write one first, such as age >= 70.")
    parse_filter(saved.filter, tables.columns(path))
    selection = selection_of(services, evaluation)
    taken = slices_of(tables, evaluation, selection.slices_file, selection.others)[0]
    if saved.name.strip() in {item.name for item in taken}:
        raise BadInput(f"This run already has a slice {saved.name.strip()!r}; choose another name.")
    services.state.save_slice(saved)
    return saved
