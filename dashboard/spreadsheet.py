"""CSV that opens safely in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def escaped(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: texts that begin like one get an apostrophe in front."""
    text = "" if value is None else str(value)
    return "'" + text if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def lines(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The table as CSV text, one piece per row; every cell is escaped."""
    yield _line(heads)
    yield from map(_line, rows)


def _line(cells: Sequence[Any]) -> str:
    target = io.StringIO()
    csv.writer(target).writerow([escaped(cell) for cell in cells])
    return target.getvalue()
