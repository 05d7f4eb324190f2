"""The record of a comparison as JSON: the same back, small enough for an MLflow tag."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.inference.speed_report import BATCHES, Comparison, EngineResult, Timing, from_json, versions
from mlflow_runs.errors import DataMissing


def comparison(**changes):
    """Three engines, one of them skipped."""
    timings = tuple(Timing(batch, 1000, 0.5 * batch, 0.75 * batch, 2000.0) for batch in BATCHES)
    engines = (
        EngineResult("PyTorch eager", n=64, agreed=64, equal=True, timings=timings),
        EngineResult("ONNX Runtime, CPU", "", 1.25, 64, 2.5e-7, 64, True, timings),
        EngineResult("torch.compile", skipped="torch.compile needs a C++ compiler"),
    )
    plain = {
        "model_id": "m-1", "run_id": "r1", "device": "cpu", "hardware": "a processor, 2 cores", "threads": 1,
        "versions": {"torch": "2.13.0"}, "source": "64 rows of the run's evaluation", "n": 64, "made": 1.79e9,
        "seconds": 30.5, "onnx_bytes": 120_000, "engines": engines,
    }  # fmt: skip
    return Comparison(**{**plain, **changes})


def test_a_record_comes_back_as_it_was():
    assert from_json(comparison().to_json()) == comparison()
    assert comparison().engines[1].at(8).p50_ms == 4.0
    assert comparison().engines[2].at(8) is None


@given(st.floats(1e-6, 1e6))
def test_figures_keep_five_digits_and_moments_all(value):
    found = from_json(comparison(seconds=value, made=1795257427.84).to_json())
    assert found.seconds == pytest.approx(value, rel=1e-4)
    assert found.made == 1795257427.84


def test_six_engines_fit_into_a_tag():
    long = "x" * 300
    timings = tuple(Timing(batch, 10_000, 1 / 3, 2 / 3, 1e5 / 3) for batch in BATCHES)
    engines = tuple(EngineResult(f"provider {i}", long, 1 / 3, 64, 1e-7 / 3, 64, True, timings) for i in range(6))
    assert len(comparison(engines=engines).to_json()) < 8000


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"v": 99}', '{"v": 1}', '{"v": 1, "engines": [{"odd": 1}]}'])
def test_what_is_no_record_is_told(text):
    with pytest.raises(DataMissing, match=r"vitrine\.engines"):
        from_json(text)


def test_a_record_with_unknown_fields_is_no_record():
    with pytest.raises(DataMissing):
        from_json(json.dumps({**json.loads(comparison().to_json()), "odd": 1}))


def test_versions_name_what_is_installed():
    assert {"torch", "onnxruntime", "onnxscript"} <= set(versions())
    assert "onnxruntime-gpu" not in versions()
