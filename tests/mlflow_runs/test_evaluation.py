"""Every artifact format and rule of an evaluation, and every way an artifact can be broken."""

import io
import json
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from mlflow_runs.evaluation import state_of
from mlflow_runs.records import ModelInfo, Problem
from tests.mlflow_runs.sources import Run

FIGURE = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "num_samples": 10.0}
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def frame(**extra: object) -> pd.DataFrame:
    return pd.DataFrame({"label": ["a", "b", "b"], "prediction": ["a", "b", "a"], **extra})


def table_of(evaluation) -> pa.Table:
    return pq.read_table(evaluation.table)


def only_problem(run: Run, **row: object) -> Problem:
    evaluation = run.read(**row)
    assert state_of(evaluation) == "broken"
    (problem,) = evaluation.problems
    return problem


@pytest.mark.parametrize("key", ["per_class", "class"])
def test_performance_json(run: Run, key: str) -> None:
    run.write("performance.json", {"overall": FIGURE, key: {"nlp": FIGURE}, "slices": {"short": FIGURE}})
    evaluation = run.read()
    assert evaluation.figures.overall == FIGURE
    assert evaluation.figures.per_class == {"nlp": FIGURE}
    assert evaluation.figures.slices == {"short": FIGURE}
    assert (evaluation.task, evaluation.classes, evaluation.artifact) == (
        "classification",
        ("nlp",),
        "performance.json",
    )
    assert (state_of(evaluation), evaluation.problems, evaluation.table) == ("ready", (), None)
    assert evaluation.digest


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        ([{"name": "short", **FIGURE}], {"short": FIGURE}),
        ({"short": FIGURE, "empty": {}}, {"short": FIGURE}),
        ({"class": {"short": FIGURE}}, {"class/short": FIGURE}),
        ([], {}),
        (None, {}),
        (
            {"short": {"precision": math.nan, "recall": None, "f1": "high", "num_samples": 3}},
            {"short": {"num_samples": 3}},
        ),
    ],
)
def test_slices_as_list_dict_or_nested(run: Run, slices: object, expected: object) -> None:
    run.write("performance.json", {"overall": FIGURE, "slices": slices})
    assert run.read().figures.slices == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"overall": {"precision": 0.', "ends early"),
        (b"\xff\xfe\x00", "UTF-8"),
        ("", "JSON"),
        ("[1, 2]", "list"),
        ("{}", "no figures"),
        ('{"overall": {"precision": "high"}}', "no figures"),
        ("[" * 100_000, "nested"),
    ],
)
def test_broken_performance_json_is_a_problem_that_names_it(run: Run, content: str | bytes, reason: str) -> None:
    run.write("performance.json", content)
    problem = only_problem(run)
    assert problem.artifact == "performance.json"
    assert reason in problem.reason


def test_per_class_metrics_counts_true_positives_and_false_negatives(run: Run) -> None:
    head = "positive_class,true_negatives,false_positives,false_negatives,true_positives,example_count,f1_score\n"
    run.write("per_class_metrics.csv", head + "0,5,1,2,3,11,0.6\n1,5,1,4,6,11,0.7\n")
    figures = run.read().figures
    assert figures.per_class["0"]["num_samples"] == 5
    assert figures.per_class["1"]["num_samples"] == 10
    assert figures.per_class["1"]["f1"] == 0.7


def test_run_metrics_alone_make_an_evaluation(run: Run) -> None:
    evaluation = run.read(metrics={"val_f1_score": 0.5, "loss": 3.0, "test_f1_score": 0.75, "train_accuracy": 1.0})
    assert evaluation.figures.overall == {"f1": 0.75}
    assert evaluation.task == "classification"
    assert run.read(metrics={"root_mean_squared_error": 2.0}).task == "regression"
    assert state_of(run.read(metrics={"loss": 1.0})) == "none"
    assert state_of(run.read(metrics={"accuracy": math.nan})) == "none"
    assert state_of(run.read()) == "none"


def test_a_broken_artifact_beside_a_good_one(run: Run) -> None:
    run.write("performance.json", "{").write("predictions.csv", frame().to_csv(index=False))
    evaluation = run.read()
    assert state_of(evaluation) == "ready"
    assert evaluation.n_rows == 3
    assert [problem.artifact for problem in evaluation.problems] == ["performance.json"]


