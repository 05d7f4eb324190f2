"""The batch size found good for a model on a device, kept beside the other decisions, so that a restart knows it."""

from pathlib import Path

from dashboard.inference.guard import read_json, write_json


def recorded(record: Path, device: str) -> int | None:
    """The rows per batch noted for the device; None where none are, or the file is broken."""
    rows = read_json(record).get(device)
    return rows if isinstance(rows, int) and rows > 0 else None


def note(record: Path, device: str, rows: int) -> None:
    """Keep the rows per batch for the device; those of other devices stay."""
    write_json(record, {**read_json(record), device: rows})
