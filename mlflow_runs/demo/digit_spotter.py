"""Demo: find the digits in a scene (detection with a small fully convolutional torch network)."""

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import mlflow.pytorch
import numpy as np
import pandas as pd
import torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from mlflow_runs.demo.digit_scenes import MOST_OBJECTS, SIDE, load
from mlflow_runs.demo.estimators import pinned
from mlflow_runs.demo.task import DemoTask, Split, Trained, Version
from mlflow_runs.suppression import suppressed

SEED, STRIDE, RAW, BATCH, STEPS = 5, 4, 100, 16, 300
CLASSES = tuple("0123456789")
LEAST_SCORE = 0.05  # of the detections that are recorded with the evaluation
CROWDED, SMALL = 5, 14
METADATA = {
    "task": "object-detection",
    "size": {"height": SIDE, "width": SIDE},
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
    "id2label": {name: name for name in CLASSES},
}


class Spotter(nn.Module):
    """Class and distances to the four sides for every fourth pixel, as in FCOS (Tian and others 2019).

    The answer is raw, before any suppression: the 100 best (place, class) pairs of each picture as one tensor
    (n, 100, 6): x1, y1, x2, y2 in pixels, score, class. One tensor, because MLflow's pyfunc wrapper takes no other.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_layer(3, width // 2, 5, stride=2),
            *_layer(width // 2, width, 3, stride=2),
            *_layer(width, width, 3),
            *_layer(width, width, 3, dilation=2),
            *_layer(width, width, 3, dilation=2),
        )
        self.classes, self.sides = nn.Conv2d(width, len(CLASSES), 1), nn.Conv2d(width, 4, 1)
        nn.init.constant_(self.classes.bias, -4.0)  # type: ignore[arg-type]  # because nearly every place is empty
        nn.init.constant_(self.sides.bias, 2.0)  # type: ignore[arg-type]

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds (n, places, 10) and corners (n, places, 4) in pixels."""
        seen = self.body(x)
        logits, sides = self.classes(seen).flatten(2).transpose(1, 2), self.sides(seen).flatten(2).transpose(1, 2)
        away, at = torch.exp(sides.clamp(max=4.5)), places()
        return logits, torch.cat([at - away[..., :2], at + away[..., 2:]], dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """Raw detections of normalised pictures (n, 3, 96, 96)."""
        logits, corners = self.maps(x)
        scores, best = torch.sigmoid(logits).flatten(1).topk(RAW, dim=1)
        at = torch.div(best, len(CLASSES), rounding_mode="floor")
        boxes = torch.gather(corners, 1, at.unsqueeze(2).expand(-1, -1, 4)).clamp(0, SIDE)
        return torch.cat([boxes, scores.unsqueeze(2), (best % len(CLASSES)).unsqueeze(2)], dim=2)


def _layer(channels: int, width: int, size: int, stride: int = 1, dilation: int = 1) -> tuple[nn.Module, ...]:
    padding = size // 2 * dilation
    return nn.Conv2d(channels, width, size, stride, padding, dilation, bias=False), nn.BatchNorm2d(width), nn.ReLU()


def places() -> Tensor:
    """The pixel (x, y) in the middle of each place, row by row."""
    line = (torch.arange(SIDE // STRIDE) + 0.5) * STRIDE
    down, across = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([across.flatten(), down.flatten()], dim=1)


def _tensor(images: pd.Series) -> Tensor:
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in images]).astype(np.float32)
    return torch.from_numpy(((pixels / 255 - 0.5) / 0.25).transpose(0, 3, 1, 2).copy())


def _targets(rows: pd.DataFrame) -> tuple[Tensor, Tensor]:
    """Corners (n, 8, 4) and classes (n, 8) of the true boxes; class -1 where there are fewer."""
    corners = torch.zeros(len(rows), MOST_OBJECTS, 4)
    labels = torch.full((len(rows), MOST_OBJECTS), -1)
    for at, boxes in enumerate(rows["boxes"]):
        for k, box in enumerate(boxes):
            x, y = box["x"], box["y"]
            corners[at, k] = torch.tensor([x, y, x + box["w"], y + box["h"]])
            labels[at, k] = CLASSES.index(box["label"])
    return corners, labels


def _loss(model: Spotter, x: Tensor, corners: Tensor, labels: Tensor) -> Tensor:
    """Focal loss (Lin and others 2017) of the classes, and 1 - IoU of the boxes at places near an object's middle."""
    logits, found = model.maps(x)
    at, middle = places(), (corners[..., :2] + corners[..., 2:]) / 2
    off = (at[None, None] - middle[:, :, None]).abs().amax(3)  # n, object, place
    near = (off < 1.2 * STRIDE) & (labels >= 0)[:, :, None]
    distance, owner = torch.where(near, off, torch.inf).min(1)
    mine = torch.isfinite(distance)
    wanted = torch.zeros_like(logits)
    picture, place = mine.nonzero(as_tuple=True)
    wanted[picture, place, labels[picture, owner[picture, place]]] = 1
    chance = torch.sigmoid(logits)
    cross = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    weight = torch.where(wanted > 0, 0.4 * (1 - chance) ** 2, 0.6 * chance**2)
    count = max(len(picture), 1)
    one, other = found[picture, place], corners[picture, owner[picture, place]]
    return (weight * cross).sum() / count * 2 + (1 - _iou(one, other)).sum() / count


def _iou(one: Tensor, other: Tensor) -> Tensor:
    inside = (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp(min=0).prod(1)
    return inside / ((one[:, 2:] - one[:, :2]).prod(1) + (other[:, 2:] - other[:, :2]).prod(1) - inside + 1e-6)


def _fit(train: pd.DataFrame, steps: int, width: int, augment: bool) -> Trained:
    torch.set_num_threads(1)  # because sums in another order would change the predictions from machine to machine
    chance = torch.Generator().manual_seed(SEED)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = Spotter(width)
    x, (corners, labels) = _tensor(train["image"]), _targets(train)
    _descend(model, x, corners, labels, steps, augment, chance)
    model.eval()
    example = _tensor(train["image"].head(2)).numpy()
    return Trained(partial(_answer, model=model), partial(_log, model=model, example=example))


def _descend(
    model: Spotter, x: Tensor, corners: Tensor, labels: Tensor, steps: int, augment: bool, chance: torch.Generator
) -> None:
    # because that takes a quarter off each step
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.016, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=chance)
        pictures = x[rows]
        if augment:  # other colours: channels in another order, each brighter or darker, sometimes a negative
            order = torch.randperm(3, generator=chance)
            gain = 1 + 0.3 * torch.randn(BATCH, 3, 1, 1, generator=chance)
            sign = torch.where(torch.rand(BATCH, 1, 1, 1, generator=chance) < 0.3, -1.0, 1.0)
            pictures = pictures[:, order] * gain * sign
        optimizer.zero_grad()
        torch.autograd.backward(
            _loss(model, pictures.contiguous(memory_format=torch.channels_last), corners[rows], labels[rows])
        )
        optimizer.step()
        rates.step()
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def _answer(rows: pd.DataFrame, model: Spotter) -> pd.DataFrame:
    with torch.inference_mode():
        raw = torch.cat([model(part) for part in torch.split(_tensor(rows["image"]), 64)]).numpy()
    return pd.DataFrame({"predicted_boxes": [_detections(one) for one in raw.astype(np.float64)]}, rows.index)


def _detections(raw: NDArray[np.float64]) -> list[dict[str, Any]]:
    """What stays of a picture's raw boxes, best first."""
    place, scores, labels = raw[:, :4].copy(), raw[:, 4], raw[:, 5].astype(np.int64)
    place[:, 2:] -= place[:, :2]
    kept = [at for at in suppressed(place, scores, labels) if scores[at] >= LEAST_SCORE]
    return [
        {"label": CLASSES[labels[at]], **dict(zip("xywh", place[at].round(2).tolist(), strict=True)),
         "score": round(float(scores[at]), 6)}
        for at in kept
    ]  # fmt: skip


def _log(model: nn.Module, example: NDArray[np.float32]) -> Any:
    images = Schema([TensorSpec(np.dtype(np.float32), (-1, 3, SIDE, SIDE))])
    answer = Schema([TensorSpec(np.dtype(np.float32), (-1, RAW, 6))])
    return mlflow.pytorch.log_model(
        model,
        name="model",
        signature=ModelSignature(images, answer),
        input_example=example,
        pip_requirements=pinned("torch", "numpy"),
        metadata=METADATA,
    )


def _version(run_name: str, change: str, age_days: float, **how: Any) -> Version:
    keep: Callable[[Any], bool] | None = how.pop("keep", None)
    left_out: str = how.pop("left_out", "nothing")
    options = {"steps": STEPS, "width": 24, "augment": False} | how
    params = {"network": "fully convolutional", **options, "stride": STRIDE, "seed": SEED}
    return Version(run_name, change, age_days, partial(_fit, **options), params, keep, left_out)


def _versions(steps: int) -> tuple[Version, ...]:
    return (
        _version(
            "plain backgrounds",
            "First version: few steps, and scenes without photographs.",
            30,
            steps=max(1, steps // 3),
            keep=lambda row: row["background"] != "photograph",
            left_out="scenes on photographs",
        ),
        _version("all backgrounds", "Photographs too, and more steps.", 12, steps=max(1, 2 * steps // 3)),
        _version("other colours", "Trained longer, in colours changed at random.", 0.1, steps=steps, augment=True),
    )


def task(steps: int = STEPS, load: Callable[[], Split] = load) -> DemoTask:
    """The task; scenes are composed only when `load` is called. `steps` are those of the last version."""
    return DemoTask(
        name="digit-spotter",
        kind="detection",
        description="Finds the handwritten digits in a scene of 96 x 96 pixels.",
        source="Optical Recognition of Handwritten Digits (UCI, CC BY 4.0) composed on gradients, waves and parts of"
        " the two photographs that ship with scikit-learn (CC BY).",
        shift="Later scenes: all on photographs, and more crowded.",
        load=load,
        versions=_versions(steps),
        champion=3,
        label="boxes",
        prediction="predicted_boxes",
        classes=CLASSES,
        image="image",
        slices={
            "on photographs": lambda row: row["background"] == "photograph",
            "crowded": lambda row: row["objects"] >= CROWDED,
            "with small digits": lambda row: row["smallest side"] < SMALL,
        },
        tags={"domain": "handwriting", "data": "images"},
    )
