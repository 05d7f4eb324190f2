"""The OpenAPI 3.1 document, made from the same table of routes, queries and shapes that answers the requests."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from dashboard.api import queries, shapes

PREFIX = "/api/v1"
_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_MEANINGS = {
    400: "A parameter or an input cannot be used (`bad_query`, `bad_input`)",
    403: "Only editors may do this (`not_allowed`)",
    404: "There is no such run (`run_not_found`)",
    413: "The body is larger than VITRINE_MAX_UPLOAD_MB",
    415: "The body is neither JSON nor a multipart form",
    422: "The run lacks what was asked for, or the named artifact is unreadable",
    503: "The tracking store, the back office or the inference process does not answer, or is busy",
    500: "Something unexpected; the message holds the number under which it was recorded",
}


_PATH_PARTS = {"run_id": "MLflow's run id", "flag_id": "A flag's id", "job_id": "The id of a batch"}


@dataclass(frozen=True)
class Route:
    """One operation. `function(services, query, **path parameters)` returns a document of the shape `answer`, or of the
    shape `accepted` (status 202) while a job makes it."""

    method: str
    path: str
    function: Callable[..., Any]
    query: type[queries.Query]
    answer: type
    failures: tuple[int, ...]
    body: type | None = None
    accepted: type | None = None

    @property
    def name(self) -> str:
        """The function's name: operation id and Flask endpoint."""
        return self.function.__name__

    @property
    def rule(self) -> str:
        """The path in Flask's notation."""
        return self.path.replace("{", "<").replace("}", ">")


def build_document(routes: Sequence[Route], title: str) -> dict[str, Any]:
    """The whole document; every schema of a shape or body is a component."""
    used = dict.fromkeys(
        [shapes.ErrorDocument, *(r.answer for r in routes), *(s for r in routes for s in (r.body, r.accepted) if s)]
    )
    adapters: list[tuple[type, JsonSchemaMode, TypeAdapter[Any]]]
    adapters = [(shape, "serialization", TypeAdapter(shape)) for shape in used]
    references, defined = TypeAdapter.json_schemas(adapters, ref_template=_REF)
    schemas = {shape: references[(shape, "serialization")] for shape in used}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{title} API", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": defined["$defs"]},
    }


_ABOUT = (
    "Exactly what the pages show, as JSON. Figures carry their 95% interval and the number of rows behind them. "
    "NaN and infinity are null. Times are ISO 8601 in UTC. Every error is an object with a code and a message."
)


def _operation(route: Route, schemas: dict[type, dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": inspect.getdoc(route.function),
        "parameters": _path_parameters(route) + _query_parameters(route),
        "responses": {"200": _response("The answer", schemas[route.answer])}
        | {
            str(status): _response(_MEANINGS[status], schemas[shapes.ErrorDocument])
            for status in (*route.failures, 500)
        },
    }
    if route.accepted is not None:
        operation["responses"]["202"] = _response("A job is making the answer; ask again", schemas[route.accepted])
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _body(schemas[route.body])}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    text = {"type": "string"}
    return [{"name": n, "in": "path", "required": True, "description": _PATH_PARTS[n], "schema": text} for n in names]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    properties = route.query.model_json_schema().get("properties", {})
    return [_query_parameter(name, dict(schema)) for name, schema in properties.items()]


def _query_parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    described = schema.pop("description")
    schema.pop("title", None)
    return {"name": name, "in": "query", "required": False, "description": described, "schema": schema}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": schema}}}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    files = {"type": "array", "minItems": 1, "maxItems": shapes.MAX_INPUTS, "items": {"format": "binary"}}
    form = {"type": "object", "required": ["images"], "properties": {"images": files}}
    return {_JSON: {"schema": schema}, "multipart/form-data": {"schema": form}}
