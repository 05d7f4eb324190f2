"""The Inference page's trees: controls by type, outcome in words, hostile names stay text."""

import json

import pytest

from dashboard.inference.batch import BatchSummary
from dashboard.inference.batch_files import BatchFile
from dashboard.inference.cards import InputField, ModelCard
from dashboard.inference.client import Answer
from dashboard.inference.outputs import Prediction
from dashboard.reports.examples import ExampleLink
from dashboard.reports.inference import FormField, InferenceAnswer, InferenceForm, InferenceQuery, Outside
from dashboard.reports.residual_interval import Interval
from layouts import batch, inference, prediction
from tests.dashboard.reports.conftest import row_of

HOSTILE = "<img src=x onerror=alert(1)>"


def text(tree):
    """The tree as JSON, as the browser receives it."""
    return json.dumps(tree, default=lambda part: part.to_plotly_json(), ensure_ascii=False)


def parts_of(tree, kind):
    """Every component of a kind in the tree."""
    return [part for part in tree._traverse() if type(part).__name__ == kind]


def card(kind="table", **changes):
    """A model card."""
    plain = {"model_id": "m", "name": "pets", "version": "3", "run_id": "r1", "run_name": "run one", "task": None}
    return ModelCard(**{**plain, "kind": kind, "inputs": (), **changes})


def answer(said, **changes):
    """An answer of one prediction."""
    return Answer(**{"predictions": (said,), "model": card(), "cached": False, "age": None, "latency_ms": 12.34,
                     "engine_ms": 3.2, **changes})  # fmt: skip


CAT = Prediction("cat", {"cat": 0.9, "dog": 0.0996, HOSTILE: 0.0004, "d": 0.0, "e": 0.0, "f": 0.0, "g": 0.0})


def test_build_wears_every_id_of_page_and_batch():
    worn = {part.id for part in inference.build()._traverse() if isinstance(getattr(part, "id", None), str)}
    assert {str(i) for i in inference.Ids} - {"inference-field"} <= worn
    assert {str(i) for i in batch.Ids} <= worn


def test_each_type_gets_its_control():
    fields = (
        FormField(InputField("age", "double"), 40.5, 1.0, 90.0),
        FormField(InputField("town", "string"), "Rome", choices=("Oslo", "Rome")),
        FormField(InputField("odd", "string"), "Bonn", choices=("Oslo",)),
        FormField(InputField("pixels", "float32"), [[1, 2]]),
        FormField(InputField("note", "string", required=False), None),
    )
    tree = inference.render(InferenceForm(None, card(), fields))
    age, note = parts_of(tree, "Input")
    assert (age.id, age.value, note.value) == (
        {"type": "inference-field", "name": "age", "as": "number"},
        "40.5",
        "",
    )
    town, odd = parts_of(tree, "Dropdown")
    assert (town.options, odd.options) == (["Oslo", "Rome"], ["Oslo", "Bonn"])
    assert parts_of(tree, "Textarea")[0].value == "[[1, 2]]"
    assert "1 to 90" in text(tree)
    assert "optional" in text(tree)


@pytest.mark.parametrize(
    ("kind", "shown"), [("text", "text"), ("image", "image"), ("table", "fields"), ("tensor", "fields")]
)
def test_the_form_is_the_models(kind, shown):
    assert inference.kind(InferenceForm(None, card(kind))) == shown


def test_a_run_without_a_model_says_how_to_log_one():
    form = InferenceForm(row_of("r1"), None)
    assert inference.kind(form) == "none"
    shown = text(inference.render(form))
    assert "log_model" in shown and "run_id=" in shown and "r1" in shown


def test_an_example_is_a_link_to_its_row_and_drops_other_inputs():
    links = {"wrong": (ExampleLink("row", "7", HOSTILE, None, "1.0", "2.456789"),)}
    tree = inference.render_examples(links, InferenceQuery(run="r1", text="mine", row="7"))
    (link,) = parts_of(tree, "A")
    assert link.href == "/inference?run=r1&row=7"
    assert link.to_plotly_json()["props"]["aria-current"] == "true"
    assert "1.000, said 2.457" in text(tree)
    assert HOSTILE in text(tree)
    assert inference.render_examples({}, InferenceQuery()) is None
    flagged = ExampleLink("flag", "f", "", "data:image/png;base64,x", "7", "1")
    pictured = inference.render_examples({"wrong": (flagged,)}, InferenceQuery(run="r1"))
    assert parts_of(pictured, "Img")[0].src == "data:image/png;base64,x"
    assert parts_of(pictured, "A")[0].href == "/inference?run=r1&flag=f"


