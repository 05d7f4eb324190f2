"""Role guessing: what holds for any set of column names."""

import dataclasses

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.multiclass import unique_labels

from mlflow_runs.records import Roles
from mlflow_runs.roles import NAMES, class_text, class_texts, complete_roles, declared_roles, infer_task, with_scores

known = [name for names in NAMES.values() for name in names]
some = st.one_of(st.sampled_from(known), st.sampled_from(["slice_a", "score_a", "proba_b", "x"]), st.text(max_size=5))
kinds = st.sampled_from([pa.string(), pa.float64(), pa.int64(), pa.bool_(), pa.binary(), pa.timestamp("s")])
schemas = st.dictionaries(some, kinds, max_size=12)


@given(schema=schemas, classes=st.sets(st.sampled_from(["a", "b", "c"])))
def test_no_column_plays_two_parts_and_none_is_lost(schema: dict, classes: set[str]) -> None:
    roles = with_scores(complete_roles(Roles(), schema), schema, sorted(classes))
    single = [value for value in dataclasses.asdict(roles).values() if isinstance(value, str)]
    used = [*single, *roles.scores.values(), *roles.slices, *roles.features]
    assert len(used) == len(set(used))
    assert set(used) <= set(schema)
    assert {name.lower() for name in set(schema) - set(used)} <= {"index", "unnamed: 0", "__index_level_0__"}
    assert all(schema[name] == pa.bool_() for name in roles.slices)
    assert roles.score is None or schema[roles.score] in (pa.float64(), pa.int64())


@given(schema=schemas)
def test_the_order_of_columns_does_not_decide_roles(schema: dict) -> None:
    lowered = [name.lower() for name in schema]
    if len(set(lowered)) == len(lowered):
        there = complete_roles(Roles(), schema)
        back = complete_roles(Roles(), dict(reversed(schema.items())))
        assert (there.label, there.prediction, there.text) == (back.label, back.prediction, back.text)


@given(schema=schemas, data=st.data())
def test_declared_roles_win(schema: dict, data: st.DataObject) -> None:
    if schema:
        chosen = data.draw(st.sampled_from(sorted(schema)))
        declared, problems = declared_roles({"label": chosen}, schema, "evaluation.json")
        assert problems == []
        assert complete_roles(declared, schema).label == chosen
        assert chosen not in complete_roles(declared, schema).features


@pytest.mark.parametrize("role", ["label", "prediction", "id", "time"])
def test_every_listed_name_is_recognised_in_any_case(role: str) -> None:
    for name in NAMES[role]:
        for spelling in (name, name.upper(), name.title()):
            assert getattr(complete_roles(Roles(), {spelling: pa.string()}), role) == spelling


@given(values=st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=30))
def test_class_texts_equal_the_texts_of_sklearns_labels(values: list[int | None]) -> None:
    present = [value for value in values if value is not None]
    expected = sorted(str(label) for label in unique_labels(present)) if present else []
    assert class_texts(pa.chunked_array([pa.array(values, pa.int64())])) == expected
    assert class_texts(pa.chunked_array([pa.array(values, pa.float64())])) == expected


@pytest.mark.parametrize(
    ("value", "text"), [(True, "True"), (1, "1"), (1.0, "1"), (1.5, "1.5"), (b"a", "a"), ("é", "é")]
)
def test_class_text(value: object, text: str) -> None:
    assert class_text(value) == text


def test_dictionary_columns_are_classes() -> None:
    column = pa.chunked_array([pa.array(["b", "a", None, "b"]).dictionary_encode()])
    assert class_texts(column) == ["a", "b"]
    assert infer_task(column) == "classification"
