"""Collect public docstrings from the sources of installed libraries, without importing them."""

import ast
import re
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from mlflow_runs.errors import DataMissing

SKIPPED = frozenset({"tests", "test", "testing", "_vendor", "externals", "_lib"})
LONGEST, SHORTEST = 600, 40  # characters kept of a docstring, and below which it says nothing
NAMES = re.compile(
    r"\b(?:numpy|np|scipy|sp|pandas|pd|sklearn|scikit-learn|scikits?|matplotlib|mpl|pyplot|plt|networkx|nx"
    r"|sqlalchemy|sa|sympy)\b",
    re.IGNORECASE,
)


def share(text: str) -> float:
    """A number in [0, 1) that depends on the text alone, to pick rows alike on every machine."""
    return int(sha256(text.encode()).hexdigest()[:12], 16) / 16**12


def docstrings(libraries: dict[str, str], files: int) -> pd.DataFrame:
    """Columns id, file, library, text: docstrings of public functions and classes, names of the libraries masked.

    `libraries` maps the name shown to the package to read; at most `files` files of each, picked by hash. Texts that
    occur twice are kept once. Raises DataMissing for a package that is not installed from source files.
    """
    rows = [row for library, package in libraries.items() for row in _library(library, package, files)]
    table = pd.DataFrame(rows, columns=["id", "file", "library", "text"])
    return table.drop_duplicates("text").drop_duplicates("id").reset_index(drop=True)


def _library(library: str, package: str, files: int) -> Iterator[tuple[str, str, str, str]]:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise DataMissing(f"the demo reads docstrings of {package!r}, which is not installed in this environment")
    root = Path(found.origin).parent
    paths = [path for path in root.rglob("*.py") if not SKIPPED & set(path.relative_to(root).parts)]
    names = {f"{package}/{path.relative_to(root).as_posix()}": path for path in paths}
    for name in sorted(names, key=share)[:files]:
        yield from ((f"{name}:{symbol}", name, library, text) for symbol, text in _texts(names[name]))


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    for name, node in _public(ast.parse(path.read_text("utf-8", errors="replace")), ""):
        text = ast.get_docstring(node) or ""
        if len(text) >= SHORTEST:
            yield name, NAMES.sub("…", text[:LONGEST])


def _public(node: ast.Module | ast.ClassDef, owner: str) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            yield owner + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from _public(child, f"{owner}{child.name}.")
