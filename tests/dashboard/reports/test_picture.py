"""The picture of an answer, and the one that it was made from at the same size."""

import io

import numpy as np
import pytest
from PIL import Image

from dashboard.inference.outputs import Prediction
from dashboard.pictures import shelf
from dashboard.reports.picture import answered_picture
from dashboard.services import Services


def png(width, height, grey=90):
    target = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), grey, np.uint8)).save(target, "PNG")
    return target.getvalue()


@pytest.fixture
def services(house):
    return Services(house.settings, house.runs, house.predictions, None, house.cache)


def test_the_given_picture_is_laid_under_the_answer_at_its_size(services):
    found = answered_picture(services, Prediction(image=png(64, 40, 200)), png(128, 80))
    assert (found.before.width, found.before.height) == (found.after.width, found.after.height) == (64, 40)
    kept = shelf(services.settings).folder / found.before.link.rpartition("/")[2]
    assert np.asarray(Image.open(kept))[20, 30].tolist() == [90, 90, 90]


@pytest.mark.parametrize("given", [png(40, 64), [0.5, 1.0], {"z": [1]}])
def test_there_is_no_before_for_another_shape_or_no_picture(services, given):
    assert answered_picture(services, Prediction(image=png(64, 40)), given).before is None


def test_other_answers_have_no_picture(services):
    assert answered_picture(services, Prediction(label="a"), png(8, 8)) is None
