"""The shapes of performance figures in the API's JSON."""

from typing import Literal, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from dashboard.api.shapes import CLOSED, ProblemShape, RunShape
from dashboard.metrics.estimate import Word
from mlflow_runs.records import Task

_OPEN = ConfigDict(use_attribute_docstrings=True)


@with_config(CLOSED)
class Metric(TypedDict):
    """A figure with its 95% interval."""

    value: float | None
    """Always given; null only where it is not a finite number (R2 of a single row). 0 with `undefined` for 0/0."""
    low: float | None
    """Null where no interval can be given."""
    high: float | None
    n: int
    """The number of rows behind the figure."""
    too_few: NotRequired[Literal[True]]
    """Only there when n is below the settable minimum (VITRINE_MIN_ROWS)."""
    undefined: NotRequired[Literal[True]]
    """Only there for a ratio of 0/0."""


@with_config(_OPEN)
class Overall(TypedDict):
    """Figures over all rows used. Runs with ready-made figures may have further ones."""

    n: int
    accuracy: NotRequired[Metric]
    macro_precision: NotRequired[Metric]
    macro_recall: NotRequired[Metric]
    macro_f1: NotRequired[Metric]
    weighted_precision: NotRequired[Metric]
    weighted_recall: NotRequired[Metric]
    weighted_f1: NotRequired[Metric]
    micro_precision: NotRequired[Metric]
    micro_recall: NotRequired[Metric]
    micro_f1: NotRequired[Metric]
    samples_f1: NotRequired[Metric]
    subset_accuracy: NotRequired[Metric]
    hamming_loss: NotRequired[Metric]
    mae: NotRequired[Metric]
    rmse: NotRequired[Metric]
    r2: NotRequired[Metric]


@with_config(CLOSED)
class ClassShape(TypedDict):
    """One class; n is the number of rows whose label it is, n_predicted of those predicted as it."""

    n: int
    n_predicted: int
    precision: Metric
    recall: Metric
    f1: Metric
    tp: NotRequired[int]
    """The counts of the class against all others; multi-label only."""
    fp: NotRequired[int]
    fn: NotRequired[int]
    tn: NotRequired[int]
    averages: NotRequired[dict[str, Metric]]
    """Detection only, where `n` counts true objects: map, ap50, ap75, ar1, ar10, ar100 as COCO defines them."""


@with_config(_OPEN)
class SliceShape(TypedDict):
    """One slice. Classification: macro precision, recall and F1 over its rows; multi-label: macro (`f1`), micro and
    samples F1, subset accuracy; regression: mae and rmse."""

    n: int
    kind: str
    """`declared` (a `slice_*` column), `file` (from slices.yaml), `saved` (on a page) or `found` (in the rows)."""
    description: str
    filter: str
    """The slice as a filter, to be given to `filter=`; empty where there is none."""
    precision: NotRequired[Metric]
    recall: NotRequired[Metric]
    f1: NotRequired[Metric]
    accuracy: NotRequired[Metric]
    micro_f1: NotRequired[Metric]
    samples_f1: NotRequired[Metric]
    subset_accuracy: NotRequired[Metric]
    mae: NotRequired[Metric]
    rmse: NotRequired[Metric]
    r2: NotRequired[Metric]


@with_config(CLOSED)
class ConfusionShape(TypedDict):
    """Counts by label (row) and prediction (column); `counts` up to 200 labels, `cells` beyond."""

    labels: list[str]
    counts: NotRequired[list[list[int]]]
    """counts[i][j]: rows with label labels[i] predicted as labels[j]."""
    cells: NotRequired[list[tuple[int, int, int]]]
    """The non-zero counts as [row, column, n]."""


@with_config(CLOSED)
class ResidualsShape(TypedDict):
    """Histogram of prediction - label; one edge more than counts."""

    edges: list[float | None]
    counts: list[int]


@with_config(CLOSED)
class LoggedShape(TypedDict):
    """A metric that the run itself logged, beside ours (null where we compute no such metric)."""

    name: str
    logged: float | None
    ours: float | None
    differs: bool


@with_config(CLOSED)
class PerformanceDocument(TypedDict):
    """What the Performance page shows."""

    run: RunShape
    task: Task
    source: str
    """`predictions` (computed from all rows) or `figures` (ready-made in the run)."""
    artifact: str
    filter: str
    slice: str
    headline: str
    """The name of the headline metric within `overall`."""
    n_unlabelled: int
    """Rows left out because label or prediction is missing."""
    n_filtered_out: int
    overall: Overall
    per_class: dict[str, ClassShape]
    slices: dict[str, SliceShape]
    confusion: ConfusionShape | None
    residuals: ResidualsShape | None
    logged: list[LoggedShape]
    problems: list[ProblemShape]
    notes: list[str]
    age: float
    """Seconds since the figures were computed."""


@with_config(CLOSED)
class VerdictShape(TypedDict):
    """The newest version against the one before, on the headline metric."""

    word: Word
    difference: float | None
    """Newest minus previous, with its 95% interval."""
    low: float | None
    high: float | None
    n: int
    paired: bool
    """Whether the same rows (by id) were compared."""
    detectable: float | None
    """The smallest difference that n rows could have shown."""


@with_config(CLOSED)
class VersionShape(TypedDict):
    """One version in a model's history; headline is null where its evaluation cannot be read."""

    run_id: str
    version: str
    start_time: str | None
    headline: Metric | None


@with_config(_OPEN)
class NamedSlice(SliceShape):
    """A slice with its name."""

    name: str


@with_config(CLOSED)
class ModelOverview(TypedDict):
    """One model: its newest readable run, the headline figure and what changed."""

    model: str
    registered: bool
    task: Task | None
    run: RunShape
    n_versions: int
    metric: str
    """The name of the headline metric."""
    headline: Metric | None
    previous: RunShape | None
    verdict: VerdictShape | None
    history: list[VersionShape]
    worst_slice: NamedSlice | None
    problem: str
    """Why the newest run cannot be read; empty when it can."""


@with_config(CLOSED)
class ModelsDocument(TypedDict):
    """What the Overview page shows: what got worse first, then problems, then the newest."""

    models: list[ModelOverview]
    pending: int
    """How many runs are not computed yet; ask again."""
