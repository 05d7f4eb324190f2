"""What the page and the client know of a model without loading it; built from the index alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dashboard.inference.pictures import Latent, gives_pictures, latent_of
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.records import ModelInfo, RunRow, Task

Kind = Literal["text", "table", "image", "tensor", "other"]
_IMAGE_WORDS = frozenset({"size", "do_rescale", "rescale_factor", "image_mean", "image_std", "do_resize"})


@dataclass(frozen=True)
class InputField:
    """One value that the user gives: a column, a text, an image. `choices` is empty where any value goes."""

    name: str
    type: str
    required: bool = True
    example: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of the signature; -1 in the shape means any length."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelCard:
    """A model as the index describes it. `columns` tells whether the signature lists columns or tensors.

    `preprocessing` holds the Hugging Face image preprocessor names found in the model's metadata, `padding` what it
    declares for inputs of different lengths. `pictures` tells whether it answers with pictures, `latent` what numbers
    it draws them from. `boxes` is there for detectors: what their metadata says of their boxes (see detections).
    """

    model_id: str
    name: str
    version: str | None
    run_id: str
    run_name: str
    task: Task | None
    kind: Kind
    inputs: tuple[InputField, ...]
    classes: tuple[str, ...] = ()
    flavors: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    columns: bool = False
    tensors: tuple[TensorSpec, ...] = ()
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    padding: Mapping[str, float | None] = field(default_factory=dict)
    pictures: bool = False
    latent: Latent | None = None
    boxes: Mapping[str, Any] | None = None


def model_card(row: RunRow) -> ModelCard:
    """The card of the run's model; raises ModelUnavailable when the run holds none."""
    info = row.model_info
    if info is None:
        raise ModelUnavailable(f"Run {row.run_name!r} holds no model; log one with mlflow.<flavor>.log_model.")
    specs = list(info.signature.get("inputs") or [])
    tensors = tuple(_tensor(spec, index) for index, spec in enumerate(specs) if spec.get("type") == "tensor")
    columns = bool(specs) and not tensors
    preprocessing = {key: value for key, value in info.metadata.items() if key in _PREPROCESSING}
    kind = _kind(info, specs, tensors, preprocessing)
    return ModelCard(
        model_id=info.model_id,
        name=row.model,
        version=row.version,
        run_id=row.run_id,
        run_name=row.run_name,
        task=row.task or ("multilabel" if info.metadata.get("task") == "multilabel" else None),
        kind=kind,
        inputs=_fields(kind, specs if columns else [], tensors, info.input_example),
        classes=_classes(info.metadata),
        flavors=info.flavors,
        requirements=info.requirements,
        columns=columns,
        tensors=tensors,
        preprocessing=preprocessing,
        padding=declared_padding(info.metadata),
        pictures=row.task == "image_to_image" or gives_pictures(info),
        latent=latent_of(info),
        boxes=_boxes(row, info),
    )


_PREPROCESSING = _IMAGE_WORDS | {"do_normalize", "do_convert_rgb", "do_center_crop", "crop_size", "resample"}


def _tensor(spec: Mapping[str, Any], index: int) -> TensorSpec:
    shape = tuple(int(n) for n in spec["tensor-spec"]["shape"])
    return TensorSpec(str(spec.get("name") or f"input_{index}"), str(spec["tensor-spec"]["dtype"]), shape)


def _kind(
    info: ModelInfo, specs: Sequence[Mapping[str, Any]], tensors: tuple[TensorSpec, ...], image: Mapping[str, Any]
) -> Kind:
    if image or (len(tensors) == 1 and _looks_like_image(tensors[0])):
        return "image"
    if tensors:
        return "text" if len(tensors) == 1 and tensors[0].dtype in ("str", "object") else "tensor"
    if specs:
        return "text" if len(specs) == 1 and specs[0].get("type") == "string" else "table"
    return _kind_of_example(info.input_example)


def _looks_like_image(spec: TensorSpec) -> bool:
    return len(spec.shape) == 4 and (spec.shape[1] in (1, 3, 4) or spec.shape[3] in (1, 3, 4))


def _kind_of_example(example: Any) -> Kind:
    first = first_example(example)
    if isinstance(first, str):
        return "text"
    return "table" if isinstance(first, Mapping) else "tensor" if isinstance(first, list) else "other"


def first_example(example: Any) -> Any:
    """The first row of an MLflow input example: a list, {"columns", "data"}, {"inputs": ...} or a bare value."""
    if isinstance(example, Mapping):
        if isinstance(example.get("columns"), list) and isinstance(example.get("data"), list):
            rows = example["data"]
            return dict(zip(map(str, example["columns"]), rows[0], strict=False)) if rows else None
        for key in ("inputs", "instances", "dataframe_records"):
            if key in example:
                return first_example(example[key])
        if "dataframe_split" in example:
            return first_example(example["dataframe_split"])
        return dict(example)
    if isinstance(example, list):
        return example[0] if example else None
    return example


def _fields(
    kind: Kind, specs: Sequence[Mapping[str, Any]], tensors: tuple[TensorSpec, ...], example: Any
) -> tuple[InputField, ...]:
    first = first_example(example)
    if kind == "image":
        return (InputField("image", "image"),)
    if kind == "text":
        name = str((specs[0].get("name") if specs else None) or (tensors[0].name if tensors else "text"))
        return (InputField(name, "string", True, first.get(name) if isinstance(first, Mapping) else first),)
    if specs:
        return tuple(_column(spec, index, first) for index, spec in enumerate(specs))
    if tensors:
        return tuple(InputField(spec.name, spec.dtype, True, _tensor_example(spec, first)) for spec in tensors)
    if isinstance(first, Mapping):
        return tuple(InputField(str(name), type(value).__name__, True, value) for name, value in first.items())
    return (InputField("input", "any", True, first),)


def _column(spec: Mapping[str, Any], index: int, first: Any) -> InputField:
    name = str(spec.get("name") or index)
    example = first.get(name) if isinstance(first, Mapping) else None
    if isinstance(first, list) and index < len(first):
        example = first[index]
    choices = ("True", "False") if spec.get("type") == "boolean" else ()
    return InputField(name, str(spec.get("type", "any")), bool(spec.get("required", True)), example, choices)


def _tensor_example(spec: TensorSpec, first: Any) -> Any:
    return first.get(spec.name) if isinstance(first, Mapping) else first


def _classes(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    table = metadata.get("id2label")
    if isinstance(table, Mapping):
        return tuple(str(table[key]) for key in sorted(table, key=_number))
    listed = table if isinstance(table, list) else metadata.get("classes")
    return tuple(str(name) for name in listed) if isinstance(listed, list) else ()


def _boxes(row: RunRow, info: ModelInfo) -> Mapping[str, Any] | None:
    """What the metadata of a detector says of its boxes: one by evaluation, metadata, or named outputs."""
    told = info.metadata.get("boxes")
    outputs = {str(spec.get("name")) for spec in info.signature.get("outputs") or []}
    is_one = (
        row.task == "detection" or info.metadata.get("task") == "object-detection" or {"boxes", "scores"} <= outputs
    )
    return told if isinstance(told, Mapping) else {} if is_one else None


def declared_padding(metadata: Mapping[str, Any]) -> dict[str, float | None]:
    """The model's padding (see dashboard.inference.padding) without entries that are neither a number nor None."""
    table = metadata.get("padding")
    found = table.items() if isinstance(table, Mapping) else ()
    return {str(name): value for name, value in found if value is None or isinstance(value, int | float)}


def _number(key: Any) -> tuple[int, str]:
    return (int(key), "") if str(key).isdigit() else (2**31, str(key))
