"""Files of JSON lines: one object (a row) or one list (numbers) a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboard.errors import BadInput

LINE = ("line",)
_ACCEPTED = "one object or list a line is accepted"


def read_lines(path: Path) -> Iterator[dict[str, Any] | list[Any]]:
    """The lines in order, empty ones left out; BadInput names the first that is neither object nor list."""
    with path.open(encoding="utf-8-sig") as file:
        for position, line in enumerate(file, 1):
            if line.strip():
                yield _parsed(line.strip(), position)


def _parsed(line: str, position: int) -> dict[str, Any] | list[Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise BadInput(f"Line {position} is not JSON: {line[:60]!r}; {_ACCEPTED}.") from exc
    if not isinstance(found, dict | list):
        raise BadInput(f"Line {position} is {line[:60]!r}; {_ACCEPTED}.")
    return found


def count_lines(path: Path) -> tuple[int, tuple[str, ...]]:
    """How many lines, and their columns in the order they first appear (LINE where lines are lists)."""
    names: dict[str, None] = {}
    rows = 0
    for found in read_lines(path):
        rows += 1
        names |= dict.fromkeys(found if isinstance(found, dict) else LINE)
    return rows, tuple(names)
