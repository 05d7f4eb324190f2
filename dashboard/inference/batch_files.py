"""Files of inputs (CSV, JSON lines, Parquet, zip of pictures): checked against a model, then read row by row."""

import csv
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.errors import BadInput
from dashboard.inference.cards import ModelCard
from dashboard.inference.images import open_image
from dashboard.inference.inputs import decode_input
from dashboard.inference.json_lines import LINE, count_lines, read_lines

Format = Literal["csv", "jsonl", "parquet", "zip"]

MOST_ROWS = 200_000
MOST_PICTURES = 2_000
PICTURE_BYTES = 20 * 2**20
ZIP_BYTES = 1024 * 2**20
_CHECKED = 200
_ACCEPTED = "a CSV file in UTF-8 with a header line, JSON lines, a Parquet file, or a zip of pictures"
_BROKEN = (
    pa.ArrowException,
    zipfile.BadZipFile,
    zlib.error,
    csv.Error,
    UnicodeError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True)
class BatchFile:
    """A file that fits a model: rows to predict, columns in order, those the model does not use, skipped entries."""

    format: Format
    rows: int
    columns: tuple[str, ...]
    unused: tuple[str, ...] = ()
    skipped: int = 0


@dataclass(frozen=True)
class Item:
    """One input as the model takes it, with the cells that stand before its prediction; or why it is none."""

    given: Any
    cells: Mapping[str, Any]
    problem: str = ""


def inspect(path: Path, card: ModelCard) -> BatchFile:
    """Check that a file fits the model: its kind, columns and first 200 rows. BadInput names what does not fit."""
    kind = file_format(path)
    with reading(kind):
        rows, columns, skipped = _count(path, kind)
    _check_kind(card, kind)
    if not rows:
        raise BadInput(f"The file holds no {'picture' if kind == 'zip' else 'row'}; at least one is needed.")
    table = kind != "zip" and columns != LINE
    used = set(_mapping(card, columns).values()) if table else set(columns)
    unused = tuple(name for name in columns if name not in used)
    with reading(kind):
        for position, item in enumerate(islice(items(path, kind, card), _CHECKED if kind != "zip" else 0), 1):
            _check_row(card, item, position)
    return BatchFile(kind, rows, columns, unused, skipped)


def file_format(path: Path) -> Format:
    """The kind of a file by its first bytes; its name is not looked at."""
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if b"\0" in start or start[:3] in (b"\xff\xd8\xff", b"\x89PN", b"GIF", b"%PD", b"\x1f\x8b\x08"):
        raise BadInput(f"The file begins with the bytes {start[:8].hex(' ')}; accepted is {_ACCEPTED}.")
    return "jsonl" if start.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"[") else "csv"


@contextmanager
def reading(kind: Format) -> Iterator[None]:
    try:
        yield
    except _BROKEN as exc:
        detail = str(exc).splitlines()[0][:160] if str(exc) else type(exc).__name__
        raise BadInput(f"The {kind} file cannot be read ({detail}); accepted is {_ACCEPTED}.") from exc


def _check_kind(card: ModelCard, kind: Format) -> None:
    if (kind == "zip") != (card.kind == "image"):
        wanted = (
            "a zip of pictures" if card.kind == "image" else f"a CSV, JSON lines or Parquet file with {_wanted(card)}"
        )
        raise BadInput(f"{card.name} takes {wanted}; this is a {kind} file.")


def _wanted(card: ModelCard) -> str:
    names = [f.name for f in card.inputs]
    return f"the column{'s' * (len(names) > 1)} {', '.join(names[:20])}" + (" ..." if len(names) > 20 else "")


def _mapping(card: ModelCard, columns: Sequence[str]) -> dict[str, str]:
    """Input name -> column of the file. A text model also takes the only column, or one named text."""
    double = [name for name, n in Counter(columns).items() if n > 1]
    if double:
        raise BadInput(f"The column {double[0][:60]!r} is there twice; each name may occur once.")
    named = {f.name: f.name for f in card.inputs if f.name in columns}
    if not named and card.kind == "text":
        stand_in = columns[0] if len(columns) == 1 else next((c for c in columns if c.lower() == "text"), None)
        named = {card.inputs[0].name: stand_in} if stand_in else {}
    missing = [f.name for f in card.inputs if f.required and f.name not in named]
    if missing:
        have = ", ".join(columns[:20]) or "none"
        lacking = ", ".join(repr(name) for name in missing[:6]) + (f" and {len(missing) - 6} more" * (len(missing) > 6))
        raise BadInput(f"The file lacks {lacking}; {card.name} takes {_wanted(card)}. The file's columns are {have}.")
    return named


