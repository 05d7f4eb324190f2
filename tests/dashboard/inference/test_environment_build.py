"""A model that needs another version of a package: built from a local wheel, served by a real engine of its own."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dashboard.cache import ResultCache
from dashboard.inference import environments
from dashboard.inference.client import InferenceClient
from dashboard.inference.environment_build import CannotBuild, build
from dashboard.settings import Settings
from mlflow_runs.index import RunIndex
from tests.conftest import CHECKOUT, alive, left_over, wait_for

pytestmark = pytest.mark.process


def wheel(folder: Path, name: str, version: str) -> None:
    """A package with one empty module."""
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}/__init__.py", "")
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Pip sees a folder with one wheel and nothing else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel(folder, "iniconfig", "99.0")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    return folder


def test_built_served_by_an_engine_of_its_own_and_stopped_when_idle(store, tmp_path, offline):
    data = tmp_path / "data"
    data.mkdir()
    index = RunIndex(store["index"])
    run = store["runs"]["pinned"]
    requirements = index.run(run).model_info.requirements
    settings = Settings(data_dir=data, tracking_uri=store["uri"], engine_timeout=120.0, engine_threads=1)
    steps = []
    made = build(settings, requirements, lambda step, share: steps.append((share, step)))
    assert made.installed == ("iniconfig==99.0",)
    assert made.requirements == ("iniconfig==99.0",)
    assert steps[0] == (0.02, "Making a virtual environment")
    assert steps[-1][0] == 0.9
    assert made.bytes < 20 * 2**20
    given = {"VITRINE_DATA_DIR": data, "VITRINE_TRACKING_URI": store["uri"], "VITRINE_ENGINE_THREADS": 1}
    idle = {"VITRINE_ENVIRONMENT_IDLE": 5, "VITRINE_PORT": 1}
    environment = {**os.environ, **{name: str(value) for name, value in {**given, **idle}.items()}}
    command = [sys.executable, "-m", "tests.dashboard.fake_supervisor", "[]"]
    supervisor = subprocess.Popen(command, cwd=CHECKOUT, env=environment, start_new_session=True)
    client = InferenceClient(data, ResultCache(data / "cache", 16), index, settings)
    try:
        assert client.predict(run, [{"x": 1.0}]).predictions[0].value == 99.0
        file = data / "run" / f"{environments.engine_name(made.digest)}.json"
        pid = client.routes.engine(client.card(run))._wire.address().pid
        assert file.exists()
        wait_for(lambda: not alive(pid), 60)
    finally:
        client.close()
        index.close()
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(20)
    wait_for(lambda: left_over(data) == [], 10)


def test_what_cannot_be_had_is_named_and_leaves_no_half_environment(tmp_path, offline):
    settings = Settings(data_dir=tmp_path / "data")
    wanted = ["iniconfig==98.0", "mlflow==1.0"]
    with pytest.raises(CannotBuild, match=r"These packages cannot be had here: iniconfig==98\.0\."):
        build(settings, wanted, lambda *_: None)
    digest = environments.digest_of(wanted)
    assert environments.ready(settings.data_dir, wanted) is None
    assert "iniconfig" in (environments.folder(settings.data_dir, digest) / "build.log").read_text()
    assert not (environments.folder(settings.data_dir, digest) / "venv").exists()


def test_without_a_budget_nothing_is_built(tmp_path):
    with pytest.raises(CannotBuild, match="VITRINE_ENVIRONMENTS_MB is 0"):
        build(Settings(data_dir=tmp_path, environments_mb=0), ["x"], lambda *_: None)
