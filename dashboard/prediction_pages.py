"""One prediction to take away: `GET /prediction/input`, its input, and `GET /prediction/report.html`, one HTML file;
`GET /prediction/place` tells in words why it is not there yet.

The report needs nothing but itself: pictures are part of it, there is no script, and everything is escaped.
"""

import time
from pathlib import Path

import flask
import orjson

from dashboard.metrics.rows import picture
from dashboard.reports.explanation import WhyQuery
from dashboard.reports.inputs import InferenceQuery
from dashboard.reports.place import place_of
from dashboard.reports.query import from_params
from dashboard.reports.usage import INPUT, REPORT, given_of, prediction_report
from dashboard.services import Services
from mlflow_runs.errors import DashboardError

PLACE = "/prediction/place"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def register(server: flask.Flask, services: Services) -> None:
    """Add the routes; they take the Inference page's own parameters."""
    template = Path(__file__).with_name("prediction_report.html").read_text(encoding="utf-8")

    @server.get(INPUT)
    def prediction_input() -> flask.Response:
        try:
            given = given_of(services, from_params(InferenceQuery, flask.request.args.to_dict()))
        except DashboardError as error:
            return _refusal(error)
        if given is None:
            return flask.Response("The address names no input.", 400, mimetype="text/plain")
        if not isinstance(given.value, bytes):
            return flask.Response(orjson.dumps({"inputs": [given.value]}, default=str), mimetype="application/json")
        found = (picture(given.value) or "data:application/octet-stream;").partition(":")[2].partition(";")[0]
        return flask.Response(given.value, mimetype=found)

    @server.get(PLACE)
    def prediction_place() -> flask.Response:
        words = place_of(services, from_params(InferenceQuery, flask.request.args.to_dict()))
        return flask.Response(words, headers={"Cache-Control": "no-store"}, mimetype="text/plain")

    @server.get(REPORT, endpoint="prediction_report")
    def report() -> flask.Response:
        try:
            found = prediction_report(services, from_params(WhyQuery, flask.request.args.to_dict()))
        except DashboardError as error:
            return _refusal(error)
        if found is None:
            return flask.Response("The address names no input.", 400, mimetype="text/plain")
        made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found.made))
        response = flask.Response(flask.render_template_string(template, report=found, made=made))
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Content-Disposition"] = f'inline; filename="prediction-{found.run.run_id[:8]}.html"'
        return response


def _refusal(error: DashboardError) -> flask.Response:
    return flask.Response(str(error), error.status, mimetype="text/plain")
