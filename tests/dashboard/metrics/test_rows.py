"""Values for JSON, pictures by their bytes, and which columns come first."""

import datetime as dt
import math
from decimal import Decimal

import pytest

from dashboard.metrics.rows import confidence, fetch_rows, json_safe, picture, shown_columns
from dashboard.metrics.tables import Tables
from mlflow_runs.records import Evaluation, Roles
from tests.dashboard.metrics.evaluations import evaluation_of


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2**53, str(2**53)),
        (math.nan, None),
        (-math.inf, None),
        (Decimal("1.5"), 1.5),
        (Decimal("NaN"), None),
        ("<b>", "<b>"),
        (b"abc", "3 bytes"),
        ([1, math.nan, [b"a"]], [1, None, ["1 bytes"]]),
        ({"a": math.inf}, {"a": None}),
        (dt.datetime(2024, 1, 2, tzinfo=dt.UTC), "2024-01-02T00:00:00+00:00"),
        (dt.timedelta(seconds=1), "0:00:01"),
    ],
)
def test_json_safe(value: object, safe: object) -> None:
    assert json_safe(value) == safe


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"", None),
    ],
)
def test_pictures_are_known_by_their_bytes(data: bytes, mime: str | None) -> None:
    found = picture(data)
    assert (found is None) if mime is None else found is not None and found.startswith(f"data:{mime};base64,")


def test_columns_in_reading_order() -> None:
    columns = dict.fromkeys(["x", "prediction", "label", "text", "id"], "VARCHAR")
    roles = Roles(label="label", prediction="prediction", id="id", text="text", time="gone")
    assert shown_columns(roles, columns) == ("id", "text", "label", "prediction", "x")


def test_ties_keep_the_order_of_the_table(tables: Tables) -> None:
    evaluation = evaluation_of(tables.folder, {"label": ["a"] * 50, "x": [1] * 50})
    numbers = [n for k in range(0, 50, 7) for n in fetch_rows(tables, evaluation, "true", '"x" DESC', k, 7).numbers]
    assert numbers == list(range(50))


def test_no_confidence_without_scores() -> None:
    columns = {"label": "VARCHAR", "prediction": "VARCHAR", "p": "DOUBLE"}
    one = evaluation_of_columns(Roles(label="label", prediction="prediction", score="p"))
    assert confidence(one, columns) is None
    assert confidence(evaluation_of_columns(Roles(label="label")), columns) is None


def evaluation_of_columns(roles: Roles) -> Evaluation:
    return Evaluation("r", "classification", roles)
