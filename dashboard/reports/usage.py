"""One prediction elsewhere: ready code for exactly this input and model, and what its report holds."""

import json
import shlex
import time
from contextlib import suppress
from dataclasses import dataclass
from pprint import pformat
from typing import Any

from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.detections import Box, shown
from dashboard.reports.context import ContextReport, context_report
from dashboard.reports.detection import DetectionQuery, SceneReport, scene_report
from dashboard.reports.explanation import Side, WhyQuery, why_report
from dashboard.reports.flags import answer_facts
from dashboard.reports.inference import InferenceAnswer, inference_answer
from dashboard.reports.inputs import Given, InferenceQuery, data_uri, read_input
from dashboard.reports.query import to_url
from dashboard.services import Services
from mlflow_runs.errors import DashboardError
from mlflow_runs.records import RunRow

INPUT, REPORT = "/prediction/input", "/prediction/report.html"
_LONGEST = 6000
_PICTURE = 480


@dataclass(frozen=True)
class Usage:
    """Code by language, in the order shown; `kept` says how long the input's address works."""

    code: dict[str, str]
    input: str
    report: str
    kept: str


@dataclass(frozen=True)
class PredictionReport:
    """Everything that the report of one prediction says; `made` is Unix seconds.

    `scene` is there for detections; `found` are its boxes as the page first shows them.
    """

    run: RunRow
    answer: InferenceAnswer
    picture: str
    fields: tuple[tuple[str, str], ...]
    text: str
    facts: dict[str, Any]
    after: str
    context: ContextReport | None
    why: tuple[Side, ...]
    made: float
    scene: SceneReport | None = None
    found: tuple[Box, ...] = ()


def usage_of(services: Services, query: InferenceQuery, base: str) -> Usage | None:
    """Ready code for the query's input; `base` is Vitrine's address. None where there is no input to use."""
    with suppress(DashboardError):
        card = model_card(services.runs.run(query.run)) if query.run and query.asks else None
        given = read_input(services, card, query) if card else None
        if card is not None and given is not None:
            return Usage(_code(card, given, query, base), to_url(INPUT, query), to_url(REPORT, query), _kept(query))
    return None


def _kept(query: InferenceQuery) -> str:
    if query.upload:
        return "An uploaded input is kept among the newest 200 uploads; this page's link works as long."
    return "This page's link shows this input and its answer for as long as the run is in the store."


def _code(card: ModelCard, given: Given, query: InferenceQuery, base: str) -> dict[str, str]:
    address, here = f"{base}/api/v1/runs/{card.run_id}/predict", f"{base}{to_url(INPUT, query)}"
    if isinstance(given.value, bytes):
        return _picture_code(address, here)
    body = json.dumps({"inputs": [given.value]}, ensure_ascii=False, default=str)
    if len(body) > _LONGEST:
        return _long_code(address, here)
    header = "-H 'Content-Type: application/json'"
    values = pformat([json.loads(json.dumps(given.value, default=str))], width=100, sort_dicts=False)
    return {
        "curl": f"curl -s {shlex.quote(address)} {header} \\\n  -d {shlex.quote(body)}",
        "Python": f"import requests\n\ninputs = {values}\n"
        f"answer = requests.post({address!r}, json={{'inputs': inputs}})\n{_PYTHON_END}",
        "JavaScript": f"const body = {json.dumps(body)};\n"
        f"const headers = {{ 'Content-Type': 'application/json' }};\n"
        f"const answer = await fetch({json.dumps(address)}, {{ method: 'POST', headers, body }});\n{_SCRIPT_END}",
    }


_PYTHON_END = "answer.raise_for_status()\nprint(answer.json()['predictions'][0])"
_SCRIPT_END = "console.log((await answer.json()).predictions[0]);"


def _picture_code(address: str, here: str) -> dict[str, str]:
    return {
        "curl": f"curl -s {shlex.quote(here)} -o input.img\ncurl -s {shlex.quote(address)} -F images=@input.img",
        "Python": f"import requests\n\npicture = requests.get({here!r}).content  # or the bytes of a file of yours\n"
        f"answer = requests.post({address!r}, files={{'images': ('input', picture)}})\n{_PYTHON_END}",
        "JavaScript": f"const picture = await (await fetch({json.dumps(here)})).blob();\nconst body = new FormData();\n"
        f"body.append('images', picture, 'input');\n"
        f"const answer = await fetch({json.dumps(address)}, {{ method: 'POST', body }});\n{_SCRIPT_END}",
    }


def _long_code(address: str, here: str) -> dict[str, str]:
    """The input is too long to stand in the code: it is fetched as the body of the request."""
    json_type = "'Content-Type: application/json'"
    return {
        "curl": f"curl -s {shlex.quote(here)} -o body.json\n"
        f"curl -s {shlex.quote(address)} -H {json_type} --data-binary @body.json",
        "Python": f"import requests\n\nbody = requests.get({here!r}).json()\n"
        f"answer = requests.post({address!r}, json=body)\n{_PYTHON_END}",
        "JavaScript": f"const body = await (await fetch({json.dumps(here)})).text();\n"
        f"const headers = {{ {json_type.replace(': ', chr(39) + ': ' + chr(39))} }};\n"
        f"const answer = await fetch({json.dumps(address)}, {{ method: 'POST', headers, body }});\n{_SCRIPT_END}",
    }


def given_of(services: Services, query: InferenceQuery) -> Given | None:
    """The query's input as the model takes it."""
    return read_input(services, model_card(services.runs.run(query.run)), query)


def prediction_report(services: Services, query: WhyQuery) -> PredictionReport | None:
    """The report of the answer to the query's input; an explanation is part of it where one was computed."""
    answer, given = inference_answer(services, query), given_of(services, query)
    if answer is None or given is None:
        return None
    value, prediction = given.value, answer.answer.predictions[0]
    why = why_report(services, query) if query.why else None
    scene = _scene(services, query) if prediction.boxes is not None else None
    return PredictionReport(
        run=services.runs.run(query.run),
        answer=answer,
        picture=data_uri(value, _PICTURE) if isinstance(value, bytes) else "",
        fields=tuple((str(name), str(item)) for name, item in value.items()) if isinstance(value, dict) else (),
        text=value if isinstance(value, str) else json.dumps(value) if isinstance(value, list) else "",
        facts=answer_facts(prediction),
        after=data_uri(prediction.image, _PICTURE) if prediction.image else "",
        context=context_report(services, query),
        why=tuple(side for side in why.sides if side.found) if why else (),
        made=time.time(),
        scene=scene,
        found=shown(scene.found) if scene else (),
    )


def _scene(services: Services, query: WhyQuery) -> SceneReport | None:
    """The picture with its boxes, found ones and, where they are known, true ones."""
    asked = {name: getattr(query, name) for name in ("run", "row", "upload", "flag", "file")}
    return scene_report(services, DetectionQuery(**asked))
