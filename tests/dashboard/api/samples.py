"""A run to build reports with, and the way a document takes to its reader."""

import json
import math
from functools import cache

from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from dashboard.api.encoding import encode
from mlflow_runs.records import DatasetInput, ModelInfo, Problem, RunRow

RUN = RunRow(
    run_id="r1", run_name="one", experiment="e", experiment_id="1", status="FINISHED", start_time=1_700_000_000.25,
    end_time=None, model="m", registered=False, version=None, ordinal=1, aliases=("champion",), task="classification",
    state="broken", problems=(Problem("performance.json", "it is cut off"),), metrics={"loss": math.nan},
    params={"a": "1"}, tags={"b": "2"}, git_commit=None, user="u", datasets=(DatasetInput("d", "1"),),
    model_info=ModelInfo("m-1", "model", ("sklearn",), {"inputs": []}, [[1, None]]), synced_at=1_700_000_001.0,
)  # fmt: skip


@cache
def _validator(shape) -> Draft202012Validator:
    return Draft202012Validator(TypeAdapter(shape).json_schema(mode="serialization"))


def sent(shape, document):
    """The document as a client reads it: strict JSON that fits its own schema."""

    def refuse(name: str):
        raise AssertionError(f"{name} is not JSON")

    received = json.loads(encode(document), parse_constant=refuse)
    _validator(shape).validate(received)
    return received
