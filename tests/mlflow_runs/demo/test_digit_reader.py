"""The digit models: pictures survive as PNG, slices come from pixels, version 3 fails where its data were thinned."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from mlflow_runs.demo.digit_reader import DARKNESS, INK, SLANT, measures, task
from tests.mlflow_runs.demo.conftest import Losses, losses


@pytest.fixture(scope="module")
def digits() -> Losses:
    return losses(task(), 5)


def test_pictures_hold_the_real_pixels(digits):
    row = digits.split.evaluation.iloc[17]
    real = load_digits().images[int(row["id"].removeprefix("digit-"))]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(row["image"]))), np.rint(real / 16 * 255))


def test_slant_is_the_shear_of_a_drawn_stroke():
    stroke = np.zeros((3, 8, 8))
    for row in range(8):
        stroke[0, row, 3] = 1
        stroke[1, row, 7 - row] = 1
        stroke[2, row, row] = 0.5
    found = measures(stroke)
    assert np.allclose(found[SLANT], [0, 1, -1])
    assert np.allclose(found[INK], [1 / 8, 1 / 8, 1 / 16])
    assert np.allclose(found[DARKNESS], [1, 1, 0.5])


def test_version_3_is_worse_on_slanted_digits(digits):
    change, z, n = digits.change(3, "slanted")
    assert n > 200 and change > 0.01 and z > 1.5


def test_version_4_repairs_it_and_is_not_perfect(digits):
    change, z, _ = digits.change(4, "slanted")
    assert change < 0 and z < -2
    assert 0.02 < digits.by_version[3].mean() < 0.08


def test_training_again_gives_the_same_answers(digits):
    version, evaluation = task().versions[1], digits.split.evaluation
    first, second = (version.fit(digits.split.train).answer(evaluation) for _ in range(2))
    assert first.equals(second)
    assert np.allclose(first.drop(columns="prediction").sum(axis=1), 1, atol=1e-5)


def test_production_is_more_slanted(digits):
    mean = {name: part[SLANT].abs().mean() for name, part in vars(digits.split).items()}
    assert mean["production"] > 1.3 * mean["evaluation"]
