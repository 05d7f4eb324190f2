"""Nearest rows: against distances computed row by row."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_distances

from dashboard.metrics import neighbours
from tests.dashboard.metrics.evaluations import evaluation_of

CHANCE = np.random.default_rng(6)


def test_rows_by_columns_in_standard_deviations(tables):
    frame = pd.DataFrame({"age": CHANCE.normal(40, 12, 60), "town": CHANCE.choice(["it's", "Oslo"], 60)})
    frame.loc[7, "age"] = None
    evaluation = evaluation_of(tables.folder, frame.assign(label="x", prediction="x"))
    asked = {"age": float(frame.age[3]), "town": "it's"}
    spread = frame.age.std(ddof=0)
    age = ((frame.age - asked["age"]) / spread).pow(2).fillna(1.0)
    expected = np.sqrt((age + (frame.town != "it's")) / 2).drop(3).sort_values(kind="stable")[:5]
    found = neighbours.by_columns(tables, evaluation, asked, skip=3)
    assert [near.row for near in found] == list(expected.index)
    assert [near.distance for near in found] == pytest.approx(list(expected))


def test_texts_by_the_cosine_of_their_words(tables):
    texts = ["sum of an array", "plot a line", "merge two frames", "draw an axis", "", "join frames on keys"]
    evaluation = evaluation_of(tables.folder, pd.DataFrame({"text": texts, "label": "x", "prediction": "x"}))
    vectors = neighbours.text_vectors(tables, evaluation, "text")
    found = neighbours.by_text(vectors, "join two frames", skip=None)
    expected = cosine_distances(
        TfidfVectorizer(sublinear_tf=True).fit(texts).transform(["join two frames"]),
        TfidfVectorizer(sublinear_tf=True).fit_transform(texts),
    )[0]
    assert [near.row for near in found] == [5, 2] if expected[5] < expected[2] else [2, 5]
    assert [near.distance for near in found] == pytest.approx([expected[near.row] for near in found], abs=1e-6)
    assert neighbours.by_text(vectors, "unheard", skip=None) == []
    nothing = evaluation_of(tables.folder, pd.DataFrame({"text": ["", "!"], "label": "x", "prediction": "x"}))
    assert neighbours.text_vectors(tables, nothing, "text") is None


def test_pictures_by_small_grey_forms_and_broken_ones_do_no_harm(tables):
    pictures = [png(grey) for grey in (0, 210, 90)] + [b"no picture"]
    evaluation = evaluation_of(tables.folder, {"image": pictures, "label": [*"xxxx"], "prediction": [*"xxxx"]})
    vectors = neighbours.picture_vectors(tables, evaluation, "image")
    found = neighbours.by_picture(vectors, Image.open(io.BytesIO(png(100))), skip=None)
    assert [near.row for near in found] == [2, 0, 1, 3]
    assert [near.distance for near in found] == pytest.approx([10 / 255, 100 / 255, 110 / 255, 155 / 255], abs=1e-6)
    assert neighbours.by_picture(vectors, Image.open(io.BytesIO(png(100))), skip=2)[0].row == 0


def png(grey):
    """An even picture."""
    target = io.BytesIO()
    Image.new("L", (30, 20), grey).save(target, "PNG")
    return target.getvalue()


def test_vectors_are_compared_by_their_angle():
    found = neighbours.Vectors(np.array([3, 5, 8]), np.array([[1.0, 0.0], [2.0, 2.0], [0.0, 0.0]], np.float32))
    near = neighbours.by_vector(found, np.array([0.0, 5.0], np.float32), skip=8)
    assert [one.row for one in near] == [5, 3]
    assert near[0].distance == pytest.approx(1 - 0.5**0.5) and near[1].distance == pytest.approx(1)