def _check_row(card: ModelCard, item: Item, position: int) -> None:
    try:
        decode_input(card, item.given)
    except BadInput as exc:
        raise BadInput(f"Row {position}: {exc}") from exc


def _count(path: Path, kind: Format) -> tuple[int, tuple[str, ...], int]:
    """Rows, columns and skipped entries of a file."""
    if kind == "zip":
        names = _pictures(path)
        return len(names[0]), ("file",), names[1]
    if kind == "parquet":
        with pq.ParquetFile(path) as table:
            rows, columns = table.metadata.num_rows, tuple(table.schema_arrow.names)
    elif kind == "jsonl":
        rows, columns = count_lines(path)
    else:
        with _csv(path) as reader:
            columns = tuple(next(reader, []))
            rows = sum(1 for line in reader if line)
    if rows > MOST_ROWS:
        raise BadInput(f"The file has {rows:,} rows; at most {MOST_ROWS:,} are predicted in one batch.")
    return rows, columns, 0


@contextmanager
def _csv(path: Path) -> Iterator[Any]:
    """A reader of the file's lines; the separator is the most frequent of comma, semicolon and tab in the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        yield csv.reader(file, delimiter=max(",;\t", key=header.count), strict=True)


def items(path: Path, kind: Format, card: ModelCard) -> Iterator[Item]:
    if kind == "zip":
        yield from _zipped(path)
        return
    rows = _csv_rows(path) if kind == "csv" else _parquet_rows(path) if kind == "parquet" else read_lines(path)
    mapping: dict[str, str] | None = None
    for position, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            yield Item(row, {LINE[0]: position})
            continue
        mapping = mapping or _mapping(card, list(row))
        given = {name: _cell(row.get(column)) for name, column in mapping.items()}
        yield Item(next(iter(given.values())) or "" if card.kind == "text" else given, row)


def _cell(value: Any) -> Any:
    return None if value == "" else value


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    with _csv(path) as reader:
        columns: list[str] = next(reader, [])
        for position, line in enumerate((line for line in reader if line), 1):
            if len(line) != len(columns):
                raise BadInput(f"Row {position} has {len(line)} cells and the header {len(columns)}; they must agree.")
            yield dict(zip(columns, line, strict=True))


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def _pictures(path: Path) -> tuple[list[zipfile.ZipInfo], int]:
    """Entries to read, and how many are left out (folders and system files are not counted)."""
    with zipfile.ZipFile(path) as archive:
        entries = [e for e in archive.infolist() if not e.is_dir() and "__MACOSX" not in e.filename]
        if len(entries) > MOST_PICTURES:
            raise BadInput(f"The zip holds {len(entries):,} files; at most {MOST_PICTURES:,} are accepted.")
        declared = sum(entry.file_size for entry in entries)
        if declared > ZIP_BYTES:
            raise BadInput(f"The zip unpacks to {declared // 2**20:,} MB; at most {ZIP_BYTES // 2**20:,} are accepted.")
        kept = [entry for entry in entries if _starts_like_picture(archive, entry)]
    return kept, len(entries) - len(kept)


_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")


def _starts_like_picture(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    with archive.open(entry) as file:
        start = file.read(12)
    return start.startswith(_MAGIC) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def _zipped(path: Path) -> Iterator[Item]:
    entries, _ = _pictures(path)
    left = ZIP_BYTES
    with zipfile.ZipFile(path) as archive:
        for entry in entries:
            with archive.open(entry) as file:
                data = file.read(min(PICTURE_BYTES, left) + 1)
            left -= len(data)
            if left < 0:
                raise BadInput(f"The zip unpacks to more than {ZIP_BYTES // 2**20:,} MB, which is the most accepted.")
            yield _picture(entry.filename, data)


def _picture(name: str, data: bytes) -> Item:
    cells = {"file": name}
    if len(data) > PICTURE_BYTES:
        return Item(None, cells, f"larger than {PICTURE_BYTES // 2**20} MB")
    try:
        open_image(data)
    except BadInput as exc:
        return Item(None, cells, str(exc))
    return Item(data, cells)
