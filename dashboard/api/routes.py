"""The routes under /api/v1: one table, one shim that parses the query, asks the report and encodes the answer."""

import logging
import math
import uuid
from collections.abc import Callable
from functools import partial

import flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter

from dashboard import pictures
from dashboard.api import (
    batches,
    documents,
    engine_state,
    figure_documents,
    figure_shapes,
    flags,
    inputs,
    openapi,
    queries,
    shapes,
)
from dashboard.api import curves as curve_shapes
from dashboard.api import discovered as discovered_slices
from dashboard.api.encoding import encode
from dashboard.errors import BadQuery
from dashboard.reports.curves import CurvesQuery, curves_report
from dashboard.reports.data import DataQuery, data_report, row_page
from dashboard.reports.overview import OverviewQuery, overview_report
from dashboard.reports.performance import PerformanceQuery, performance_report
from dashboard.reports.residual_interval import residuals_of
from dashboard.reports.serving import serving_report
from dashboard.services import Services
from mlflow_runs.errors import DashboardError, DataMissing

_log = logging.getLogger(__name__)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def models(services: Services, query: queries.ModelsQuery) -> figure_shapes.ModelsDocument:
    """Every model with its newest readable run, the headline figure and what changed; exactly the Overview page."""
    return figure_documents.models_document(overview_report(services, OverviewQuery(query.search)))


def runs(services: Services, query: queries.RunsQuery) -> shapes.RunsDocument:
    """All runs, newest first, broken ones included."""
    found = services.runs.runs(query.search, query.model or None, query.experiment or None, query.limit, query.offset)
    return documents.runs_document(*found, query.offset, query.limit, services.runs.state())


def run(services: Services, query: queries.Query, run_id: str) -> shapes.RunDocument:
    """One run with its parameters, tags, lineage and model."""
    return documents.run_document(services.runs.run(run_id))


def performance(services: Services, query: queries.PerformanceFilter, run_id: str) -> figure_shapes.PerformanceDocument:
    """Overall, per class and per slice, each figure with n and its 95% interval; exactly the Performance page."""
    report = performance_report(services, PerformanceQuery(run=run_id, **query.model_dump()))
    if (query.filter.strip() or query.slice) and report.source == "figures":
        why = "".join(f"; {problem.artifact} {problem.reason}" for problem in report.problems)
        raise DataMissing(f"Run {run_id} has ready-made figures only; filters and slices need its predictions{why}.")
    return figure_documents.performance_document(report, query.filter, query.slice)


def discovered(
    services: Services, query: queries.Query, run_id: str
) -> discovered_slices.DiscoveredDocument | discovered_slices.Accepted:
    """Slices that nobody named and that do significantly worse; 202 with a job while the search runs."""
    return discovered_slices.discovered_or_job(services, run_id)


def curves(services: Services, query: queries.CurvesFilter, run_id: str) -> curve_shapes.CurvesDocument:
    """ROC, precision-recall, lift and calibration of one class's scores, and what thresholds cost."""
    report = curves_report(services, CurvesQuery(run=run_id, **query.model_dump()))
    if report.note:
        raise BadQuery(report.note)
    return curve_shapes.curves_document(report, query.filter, query.slice)


def data(services: Services, query: queries.DataPageQuery, run_id: str) -> shapes.DataDocument:
    """One page of the evaluated rows, filtered and sorted on the server."""
    return documents.data_document(row_page(services, DataQuery(run=run_id, **query.model_dump())))


def columns(services: Services, query: queries.PerformanceFilter, run_id: str) -> shapes.ColumnsDocument:
    """The evaluated table at a glance: each column's role, distribution and missing values; the Data page's summary."""
    report = data_report(services, DataQuery(run=run_id, filter=query.filter, slice=query.slice))
    return documents.columns_document(report, query.filter)


