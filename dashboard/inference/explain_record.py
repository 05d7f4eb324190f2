"""What an explanation holds; imports no torch, so that web workers and jobs can read it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from dashboard.inference.protocol import Array, Tensors

VERSION = 2
Method = Literal["gradcam", "hirescam", "occlusion", "gradients", "words", "shapley"]
METHODS: tuple[str, ...] = get_args(Method)


@dataclass(frozen=True)
class Part:
    """One part of the input: a word, a column, a number.

    `effect` is in units of the explained score; `error` is its standard error where it was estimated from samples.
    `start` and `end` are the place of a word in its text.
    """

    name: str
    effect: float
    value: str = ""
    error: float = 0.0
    start: int = 0
    end: int = 0


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a model gives one input this score.

    `target` is the explained class, "" where the model answers with a number; `score` its probability or the number,
    `base` what the effects are counted from. `map` (height x width of the model's input) explains a picture, `parts`
    everything else. `layers` are those that Grad-CAM can look at, first to last; `able` the methods that work here.
    `passes` counts the rows that went through the model; `note` says in words what was done.
    """

    model_id: str
    method: str
    target: str
    score: float
    base: float
    note: str
    parts: tuple[Part, ...] = ()
    layer: str = ""
    layers: tuple[str, ...] = ()
    able: tuple[str, ...] = ()
    exact: bool = False
    passes: int = 0
    seconds: float = 0.0
    map: Array | None = None


def pack(found: Explanation) -> tuple[dict[str, Any], Tensors]:
    """The explanation as a message's header and tensors."""
    plain = asdict(replace(found, map=None))
    return {"result": plain}, {} if found.map is None else {"map": found.map}


def unpack(header: Mapping[str, Any], tensors: Mapping[str, Array]) -> Explanation:
    """The explanation of a message."""
    told = dict(header["result"])
    told["parts"] = tuple(Part(**part) for part in told["parts"])
    told["layers"], told["able"] = tuple(told["layers"]), tuple(told["able"])
    return Explanation(**{**told, "map": tensors.get("map")})
