"""The generator's panel: hidden without a generator, described as JSON with one."""

import json

from dashboard.reports.generator import Generator
from layouts import generator


def test_the_panel_is_built_empty_and_hidden():
    tree = generator.build()
    assert getattr(tree, "data-latent") == generator.render(None) == ""


def test_a_generator_is_described_for_the_browser():
    described = json.loads(generator.render(Generator("r1", "digits version 2", "z", 6, -2.5, 2.5)))
    assert (described["run"], described["name"], described["size"], described["low"]) == ("r1", "z", 6, -2.5)
