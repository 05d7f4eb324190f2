"""The docstring models: no file on both sides, masked names, version 3 fails on short texts."""

import pytest

from mlflow_runs.demo.docstring_library import CLEANED, task
from mlflow_runs.demo.docstrings import NAMES
from tests.mlflow_runs.demo.conftest import Losses, losses


@pytest.fixture(scope="module")
def texts() -> Losses:
    return losses(task(), 4)


def test_no_source_file_is_on_both_sides(texts):
    train, evaluation, production = ({name.split(":")[0] for name in part["id"]} for part in vars(texts.split).values())
    assert not train & evaluation and not train & production and not evaluation & production


def test_texts_do_not_name_their_library(texts):
    assert not any(NAMES.search(text) for text in texts.split.evaluation["text"])
    assert set(texts.split.evaluation["library"]) == set(texts.task.classes or ())


def test_version_3_saw_no_short_text_and_is_worse_on_them(texts):
    rows = task().versions[2].training_rows(texts.split.train)
    assert rows["text"].str.len().min() >= CLEANED
    change, z, n = texts.change(3, "short text")
    assert n > 300 and change > 0.02 and z > 2


def test_version_4_is_clearly_better_and_not_perfect(texts):
    change, z, _ = texts.change(4)
    assert change < 0 and z < -2
    assert 0.05 < texts.by_version[3].mean() < 0.25


def test_an_unknown_library_comes_into_production_later(texts):
    strange = (texts.split.production["library"] == "sympy").to_numpy()
    half = len(strange) // 2
    assert strange[:half].mean() < strange[half:].mean()
    assert 0.2 < strange.mean() < 0.5
