"""Wires of the generator's panel: it follows the run; the sliders themselves talk to /pictures/live."""

from typing import Any

import dash
from dash import Input, Output

from dashboard import pictures
from dashboard.reports.generator import generator_of
from dashboard.services import Services
from layouts import generator
from layouts.generator import Ids


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect the panel to the page's query store `store`, and add the routes of pictures."""
    pictures.register(app.server, services)

    @app.callback(Output(Ids.CARD, "data-latent"), Input(store, "data"))
    def show(params: dict[str, Any] | None) -> str:
        return generator.render(generator_of(services, (params or {}).get("run", "")))
