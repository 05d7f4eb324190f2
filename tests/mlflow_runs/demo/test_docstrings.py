"""Docstrings are read from sources, private ones and tests left out, names masked."""

import sys

import pytest

from mlflow_runs.demo.docstrings import docstrings
from mlflow_runs.errors import DataMissing

SOURCE = '''
class Shown:
    """A class that the numpy and np users of this package know well."""

    def method(self):
        """A method whose text is long enough to be kept by the reader."""

    def _hidden(self):
        """A private method whose text is long enough to be kept, too."""

def short():
    """Too short."""
'''


def test_reads_public_docstrings_only(tmp_path, monkeypatch):
    package = tmp_path / "planted_package"
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "room.py").write_text(SOURCE)
    (package / "tests" / "test_room.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    table = docstrings({"planted": "planted_package"}, 10)
    assert list(table["id"]) == ["planted_package/room.py:Shown", "planted_package/room.py:Shown.method"]
    assert table["text"][0] == "A class that the … and … users of this package know well."
    assert "planted_package" not in sys.modules


def test_a_missing_package_is_named():
    with pytest.raises(DataMissing, match="no_such_package_anywhere"):
        docstrings({"x": "no_such_package_anywhere"}, 10)
