"""What is asked of any engine, embedded or remote, and how a place in its queue is put into words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from dashboard.inference.cards import ModelCard
from dashboard.inference.protocol import Message, Tensors
from dashboard.inference.states import EngineState

Waiting = Callable[[str], None]


def unheard(_words: str) -> None:
    """For who does not want to know its place in the queue."""


@dataclass(frozen=True)
class Ask:
    """One request: the model, its inputs, its parameters, and until when the answer is of use (monotonic seconds).

    While it waits, `waiting` hears in words where it stands and for about how long.
    """

    card: ModelCard
    tensors: Tensors
    until: float
    params: Mapping[str, Any] = field(default_factory=dict)
    waiting: Waiting = unheard


class Engine(Protocol):
    """An engine that models are asked through. `subject` tells what may answer differently for the same model."""

    name: str
    subject: str
    keep: float | None

    def infer(self, ask: Ask) -> Message:
        """Outputs by name, and facts in the header's `parameters`; raises a DashboardError."""

    def state(self) -> EngineState:
        """The engine as it is now; never raises."""

    def close(self) -> None:
        """Close idle connections."""


def waiting_words(ahead: int, wait: float | None, loading: bool) -> str:
    """Why there is no answer yet; empty while the model is at work on it."""
    if ahead:
        return f"{in_line(ahead, wait).capitalize()}{', the model is being loaded' if loading else ''} …"
    return "The model is being loaded …" if loading else ""


def in_line(ahead: int, wait: float | None) -> str:
    """The place in the queue in words, such as "3rd in the queue, about 2 s"; `ahead` are before it."""
    place = ahead + 1
    suffix = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    about = "" if wait is None else f", about {wait:.0f} s" if wait >= 1 else ", less than a second"
    return f"{place}{suffix} in the queue{about}"
