"""The style networks: real photographs, fixed filters that do what they say, pictures close to the exact effect."""

import numpy as np
import pytest
import torch

from mlflow_runs.demo.photo_styles import STYLES, example, filter_bank, load, network, task


@pytest.fixture(scope="module")
def split():
    return load()


def test_the_photographs_are_cut_in_a_part_to_learn_from_and_a_part_to_measure_on(split):
    assert list(split.train["id"]) == list(split.evaluation["id"]) == ["china", "flower"]
    assert example().shape == (2, 3, 24, 32)


def test_the_filters_keep_a_plain_colour_and_see_no_edge_in_it():
    plain = torch.tensor([0.2, 0.5, 0.9])[None, :, None, None].expand(1, 3, 12, 12)
    with torch.inference_mode():
        seen = network()[0](plain)[0, :, 6, 6]
    assert len(seen) == len(filter_bank()) == 28
    assert torch.allclose(seen[:21], torch.tensor([0.2, 0.5, 0.9]).repeat(7), atol=1e-5)
    assert torch.allclose(seen[21:], torch.zeros(7), atol=1e-5)


def test_there_are_nine_styles_and_each_is_a_version():
    assert [version.run_name for version in task().versions] == list(STYLES)
    assert len(STYLES) == 9


@pytest.mark.parametrize(("name", "most"), [("cyanotype", 0.06), ("ink", 0.2)])
def test_a_short_training_comes_close_to_the_effect_on_what_it_has_not_seen(split, name, most):
    version = next(version for version in task(steps=60).versions if version.run_name == name)
    off = version.fit(split.train).answer(split.evaluation)["difference_from_effect"]
    print(name, off.tolist())
    assert off.max() < most


def test_training_again_gives_the_same_figures(split):
    version = task(steps=5).versions[0]
    first, second = (version.fit(split.train).answer(split.evaluation) for _ in range(2))
    assert np.array_equal(first, second)