def test_the_next_table_is_read_when_the_preferred_one_is_broken(run: Run) -> None:
    run.write("predictions.parquet", b"PAR1 nonsense").write("predictions.csv", frame().to_csv(index=False))
    evaluation = run.read()
    assert evaluation.artifact == "predictions.csv"
    assert [problem.artifact for problem in evaluation.problems] == ["predictions.parquet"]


WRITERS = {
    "predictions.parquet": lambda table, path: table.to_parquet(path),
    "predictions.csv": lambda table, path: table.to_csv(path, index=False),
    "eval_results_table.json": lambda table, path: table.to_json(path, orient="split", index=False),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_table_format_gives_the_same_rows(run: Run, name: str) -> None:
    table = frame(text=["x, y", 'line\nbreak "quoted"', "<b>ünï</b>"], age=[1, 2, 3], slice_old=[True, False, True])
    run.make(name, lambda path: WRITERS[name](table, path))
    evaluation = run.read()
    assert evaluation.problems == ()
    assert evaluation.task == "classification"
    assert evaluation.classes == ("a", "b")
    assert evaluation.positive_class == "b"
    roles = evaluation.roles
    assert (roles.label, roles.prediction, roles.text) == ("label", "prediction", "text")
    assert (roles.slices, roles.features) == (("slice_old",), ("age",))
    assert table_of(evaluation).to_pydict() == table.to_dict("list")


def test_tables_listed_by_log_table_are_read_under_any_name(run: Run) -> None:
    run.write("my/answers.json", {"columns": ["y_true", "y_pred"], "data": [[1, 1], [0, 1]]})
    tags = {"mlflow.loggedArtifacts": json.dumps([{"path": "my/answers.json", "type": "table"}])}
    evaluation = run.read(tags=tags)
    assert (evaluation.artifact, evaluation.n_rows, evaluation.classes) == ("my/answers.json", 2, ("0", "1"))
    assert state_of(run.read()) == "none"


def test_logged_images_become_artifact_paths(run: Run) -> None:
    image = {"type": "image", "filepath": "images/1.png", "compressed_filepath": "images/1.webp"}
    run.write("eval_results_table.json", {"columns": ["image", "label"], "data": [[image, "a"]]})
    evaluation = run.read()
    assert evaluation.roles.image == "image"
    assert table_of(evaluation)["image"].to_pylist() == ["images/1.png"]


def test_evaluation_json_declares_roles_task_and_classes(run: Run) -> None:
    columns = {"label": "tag", "prediction": "guess", "scores": {"x": "p_x"}, "id": "key"}
    run.write(
        "evaluation.json", {"task": "classification", "columns": columns, "classes": ["y", "x"], "positive_class": "y"}
    )
    run.write("predictions.csv", "key,tag,guess,p_x,label\n1,x,y,0.5,keep\n2,z,x,0.25,keep\n")
    evaluation = run.read()
    assert evaluation.classes == ("y", "x", "z")
    assert evaluation.positive_class == "y"
    assert (evaluation.roles.label, evaluation.roles.id, evaluation.roles.scores) == ("tag", "key", {"x": "p_x"})
    assert evaluation.roles.features == ("label",)


@pytest.mark.parametrize(
    ("description", "word"),
    [
        ('{"columns": {"label": "nope"}}', "'nope'"),
        ('{"columns": {"weight": "label"}}', "'weight'"),
        ('{"columns": []}', "form"),
        ('{"task": "clustering"}', "'clustering'"),
        ('{"positive_class": "zz"}', "'zz'"),
        ("{", "JSON"),
    ],
)
def test_a_wrong_evaluation_json_is_a_problem_and_roles_are_guessed(run: Run, description: str, word: str) -> None:
    run.write("evaluation.json", description).write("predictions.csv", frame().to_csv(index=False))
    evaluation = run.read()
    assert [problem.artifact for problem in evaluation.problems] == ["evaluation.json"]
    assert word in evaluation.problems[0].reason
    assert evaluation.roles.label == "label"
    assert evaluation.classes == ("a", "b")


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        ([1, 2, 3], "classification", ("1", "2", "3")),
        ([1.0, 2.0, None], "classification", ("1", "2")),
        ([1.5, 2.0, 3.0], "regression", ()),
        (list(range(51)), "regression", ()),
        (list(range(50)), "classification", tuple(sorted(map(str, range(50))))),
        ([True, False, True], "classification", ("False", "True")),
        (["1", "x", ""], "classification", ("1", "x")),
        ([math.nan, 1.0, 0.0], "classification", ("0", "1")),
        ([math.inf, 1.0, 0.0], "classification", ("0", "1", "inf")),
    ],
)
def test_the_task_follows_from_the_labels(run: Run, labels: list, task: str, classes: tuple[str, ...]) -> None:
    table = pa.table({"label": pa.array(labels), "prediction": pa.array(labels), "x": pa.array([0.5] * len(labels))})
    if "" in labels:
        run.make("predictions.csv", lambda path: table.to_pandas().to_csv(path, index=False))
    else:
        run.make("predictions.parquet", lambda path: pq.write_table(table, path))
    evaluation = run.read()
    assert (evaluation.task, evaluation.classes) == (task, classes)


