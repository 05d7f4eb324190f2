"""The heavy worker's task "explain": why a model gives one input this score."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from dashboard.errors import BadInput
from dashboard.inference.attempt import Attempt
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.explain_gradcam import Trace, gradcam, hirescam, trace
from dashboard.inference.explain_occlusion import (
    leave_out_numbers,
    leave_out_words,
    occlude_picture,
    picture_grid,
    place_name,
)
from dashboard.inference.explain_record import METHODS, Explanation, Part, pack
from dashboard.inference.explain_score import Scorer
from dashboard.inference.explain_shapley import shapley
from dashboard.inference.loading import chosen_device
from dashboard.inference.predictor import Loaded
from dashboard.inference.protocol import Array, Tensors
from dashboard.inference.worker import load_by_id
from dashboard.settings import Settings
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.index import RunIndex

Tell = Callable[[str, float], None]
_STEPS = 50
_EXPECTED = {"occlusion": 230, "words": 60, "shapley": 16_000, "gradients": _STEPS, "gradcam": 1, "hirescam": 1}


@dataclass
class Case:
    """One input under explanation: the model, the input's tensors (1 x ...), rows to compare with, the score."""

    card: ModelCard
    loaded: Loaded
    sample: Tensors
    background: Tensors
    score: Scorer
    layer: str
    trace: Trace | None = None

    @property
    def able(self) -> tuple[str, ...]:
        """The methods that work for this model and input, the preferred one first."""
        if self.card.kind == "image":
            layers = self.trace is not None and bool(self.trace.layers)
            return ("gradcam", "hirescam") * layers + ("occlusion",) + ("gradients",) * self._differentiable
        first = next(iter(self.sample.values()))
        if self.card.kind == "text" or (len(self.sample) == 1 and first.size == 1 and first.dtype == object):
            return ("words",)
        if self.background and self.card.columns:
            return ("shapley",)
        return ("gradients",) * self._differentiable + ("occlusion",)

    @property
    def _differentiable(self) -> bool:
        floating = all(array.dtype.kind == "f" for array in self.sample.values())
        return self.loaded.module is not None and floating and len(self.sample) == 1


def explain(
    settings: Settings, arguments: Mapping[str, Any], tensors: Tensors, tell: Tell
) -> tuple[dict[str, Any], Tensors]:
    """Explain one input of the run's model.

    `arguments`: run, target (a class, "" for the predicted one), method ("" for the best that works), layer. Tensors:
    the input's own by name, those of background rows as `background/<name>`. BadInput or ModelUnavailable say why not.
    """
    started = time.perf_counter()
    tell("Loading the model", 0.02)
    case = _case(settings, arguments, tensors)
    method = str(arguments.get("method") or "")
    if method and method not in METHODS:
        raise BadInput(f"There is no method {method[:40]!r}; {', '.join(METHODS)} are accepted.")
    chosen = method if method in case.able else case.able[0]
    expected = _EXPECTED[chosen]
    case.score.tell = lambda passes: tell(_WORDS[chosen], min(0.98, 0.1 + 0.9 * passes / max(expected, passes)))
    tell(_WORDS[chosen], 0.1)
    found = _METHODS[chosen](case)
    if chosen == "gradcam" and not method and found.map is not None and not found.map.any():
        found = _finer(case, found)
    instead = _instead(case, method) if method != chosen else ""
    return pack(
        replace(
            found,
            able=case.able,
            layers=tuple(case.trace.layers) if case.trace else (),
            note=f"{instead}{found.note}",
            passes=case.score.passes,
            seconds=time.perf_counter() - started,
        )
    )


def _instead(case: Case, method: str) -> str:
    """Why another method than the usual one was taken."""
    if case.card.kind == "image" and case.able[0] != "gradcam" and method in ("", "gradcam"):
        what = "its inner layers cannot be reached" if case.loaded.module is None else "it has no convolution"
        return f"No Grad-CAM for this model ({what} that looks at more than one place). "
    return ""


def _case(settings: Settings, arguments: Mapping[str, Any], tensors: Tensors) -> Case:
    index = RunIndex(settings.data_dir / "index.db")
    card = model_card(index.run(str(arguments["run"])))
    index.close()
    sample = {name: array for name, array in tensors.items() if not name.startswith("background/")}
    rows = {name.removeprefix("background/"): array for name, array in tensors.items() if name not in sample}
    loaded = loaded_model(settings, card.model_id)
    score = Scorer(card, loaded, sample, str(arguments.get("target") or ""))
    case = Case(card, loaded, sample, rows, score, str(arguments.get("layer") or ""))
    if card.kind == "image" and loaded.module is not None:
        case.trace = _traced(loaded.module, next(iter(sample.values())), settings)
    return case


@lru_cache(1)  # because one input is often explained several ways, and loading takes longest
def loaded_model(settings: Settings, model_id: str) -> Loaded:
    """The model in the form that can be looked into."""
    return load_by_id(settings.model_copy(update={"serve_onnx": False}), chosen_device(settings.device), model_id)


def _traced(module: torch.nn.Module, array: Array, settings: Settings) -> Trace | None:
    """The network's layers; None where it cannot be traced (a scripted one, say): then occlusion explains."""
    found: list[Trace] = []
    with Attempt():
        found.append(trace(module, torch.from_numpy(array.copy()).to(chosen_device(settings.device))))
    return found[0] if found else None


