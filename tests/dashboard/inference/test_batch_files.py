"""Batch files: what fits is read in full, what does not is told by name; zips neither escape nor explode."""

import io
import time
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dashboard.errors import BadInput
from dashboard.inference import batch_files
from dashboard.inference.batch_files import inspect, items
from dashboard.inference.cards import InputField, ModelCard, TensorSpec


def card(kind, *inputs, **changes):
    """A model card with these inputs."""
    plain = {"model_id": "m-1", "name": "model", "version": "1", "run_id": "r", "run_name": "run", "task": None}
    return ModelCard(**plain, kind=kind, inputs=inputs, **changes)


TABLE = card("table", InputField("age", "double"), InputField("town", "string", required=False), columns=True)
TEXT = card("text", InputField("words", "string"), columns=True)
PICTURE = card(
    "image", InputField("image", "image"), tensors=(TensorSpec("x", "float32", (-1, 1, 8, 8)),), preprocessing={}
)


def written(tmp_path, content):
    """A file with this content, named as uploads are: without an ending."""
    path = tmp_path / "0123"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def png(value=0):
    """A small picture."""
    target = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(target, "PNG")
    return target.getvalue()


def zipped(tmp_path, entries):
    """A zip with these entries."""
    path = tmp_path / "0123"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_in_any_order_with_more_columns_fits(tmp_path, separator):
    lines = [["town", "id", "age"], ["Ürüm", "1", "40"], ["", "2", "41.5"]]
    path = written(tmp_path, "\ufeff" + "\r\n".join(separator.join(line) for line in lines))
    found = inspect(path, TABLE)
    assert (found.format, found.rows, found.columns, found.unused) == ("csv", 2, ("town", "id", "age"), ("id",))
    given = [item.given for item in items(path, "csv", TABLE)]
    assert given == [{"age": "40", "town": "Ürüm"}, {"age": "41.5", "town": None}]


def test_parquet_keeps_types(tmp_path):
    path = tmp_path / "0123"
    pd.DataFrame({"age": [1.5, 2.0], "more": [[1], [2]]}).to_parquet(path)
    assert inspect(path, TABLE).rows == 2
    assert [item.given for item in items(path, "parquet", TABLE)] == [{"age": 1.5}, {"age": 2.0}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("town\nRome\n", r"lacks 'age'; model takes the columns age, town\. The file's columns are town"),
        ("age\nforty\n", "Row 1: Column 'age' takes a number such as 3.5, not 'forty'"),
        ("age\n1\n\n2\nx\n", "Row 3: Column 'age'"),
        ("age,age\n1,2\n", "column 'age' is there twice"),
        ("age,town\n1\n", "Row 1 has 1 cells and the header 2"),
        ("age\n", "holds no row"),
        ('age\n"1', "csv file cannot be read"),
        ("age\n1\n".encode("utf-16"), "begins with the bytes"),
        ("age,town\n1,M\xfcnchen\n".encode("latin-1"), "csv file cannot be read"),
        (png(), "begins with the bytes 89 50 4e 47"),
        (b"PAR1 no table", "parquet file cannot be read"),
        (b"PK\x03\x04 no zip", "zip file cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_told_by_name(tmp_path, content, said):
    with pytest.raises(BadInput, match=said):
        inspect(written(tmp_path, content), TABLE)


def test_too_many_rows_are_refused_with_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_files, "MOST_ROWS", 2)
    with pytest.raises(BadInput, match="has 3 rows; at most 2"):
        inspect(written(tmp_path, "age\n1\n2\n3\n"), TABLE)


@pytest.mark.parametrize("header", ["words", "id,Text", "anything"])
def test_a_text_model_takes_its_column_or_the_one_that_can_be_meant(tmp_path, header):
    line = ",".join("hello" for _ in header.split(","))
    assert next(items(written(tmp_path, f"{header}\n{line}\n"), "csv", TEXT)).given == "hello"


def test_a_text_model_does_not_guess_among_columns(tmp_path):
    with pytest.raises(BadInput, match="lacks 'words'"):
        inspect(written(tmp_path, "a,b\n1,2\n"), TEXT)


def test_a_zip_gives_its_pictures_by_content_and_nothing_leaves_it(tmp_path):
    entries = {"../../evil.txt": png(1), "b/x.png": b"no picture", "c.png": png(2)[:40], "__MACOSX/d.png": png(3)}
    path = zipped(tmp_path, entries)
    found = inspect(path, PICTURE)
    assert (found.rows, found.skipped, found.columns) == (2, 1, ("file",))
    first, cut = items(path, "zip", PICTURE)
    assert (first.given, first.cells, first.problem) == (png(1), {"file": "../../evil.txt"}, "")
    assert cut.given is None
    assert "cannot be read as a picture" in cut.problem
    assert [file.name for file in tmp_path.iterdir()] == ["0123"]


def test_a_picture_that_unpacks_too_large_is_a_failed_row(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_files, "PICTURE_BYTES", 1000)
    (item,) = items(zipped(tmp_path, {"bomb.png": png() + b"\0" * 5_000_000}), "zip", PICTURE)
    assert item.problem == "larger than 0 MB"


def test_zip_bombs_are_refused_by_their_sizes(tmp_path, monkeypatch):
    path = zipped(tmp_path, {f"{i}.png": png() + b"\0" * 1_000_000 for i in range(5)})
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(batch_files, "ZIP_BYTES", 3 * 2**20)
    with pytest.raises(BadInput, match="unpacks to 4 MB; at most 3"):
        inspect(path, PICTURE)
    monkeypatch.setattr(batch_files, "MOST_PICTURES", 4)
    with pytest.raises(BadInput, match="holds 5 files; at most 4"):
        inspect(path, PICTURE)


def test_the_kind_of_file_must_be_the_models(tmp_path):
    with pytest.raises(BadInput, match="takes a zip of pictures; this is a csv file"):
        inspect(written(tmp_path, "age\n1\n"), PICTURE)
    with pytest.raises(BadInput, match="CSV, JSON lines or Parquet file with the columns age, town; this is a zip"):
        inspect(zipped(tmp_path, {"a.png": png()}), TABLE)


def test_ten_thousand_columns_that_are_not_needed_are_told_in_a_moment(tmp_path):
    names = ["age", *(f"c{at}" for at in range(10_000))]
    lines = [",".join(names), *[",".join("1" for _ in names)] * 20]
    begin = time.process_time()
    found = inspect(written(tmp_path, "\n".join(lines)), TABLE)
    assert (found.rows, len(found.unused)) == (20, 10_000)
    with pytest.raises(BadInput, match=r"lacks 'age'; .*The file's columns are c0, c1"):
        inspect(written(tmp_path, "\n".join(line.partition(",")[2] for line in lines)), TABLE)
    assert time.process_time() - begin < 5