def test_labels_1_and_predictions_text_1_are_one_class(run: Run) -> None:
    table = pa.table({"label": [1, 2, 1], "prediction": ["1", "2", "2"]})
    run.make("predictions.parquet", lambda path: pq.write_table(table, path))
    assert run.read().classes == ("1", "2")


@pytest.mark.parametrize(
    ("columns", "scores", "score", "features"),
    [
        ({"score_a": [0.1], "score_b": [0.9]}, {"a": "score_a", "b": "score_b"}, None, ()),
        ({"proba_a": [0.1], "proba_c": [0.9]}, {"a": "proba_a", "c": "proba_c"}, None, ()),
        ({"score_time": [0.1]}, {}, None, ("score_time",)),
        ({"score_a": ["high"]}, {}, None, ("score_a",)),
        ({"y_pred_proba": [0.1]}, {}, "y_pred_proba", ()),
        ({"score": [0.1]}, {}, "score", ()),
        ({"score": ["high"]}, {}, None, ("score",)),
        ({"score": [0.1], "score_a": [0.1]}, {"a": "score_a"}, None, ("score",)),
    ],
)
def test_scores_are_guessed_from_names(
    run: Run, columns: dict, scores: dict, score: str | None, features: tuple
) -> None:
    run.make("predictions.parquet", frame(**{name: values * 3 for name, values in columns.items()}).to_parquet)
    roles = run.read().roles
    assert (roles.scores, roles.score, roles.features) == (scores, score, features)


def test_one_score_means_nothing_with_three_classes(run: Run) -> None:
    table = pd.DataFrame({"label": ["a", "b", "c"], "prediction": ["a", "b", "c"], "score": [0.1, 0.2, 0.3]})
    run.make("predictions.parquet", table.to_parquet)
    assert run.read().roles.score is None


def test_image_bytes_and_boxes_are_roles(run: Run) -> None:
    boxes = [[{"label": "cat", "x": 0.0, "y": 0.0, "w": 1.0, "h": 1.0}], []]
    table = pa.table({"image": [b"\x89PNG", b"\xff\xd8"], "boxes": boxes, "predicted_boxes": boxes, "id": [1, 2]})
    run.make("predictions.parquet", lambda path: pq.write_table(table, path))
    evaluation = run.read()
    assert (evaluation.roles.image, evaluation.roles.boxes, evaluation.task) == ("image", "boxes", "detection")
    assert evaluation.roles.predicted_boxes == "predicted_boxes"
    assert state_of(evaluation) == "ready"


def test_slices_as_zero_and_one_become_boolean_and_other_numbers_do_not(run: Run) -> None:
    run.write("predictions.csv", "label,prediction,slice_a,slice_b,slice_\na,a,0,1,1\nb,a,1,2,0\nb,b,,3,0\n")
    evaluation = run.read()
    assert evaluation.roles.slices == ("slice_a",)
    assert table_of(evaluation)["slice_a"].to_pylist() == [False, True, None]
    assert evaluation.roles.features == ("slice_b", "slice_")


