"""The OpenAPI document is valid, and real answers are what it says."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from io import BytesIO

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.generation import GenerationMode

from tests.conftest import CHECKOUT, answer, free_port, wait_for
from tests.dashboard.api.conftest import part


@pytest.fixture(scope="module", autouse=True)
def unflagged(api):
    """The examples and the fuzzer flag answers; none of it stays."""
    yield
    api.undo_flags()


@pytest.fixture(scope="session")
def document(api):
    return api.client.get("/api/v1/openapi.json").json


def test_the_document_is_valid(document):
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_of_the_server_is_described_and_the_other_way_round(api, document):
    rules = api.client.application.url_map.iter_rules()
    hidden = {"api.openapi", "api.reference", "api.elsewhere"}
    served = {
        (rule.rule.replace("<", "{").replace(">", "}"), method)
        for rule in rules
        if rule.endpoint.startswith("api.") and rule.endpoint not in hidden
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert served == {(path, method.upper()) for path, found in document["paths"].items() for method in found}


def test_every_operation_and_parameter_says_what_it_means(document):
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"] and "500" in operation["responses"]
            assert all(parameter["description"] for parameter in operation["parameters"])


def _fits(document, path: str, method: str, response) -> None:
    declared = document["paths"][f"/api/v1{path}"][method.lower()]["responses"]
    assert str(response.status_code) in declared, (path, response.status_code, response.json)
    schema = declared[str(response.status_code)]["content"]["application/json"]["schema"]
    Draft202012Validator(schema | {"components": document["components"]}).validate(response.json)


_GETS = [
    (path, name, query)
    for path, queries in {
        "/runs": ["", "?limit=2", "?limit=none"],
        "/runs/{run_id}": ["", "?x=1"],
        "/runs/{run_id}/performance": ["", "?filter=label%20IS%20NOT%20NULL", "?filter=%3B"],
        "/runs/{run_id}/curves": ["", "?fn=5&threshold=0.2", "?class=nothing", "?fp=-1"],
        "/models": ["", "?search=api", "?limit=1"],
        "/runs/{run_id}/slices/discovered": ["", "?x=1"],
        "/runs/{run_id}/columns": ["", "?filter=1%20%3D%202"],
        "/runs/{run_id}/data": ["?limit=5", "?offset=-3"],
    }.items()
    for name in ("classification", "regression", "images", "figures", "half", "cut off", "bare", "nobody")
    for query in queries
]


@pytest.mark.parametrize(("path", "name", "query"), _GETS)
def test_real_answers_fit_the_document(api, document, path, name, query):
    run_id = api.runs.get(name, name)
    response = api.client.get(f"/api/v1{path}{query}".replace("{run_id}", run_id))
    _fits(document, path, "GET", response)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("classification", {"json": {"inputs": [{"mean radius": 14.0}]}}),
        ("classification", {"data": "x", "content_type": "text/plain"}),
        ("classification", {"data": b" " * 2**21, "content_type": "application/json"}),
        ("images", {"data": "picture"}),
        ("regression", {"json": {"inputs": ["x"]}}),
        ("nobody", {"json": {"inputs": ["x"]}}),
    ],
)
def test_real_predictions_fit_the_document(api, document, name, options):
    if options.get("data") == "picture":
        options = {"data": {"images": (BytesIO((api.folder / "digit0.png").read_bytes()), "digit0.png")}}
    path = "/runs/{run_id}/predict"
    response = api.client.post(f"/api/v1{path}".replace("{run_id}", api.runs.get(name, name)), **options)
    _fits(document, path, "POST", response)


_DOCS = (CHECKOUT / "docs" / "api.md").read_text(encoding="utf-8")
_SECTIONS = dict(re.findall(r"^## `([A-Z]+ /api/v1\S*)`$(.*?)(?=^## |\Z)", _DOCS, flags=re.MULTILINE | re.DOTALL))


def _examples(language: str, section: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)


def test_every_operation_is_in_the_handbook_in_three_languages(document):
    described = {f"{method.upper()} {path}" for path, found in document["paths"].items() for method in found}
    assert set(_SECTIONS) == described
    for section in _SECTIONS.values():
        assert all(_examples(language, section) for language in ("bash", "python", "javascript"))


def test_every_parameter_is_in_the_handbook(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            section = _SECTIONS[f"{method.upper()} {path}"]
            names = [found["name"] for found in operation["parameters"] if found["in"] == "query"]
            assert [name for name in names if f"`{name}`" not in section] == []


@pytest.fixture(scope="session")
def address(api):
    port = free_port()
    with part(api.folder, "tests.dashboard.api.served", str(api.folder), str(port)):
        wait_for(lambda: answer(f"http://127.0.0.1:{port}/api/v1/runs") == 200, 30)
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("name", _SECTIONS)
@pytest.mark.parametrize("language", ["python", "bash"])
def test_the_examples_run(api, address, name, language):
    env = os.environ | {
        "VITRINE": address,
        "RUN": api.runs["classification"],
        "IMAGE_RUN": api.runs["images"],
        "no_proxy": "127.0.0.1",
    }
    runners = {"python": [sys.executable, "-c"], "bash": ["bash", "-ec"]}
    if language == "bash" and not shutil.which("curl"):
        pytest.skip("needs curl")
    for number, picture in enumerate(("first.png", "second.png")):
        shutil.copy(api.folder / f"digit{number}.png", api.folder / picture)
    for example in _examples(language, _SECTIONS[name]):
        done = subprocess.run(
            [*runners[language], example], env=env, cwd=api.folder, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0 and done.stdout.strip() and '"error"' not in done.stdout, done.stdout + done.stderr


JOBS = ("discovered", "batch")  # left out below, because they would leave work behind
QUICK = hypothesis.settings(
    max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)


def test_what_the_document_allows_and_what_it_forbids_is_answered_as_it_says(api):
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", api.client.application)
    operations = [found.ok() for found in schema.get_all_operations()]
    asked = [operation for operation in operations if not any(word in operation.path for word in JOBS)]
    assert len(asked) >= 9
    statuses = set()
    for operation in asked:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            statuses |= statuses_of(operation, mode, sorted(api.runs.values()))
    assert 500 not in statuses
    assert {200, 400, 404} <= statuses


def statuses_of(operation, mode, runs):
    """The statuses of an operation's answers, each documented and of the documented shape."""
    names = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    checks, statuses = [schemathesis.checks.CHECKS.get_one(name) for name in names], set()

    @QUICK
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), run=st.none() | st.sampled_from(runs))
    def ask(case, run):
        if run and "run_id" in (case.path_parameters or {}):
            case.path_parameters["run_id"] = run
        response = case.call()
        statuses.add(response.status_code)
        case.validate_response(response, checks=checks)

    with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # because some operations forbid nothing
        ask()
    return statuses
