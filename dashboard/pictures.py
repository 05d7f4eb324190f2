"""Pictures that models answer with: kept by content for links, and drawn on demand while a slider moves."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flask
import orjson
from PIL import Image

from dashboard.errors import BadInput
from dashboard.services import Services
from dashboard.settings import Settings
from dashboard.uploads import HEADER, FileShelf, content_key, is_key
from mlflow_runs.errors import DashboardError, ModelUnavailable

_MB = 2**20
_MOST_NUMBERS = 4096


@dataclass(frozen=True)
class Kept:
    """A picture that can be fetched from `link`; width and height in pixels."""

    link: str
    width: int
    height: int


def shelf(settings: Settings) -> FileShelf:
    """Pictures by content: at most 1,000, and four times the largest accepted upload."""
    return FileShelf(settings.data_dir / "pictures", 1000, 4 * settings.max_upload_mb * _MB)


def keep(settings: Settings, png: bytes) -> Kept:
    """Keep a PNG file for a while; equal ones are one file."""
    key, files = content_key(png), shelf(settings)
    if not files.path(key, ".png").is_file():
        draft = files.draft()
        draft.touch(mode=0o600)
        draft.write_bytes(png)
        files.keep(draft, key, ".png")
    return Kept(f"/pictures/{key}.png", *size(png))


def is_kept(settings: Settings, kept: Kept) -> bool:
    """Whether the picture is still there: the oldest make room."""
    return (shelf(settings).folder / kept.link.rpartition("/")[2]).is_file()


def size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the head of the file."""
    with Image.open(io.BytesIO(png)) as found:
        return found.size


def register(server: flask.Flask, services: Services) -> None:
    """Add `GET /pictures/<key>.png` and `POST /pictures/live/<run_id>`: numbers in, the generator's PNG out."""
    server.add_url_rule("/pictures/<key>.png", "pictures", _send(services.settings))
    server.add_url_rule("/pictures/live/<run_id>", "live_picture", _live(services), methods=["POST"])


def _send(settings: Settings) -> Callable[[str], flask.Response]:
    def send(key: str) -> flask.Response:
        if not is_key(key) or not (path := shelf(settings).path(key, ".png")).is_file():
            flask.abort(404)
        response = flask.send_file(path, "image/png", download_name=f"picture-{key[:8]}.png")
        response.headers["Cache-Control"] = "private, max-age=86400, immutable"
        return response

    return send


def _live(services: Services) -> Callable[[str], flask.Response]:
    def draw(run_id: str) -> flask.Response:
        if flask.request.headers.get(HEADER) != "1":
            return _refusal(f"this address needs the header {HEADER}: 1", 403)
        flask.request.max_content_length = _MB
        started = time.perf_counter()
        try:
            png = live_picture(services, run_id, _numbers(flask.request.get_data()))
        except DashboardError as error:
            return _refusal(str(error), error.status)
        response = flask.Response(png, mimetype="image/png")
        response.headers["Cache-Control"] = "no-store"
        response.headers["Server-Timing"] = f"picture;dur={1000 * (time.perf_counter() - started):.1f}"
        return response

    return draw


def live_picture(services: Services, run_id: str, values: list[Any]) -> bytes:
    """What the run's generator draws from the numbers; a PNG file. BadInput or ModelUnavailable say why not."""
    card = services.inference.card(run_id)
    if card.latent is None:
        raise BadInput(f"{card.name} does not draw from a list of numbers.")
    if len(values) != card.latent.size:
        raise BadInput(f"{card.name} draws from {card.latent.size} numbers; {len(values)} were given.")
    image = services.inference.predict(run_id, [{card.latent.name: values}]).predictions[0].image
    if image is None:
        raise ModelUnavailable(f"{card.name} did not answer with a picture.")
    return image


def _numbers(body: bytes) -> list[Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"The body is not JSON ({exc}); a list of numbers is needed.") from exc
    if not isinstance(found, list) or not 0 < len(found) <= _MOST_NUMBERS:
        raise BadInput(f"The body is no list of 1 to {_MOST_NUMBERS:,} numbers.")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in found):
        raise BadInput("The list holds something that is not a number.")
    return found


def _refusal(text: str, status: int) -> flask.Response:
    return flask.Response(orjson.dumps({"error": text}), status, mimetype="application/json")