def test_duplicate_column_names_are_told_apart_regardless_of_case(run: Run) -> None:
    run.write("predictions.csv", "label,Label,prediction,label\na,1,a,x\nb,2,b,y\n")
    evaluation = run.read()
    assert table_of(evaluation).column_names == ["label", "Label (2)", "prediction", "label (3)"]
    assert table_of(evaluation)["label"].to_pylist() == ["a", "b"]
    assert len(evaluation.problems) == 2
    assert evaluation.classes == ("a", "b")


def test_nan_is_missing_and_infinity_stays(run: Run) -> None:
    table = pa.table({"label": ["a", "b"], "prediction": ["a", "a"], "x": [math.nan, math.inf]})
    run.make("predictions.parquet", lambda path: pq.write_table(table, path))
    assert table_of(run.read())["x"].to_pylist() == [None, math.inf]


def test_a_plain_parquet_file_is_kept_byte_for_byte(run: Run) -> None:
    run.make("predictions.parquet", frame(when=pd.to_datetime(["2024-01-01"] * 3, utc=True)).to_parquet)
    evaluation = run.read()
    assert evaluation.table.read_bytes() == (run.artifacts / "predictions.parquet").read_bytes()


def test_mixed_types_in_json_become_text(run: Run) -> None:
    data = [["a", "a", 1, {"k": 1}], ["b", "a", "x", None], ["b", "b", None, [1]]]
    run.write("eval_results_table.json", {"columns": ["label", "prediction", "mixed", "nested"], "data": data})
    evaluation = run.read()
    assert table_of(evaluation)["mixed"].to_pylist() == ["1", "x", None]
    assert table_of(evaluation)["nested"].to_pylist() == ['{"k": 1}', None, "[1]"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(run: Run, separator: str) -> None:
    run.make("predictions.csv", lambda path: frame(x=["1,5", "2,5", "3,5"]).to_csv(path, index=False, sep=separator))
    assert table_of(run.read()).column_names == ["label", "prediction", "x"]


def test_csv_that_is_not_utf8_is_read_and_said_so(run: Run) -> None:
    run.write("predictions.csv", "label,prediction\nfür,für\nä,ä\n".encode("latin-1"))
    evaluation = run.read()
    assert evaluation.classes == ("für", "ä")
    assert "Windows-1252" in evaluation.problems[0].reason


def test_csv_with_byte_order_mark_and_utf16(run: Run) -> None:
    text = "label,prediction\nö,ö\n"
    run.write("predictions.csv", b"\xef\xbb\xbf" + text.encode())
    assert run.read().roles.label == "label"
    run.write("predictions.csv", text.encode("utf-16"))
    assert run.read().classes == ("ö",)


def test_the_index_column_that_pandas_writes_is_no_feature(run: Run) -> None:
    run.make("predictions.csv", frame(x=[1, 2, 3]).to_csv)
    evaluation = run.read()
    assert table_of(evaluation).column_names == ["index", "label", "prediction", "x"]
    assert evaluation.roles.features == ("x",)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("predictions.csv", b"", "is empty"),
        ("predictions.csv", b"label,prediction\na,b\nc\n", "Expected 2 columns"),
        ("predictions.csv", b'label,prediction\na,b\n"half', "Expected 2 columns"),
        ("predictions.csv", b'label,prediction\na,b\nc,"half', "never ends"),
        ("predictions.parquet", b"", "Parquet"),
        ("predictions.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", "Parquet"),
        ("eval_results_table.json", b'{"columns": ["label"], "data": [[1], [2, 3]]}', "row 1 has 2 values"),
        ("eval_results_table.json", b'{"columns": ["label"]}', "columns and data"),
        ("eval_results_table.json", b'{"columns": [], "data": []}', "without columns"),
        ("eval_results_table.json", b'{"columns": ["label"], "data": [[', "ends early"),
    ],
)
def test_a_broken_table_is_a_problem_that_names_it(run: Run, name: str, content: bytes, reason: str) -> None:
    run.write(name, content)
    problem = only_problem(run)
    assert problem.artifact == name
    assert reason in problem.reason
    assert list(run.scratch.iterdir()) == []
    assert not run.tables.path.exists() or not list(run.tables.path.iterdir())


