"""What the panel of a generator needs to know: which run draws, and the sliders of its numbers."""

from dataclasses import asdict, dataclass

import orjson

from dashboard.inference.cards import model_card
from dashboard.services import Services


@dataclass(frozen=True)
class Generator:
    """The run's generator: the name of its input, how many numbers it draws from, and their range."""

    run: str
    model: str
    name: str
    size: int
    low: float
    high: float

    def text(self) -> str:
        """As JSON, for assets/generator.js."""
        return orjson.dumps(asdict(self)).decode()


def generator_of(services: Services, run_id: str) -> Generator | None:
    """The run's generator; None for other models and runs without one."""
    row = services.runs.run(run_id) if run_id else None
    if row is None or row.model_info is None or (latent := (card := model_card(row)).latent) is None:
        return None
    name = f"{card.name} version {card.version}" if card.version else card.name
    return Generator(run_id, name, latent.name, latent.size, latent.low, latent.high)
