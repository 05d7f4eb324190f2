"""A Dash page whose ordinary callback asks Vitrine's engine, as this product's pages do; started by bench_serving."""

import base64
from typing import Any

import dash
import flask
from dash import Input, Output, State, dcc, html

from dashboard.cache import ResultCache
from dashboard.inference.client import InferenceClient
from dashboard.settings import Settings
from mlflow_runs.index import RunIndex


def create_server(run_id: str) -> flask.Flask:
    """The server for gunicorn; the value is a list of numbers, or a picture in base64 as dcc.Upload sends it."""
    settings = Settings()
    folder = settings.data_dir
    client = InferenceClient(folder, ResultCache(folder / "callback", 512), RunIndex(folder / "index.db"), settings)
    app = dash.Dash(use_async=False, health_endpoint="health")
    app.layout = html.Div([html.Button(id="go"), dcc.Input(id="what"), html.Div(id="out")])

    @app.callback(Output("out", "children"), Input("go", "n_clicks"), State("what", "value"), prevent_initial_call=True)
    def predict(_clicks: int, value: Any) -> str:
        given = base64.b64decode(value) if isinstance(value, str) else value
        return str(client.predict(run_id, [given]).predictions[0].raw)[:80]

    server: flask.Flask = app.server
    return server
