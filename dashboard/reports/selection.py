"""Which rows a page measures, and their measurement, computed once for all who ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dashboard.cache import Cached, ResultCache, cache_key
from dashboard.metrics.boxes import columns_of
from dashboard.metrics.coded_cube import Condition, coded_cube
from dashboard.metrics.codes import open_codes
from dashboard.metrics.cube import Cube, count_cube, needed
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.multilabel import SetSums, set_sums
from dashboard.metrics.sibling import SparkTables
from dashboard.metrics.slices import Slice, declared_slices, file_slices, find_slice
from dashboard.metrics.tables import Tables
from dashboard.reports.measured import Measured, measure_classes, measure_errors, measure_sets
from dashboard.reports.measured_boxes import detected, measure_boxes
from dashboard.reports.named_slices import named_slices
from dashboard.reports.row_pages import require_table, subject_of, tables_of
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation, Problem

if TYPE_CHECKING:
    from dashboard.services import Services
    from dashboard.settings import Settings

CODE_VERSION = 3


@dataclass(frozen=True)
class Selection:
    """Which rows are measured: a filter's text, a slice's name, and the text of the model's slices.yaml.

    `others` are slices that do not come with the run (saved, found), `problems` what of them cannot be used.
    """

    filter: str = ""
    slice: str = ""
    slices_file: str = ""
    others: tuple[Slice, ...] = ()
    problems: tuple[Problem, ...] = ()


def selection_of(services: "Services", evaluation: Evaluation, filter_: str = "", slice_: str = "") -> Selection:
    """The selection of a page's filter and slice, with every slice there is to choose from."""
    others, problems = named_slices(services, evaluation)
    return Selection(filter_.strip(), slice_, slices_text(services.settings, evaluation), others, problems)


def condition_of(tables: Tables, evaluation: Evaluation, selection: Selection) -> str:
    """Checked SQL of the rows that a selection's filter and slice hold; works without label and prediction."""
    first, *rest = conditions_of(tables, evaluation, selection)
    return f"({first.sql}) AND ({rest[0].sql})" if rest else first.sql


def conditions_of(tables: Tables, evaluation: Evaluation, selection: Selection) -> list[Condition]:
    """A selection's filter and, if one is chosen, its slice; BadQuery for the filter or an unknown slice."""
    path = require_table(evaluation).table
    assert path is not None
    types = tables.columns(path)
    where = parse_filter(selection.filter, types)
    found = [Condition(where.sql, where.columns)]
    if selection.slice:
        slices, _ = slices_of(tables, evaluation, selection.slices_file, selection.others)
        found.append(_condition(slices[find_slice(slices, selection.slice)], types))
    return found


def measured_of(services: "Services", evaluation: Evaluation, selection: Selection) -> Cached[Measured]:
    """The cached measurement of a selection; keyed by nothing that the figures do not depend on."""
    tables, cache, min_rows = counting_tables(services, evaluation), services.cache, services.settings.min_rows
    key = cache_key("performance", CODE_VERSION, subject_of(evaluation), (_kind(evaluation), selection, min_rows))
    return cache.compute(key, lambda: measure(tables, evaluation, selection, min_rows, cache))


def counting_tables(services: "Services", evaluation: Evaluation) -> Tables:
    """The engine that counts: DuckDB, or Spark where a setting names one (classifications only)."""
    found, engine = tables_of(services), services.settings.sql_engine
    if not engine or evaluation.task != "classification":
        return found
    return SparkTables(found.folder, found.memory_mb, found.threads, engine)


