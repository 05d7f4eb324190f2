"""Judgements as MLflow's own traces and assessments, in a real store."""

import dataclasses
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracing.client import TracingClient

from mlflow_runs.errors import StoreUnavailable
from mlflow_runs.feedback import Judgement, remove_judgement, trace_id_of, write_judgement

PNG = b"\x89PNG\r\n\x1a\n not really"


def judgement(run, **changes):
    """A judgement of one answer of a run."""
    plain = Judgement(
        id="0123456789abcdef" * 2, experiment_id=run.info.experiment_id, run_id=run.info.run_id, model_id="m-1",
        author="ann", created=1_700_000_000.5, verdict="wrong", reason="a 7, not a 1 <b>", inputs={"text": "ünï 😀"},
        outputs={"label": "1"}, expected="7",
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


@pytest.fixture
def run(store_uri):
    """A run of a new store."""
    return MlflowClient(store_uri).create_run("1")


def test_a_judgement_is_a_trace_of_the_run_with_its_assessments_however_often_it_is_written(store_uri, run):
    for _ in range(2):
        write_judgement(store_uri, judgement(run))
    (trace,) = MlflowClient(store_uri).search_traces(locations=["1"], filter_string="feedback.verdict = 'wrong'")
    assert trace.info.trace_metadata["mlflow.sourceRun"] == run.info.run_id
    assert trace.info.trace_metadata["mlflow.modelId"] == "m-1"
    assert trace.info.request_time == 1_700_000_000_500
    (span,) = trace.data.spans
    assert (span.inputs, span.outputs) == ({"text": "ünï 😀"}, {"label": "1"})
    said = {item.name: (item.value, item.rationale, item.source.source_id) for item in trace.info.assessments}
    assert said == {"verdict": ("wrong", "a 7, not a 1 <b>", "ann"), "expected_response": ("7", None, "ann")}


def test_a_picture_is_the_traces_attachment(store_uri, run):
    write_judgement(store_uri, judgement(run, inputs={}, picture=PNG, expected=None))
    client = TracingClient(store_uri)
    trace = client.get_trace(trace_id_of(judgement(run).id))
    assert trace.data.spans[0].inputs["image"].startswith("mlflow-attachment://")
    repository = client._get_artifact_repo_for_trace(trace.info)
    (kept,) = repository.list_artifacts("attachments")
    assert Path(repository.download_artifacts(kept.path)).read_bytes() == PNG
    assert [item.name for item in trace.info.assessments] == ["verdict"]


def test_a_removed_judgement_is_gone_and_removing_again_is_no_error(store_uri, run):
    write_judgement(store_uri, judgement(run))
    for _ in range(2):
        remove_judgement(store_uri, run.info.experiment_id, judgement(run).id)
    assert MlflowClient(store_uri).search_traces(locations=["1"]) == []


def test_what_the_store_refuses_is_told_in_a_sentence(store_uri, run):
    with pytest.raises(StoreUnavailable, match="not yet in MLflow"):
        write_judgement(store_uri, judgement(run, experiment_id="404"))
