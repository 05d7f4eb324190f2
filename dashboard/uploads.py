"""Files that users send and results that they fetch: named by content, bounded in number and bytes, private."""

import hashlib
import io
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import flask
import orjson

from dashboard.errors import BadInput
from dashboard.settings import Settings

_KEY = re.compile(r"[0-9a-f]{32}")
HEADER = "X-Vitrine-Upload"  # because a form on another site cannot send a header of its own
_MB = 2**20
_CHUNK = 2**18


def content_key(*parts: str | bytes) -> str:
    """32 hexadecimal digits that name this content."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8) + data)
    return state.hexdigest()


def is_key(text: str) -> bool:
    """Whether a text is a key, and so safe to use as a file name."""
    return _KEY.fullmatch(text) is not None


@dataclass(frozen=True)
class FileShelf:
    """A private folder of files named by key; the oldest go when it holds too many files or bytes."""

    folder: Path
    most_files: int
    most_bytes: int

    def path(self, key: str, suffix: str = "") -> Path:
        """Where a key's file lies; raises BadInput for a text that is no key."""
        if not is_key(key):
            raise BadInput(f"{key[:60]!r} names no file; a key has 32 hexadecimal digits.")
        return self.folder / f"{key}{suffix}"

    def draft(self) -> Path:
        """A fresh name to write to, moved into place by `keep`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.folder / f".draft-{uuid.uuid4().hex}"

    def keep(self, draft: Path, key: str, suffix: str = "") -> Path:
        """Move a finished draft into place and make room."""
        kept = draft.rename(self.path(key, suffix))
        self._trim(kept)
        return kept

    def _trim(self, newest: Path) -> None:
        """Delete the oldest files, drafts that a killed process left behind included."""
        with suppress(FileNotFoundError):  # because another process may be making room at this moment
            found = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in self.folder.iterdir()), reverse=True)
            total = 0
            for position, (_, size, path) in enumerate(found, 1):
                total += size
                if path != newest and (position > self.most_files or total > self.most_bytes):
                    path.unlink(missing_ok=True)


def uploads(settings: Settings) -> FileShelf:
    """What users sent: at most 200 files, and sixteen times the largest accepted one."""
    return FileShelf(settings.data_dir / "uploads", 200, 16 * settings.max_upload_mb * _MB)


def results(settings: Settings) -> FileShelf:
    """What jobs wrote for users to fetch: `<key>.csv` with its summary `<key>.json`."""
    return FileShelf(settings.data_dir / "results", 400, 32 * settings.max_upload_mb * _MB)


def too_large(name: str, settings: Settings) -> BadInput:
    """The one sentence for files above the limit."""
    return BadInput(f"{name[:80]!r} is larger than {settings.max_upload_mb} MB, the largest upload accepted here.")


def store(settings: Settings, stream: IO[bytes], name: str) -> dict[str, Any]:
    """Copy a stream to the uploads; a token {"key", "name", "bytes"}. BadInput when empty or too large."""
    shelf, state, size = uploads(settings), hashlib.blake2b(digest_size=16), 0
    draft = shelf.draft()
    try:
        with draft.open("xb") as target:
            draft.chmod(0o600)
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > settings.max_upload_mb * _MB:
                    raise too_large(name, settings)
                state.update(chunk)
                target.write(chunk)
        if not size:
            raise BadInput(f"{name[:80]!r} is empty (0 bytes); a file with content is needed.")
        shelf.keep(draft, state.hexdigest())
    finally:
        draft.unlink(missing_ok=True)
    return {"key": state.hexdigest(), "name": name[:120], "bytes": size}


def store_bytes(settings: Settings, data: bytes, name: str) -> dict[str, Any]:
    """Keep bytes as if they had been uploaded."""
    return store(settings, io.BytesIO(data), name)


def uploaded(settings: Settings, key: str) -> Path:
    """The file of an upload; BadInput when it is gone, because uploads are kept for a while only."""
    path = uploads(settings).path(key)
    if not path.is_file():
        raise BadInput(f"The uploaded file {key[:8]} is no longer kept here; upload it again.")
    return path


def register(server: flask.Flask, settings: Settings) -> None:
    """Add `GET /uploads` (the limit), `POST /uploads` (multipart, field `file`) and `GET /results/<key>.csv`."""
    limit = {"most_bytes": settings.max_upload_mb * _MB, "sentence": str(too_large("{name}", settings))}
    server.add_url_rule("/uploads", "uploads_limit", lambda: _answer(limit, 200))
    server.add_url_rule("/uploads", "uploads", _receive(settings), methods=["POST"])
    server.add_url_rule("/results/<key>.csv", "results", _send(settings))


def _receive(settings: Settings) -> Callable[[], flask.Response]:
    def receive() -> flask.Response:
        if flask.request.headers.get(HEADER) != "1":
            return _answer({"error": f"uploads need the header {HEADER}: 1"}, 403)
        if (flask.request.content_length or 0) > (settings.max_upload_mb + 1) * _MB:
            return _answer({"error": str(too_large("The file", settings))}, 413)
        given = flask.request.files.get("file")
        if given is None:
            return _answer({"error": "the form has no field 'file'"}, 400)
        try:
            return _answer(store(settings, given.stream, given.filename or "file"), 200)
        except BadInput as error:
            return _answer({"error": str(error)}, error.status)

    return receive


def _send(settings: Settings) -> Callable[[str], flask.Response]:
    def send(key: str) -> flask.Response:
        if not is_key(key) or not (path := results(settings).path(key, ".csv")).is_file():
            flask.abort(404)
        return flask.send_file(path, "text/csv", as_attachment=True, download_name=f"predictions-{key[:8]}.csv")

    return send


def _answer(document: dict[str, Any], status: int) -> flask.Response:
    return flask.Response(orjson.dumps(document), status, mimetype="application/json")
