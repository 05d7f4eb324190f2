"""Plain records of runs, models and evaluations, shared by all rooms; imports nothing heavy."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Task = Literal["classification", "multilabel", "regression", "detection", "image_to_image"]
EvaluationState = Literal["none", "pending", "ready", "broken"]


@dataclass(frozen=True)
class Problem:
    """One artifact that could not be used, and why, in a sentence fit for the page."""

    artifact: str
    reason: str


@dataclass(frozen=True)
class Roles:
    """Which column of the predictions table plays which part; None or empty where absent.

    `scores` maps class name to column; `score` is a single column belonging to the positive class.
    `slices` are boolean columns named `slice_<name>`; `features` are all columns without another role.
    """

    label: str | None = None
    prediction: str | None = None
    scores: dict[str, str] = field(default_factory=dict)
    score: str | None = None
    id: str | None = None
    time: str | None = None
    text: str | None = None
    image: str | None = None
    boxes: str | None = None
    predicted_boxes: str | None = None
    slices: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figures:
    """Performance figures that the run carries ready-made (performance.json, per_class_metrics.csv).

    Each entry is a dict such as {"precision", "recall", "f1", "num_samples"}; missing keys are allowed.
    """

    overall: dict[str, float] = field(default_factory=dict)
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)
    slices: dict[str, dict[str, float]] = field(default_factory=dict)
    artifact: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Everything Vitrine could read of one run's evaluation.

    `table` is a local Parquet file with the original columns (one row per example), or None.
    `digest` is the content digest of the source artifact: the cache key of whatever is computed from it.
    `classes` are texts in sorted order (declared order if evaluation.json gives one). `slices` is the text of the
    run's own slices.yaml.
    """

    run_id: str
    task: Task | None
    roles: Roles
    classes: tuple[str, ...] = ()
    positive_class: str | None = None
    table: Path | None = None
    digest: str = ""
    n_rows: int = 0
    artifact: str = ""
    figures: Figures | None = None
    problems: tuple[Problem, ...] = ()
    preprocessing: dict[str, Any] = field(default_factory=dict)
    slices: str = ""


@dataclass(frozen=True)
class DatasetInput:
    """A dataset input that MLflow recorded with the run."""

    name: str
    digest: str
    context: str = ""
    source: str = ""


@dataclass(frozen=True)
class ModelInfo:
    """What the index knows of a run's model without loading it; all from MLflow's own MLmodel file.

    `signature` is {"inputs": [...], "outputs": [...], "params": [...]} as in MLmodel (each list the MLflow
    JSON schema); `input_example` is the first rows as JSON; `metadata` the model's free metadata.
    """

    model_id: str
    name: str
    flavors: tuple[str, ...] = ()
    signature: dict[str, Any] = field(default_factory=dict)
    input_example: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunRow:
    """One run as the index holds it. Times are Unix seconds (UTC).

    `model` is the registered model's name, else the group name (experiment, or "experiment / logged model name").
    `version` is the registered version as text, None for unregistered runs.
    `ordinal` is the position in the model's history, 1 = oldest.
    `synced_at` is when the index last confirmed the row with the store.
    """

    run_id: str
    run_name: str
    experiment: str
    experiment_id: str
    status: str
    start_time: float
    end_time: float | None
    model: str
    registered: bool
    version: str | None
    ordinal: int
    aliases: tuple[str, ...]
    task: Task | None
    state: EvaluationState
    problems: tuple[Problem, ...]
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    git_commit: str | None
    user: str | None
    datasets: tuple[DatasetInput, ...]
    model_info: ModelInfo | None
    synced_at: float


@dataclass(frozen=True)
class StoreState:
    """The tracking store as last seen by the back office."""

    uri: str
    reachable: bool
    message: str
    synced_at: float | None
    revision: int
    runs: int
