"""One folder of tables for the whole session, because opening a database costs more than a query."""

from pathlib import Path

import pytest

from dashboard.metrics.tables import Tables


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder: Path = tmp_path_factory.mktemp("tables")
    return Tables(folder)