@pytest.mark.parametrize(
    ("truth", "said"),
    [("cat", "right, as recorded"), (HOSTILE, f"wrong, recorded is {HOSTILE}"), (None, "Probability")],
)
def test_the_outcome_is_said_in_words(truth, said):
    shown = text(prediction.render(InferenceAnswer(answer(CAT), "row 7", 7, truth)))
    assert said in shown
    assert ("as recorded" in shown) == (truth == "cat")


def test_five_probabilities_are_shown_and_the_rest_is_folded():
    tree = prediction.render(InferenceAnswer(answer(CAT), "your text"))
    (details,) = parts_of(tree, "Details")
    assert details.children[0].children == "Show all 7 classes"
    assert len(details.children) == 3
    assert "< 0.1%" in text(tree)
    assert "12.3 ms, 3.2 ms of it in the model" in text(tree)


def test_a_number_stands_beside_its_record():
    tree = prediction.render(InferenceAnswer(answer(Prediction(value=150.0)), "row 1", 1, "140", 140.0))
    assert "Recorded: 140.0, so +10.0." in text(tree)


def test_an_answer_of_another_shape_is_shown_raw():
    tree = prediction.render(InferenceAnswer(answer(Prediction(raw={"boxes": [HOSTILE]})), "your values"))
    assert HOSTILE in parts_of(tree, "Pre")[0].children


def test_a_cached_answer_says_so_with_its_age():
    tree = prediction.render(InferenceAnswer(answer(CAT, cached=True, age=200.0), "your text"))
    assert "from cache, 3 minutes ago" in text(tree)
    assert "of it in the model" not in text(tree)


def test_an_answer_that_came_while_it_was_asked_for_is_not_called_kept():
    shown = text(prediction.render(InferenceAnswer(answer(CAT, cached=True, age=0.005), "your text")))
    assert "Answered in" in shown
    assert "from cache" not in shown
    kept = text(prediction.render(InferenceAnswer(answer(CAT, cached=True, age=0.5), "your text")))
    assert "Looked up in" in kept
    assert "Answered in" not in kept


def test_values_beyond_the_evaluated_ones_are_told_beside_the_answer():
    strange = (Outside("age", "-500", 18.0, 89.0), Outside("town", HOSTILE))
    shown = text(prediction.render(InferenceAnswer(answer(CAT), "your values", outside=strange)))
    assert "age is -500, evaluated rows have 18 to 89" in shown
    assert f"town is {HOSTILE}, which no evaluated row has" in shown
    many = tuple(Outside(f"x{i}", "9", 0.0, 1.0) for i in range(5))
    assert "and 2 more values" in text(prediction.render(InferenceAnswer(answer(CAT), "your values", outside=many)))


def test_before_anything_is_asked_the_page_says_what_to_do():
    assert "Click an example" in text(prediction.render(None))


def test_a_batch_tells_counts_failures_and_where_the_result_is():
    summary = BatchSummary(
        "0" * 32, HOSTILE, "pets version 3", 4, 1, 2.0, {"cat": 2, HOSTILE: 1}, None, "too dark", True
    )
    tree = batch.render(summary)
    shown = text(tree)
    assert parts_of(tree, "A")[0].href == f"/results/{'0' * 32}.csv"
    assert "4 rows through pets version 3 in 2.0 s (2.000 per second)" in shown
    assert "1 row without an answer" in shown
    assert "too dark" in shown
    assert "2 · 66.7%" in shown
    assert "from cache" in shown


def test_a_file_tells_what_is_not_used():
    shown = text(batch.render_file("a.csv", 300, BatchFile("csv", 1, ("x", "id"), ("id",), 2)))
    assert "1 row to predict (csv, 1 kB)" in shown
    assert "Not used by the model, kept in the result: id." in shown
    assert "no pictures: 2 files" in shown
    assert batch.progress(3, 0) == ("3", "1", "3 of 0")


def test_several_labels_and_none_are_said():
    for labels, said in ((("cat", "dog"), "cat, dog"), ((), "none of the labels")):
        found = InferenceAnswer(answer(Prediction(labels=labels, probabilities={"cat": 0.9, "dog": 0.6})), "your text")
        assert said in text(prediction.render(found))


def test_a_number_has_its_interval_with_the_rows_behind_it():
    found = InferenceAnswer(answer(Prediction(value=10.0)), "row 1", interval=Interval(8.5, 12.25, 442))
    shown = text(prediction.render(found))
    assert "8.500 to 12.250" in shown or "8.500 to 12.2" in shown
    assert "95% of the evaluation's 442 residuals" in shown
