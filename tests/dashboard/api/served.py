"""Serves the API alone, for tests that ask over HTTP: `python -m tests.dashboard.api.served FOLDER PORT`."""

import sys
from pathlib import Path

import flask
from werkzeug.serving import run_simple

from dashboard.api.routes import register_api
from dashboard.services import build_services
from dashboard.settings import Settings

if __name__ == "__main__":
    server = flask.Flask("api")
    register_api(server, build_services(Settings(data_dir=Path(sys.argv[1]), tracking_uri="")))
    run_simple("127.0.0.1", int(sys.argv[2]), server, threaded=True)
