"""The card about a model's requirements."""

import json

import pytest

from dashboard.inference.environments import Environment
from dashboard.reports.environment import ModelNeeds
from layouts import environment

UNMET = ("scikit-learn==1.2 (1.9.1 is installed)", "<b>odd</b>==1 (not installed)")


def text(tree):
    """The tree as JSON, as the browser receives it."""
    return json.dumps(tree, default=lambda part: part.to_plotly_json(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["Every logged requirement"]),
        ({"reason": "This run holds no model."}, ["Nothing to check", "holds no model"]),
        ({"elsewhere": "http://triton:8000"}, ["Served elsewhere", "http://triton:8000"]),
        ({"unmet": UNMET, "buildable": True}, ["scikit-learn==1.2", "1.9.1", "not installed", "the engine's packages"]),
        ({"unmet": ("mlflow==2 (3 is installed)",)}, ["Another MLflow alone"]),
        ({"unmet": UNMET, "failed": ("no such package",)}, ["did not finish", "no such package"]),
    ],
)
def test_every_state_has_its_words(changes, words):
    shown = text(environment.render(ModelNeeds(None, **changes)))
    assert [word for word in words if word not in shown] == []


def test_a_built_environment_is_described():
    made = Environment("d", ("x==1",), ("x==1", "y==2"), 5 * 2**20, 1.0, 12.4)
    shown = text(environment.render(ModelNeeds(None, UNMET, environment=made, serving=True)))
    assert [word for word in ("its own environment", "in use", "x==1, y==2", "in 12 s") if word not in shown] == []


def test_a_long_list_is_cut():
    many = tuple(f"package-{n}==1 (not installed)" for n in range(30))
    shown = text(environment.render(ModelNeeds(None, many)))
    assert "and 18 more" in shown
    assert "package-29" not in shown
