"""Publishing: what log_evaluation and the command line leave in a run, and what Vitrine then reads of it."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from sklearn import metrics

from mlflow_runs import publish
from mlflow_runs.errors import DataMissing, ModelUnavailable
from mlflow_runs.evaluation_reader import EvaluationReader
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.publish import headline_metrics, log_evaluation, log_to
from mlflow_runs.records import Evaluation
from mlflow_runs.store import Store

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def read(store_uri: str, tmp_path: Path):
    index = IndexWriter(tmp_path / "data" / "index.db")
    store = Store(store_uri)
    reader = EvaluationReader(store, index, tmp_path / "data", 64)

    def evaluation(run_id: str) -> Evaluation:
        assert store.sync(index), index.state().message
        return reader.read(run_id)

    evaluation.index = index
    yield evaluation
    index.close()


def table(**extra: object) -> pd.DataFrame:
    return pd.DataFrame({"y": ["b", "a", "b", "a"], "p": ["b", "a", "a", "a"], "s": [0.9, 0.1, 0.4, 0.2], **extra})


def test_inside_an_active_run(read) -> None:
    with mlflow.start_run() as run:
        found = log_evaluation(
            table(age=[10, 20, 30, 40], name=["x"] * 4),
            label="y",
            prediction="p",
            scores={"b": "s"},
            slices={"old": lambda row: row.age > 20, "young": "age < 20", "slice_x": lambda row: row["name"] == "x"},
            classes=["b", "a"],
            positive_class="b",
        )
        assert found == run.info.run_id
        assert mlflow.active_run().info.run_id == found
    evaluation = read(found)
    assert evaluation.problems == ()
    assert (evaluation.roles.label, evaluation.roles.prediction, evaluation.roles.scores) == ("y", "p", {"b": "s"})
    assert (evaluation.classes, evaluation.positive_class) == (("b", "a"), "b")
    assert evaluation.roles.slices == ("slice_old", "slice_x")
    assert evaluation.slices == "- name: young\n  filter: age < 20\n"
    assert pq.read_table(evaluation.table)["slice_old"].to_pylist() == [False, False, True, True]
    assert read.index.run(found).metrics["accuracy"] == 0.75


def test_a_run_of_its_own_and_a_given_run(read, store_uri: str) -> None:
    own = log_evaluation(table(), label="y", prediction="p", scores="s")
    assert mlflow.active_run() is None
    assert MlflowClient(store_uri).get_run(own).info.status == "FINISHED"
    given = MlflowClient(store_uri).create_run("1").info.run_id
    assert log_evaluation(table(), label="y", prediction="p", run_id=given, artifact_path="eval") == given
    assert read(own).roles.score == "s"
    assert read(given).artifact == "eval/predictions.parquet"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"label": "nope", "prediction": "p"}, ["'nope'", "y, p, s"]),
        ({"label": "y", "prediction": "p", "scores": {"a": "s", "b": "q"}, "id": "key"}, ["'q'", "'key'"]),
        ({"label": "y", "prediction": "p", "task": "ranking"}, ["'ranking'", "classification"]),
        ({"label": "y", "prediction": "p", "slices": {"x": lambda row: row.gone}}, ["'x'", "row 0", "'gone'"]),
        ({"label": "y", "prediction": "p", "slices": {"s": lambda row: True, "slice_s": bool}, "id": "no"}, ["'no'"]),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_logged(store_uri: str, arguments: dict, names: list[str]) -> None:
    with pytest.raises(DataMissing) as error:
        log_evaluation(table(), **arguments)
    assert all(name in str(error.value) for name in names)
    assert MlflowClient(store_uri).search_runs(["1"]) == []


def test_duplicate_columns_are_named(store_uri: str) -> None:
    twice = pd.concat([table(), table()], axis=1)
    with pytest.raises(DataMissing, match="more than once: p, s, y"):
        log_evaluation(twice, label="y", prediction="p")


def test_mixed_types_become_text(read) -> None:
    run = log_evaluation(table(mixed=[1, "x", None, 2.5]), label="y", prediction="p")
    assert pq.read_table(read(run).table)["mixed"].to_pylist() == ["1", "x", None, "2.5"]


def test_a_model_that_cannot_be_logged_is_refused(store_uri: str) -> None:
    with pytest.raises(ModelUnavailable, match="dict"):
        log_evaluation(table(), label="y", prediction="p", model={})


@pytest.mark.filterwarnings("ignore:Operation with range")  # MLflow compares a pandas index with a range
def test_an_estimator_is_logged_and_a_later_run_can_evaluate_it(read, store_uri: str) -> None:
    from sklearn.linear_model import LogisticRegression

    data = table(x=[1.5, 2.5, 1.0, 3.0])
    model = LogisticRegression().fit(data[["x"]], data["y"])
    run = log_evaluation(data, label="y", prediction="p", model=model)
    evaluation = read(run)
    info = read.index.run(run).model_info
    assert evaluation.n_rows == 4
    assert "sklearn" in info.flavors
    assert [column["name"] for column in info.signature["inputs"]] == ["x"]
    later = log_evaluation(data, label="y", prediction="p", model=info.model_id)
    read(later)
    assert read.index.run(later).model_info.model_id == info.model_id
    assert [row.run_id for row in read.index.history("exp / model")] == [run, later]


labels = st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=30)


@settings(deadline=None, max_examples=50)
@given(pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30), gaps=st.integers(0, 3))
def test_headline_metrics_equal_scikit_learn(pairs: list[tuple[int, int]], gaps: int) -> None:
    true, guess = (list(side) for side in zip(*pairs, strict=True))
    label = pd.Series([*true, *[None] * gaps])
    found = headline_metrics(label, pd.Series([*map(str, guess), *["0"] * gaps]), "classification")
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(true, guess), abs=1e-12)
    assert found["macro_f1"] == pytest.approx(
        metrics.f1_score(true, guess, average="macro", zero_division=0), abs=1e-12
    )


def test_headline_metrics_of_numbers() -> None:
    true, guess = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0])
    found = headline_metrics(pd.Series([*true, np.nan]), pd.Series([*guess, 9.0]), "regression")
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(true, guess), abs=1e-12)
    assert found["r2"] == pytest.approx(metrics.r2_score(true, guess), abs=1e-12)
    assert headline_metrics(pd.Series([np.nan]), pd.Series([1.0]), "regression") == {}
    assert "r2" not in headline_metrics(pd.Series([1.0]), pd.Series([1.0]), "regression")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_command_line(read, store_uri: str, tmp_path: Path, capsys, kind: str) -> None:
    path = tmp_path / f"predictions.{kind}"
    table().to_csv(path, index=False) if kind == "csv" else table().to_parquet(path)
    options = ["--experiment", "exp", "--label", "y", "--prediction", "p", "--scores", "b=s", "--run-name", "mine"]
    for _ in range(2):
        assert publish.main([str(path), *options, "--tracking-uri", store_uri, "--model-name", "net"]) == 0
    run_id = capsys.readouterr().out.split()[-1]
    assert read(run_id).roles.scores == {"b": "s"}
    row = read.index.run(run_id)
    assert (row.run_name, row.model, row.version) == ("mine", "net", "2")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.csv", None, "missing.csv"),
        ("bad.parquet", b"nonsense", "bad.parquet"),
        ("a.csv", b"q,p\n1,1\n", "'y'"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    store_uri: str, tmp_path: Path, capsys, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    options = ["--experiment", "exp", "--label", "y", "--prediction", "p", "--tracking-uri", store_uri]
    assert publish.main([str(tmp_path / name), *options]) == 2
    assert words in capsys.readouterr().err
    assert MlflowClient(store_uri).search_runs(["1"]) == []


@pytest.mark.filterwarnings("ignore:For backward compatibility")  # log_table selects columns of dtype object
@pytest.mark.skipif(not SHARED.exists(), reason="the shared data sets are not here")
def test_made_with_ml_through_plain_mlflow(read) -> None:
    """First performance.json alone, then predictions too, as someone who never imports our code would log them."""
    data = pd.read_csv(SHARED / "made_with_ml" / "holdout.csv")
    guess = data["tag"].where(data.index % 4 > 0, "other")
    keys = ("precision", "recall", "f1", "num_samples")

    def entry(true: pd.Series, predicted: pd.Series, average: str = "weighted", of: list[str] | None = None) -> dict:
        scores = metrics.precision_recall_fscore_support(true, predicted, average=average, labels=of, zero_division=0)
        return dict(
            zip(keys, [*map(float, scores[:3]), float((true == of[0]).sum() if of else len(true))], strict=True)
        )

    short = data["description"].str.len() < 80
    performance = {
        "overall": entry(data["tag"], guess),
        "class": {tag: entry(data["tag"], guess, "macro", [tag]) for tag in sorted(data["tag"].unique())},
        "slices": {"short_text": entry(data["tag"][short], guess[short])},
    }
    with mlflow.start_run(run_name="figures only") as first:
        mlflow.log_dict(performance, "performance.json")
    evaluation = read(first.info.run_id)
    assert (evaluation.task, evaluation.table, evaluation.problems) == ("classification", None, ())
    assert evaluation.figures.overall == performance["overall"]
    assert evaluation.figures.per_class == performance["class"]
    assert evaluation.figures.slices == performance["slices"]
    with mlflow.start_run(run_name="predictions too") as second:
        mlflow.log_dict(performance, "performance.json")
        mlflow.log_table(data.assign(label=data["tag"], prediction=guess), "holdout.json")
    evaluation = read(second.info.run_id)
    assert (evaluation.artifact, evaluation.n_rows, evaluation.problems) == ("holdout.json", 191, ())
    assert evaluation.classes == tuple(sorted(data["tag"].unique()))
    kept = pq.read_table(evaluation.table).to_pandas()
    assert metrics.accuracy_score(kept["label"], kept["prediction"]) == metrics.accuracy_score(data["tag"], guess)
    assert kept["title"].tolist() == data["title"].tolist()
    assert read.index.run(second.info.run_id).state == "ready"


@pytest.mark.filterwarnings("ignore")  # MLflow's evaluator and the libraries it loads warn about each other
def test_what_mlflow_evaluate_leaves_behind_is_read(read) -> None:
    data = pd.DataFrame({"label": [0, 1, 2] * 10, "prediction": [0, 1, 1] * 10, "x": range(30)})
    with mlflow.start_run() as run:
        mlflow.models.evaluate(data=data, targets="label", predictions="prediction", model_type="classifier")
    evaluation = read(run.info.run_id)
    assert evaluation.problems == ()
    assert {name: entry["num_samples"] for name, entry in evaluation.figures.per_class.items()} == {
        "0": 10,
        "1": 10,
        "2": 10,
    }
    assert evaluation.figures.overall["accuracy"] == pytest.approx(2 / 3)
    assert evaluation.task == "classification"


def test_the_command_line_guesses_no_store(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("y,p\na,a\n")
    assert publish.main(["p.csv", "--experiment", "e", "--label", "y", "--prediction", "p"]) == 2
    assert "VITRINE_TRACKING_URI" in capsys.readouterr().err
    assert not (tmp_path / "mlflow.db").exists()


def test_the_command_line_logs_to_vitrines_store(store_uri: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("VITRINE_TRACKING_URI", store_uri)
    (tmp_path / "p.csv").write_text("y,p\na,a\n")
    options = ["--experiment", "e", "--label", "y", "--prediction", "p"]
    assert publish.main([str(tmp_path / "p.csv"), *options]) == 0
    printed = capsys.readouterr()
    assert MlflowClient(store_uri).get_run(printed.out.strip()).info.status == "FINISHED"
    assert f"logged to {store_uri}" in printed.err


def test_artifacts_lie_beside_a_sqlite_store_wherever_it_was_logged_from(
    store_uri: str, tmp_path: Path, monkeypatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    mlflow.set_tracking_uri(store_uri)
    for name, folder in {"tags / v2": "tags-v2", "../up": "up", "named": "named"}.items():
        log_to(name, str(tmp_path / "named") if name == "named" else "")
        run_id = log_evaluation(pd.DataFrame({"y": ["a"], "p": ["a"]}), label="y", prediction="p")
        place = Path(mlflow.get_run(run_id).info.artifact_uri.removeprefix("file://"))
        beside = Path(store_uri.removeprefix("sqlite:///")).parent / "mlartifacts"
        assert place.is_relative_to(tmp_path / "named" if name == "named" else beside / folder)
        assert (place / "predictions.parquet").exists()
    assert list(elsewhere.iterdir()) == []


def test_several_classes_per_row(read) -> None:
    label, prediction = [["a", "b"], [], {"b"}, None], [("a",), ["b"], ["b"], ["b"]]
    found = log_evaluation(pd.DataFrame({"y": label, "p": prediction}), label="y", prediction="p")
    evaluation = read(found)
    assert (evaluation.task, evaluation.classes, evaluation.problems) == ("multilabel", ("a", "b"), ())
    true, guess = np.array([[1, 1], [0, 0], [0, 1]]), np.array([[1, 0], [0, 1], [0, 1]])
    logged = read.index.run(found).metrics
    assert logged["macro_f1"] == metrics.f1_score(true, guess, average="macro")
    assert logged["samples_f1"] == metrics.f1_score(true, guess, average="samples", zero_division=0)
    assert logged["subset_accuracy"] == pytest.approx(1 / 3)
    texts = log_evaluation(
        pd.DataFrame({"y": ["a|b", None], "p": ["a", "b"]}), label="y", prediction="p", task="multilabel"
    )
    assert read(texts).classes == ("a", "b")
    assert read.index.run(texts).metrics["micro_f1"] == pytest.approx(2 / 3)


def test_an_empty_cell_of_a_file_is_the_empty_set(read, store_uri: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("y,p\na|b,a\n,b\n")
    options = ["--experiment", "e", "--label", "y", "--prediction", "p", "--task", "multilabel"]
    assert publish.main([str(path), *options, "--tracking-uri", store_uri]) == 0
    found = read(capsys.readouterr().out.strip())
    assert pq.read_table(found.table)["y"].to_pylist() == [["a", "b"], []]


def test_boxes_are_published_as_lists(read) -> None:
    box = {"label": "cat", "x": 1, "y": 2, "w": 3, "h": 4}
    boxes = pd.DataFrame(
        {"image": [b"\x89PNG", b"\x89PNG"], "true": [[box], []], "found": [[box | {"score": 0.5}], []]}
    )
    run_id = log_evaluation(
        boxes, label="true", prediction="found", image="image", task="detection", classes=["dog", "cat"]
    )
    evaluation = read(run_id)
    assert (evaluation.roles.boxes, evaluation.roles.predicted_boxes) == ("true", "found")
    assert (evaluation.task, evaluation.classes, evaluation.problems) == ("detection", ("dog", "cat"), ())
    assert evaluation.roles.label is evaluation.roles.prediction is None