def _gradcam(case: Case) -> Explanation:
    layer, name = _layer(case), "Grad-CAM"
    found = gradcam(_trace(case), layer, _class_index(case))
    nothing = "" if found.any() else " Nothing there speaks for the class by this measure."
    return _told(case, "gradcam", f"{_at(name, layer, found)}.{nothing}", map=found, layer=layer)


def _hirescam(case: Case) -> Explanation:
    layer = _layer(case)
    found = hirescam(_trace(case), layer, _class_index(case))
    return _told(case, "hirescam", f"{_at('HiResCAM', layer, found)}.", map=found, layer=layer)


def _finer(case: Case, coarse: Explanation) -> Explanation:
    """Instead of an empty Grad-CAM: a network that flattens its maps has gradients that cancel out in their mean."""
    found = _hirescam(case)
    reason = f"Grad-CAM is empty at {coarse.layer}, because the gradients of its places cancel out. "
    return replace(found, note=reason + found.note)


def _at(name: str, layer: str, found: Array) -> str:
    size = " x ".join(map(str, found.shape))
    return f"{name} at the layer {layer} ({size} places): where it saw what speaks for the class"


def _trace(case: Case) -> Trace:
    if case.trace is None:
        raise ModelUnavailable("The network could not be traced.")
    return case.trace


def _layer(case: Case) -> str:
    names = list(_trace(case).layers)
    if case.layer and case.layer not in names:
        raise BadInput(f"There is no layer {case.layer[:60]!r}; the feature maps are: {', '.join(names)}.")
    return case.layer or names[-1]


def _class_index(case: Case) -> int:
    """The target's place among the network's outputs."""
    classes = [str(name) for name in case.loaded.facts.get("classes", ())] or list(case.card.classes)
    names = classes or [str(n) for n in range(len(case.score.classes))]
    if case.score.target not in names:
        return 0
    return names.index(case.score.target)


def _occlusion(case: Case) -> Explanation:
    if case.card.kind != "image":
        parts, words = leave_out_numbers(case.score, case.sample)
        return _told(case, "occlusion", f"Occlusion: {words}.", parts=parts)
    name, array = next(iter(case.sample.items()))
    found, words = occlude_picture(case.score, name, array, picture_grid(array, case.card.preprocessing))
    return _told(case, "occlusion", f"Occlusion: {words}; how much the score falls.", map=found)


def _words(case: Case) -> Explanation:
    name, array = next(iter(case.sample.items()))
    parts, words = leave_out_words(case.score, name, array)
    return _told(case, "words", f"{words[:1].upper()}{words[1:]}; how much the score falls.", parts=parts)


def _shapley(case: Case) -> Explanation:
    rows = len(next(iter(case.background.values())))
    found = shapley(case.score, case.sample, case.background)
    parts = tuple(
        Part(name, float(effect), _shown(case.sample[name]), float(error))
        for name, effect, error in zip(case.sample, found.effects, found.errors, strict=True)
    )
    how = "exact" if found.exact else "sampled orders of the columns"
    note = f"Shapley values against {rows} rows of the evaluation ({how}); they add up from the mean to the score."
    return _told(case, "shapley", note, parts=parts, base=found.base, exact=found.exact)


def _shown(array: Array) -> str:
    value = array.ravel()[0]
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def _gradients(case: Case) -> Explanation:
    """Integrated gradients from zeros (Sundararajan, Taly, Yan 2017), 50 steps."""
    from captum.attr import IntegratedGradients  # because it takes seconds to import and is rarely needed

    module, (name, array) = case.loaded.module, next(iter(case.sample.items()))
    assert module is not None
    index = _class_index(case)

    def forward(given: torch.Tensor) -> torch.Tensor:
        output = _first(module(given))
        return output[:, 0] * (1 if index else -1) if output.shape[1] == 1 else output[:, index]

    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    given = torch.from_numpy(array.copy()).to(device)
    with torch.enable_grad():
        effects = IntegratedGradients(forward).attribute(given, n_steps=_STEPS, internal_batch_size=16)
    found = effects.detach().float().cpu().numpy()
    note = f"Integrated gradients of the class's output from an input of zeros, {_STEPS} steps."
    if case.card.kind == "image":
        picture = picture_grid(array, case.card.preprocessing).unfold(found)[0].sum(axis=2)
        return _told(case, "gradients", note, map=np.ascontiguousarray(picture, np.float32))
    parts = tuple(
        Part(place_name(case.sample, name, at), float(effect), f"{array.ravel()[at]:g}")
        for at, effect in enumerate(found.ravel()[:512])
    )
    return _told(case, "gradients", note, parts=parts)


def _first(output: Any) -> torch.Tensor:
    found = output
    while not isinstance(found, torch.Tensor):
        found = next(iter(found.values())) if isinstance(found, Mapping) else found[0]
    return found.reshape(len(found), -1)


def _told(case: Case, method: str, note: str, **more: Any) -> Explanation:
    plain = {"base": 0.0, **more}
    return Explanation(case.card.model_id, method, case.score.target, case.score.score, note=note, **plain)


_WORDS: Mapping[str, str] = {
    "gradcam": "Following the gradient",
    "hirescam": "Following the gradient",
    "occlusion": "Covering parts of the input",
    "gradients": "Integrating the gradient",
    "words": "Leaving words out",
    "shapley": "Trying the columns together",
}
_METHODS: Mapping[str, Callable[[Case], Explanation]] = {
    "gradcam": _gradcam,
    "hirescam": _hirescam,
    "occlusion": _occlusion,
    "gradients": _gradients,
    "words": _words,
    "shapley": _shapley,
}