def predict(services: Services, query: queries.PredictQuery, run_id: str) -> shapes.PredictDocument:
    """Ask the run's model: texts, rows or lists of numbers as JSON, or images as multipart files."""
    given = inputs.read_inputs(flask.request)
    keep = partial(pictures.keep, services.settings) if query.image == "link" else None
    answer = services.inference.predict(run_id, given)
    numbers = any(item.value is not None for item in answer.predictions)
    residuals = residuals_of(services, run_id) if numbers else None
    return documents.predict_document(answer, keep, query.confidence, query.overlap, residuals)


def serving(services: Services, query: queries.Query) -> engine_state.ServingDocument:
    """The inference process as it is now: device, models, queue, counters, latency; exactly the Serving page."""
    return engine_state.serving_document(serving_report(services))


ROUTES = (
    openapi.Route("GET", "/models", models, queries.ModelsQuery, figure_shapes.ModelsDocument, (400, 422, 503)),
    openapi.Route("GET", "/runs", runs, queries.RunsQuery, shapes.RunsDocument, (400,)),
    openapi.Route("GET", "/runs/{run_id}", run, queries.Query, shapes.RunDocument, (400, 404)),
    openapi.Route(
        "GET",
        "/runs/{run_id}/performance",
        performance,
        queries.PerformanceFilter,
        figure_shapes.PerformanceDocument,
        (400, 404, 422, 503),
    ),
    openapi.Route(
        "GET",
        "/runs/{run_id}/slices/discovered",
        discovered,
        queries.Query,
        discovered_slices.DiscoveredDocument,
        (400, 404, 422, 503),
        accepted=discovered_slices.JobDocument,
    ),
    openapi.Route(
        "GET",
        "/runs/{run_id}/curves",
        curves,
        queries.CurvesFilter,
        curve_shapes.CurvesDocument,
        (400, 404, 422, 503),
    ),
    openapi.Route("GET", "/runs/{run_id}/data", data, queries.DataPageQuery, shapes.DataDocument, (400, 404, 422, 503)),
    openapi.Route(
        "GET",
        "/runs/{run_id}/columns",
        columns,
        queries.PerformanceFilter,
        shapes.ColumnsDocument,
        (400, 404, 422, 503),
    ),
    openapi.Route(
        "POST",
        "/runs/{run_id}/predict",
        predict,
        queries.PredictQuery,
        shapes.PredictDocument,
        (400, 404, 413, 415, 422, 503),
        body=shapes.PredictBody,
    ),
    openapi.Route(
        "GET", "/runs/{run_id}/flags", flags.flags, queries.FlagsFilter, flags.FlagsDocument, (400, 404, 503)
    ),
    openapi.Route(
        "POST",
        "/runs/{run_id}/flags",
        flags.make_flag,
        queries.Query,
        flags.FlagShape,
        (400, 403, 404, 413, 422, 503),
        body=flags.FlagBody,
    ),
    openapi.Route(
        "DELETE",
        "/runs/{run_id}/flags/{flag_id}",
        flags.undo_flag,
        queries.Query,
        flags.FlagShape,
        (400, 403, 503),
    ),
    openapi.Route(
        "POST",
        "/runs/{run_id}/batch",
        batches.start_batch,
        queries.Query,
        batches.BatchDocument,
        (400, 403, 404, 413, 422, 503),
        accepted=batches.BatchDocument,
    ),
    openapi.Route(
        "GET",
        "/runs/{run_id}/batch/{job_id}",
        batches.batch,
        queries.Query,
        batches.BatchDocument,
        (400, 403, 404, 422, 503),
        accepted=batches.BatchDocument,
    ),
    openapi.Route("GET", "/serving", serving, queries.Query, engine_state.ServingDocument, (400,)),
)


