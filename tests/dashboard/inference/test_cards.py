"""What a card says of a model, from MLmodel's own words."""

import dataclasses

import pytest

from dashboard.inference.cards import first_example, model_card
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.records import ModelInfo, RunRow


def card(signature=None, example=None, metadata=None, **changes):
    info = ModelInfo("m-1", "model", ("sklearn",), {"inputs": signature or []}, example, metadata or {})
    fields = {
        field.name: () if field.name in ("aliases", "problems", "datasets") else None
        for field in dataclasses.fields(RunRow)
    }
    return model_card(
        RunRow(**{**fields, "run_id": "r", "run_name": "run", "model": "M", "model_info": info, **changes})
    )


def tensor(dtype, *shape):
    return [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}]


TEXT = [{"type": "string", "name": "body", "required": True}]
COLUMNS = [
    {"type": "double", "name": "age", "required": True},
    {"type": "boolean", "name": "smoker", "required": False},
]


@pytest.mark.parametrize(
    ("signature", "example", "metadata", "kind"),
    [
        (TEXT, None, {}, "text"),
        (COLUMNS, None, {}, "table"),
        (tensor("float32", -1, 3, 224, 224), None, {}, "image"),
        (tensor("uint8", -1, 28, 28, 1), None, {}, "image"),
        (tensor("float64", -1, 30), None, {}, "tensor"),
        (tensor("float64", -1, 64), None, {"size": {"height": 8, "width": 8}}, "image"),
        (tensor("str", -1), None, {}, "text"),
        (None, ["a text"], {}, "text"),
        (None, {"columns": ["a"], "data": [[1]]}, {}, "table"),
        (None, None, {}, "other"),
    ],
)
def test_the_kind_follows_signature_metadata_and_example(signature, example, metadata, kind):
    assert card(signature, example, metadata).kind == kind


def test_fields_carry_type_need_example_and_choices():
    age, smoker = card(COLUMNS, {"columns": ["age", "smoker"], "data": [[51.5, True]]}).inputs
    assert (age.name, age.type, age.required, age.example, age.choices) == ("age", "double", True, 51.5, ())
    assert (smoker.required, smoker.example, smoker.choices) == (False, True, ("True", "False"))


def test_classes_are_in_the_order_of_their_numbers():
    assert card(metadata={"id2label": {"10": "k", "2": "c", "0": "a"}}).classes == ("a", "c", "k")
    assert card(metadata={"id2label": ["x", "y"]}).classes == ("x", "y")
    assert card(metadata={"classes": ["q"]}).classes == ("q",)


def test_a_run_without_a_model_says_so():
    with pytest.raises(ModelUnavailable, match="'lonely' holds no model"):
        card(model_info=None, run_name="lonely")


def test_examples_of_every_form_are_understood():
    assert first_example({"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}) == {"a": 1}
    assert first_example({"inputs": [[1, 2]]}) == [1, 2]
    assert first_example([]) is None
    assert first_example({"a": 1}) == {"a": 1}
    assert first_example("text") == "text"
