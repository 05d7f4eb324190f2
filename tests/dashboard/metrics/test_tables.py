"""The door to DuckDB: nothing but the data folder, errors in sentences, one database per process."""

import os
from pathlib import Path

import pytest

from dashboard.errors import BadQuery
from dashboard.metrics.tables import Tables, source
from mlflow_runs.errors import ArtifactUnreadable
from tests.dashboard.metrics.evaluations import evaluation_of


def test_columns_keep_order_and_types(tables: Tables) -> None:
    evaluation = evaluation_of(tables.folder, {"label": ["a"], "b": [1.5], "a": [True]})
    assert tables.columns(evaluation.table) == {"label": "VARCHAR", "b": "DOUBLE", "a": "BOOLEAN"}


def test_files_outside_the_folder_cannot_be_read(tables: Tables, tmp_path: Path) -> None:
    outside = evaluation_of(tmp_path, {"label": ["a"]}).table
    with pytest.raises(ArtifactUnreadable) as caught:
        tables.query(f"SELECT * FROM {source(outside)}")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "COPY (SELECT 1) TO '/tmp/vitrine-never.csv'",
        "ATTACH '/tmp/vitrine-never.db'",
        "INSTALL httpfs",
        "SET enable_external_access=true",
        "SET memory_limit='100GB'",
        "SELECT * FROM '../x.parquet'",
    ],
)
def test_the_configuration_is_locked(tables: Tables, sql: str) -> None:
    with pytest.raises((ArtifactUnreadable, BadQuery)):
        tables.query(sql)
    assert not Path("/tmp/vitrine-never.csv").exists()


def test_values_that_do_not_fit_are_a_bad_query(tables: Tables) -> None:
    evaluation = evaluation_of(tables.folder, {"label": ["a", "b"], "n": [1, 2]})
    with pytest.raises(BadQuery, match="does not fit the table"):
        tables.query(f"SELECT * FROM {source(evaluation.table)} WHERE n = 'x'")


def test_a_quote_in_a_path_is_only_a_quote(tables: Tables) -> None:
    evaluation = evaluation_of(tables.folder / "it's", {"label": ["a"]})
    assert tables.first(f"SELECT count(*) AS n FROM {source(evaluation.table)}") == {"n": 1}


def test_time_zones_and_odd_types_come_through(tables: Tables) -> None:
    row = tables.first("SELECT TIMESTAMPTZ '2020-01-01 00:00:00+00' AS t, [1, 2] AS l, {'a': 1} AS s")
    assert row["t"].isoformat() == "2020-01-01T00:00:00+00:00"
    assert (row["l"], row["s"]) == ([1, 2], {"a": 1})


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # forking is what is tested
def test_a_forked_child_gets_its_own_database(tables: Tables) -> None:
    assert tables.first("SELECT 1 AS x") == {"x": 1}
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if tables.first("SELECT 41 + 1 AS x") == {"x": 42} else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
