"""Which versions one input can be given to, the usual choice, and what a wrong choice is told."""

import pytest

from dashboard.errors import BadInput
from dashboard.inference.cards import model_card
from dashboard.reports.version_choice import VersionsQuery, chosen_versions, fits, version_choices, version_name
from dashboard.services import Services
from mlflow_runs.records import ModelInfo
from tests.dashboard.reports.conftest import row_of

PICTURE = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, -1, -1]}}


def numbers(*names, optional=()):
    return {"inputs": [{"name": name, "type": "double", "required": name not in optional} for name in names]}


MODELS = {
    "table": [numbers("a", "b"), numbers("a", "b"), numbers("a"), numbers("a", "b", "c"), numbers("a", "b")],
    "cousin": [numbers("a", "z", optional=("z",))],
    "style": [{"inputs": [PICTURE], "outputs": [PICTURE]}] * 11,
}


@pytest.fixture
def services(house):
    """Models with several versions each; version 4 of the tables is in production."""
    for model, signatures in MODELS.items():
        for number, signature in enumerate(signatures, 1):
            run, aliases = f"{model}-{number}", ("champion",) if number == 4 else ()
            row = row_of(run, model=model, version=str(number), ordinal=number, start_time=number, aliases=aliases)
            house.writer.upsert([row])
            house.writer.set_model_info(run, ModelInfo(f"m-{run}", model, (), signature))
    house.writer.upsert([row_of("empty", model="table", version=None)])
    return Services(house.settings, house.runs, house.predictions, None, house.cache)


def ids(rows):
    return [row.run_id for row in rows]


def test_own_versions_come_first_and_only_those_that_take_the_input(services):
    assert ids(version_choices(services, "table-1")) == ["table-5", "table-3", "table-2", "table-1", "cousin-1"]
    assert ids(version_choices(services, "table-3")) == ["table-3", "cousin-1"]
    assert version_choices(services, "empty") == version_choices(services, "") == ()


def test_the_usual_choice_begins_with_the_pages_run_then_production_then_the_newest(services):
    assert ids(chosen_versions(services, VersionsQuery("table-4"))) == [f"table-{n}" for n in (4, 5, 3, 2, 1)]
    assert ids(chosen_versions(services, VersionsQuery("table-2"))) == [f"table-{n}" for n in (2, 5, 3, 1)]


def test_of_a_family_of_styles_the_first_nine_are_usual(services):
    assert ids(chosen_versions(services, VersionsQuery("style-3"))) == [
        f"style-{n}" for n in (3, 1, 2, 4, 5, 6, 7, 8, 9)
    ]


def test_a_choice_is_asked_with_the_pages_run_first(services):
    query = VersionsQuery("table-1", versions="cousin-1,table-1,cousin-1")
    assert ids(chosen_versions(services, query)) == ["table-1", "cousin-1"]


@pytest.mark.parametrize(
    ("versions", "said"), [("style-1", "'style-1' is no run"), (",".join(f"style-{n}" for n in range(1, 11)), "10")]
)
def test_a_wrong_choice_is_named(services, versions, said):
    run = "table-1" if versions == "style-1" else "style-1"
    with pytest.raises(BadInput, match=said):
        chosen_versions(services, VersionsQuery(run, versions=versions))


def test_tensors_fit_by_shape_and_other_kinds_not_at_all(services):
    def card(*shape):
        spec = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": list(shape)}}
        return model_card(row_of("x", model_info=ModelInfo("m", "m", (), {"inputs": [spec]})))

    assert fits(card(-1, 6), card(-1, 6)) and not fits(card(-1, 6), card(-1, 2))
    assert not fits(card(-1, 6), card(-1, 3, 8, 8))


def test_a_version_is_named_by_model_and_number(services):
    assert version_name(row_of("r", model="m", version="3")) == "m v3"
    assert version_name(row_of("r", model="m", version=None)) == "m: r"
