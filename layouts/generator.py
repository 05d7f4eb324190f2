"""The panel of a generator: sliders over its numbers, drawn and followed by assets/generator.js."""

from enum import StrEnum

from dash import html

from dashboard.reports.generator import Generator
from layouts import parts


class Ids(StrEnum):
    """Ids of the panel."""

    CARD = "generator-card"
    SLIDERS = "generator-sliders"


def build() -> html.Div:
    """The empty panel, which takes the form's place; it is hidden until `data-latent` holds a generator."""
    note = "Every slider is one of the numbers that the model draws from; the picture follows while you drag."
    card = parts.card("Input", html.Div(id=Ids.SLIDERS, className="generator"), note, panel="live")
    return html.Div(card, id=Ids.CARD, className="generator-card", **{"data-latent": "", "data-panel": "live"})


def live() -> html.Div:
    """The place of the picture that follows the sliders, at the head of the answer."""
    return html.Div(className="live-picture")


def render(found: Generator | None) -> str:
    """The attribute `data-latent`."""
    return found.text() if found else ""