def test_a_parquet_file_damaged_in_the_middle_is_found_out(run: Run) -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"label": np.arange(20_000) % 7, "x": np.random.default_rng(0).random(20_000)}).to_parquet(buffer)
    data = bytearray(buffer.getvalue())
    data[4:4000] = b"\xff" * 3996
    run.write("predictions.parquet", bytes(data))
    assert "Parquet" in only_problem(run).reason


@pytest.mark.parametrize("cut", [1, 100, 1000])
def test_a_half_written_parquet_file(run: Run, cut: int) -> None:
    buffer = io.BytesIO()
    frame().to_parquet(buffer)
    run.write("predictions.parquet", buffer.getvalue()[:-cut])
    assert "Parquet" in only_problem(run).reason


def test_an_empty_table_is_shown_as_empty(run: Run) -> None:
    run.write("predictions.csv", "label,prediction\n")
    evaluation = run.read()
    assert (state_of(evaluation), evaluation.n_rows, evaluation.task) == ("ready", 0, None)
    assert evaluation.problems == (Problem("predictions.csv", "is a table without rows"),)
    assert table_of(evaluation).column_names == ["label", "prediction"]


def test_a_table_larger_than_the_budget_is_a_problem(run: Run) -> None:
    run.tables.limit = 100
    run.make("predictions.parquet", frame().to_parquet)
    assert "VITRINE_ARTIFACT_CACHE_MB" in only_problem(run).reason


def test_too_many_classes_are_said_so(run: Run) -> None:
    names = [f"c{n}" for n in range(10_001)]
    run.make("predictions.parquet", pd.DataFrame({"label": names, "prediction": names}).to_parquet)
    evaluation = run.read()
    assert evaluation.classes == ()
    assert "10001 classes" in evaluation.problems[0].reason


def test_a_link_out_of_the_run_is_refused(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "secret.csv"
    outside.write_text("label\nsecret\n")
    (run.artifacts / "predictions.csv").symlink_to(outside)
    assert "leads out" in only_problem(run).reason


def test_the_shallowest_table_with_the_description_beside_it(run: Run) -> None:
    run.write("b/predictions.csv", "label,prediction\nx,x\n").write("a/predictions.csv", "tag,prediction\ny,y\n")
    run.write("a/evaluation.json", {"columns": {"label": "tag"}}).write("a/b/predictions.csv", "label\nz\n")
    evaluation = run.read()
    assert (evaluation.artifact, evaluation.classes) == ("a/predictions.csv", ("y",))


def test_preprocessing_from_params_artifact_and_model(run: Run) -> None:
    run.write("preprocessing.json", {"lowercase": True})
    info = ModelInfo("m", "net", metadata={"size": {"height": 8}, "image_mean": [0.5], "owner": "me"})
    evaluation = run.read(params={"preprocess_stem": "porter", "lr": "1"}, model_info=info)
    expected = {"preprocess_stem": "porter", "lowercase": True, "size": {"height": 8}, "image_mean": [0.5]}
    assert evaluation.preprocessing == expected
    run.write("preprocessing.json", "{")
    evaluation = run.read()
    assert [problem.artifact for problem in evaluation.problems] == ["preprocessing.json"]


def test_the_digest_follows_the_content(run: Run) -> None:
    first = run.make("predictions.csv", lambda path: frame().to_csv(path, index=False)).read().digest
    assert run.read().digest == first
    described = run.write("evaluation.json", {"columns": {}, "positive_class": "a"}).read().digest
    changed = run.make("predictions.csv", lambda path: frame(x=[1, 2, 3]).to_csv(path, index=False)).read().digest
    assert len({first, described, changed}) == 3


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data sets are not here")
def test_made_with_ml_predictions(run: Run) -> None:
    table = pd.read_csv(SHARED / "made_with_ml" / "holdout.csv")
    table = table.assign(label=table["tag"], prediction=table["tag"].where(table.index % 5 > 0, "other"))
    run.make("predictions.csv", lambda path: table.to_csv(path, index=False))
    evaluation = run.read()
    assert evaluation.n_rows == 191
    assert evaluation.classes == tuple(sorted(table["tag"].unique()))
    roles = evaluation.roles
    assert (roles.id, roles.time, roles.text) == ("id", "created_on", "description")
    assert table_of(evaluation)["description"].to_pylist() == table["description"].tolist()


values = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**60), 2**60)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, width=32)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"))), min_size=3, max_size=3),
)
names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(columns=st.dictionaries(names, values, min_size=1, max_size=5), kind=st.sampled_from(["parquet", "json"]))
def test_any_table_comes_back_and_no_column_is_lost(
    tmp_path_factory: pytest.TempPathFactory, columns: dict, kind: str
) -> None:
    run = Run(tmp_path_factory.mktemp("any"))
    if kind == "parquet":
        run.make("predictions.parquet", lambda path: pq.write_table(pa.table(columns), path))
    else:
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        run.write("eval_results_table.json", {"columns": list(columns), "data": rows})
    evaluation = run.read()
    read = table_of(evaluation)
    assert [column.to_pylist() for column in read.columns] == list(columns.values())
    assert len({name.casefold() for name in read.column_names}) == len(columns)
    roles = evaluation.roles
    single = [getattr(roles, part) for part in ("label", "prediction", "score", "id", "time", "text", "image", "boxes")]
    used = [name for name in single if name] + list(roles.scores.values()) + list(roles.slices) + list(roles.features)
    assert len(used) == len(set(used))
    ignored = {"index", "__index_level_0__", "unnamed: 0"}
    assert set(used) == {name for name in read.column_names if name.lower() not in ignored}


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=300), name=st.sampled_from([*WRITERS, "performance.json", "evaluation.json"]))
def test_no_bytes_make_it_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    run = Run(tmp_path_factory.mktemp("bytes")).write(name, data)
    evaluation = run.read()
    assert state_of(evaluation) in ("none", "broken", "ready")
    assert all(problem.artifact and problem.reason for problem in evaluation.problems)


