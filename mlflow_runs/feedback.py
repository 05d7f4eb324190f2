"""People's judgements in MLflow: one trace per flag, input and answer as its span, the verdict as assessments.

Traces are where MLflow's users look for human feedback: they show in the run's and the model's Traces tab, can be
searched (`feedback.verdict = 'wrong'`), and become evaluation datasets. A trace, its assessments and its tags are
written in one request; its id is the flag's, so that writing again after a failure changes nothing.
"""

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import (
    Assessment,
    AssessmentSource,
    Expectation,
    Feedback,
    Span,
    SpanType,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from mlflow.exceptions import MlflowException
from mlflow.tracing.attachments import Attachment
from mlflow.tracing.client import TracingClient
from mlflow.tracing.constant import SpanAttributeKey, TraceMetadataKey, TraceTagKey
from mlflow.tracing.utils import build_otel_context
from opentelemetry.sdk.trace import ReadableSpan

from mlflow_runs.errors import StoreUnavailable

VERDICT, EXPECTED = "verdict", "expected_response"
TAG = "vitrine.flag"
_PREVIEW = 500


@dataclass(frozen=True)
class Judgement:
    """One flag as MLflow keeps it; `id` has 32 hexadecimal digits, `created` is in Unix seconds."""

    id: str
    experiment_id: str
    run_id: str
    model_id: str
    author: str
    created: float
    verdict: str
    reason: str
    inputs: dict[str, Any]
    outputs: Any
    expected: Any = None
    picture: bytes = b""
    picture_type: str = "image/png"
    tags: dict[str, str] = field(default_factory=dict)


def write_judgement(uri: str, judgement: Judgement) -> str:
    """Write the trace, again if need be; returns its id. Raises StoreUnavailable with what the store said."""
    trace_id = trace_id_of(judgement.id)
    attachment = Attachment(content_type=judgement.picture_type, content_bytes=judgement.picture)
    attachment._id = str(uuid.UUID(judgement.id))  # because its own would be new on every attempt
    inputs = {**judgement.inputs, "image": attachment.ref(trace_id)} if judgement.picture else judgement.inputs
    try:
        client = TracingClient(uri)
        info = client.start_trace(_info(judgement, trace_id, inputs))
        if judgement.picture:
            client._get_artifact_repo_for_trace(info).upload_attachment(attachment.id, judgement.picture)
        client.log_spans(judgement.experiment_id, [_span(judgement, trace_id, inputs)])
    except (MlflowException, OSError) as exc:
        raise StoreUnavailable(f"the flag is not yet in MLflow: {str(exc)[:300]}") from exc
    return trace_id


def remove_judgement(uri: str, experiment_id: str, flag_id: str) -> None:
    """Delete the flag's trace; one that is not there is no error."""
    try:
        MlflowClient(tracking_uri=uri).delete_traces(experiment_id, trace_ids=[trace_id_of(flag_id)])
    except (MlflowException, OSError) as exc:
        raise StoreUnavailable(f"the flag is still in MLflow: {str(exc)[:300]}") from exc


def trace_id_of(flag_id: str) -> str:
    """The id of a flag's trace."""
    return f"tr-{flag_id}"


def _info(judgement: Judgement, trace_id: str, inputs: dict[str, Any]) -> TraceInfo:
    return TraceInfo(
        trace_id=trace_id,
        trace_location=TraceLocation.from_experiment_id(judgement.experiment_id),
        request_time=_ms(judgement.created),
        state=TraceState.OK,
        request_preview=_json(inputs)[:_PREVIEW],
        response_preview=_json(judgement.outputs)[:_PREVIEW],
        client_request_id=judgement.id,
        execution_duration=0,
        trace_metadata={TraceMetadataKey.SOURCE_RUN: judgement.run_id, TraceMetadataKey.MODEL_ID: judgement.model_id},
        tags={TraceTagKey.TRACE_NAME: "flagged prediction", TAG: judgement.verdict, **judgement.tags},
        assessments=_assessments(judgement, trace_id),
    )


def _assessments(judgement: Judgement, trace_id: str) -> list[Assessment]:
    about: dict[str, Any] = {
        "source": AssessmentSource(source_type="HUMAN", source_id=judgement.author),
        "trace_id": trace_id,
        "create_time_ms": _ms(judgement.created),
        "last_update_time_ms": _ms(judgement.created),
    }
    found: list[Assessment] = [
        Feedback(name=VERDICT, value=judgement.verdict, rationale=judgement.reason or None, **about)
    ]
    if judgement.expected is not None:
        found.append(Expectation(name=EXPECTED, value=judgement.expected, **about))
    return found


def _span(judgement: Judgement, trace_id: str, inputs: dict[str, Any]) -> Span:
    """The single span of the trace: what went in and what came out."""
    at = _ms(judgement.created) * 10**6
    attributes = {
        SpanAttributeKey.REQUEST_ID: trace_id,
        SpanAttributeKey.INPUTS: inputs,
        SpanAttributeKey.OUTPUTS: judgement.outputs,
        SpanAttributeKey.SPAN_TYPE: SpanType.UNKNOWN,
    }
    return Span(
        ReadableSpan(
            name="predict",
            context=build_otel_context(int(judgement.id, 16), int(judgement.id[:16], 16) or 1),
            start_time=at,
            end_time=at,
            attributes={name: _json(value) for name, value in attributes.items()},
        )
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _ms(seconds: float) -> int:
    return int((seconds or time.time()) * 1000)
