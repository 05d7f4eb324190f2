"""The shapes of the JSON that the API answers with; the OpenAPI document is generated from them."""

from typing import Annotated, Any, NotRequired, TypeVar

from pydantic import ConfigDict, Field, JsonValue, with_config
from typing_extensions import TypedDict

from dashboard.metrics.summary import Kind
from mlflow_runs.records import EvaluationState, Task

MAX_INPUTS = 1000

_Item = TypeVar("_Item")
_Some = Annotated[list[_Item], Field(min_length=1, max_length=MAX_INPUTS)]
CLOSED = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@with_config(CLOSED)
class ErrorDetail(TypedDict):
    """What went wrong."""

    code: str
    """A fixed word, such as `run_not_found` or `bad_query`."""
    message: str
    """One sentence that names the value and what would be accepted."""


@with_config(CLOSED)
class ErrorDocument(TypedDict):
    """The body of every answer that is not a success."""

    error: ErrorDetail


@with_config(CLOSED)
class ProblemShape(TypedDict):
    """An artifact of the run that could not be used."""

    artifact: str
    reason: str


@with_config(CLOSED)
class RunShape(TypedDict):
    """One run as the index holds it."""

    run_id: str
    run_name: str
    experiment: str
    experiment_id: str
    status: str
    """MLflow's own status, such as `FINISHED`."""
    start_time: str | None
    """ISO 8601, UTC."""
    end_time: str | None
    """ISO 8601, UTC; null while the run goes on."""
    model: str
    """The registered model's name, else the group that the run belongs to."""
    registered: bool
    version: str | None
    """The registered version; null for unregistered runs."""
    ordinal: int
    """Position in the model's history, 1 = oldest."""
    aliases: list[str]
    task: Task | None
    state: EvaluationState
    """`ready`: there are figures; `pending`: not read yet; `broken`: see problems; `none`: nothing to show."""
    problems: list[ProblemShape]
    metrics: dict[str, float | None]
    """What the run itself logged."""
    synced_at: str | None
    """When the index last confirmed the run with the tracking store (ISO 8601, UTC)."""


@with_config(CLOSED)
class DatasetShape(TypedDict):
    """A dataset input that MLflow recorded with the run."""

    name: str
    digest: str
    context: str
    source: str


@with_config(CLOSED)
class ModelInfoShape(TypedDict):
    """The run's model, from MLflow's own MLmodel file."""

    model_id: str
    name: str
    flavors: list[str]
    signature: dict[str, Any]
    input_example: JsonValue
    metadata: dict[str, Any]
    requirements: list[str]


@with_config(CLOSED)
class RunDocument(RunShape):
    """One run with its parameters, tags, lineage and model."""

    params: dict[str, str]
    tags: dict[str, str]
    git_commit: str | None
    user: str | None
    datasets: list[DatasetShape]
    model_info: ModelInfoShape | None


@with_config(CLOSED)
class StoreShape(TypedDict):
    """The tracking store as last seen."""

    reachable: bool
    message: str
    """Why it cannot be read; empty when all is well."""
    synced_at: str | None
    """When the list was last brought up to date (ISO 8601, UTC)."""


@with_config(CLOSED)
class RunsDocument(TypedDict):
    """One page of the run list, newest run first."""

    runs: list[RunShape]
    total: int
    """How many runs match, on all pages."""
    offset: int
    limit: int
    store: StoreShape


@with_config(CLOSED)
class DataDocument(TypedDict):
    """One page of rows, each an object by column name; image bytes are data URIs."""

    columns: list[str]
    rows: list[dict[str, JsonValue]]
    row_numbers: list[int]
    """0-based positions in the evaluation's table; they identify a row."""
    offset: int
    limit: int
    total: int
    """How many rows match the filter, on all pages."""


@with_config(CLOSED)
class TopValue(TypedDict):
    """A frequent value."""

    value: str
    n: int


@with_config(CLOSED)
class ColumnShape(TypedDict):
    """One column over the rows that the filter selects."""

    name: str
    kind: Kind
    role: str
    """The part that the column plays, or `feature`."""
    n: int
    missing: int
    distinct: int
    minimum: float | str | None
    """Of texts: the length in characters, as are mean and maximum."""
    mean: float | None
    maximum: float | str | None
    std: float | None
    edges: list[float | None]
    """The histogram's edges, one more than counts; empty where there is none."""
    counts: list[int]
    top: list[TopValue]
    """The most frequent values, at most 12."""


@with_config(CLOSED)
class ColumnsDocument(TypedDict):
    """The evaluated table at a glance; counts are exact over all rows that the filter selects."""

    artifact: str
    filter: str
    n: int
    total: int
    """All rows of the table."""
    duplicates: int
    """Rows whose features occurred before."""
    columns: list[ColumnShape]
    preprocessing: dict[str, Any]
    problems: list[ProblemShape]
    age: float
    """Seconds since the summary was computed."""


@with_config(CLOSED)
class PredictBody(TypedDict):
    """Texts, rows as objects by column name, or lists of numbers (tensors); one kind per request."""

    inputs: _Some[str] | _Some[dict[str, JsonValue]] | _Some[list[JsonValue]]


@with_config(CLOSED)
class ImageShape(TypedDict):
    """A picture that the model answered with, as a PNG file."""

    media_type: str
    width: int
    height: int
    link: NotRequired[str]
    """Where the file can be fetched for a while, below this server's address; without `image=bytes`."""
    base64: NotRequired[str]
    """The file itself; with `image=bytes`."""


@with_config(CLOSED)
class BoxShape(TypedDict):
    """One object that was found: its class, where it is in the upright picture (pixels), and its score."""

    label: str
    x: float
    """Of the corner at the top left, as `y`."""
    y: float
    w: float
    h: float
    score: float


@with_config(CLOSED)
class IntervalShape(TypedDict):
    """Between which numbers the truth probably lies: the answer plus the quantiles of the evaluation's residuals."""

    low: float
    high: float
    level: float
    """The share of the evaluation's residuals inside, such as 0.95."""
    n: int
    """How many residuals the evaluation has."""


@with_config(CLOSED)
class PredictionShape(TypedDict):
    """A class with its probabilities, or a number, or a picture, or boxes, or what else the model answered."""

    label: NotRequired[str]
    probabilities: NotRequired[dict[str, float | None]]
    """By class; empty where the model gives none."""
    labels: NotRequired[list[str]]
    """Several classes at once: those with a probability of at least 0.5, which may be none."""
    value: NotRequired[float | None]
    interval: NotRequired[IntervalShape]
    """Of a number, where the run's evaluation has at least 40 residuals."""
    image: NotRequired[ImageShape]
    boxes: NotRequired[list[BoxShape]]
    """Best first: those of at least `confidence` that overlap none better of their class by more than `overlap`."""
    raw: NotRequired[JsonValue]


@with_config(CLOSED)
class InputShape(TypedDict):
    """One value that the model takes: a column, a text or an image."""

    name: str
    type: str
    required: bool


@with_config(CLOSED)
class ModelShape(TypedDict):
    """The model that answered."""

    model_id: str
    name: str
    version: str | None
    run_id: str
    run_name: str
    task: Task | None
    kind: str
    """What it takes: `text`, `table`, `image`, `tensor` or `other`."""
    inputs: list[InputShape]
    classes: list[str]


@with_config(CLOSED)
class PredictDocument(TypedDict):
    """One prediction for each input, in their order."""

    predictions: list[PredictionShape]
    model: ModelShape
    cached: bool
    """True when every prediction came from the cache."""
    age: float | None
    """Seconds since the oldest of those from the cache was computed; null when none came from there."""
    latency_ms: float
