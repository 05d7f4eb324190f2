"""The command: when it publishes nothing, what it says, and its progress bar."""

import pytest
from mlflow import MlflowClient

from mlflow_runs.demo.__main__ import MODELS, demo_tasks, main, progress, reason_not_to
from mlflow_runs.demo.publishing import COMPLETE, KEY


def test_the_models_are_those_of_the_tasks():
    tasks = demo_tasks()
    assert tuple(task.name for task in tasks) == MODELS
    assert all(len(task.versions) >= (4 if task.kind in ("classification", "regression") else 2) for task in tasks)


def test_an_empty_store_is_filled(make_store):
    assert reason_not_to(MlflowClient(make_store()), force=False) == ""


def test_a_store_with_other_runs_is_left_alone(make_store, capsys):
    uri = make_store()
    client = MlflowClient(uri)
    client.create_run(client.create_experiment("theirs"))
    assert main(["--tracking-uri", uri]) == 0
    assert "already holds runs" in capsys.readouterr().out
    assert client.search_registered_models() == []
    assert reason_not_to(client, force=True) == ""


def test_a_started_demo_is_completed_even_beside_other_runs(make_store):
    client = MlflowClient(make_store())
    client.create_run(client.create_experiment("theirs"))
    client.create_experiment(MODELS[0], tags={KEY: MODELS[0]})
    assert reason_not_to(client, force=False) == ""


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_complete_demo_is_not_published_again(make_store, capsys, force):
    uri = make_store()
    for name in MODELS:
        MlflowClient(uri).create_experiment(name, tags={KEY: name, COMPLETE: "true"})
    assert main(["--tracking-uri", uri, *force]) == 0
    assert "already there" in capsys.readouterr().out


def test_without_a_store_it_says_what_to_give(monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main([]) == 2
    assert "--tracking-uri" in capsys.readouterr().err


def test_an_unusable_store_is_named(capsys):
    assert main(["--tracking-uri", "gopher://nowhere"]) == 1
    assert "gopher://nowhere" in capsys.readouterr().err


def test_the_bar_counts_from_nothing_to_all(capsys):
    report = progress(2)
    for text in ("first", "second", "published"):
        report(text)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("] ")[1].split(" ")[0] for line in lines] == ["0/2", "1/2", "2/2"]
    assert lines[0].count("#") == 0 and lines[1].count("#") == 12 and lines[2].count("#") == 24
