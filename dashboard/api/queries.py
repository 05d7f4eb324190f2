"""The query parameters of each route and how a wrong one is refused."""

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.datastructures import MultiDict

from dashboard.errors import BadQuery
from mlflow_runs.suppression import CONFIDENCE, OVERLAP

MAX_LIMIT = 1000
_FAR = 10**12

Q = TypeVar("Q", bound="Query")


class Query(BaseModel):
    """Parameters of a route that takes none; the base of the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunsQuery(Query):
    """Which runs to list."""

    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="How many runs to return.")
    offset: int = Field(0, ge=0, le=_FAR, description="How many matching runs to skip.")
    search: str = Field("", max_length=500, description="Words looked for in names, versions, aliases and ids.")
    model: str = Field("", max_length=500, description="Only runs of this model.")
    experiment: str = Field("", max_length=500, description="Only runs of this experiment.")


class PredictQuery(Query):
    """How pictures are handed out, and which boxes."""

    image: Literal["link", "bytes"] = Field("link", description="A picture as a link to a PNG file, or in base64.")
    confidence: float = Field(CONFIDENCE, ge=0, le=1, description="Boxes of a lower score are left out.")
    overlap: float = Field(
        OVERLAP, ge=0, le=1, description="Of two boxes of a class that overlap more, the better stays; 1 keeps all."
    )


class ModelsQuery(Query):
    """Which models to show."""

    search: str = Field("", max_length=500, description="Words looked for in the models' names.")


class FilterQuery(Query):
    """Which rows to use."""

    filter: str = Field("", max_length=4000, description="A filter over the table's columns, such as `age > 70`.")


class PerformanceFilter(FilterQuery):
    """Which rows to measure."""

    slice: str = Field("", max_length=1000, description="The name of a slice: only its rows are used.")


class CurvesFilter(PerformanceFilter):
    """Whose scores to draw, over which rows, and what errors cost."""

    curve: str = Field(
        "", max_length=1000, alias="class", description="The class; the positive one, else the weakest, without it."
    )
    threshold: str = Field("", max_length=40, description="A score to report on; the middle of the scores without it.")
    fp: str = Field("1", max_length=40, description="What a false positive costs.")
    fn: str = Field("1", max_length=40, description="What a false negative costs.")


class DataPageQuery(PerformanceFilter):
    """Which rows to return, and in which order."""

    sort: str = Field("", max_length=1000, description="Column to sort by; the table's own order without it.")
    order: Literal["asc", "desc"] = Field("asc", description="Direction of the sort.")
    offset: int = Field(0, ge=0, le=_FAR, description="How many matching rows to skip.")
    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="How many rows to return.")


class FlagsFilter(Query):
    """Which flags to return."""

    scope: Literal["run", "model"] = Field("run", description="Flags of this run, or of every version of its model.")
    verdict: Literal["", "right", "wrong", "unsure"] = Field("", description="Only flags with this verdict.")
    search: str = Field("", max_length=500, description="Words looked for in reason, correction and author.")
    offset: int = Field(0, ge=0, le=_FAR, description="How many matching flags to skip.")
    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="How many flags to return.")


def parse_query(kind: type[Q], args: MultiDict[str, str]) -> Q:
    """The query object of a URL; BadQuery names the first wrong parameter and what would be accepted."""
    for name, values in args.lists():
        if len(values) > 1:
            raise BadQuery(f"Parameter {name!r} is given {len(values)} times; accepted is once.")
    try:
        return kind.model_validate(args.to_dict())
    except ValidationError as exc:
        raise BadQuery(_sentence(kind, exc)) from exc


def _sentence(kind: type[Query], exc: ValidationError) -> str:
    error = exc.errors(include_url=False)[0]
    name, value = str(error["loc"][0]), str(error["input"])
    if error["type"] == "extra_forbidden":
        names = ", ".join(field.alias or key for key, field in kind.model_fields.items()) or "none"
        return f"There is no parameter {name[:80]!r} here; accepted: {names}."
    shown = value if len(value) <= 80 else value[:79] + "…"
    return f"{name} is {shown!r}; accepted is {_accepted(kind.model_json_schema()['properties'][name])}."


def _accepted(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema["type"] == "integer":
        return f"a whole number from {schema['minimum']:,} to {schema['maximum']:,}"
    if schema["type"] == "number":
        return f"a number from {schema['minimum']:g} to {schema['maximum']:g}"
    return f"text of at most {schema['maxLength']} characters"