def measure(
    tables: Tables, evaluation: Evaluation, selection: Selection, min_rows: int, cache: ResultCache | None = None
) -> Measured:
    """Measure the selected rows. With a cache, one scan per filter serves every slice of a classifier."""
    slices, problems = slices_of(tables, evaluation, selection.slices_file, selection.others)
    if isinstance(tables, SparkTables):
        slices = [item for item in slices if item.filter]  # those without are positions of rows, which Spark lacks
    path = require_table(evaluation).table
    assert path is not None
    where = parse_filter(selection.filter, tables.columns(path)).sql
    chosen = find_slice(slices, selection.slice) if selection.slice else None
    if evaluation.task == "detection":
        found = measure_boxes(detected(tables, evaluation, where, slices, cache), slices, chosen, min_rows)
    elif evaluation.task == "regression":
        found = measure_errors(tables, evaluation, where, slices, chosen, min_rows)
    elif evaluation.task == "multilabel":
        found = measure_sets(_sums(tables, evaluation, where, slices, cache), slices, chosen, min_rows)
    else:
        conditions = [item.condition for item in slices]
        key = cache_key("cube", CODE_VERSION, subject_of(evaluation), (_kind(evaluation), where, conditions))
        cube = (
            cache.compute(key, lambda: _cube(tables, evaluation, selection.filter, slices)).value
            if cache
            else _cube(tables, evaluation, selection.filter, slices)
        )
        found = measure_classes(cube, slices, chosen, min_rows)
    return replace(found, problems=(*problems, *selection.problems))


def _cube(tables: Tables, evaluation: Evaluation, filter_: str, slices: Sequence[Slice]) -> Cube:
    """The cube from the code sidecar where it is built, else from the table: the same figures."""
    types = tables.columns(needed(evaluation)[0])
    where, codes = parse_filter(filter_, types), open_codes(tables, evaluation)
    if codes is None or isinstance(tables, SparkTables):
        return count_cube(tables, evaluation, where.sql, [item.condition for item in slices])
    conditions = [_condition(item, types) for item in slices]
    return coded_cube(tables, evaluation, codes, Condition(where.sql, where.columns), conditions)


def _sums(
    tables: Tables, evaluation: Evaluation, where: str, slices: Sequence[Slice], cache: ResultCache | None
) -> SetSums:
    """The sums of one filter, which serve every slice."""
    conditions = [item.condition for item in slices]
    key = cache_key("sets", CODE_VERSION, subject_of(evaluation), (_kind(evaluation), where, conditions))
    if cache is None:
        return set_sums(tables, evaluation, where, conditions)
    return cache.compute(key, lambda: set_sums(tables, evaluation, where, conditions)).value


def _condition(item: Slice, types: Mapping[str, str]) -> Condition:
    """A slice's condition with its columns; one without a filter's text (see found_rows) does not tell them."""
    return Condition(item.condition, parse_filter(item.filter, types).columns if item.filter else None)


def measurable(evaluation: Evaluation) -> bool:
    """Whether the predictions are to be measured; else the run's own figures are shown.

    Raises DataMissing, which says what is missing, where there are no figures either.
    """
    if evaluation.task == "detection" and (evaluation.figures is None or evaluation.roles.predicted_boxes):
        columns_of(evaluation)
        return True
    if evaluation.task in ("detection", "image_to_image"):
        if evaluation.figures is None:
            raise DataMissing(
                f"Run {evaluation.run_id} is a {evaluation.task} task without ready-made figures; performance is"
                " computed for classification, regression and detection."
            )
        return False
    if evaluation.figures is not None and None in (
        evaluation.table,
        evaluation.roles.label,
        evaluation.roles.prediction,
    ):
        return False
    needed(evaluation)
    return True


def slices_of(
    tables: Tables, evaluation: Evaluation, text: str, others: Sequence[Slice] = ()
) -> tuple[list[Slice], list[Problem]]:
    """The declared slices, those of the slices file and others, with what of the file could not be used.

    Of slices with the same name the first one counts.
    """
    slices = declared_slices(evaluation.roles.slices)
    problems: list[Problem] = []
    path = require_table(evaluation).table
    if text and path is not None:
        found, problems = file_slices(text, tables.columns(path))
        slices += found
    taken = {item.name for item in slices}
    return [*slices, *(item for item in others if item.name not in taken)], problems


def slices_text(settings: "Settings", evaluation: Evaluation) -> str:
    """The run's own slices.yaml, else the file that the settings name (DataMissing where unreadable), or nothing."""
    if evaluation.slices:
        return evaluation.slices
    if settings.slices_file is None:
        return ""
    try:
        return settings.slices_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise DataMissing(
            f"The slices file {settings.slices_file.name!r} (VITRINE_SLICES_FILE) cannot be read as UTF-8 text."
        ) from exc


def _kind(evaluation: Evaluation) -> tuple[object, ...]:
    """What else than the bytes decides an evaluation's figures: roles may be corrected by a user."""
    return evaluation.task, evaluation.roles, evaluation.classes