def register_api(server: flask.Flask, services: Services) -> None:
    """Add the routes, the OpenAPI document and its page to the server, below /api/v1."""
    discovered_slices.offer_search(services)
    batches.offer_batches(services)
    blueprint = flask.Blueprint("api", __name__, url_prefix=openapi.PREFIX, template_folder=".")
    for route in ROUTES:
        blueprint.add_url_rule(route.rule, route.name, _shim(route, services), methods=[route.method])
    document = openapi.build_document(ROUTES, services.settings.title)
    blueprint.add_url_rule("/openapi.json", "openapi", lambda: _answer(document))
    blueprint.add_url_rule("/", "reference", lambda: flask.render_template("reference.html", document=document))
    for rule, methods in (("/", _METHODS[1:]), ("/<path:anything>", _METHODS)):
        blueprint.add_url_rule(rule, "elsewhere", _elsewhere, methods=methods, provide_automatic_options=False)
    _handle_errors(blueprint, services.settings.max_upload_mb)
    server.register_blueprint(blueprint)


def _shim(route: openapi.Route, services: Services) -> Callable[..., flask.Response]:
    def handle(**path: str) -> flask.Response:
        query = queries.parse_query(route.query, flask.request.args)
        found = route.function(services, query, **path)
        if not isinstance(found, discovered_slices.Accepted):
            return _answer(found)
        response = _answer(found.document, 202)
        response.headers["Retry-After"] = "1"
        return response

    return handle


def _answer(document: object, status: int = 200) -> flask.Response:
    response = flask.Response(encode(document), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _refuse(code: str, message: str, status: int) -> flask.Response:
    return _answer(shapes.ErrorDocument(error={"code": code, "message": message}), status)


def _elsewhere(anything: str = "") -> flask.Response:
    """Paths and methods that no route has; without it the pages' own catch-all would answer with HTML."""
    adapter = flask.current_app.create_url_adapter(flask.request)
    here = flask.request.path
    allowed = [method for method in ("GET", "POST", "DELETE") if adapter and _exists(adapter, here, method)]
    if allowed:
        raise MethodNotAllowed(allowed, f"{flask.request.method} {here[:200]}: accepted is {' or '.join(allowed)}.")
    raise NotFound(f"There is no {here[:200]!r}; {openapi.PREFIX}/ lists what there is.")


def _exists(adapter: MapAdapter, path: str, method: str) -> bool:
    try:
        endpoint: str = adapter.match(path, method)[0]
    except HTTPException:
        return False
    return endpoint != "api.elsewhere"


def _handle_errors(blueprint: flask.Blueprint, max_upload_mb: int) -> None:
    @blueprint.before_request
    def limit_body() -> None:
        flask.request.max_content_length = max_upload_mb * 2**20
        flask.request.max_form_memory_size = max_upload_mb * 2**20
        flask.request.max_form_parts = 2 * shapes.MAX_INPUTS

    @blueprint.errorhandler(DashboardError)
    def known(error: DashboardError) -> flask.Response:
        response = _refuse(error.code, str(error), error.status)
        if error.status in (429, 503):
            response.headers["Retry-After"] = str(max(1, math.ceil(getattr(error, "wait", None) or 1)))
        return response

    @blueprint.errorhandler(HTTPException)
    def refused(error: HTTPException) -> flask.Response:
        if error.code == 413:
            limits = f"at most {max_upload_mb} MB and {shapes.MAX_INPUTS:,} inputs"
            return _refuse("too_large", f"The body is too large; accepted are {limits}.", 413)
        response = _refuse(error.name.lower().replace(" ", "_"), error.description or error.name, error.code or 500)
        if isinstance(error, MethodNotAllowed):
            response.allow.update(error.valid_methods or ())
        return response

    @blueprint.errorhandler(Exception)
    def unexpected(error: Exception) -> flask.Response:
        number = uuid.uuid4().hex[:8]
        _log.error("request to %s failed, id %s", flask.request.path, number, exc_info=error)
        return _refuse(
            "internal_error", f"Something went wrong; the error was recorded under the number {number}.", 500
        )
