"""Spark gives the figures that DuckDB gives: the cube, every kind of filter, the per-class table."""

import shutil
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from dashboard.errors import BadQuery
from dashboard.metrics.cube import count_cube
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.sibling import SparkTables, spark_sql
from dashboard.metrics.slices import declared_slices
from dashboard.metrics.tables import Tables
from dashboard.reports.measured import class_rows
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of
from tests.dashboard.metrics.test_coded_cube import FILTERS, same
from tests.dashboard.metrics.test_codes import FEATURES, frame

MORE = ("round(age / 3) = 12", "upper(region) = 'NORTH'", "starts_with(code, 'c1')", "age % 7 < 2", "age IS NOT NULL")


@pytest.fixture(scope="module")
def spark(tables: Tables) -> Iterator[SparkTables]:
    sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Spark's own start warns of is not ours
        found = SparkTables(tables.folder, engine="local[1]")
        found.query("SELECT 1 AS x")
    yield found
    sql.SparkSession.getActiveSession().stop()


@pytest.fixture(scope="module")
def evaluation(tables: Tables) -> Evaluation:
    return evaluation_of(tables.folder, frame(), features=FEATURES)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Spark's sockets to its own Java process
def test_the_same_cube_filters_and_classes(tables: Tables, spark: SparkTables, evaluation: Evaluation) -> None:
    assert evaluation.table
    types = spark.columns(evaluation.table)
    assert types == tables.columns(evaluation.table)
    parsed = [parse_filter(text, types).sql for text in (*FILTERS, *MORE)]
    conditions = [*parsed, *(item.condition for item in declared_slices(evaluation.roles.slices))]
    where = parse_filter("age > 10 OR age IS NULL", types).sql
    ours, theirs = (count_cube(engine, evaluation, where, conditions) for engine in (tables, spark))
    assert same(ours, theirs)
    assert repr(class_rows(ours.counts(), 10)) == repr(class_rows(theirs.counts(), 10))
    assert np.count_nonzero(ours.slices.sum(axis=1)) > len(conditions) - 4


def test_what_needs_positions_of_rows_is_not_for_spark() -> None:
    with pytest.raises(BadQuery, match="number the rows"):
        spark_sql("SELECT 1 FROM read_parquet('/a.parquet') WHERE file_row_number IN (1, 2)")


def test_names_and_texts_survive_the_translation() -> None:
    sql = spark_sql("""SELECT "a`b" FROM read_parquet('/x y.parquet') WHERE "c" = 'it''s \\ %'""")
    assert "`a``b`" in sql
    assert "parquet.`/x y.parquet`" in sql
    assert r"it\'s \\ %" in sql