def test_the_runs_own_slices_file(run: Run) -> None:
    run.write("predictions.csv", "label,prediction\na,a\n").write("eval/slices.yaml", "- {name: x, filter: age > 1}")
    assert run.read().slices == "- {name: x, filter: age > 1}"
    run.write("slices.yaml", b"\xff\xfe")
    found = run.read()
    assert (found.slices, found.problems) == ("", (Problem("slices.yaml", "is not a UTF-8 text"),))
    run.write("slices.yaml", "x" * 100_001)
    assert "100,001 characters" in run.read().problems[0].reason


def test_a_correction_goes_before_what_the_run_says(run: Run) -> None:
    run.write("predictions.csv", "answer,prediction,date,score\n1,1,2020,0.9\n0,1,2021,0.8\n")
    run.write("evaluation.json", {"task": "regression", "columns": {"label": "date"}})
    before = run.read()
    assert (before.task, before.roles.label, before.roles.score) == ("regression", "date", None)
    columns = {"label": "answer", "prediction": "prediction", "time": None, "score": None}
    found = run.read({"task": "classification", "columns": columns})
    assert (found.task, found.classes, found.roles.label, found.roles.time) == (
        "classification",
        ("0", "1"),
        "answer",
        None,
    )
    assert found.roles.features == ("date", "score")
    assert found.digest != before.digest
    guessed = run.read({"task": "classification", "columns": {"label": "answer"}})
    assert (guessed.roles.time, guessed.roles.score) == ("date", "score")
    wrong = run.read({"columns": {"label": "gone"}})
    assert wrong.problems[0].artifact == "corrected column roles"
    assert run.read() == before


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_ten_thousand_columns_are_refused_in_a_moment(run: Run, form: str) -> None:
    wide = pa.table({f"c{at}": [at] * 50 for at in range(10_000)} | {"label": ["a"] * 50, "prediction": ["a"] * 50})
    with io.BytesIO() as content:
        csv.write_csv(wide, content) if form == "csv" else pq.write_table(wide, content)
        run.write(f"predictions.{form}", content.getvalue())
    begin = time.process_time()
    assert only_problem(run).reason == "has 10,002 columns; at most 2,000 are read, log those of interest"
    assert time.process_time() - begin < 10
