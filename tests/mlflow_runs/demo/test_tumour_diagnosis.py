"""The tumour models: disjoint rows, honest errors, a real regression of version 3."""

import pytest

from mlflow_runs.demo.tumour_diagnosis import task
from tests.mlflow_runs.demo.conftest import Losses, losses


@pytest.fixture(scope="module")
def tumours() -> Losses:
    return losses(task(), 5)


def test_no_row_is_in_two_parts(tumours):
    train, evaluation, production = (set(part["id"]) for part in vars(tumours.split).values())
    assert not train & evaluation and not train & production and not evaluation & production
    assert len(evaluation) == len(tumours.split.evaluation) == 280


def test_version_3_is_worse_for_tumours_its_site_did_not_see(tumours):
    change, z, n = tumours.change(3, "borderline size")
    assert n > 50 and change > 0.05 and z > 2
    assert tumours.change(3, "large tumour")[0] < 0.03


def test_version_4_is_the_best_and_not_perfect(tumours):
    change, z, _ = tumours.change(4)
    assert change < 0 and z < -3
    assert 0 < tumours.by_version[3].mean() == min(loss.mean() for loss in tumours.by_version)


def test_production_holds_larger_tumours(tumours):
    split = tumours.split
    assert split.production["mean area"].mean() > split.evaluation["mean area"].mean() * 1.2
