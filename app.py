"""The door: the list of pages, and the servers for gunicorn and the job server."""

import dash
import flask

from callbacks import data as data_wires
from callbacks import inference as inference_wires
from callbacks import overview as overview_wires
from callbacks import performance as performance_wires
from callbacks import serving as serving_wires
from callbacks import shell as shell_wires
from dashboard.server import Page, Shell, create_app
from dashboard.services import build_services
from dashboard.settings import Settings
from layouts import batch, data, embedded, inference, on_slice, overview, performance, serving, shell

PAGES = (
    Page("Overview", overview.PATH, overview.QUESTION, overview.build, overview_wires.register),
    Page("Data", data.PATH, data.QUESTION, data.build, data_wires.register),
    Page("Performance", performance.PATH, performance.QUESTION, performance.build, performance_wires.register),
    Page(
        "Inference",
        inference.PATH,
        inference.QUESTION,
        inference.build,
        inference_wires.register,
        editor_jobs=(batch.Ids.RESULT, on_slice.Ids.FINISHED),
    ),
    Page(
        "Serving",
        serving.PATH,
        serving.QUESTION,
        serving.build,
        serving_wires.register,
        editor_jobs=(serving.Ids.RESULT, serving.Ids.NEEDS),
    ),
)
SHELL = Shell(shell.build, shell_wires.register, shell.notice, shell.nowhere, shell.Ids.NOTICES, embedded.build)


def create_dash() -> dash.Dash:
    """The Dash application with settings from the environment."""
    settings = Settings()
    return create_app(settings, build_services(settings), PAGES, SHELL)


def create_server() -> flask.Flask:
    """The WSGI application, for gunicorn: `gunicorn "app:create_server()"`."""
    server: flask.Flask = create_dash().server
    return server
