"""The diabetes models: a real regression of version 3 for obese patients, older patients in production."""

import numpy as np
import pytest

from mlflow_runs.demo.diabetes_progression import AGE, BMI, STUDY_LIMIT, task
from tests.mlflow_runs.demo.conftest import Losses, losses


@pytest.fixture(scope="module")
def diabetes() -> Losses:
    return losses(task(), 5)


def test_version_3_never_saw_heavy_patients_and_is_worse_for_them(diabetes):
    version = task().versions[2]
    assert version.training_rows(diabetes.split.train)[BMI].max() < STUDY_LIMIT
    change, z, n = diabetes.change(3, "obese")
    assert n > 40 and change > 0 and z > 2
    assert diabetes.change(3, "normal weight")[1] < 2


def test_the_champion_has_the_smallest_error(diabetes):
    errors = [np.sqrt(loss.mean()) for loss in diabetes.by_version]
    assert int(np.argmin(errors)) + 1 == diabetes.task.champion
    assert 50 < min(errors) < 60


def test_training_again_gives_the_same_predictions(diabetes):
    again = losses(task(), 3)
    for first, second in zip(diabetes.by_version, again.by_version, strict=False):
        assert np.array_equal(first, second)


def test_production_patients_are_older(diabetes):
    assert diabetes.split.production[AGE].min() >= 50
    assert not set(diabetes.split.production["id"]) & set(diabetes.split.evaluation["id"])
