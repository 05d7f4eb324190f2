"""Building a model's own environment, as a background job: a venv over the engine's packages, then pip, then a check.

The venv sees the engine's own packages behind its own (a `.pth` file), and pip resolves the model's requirements
together with what the engine needs: whatever no longer fits is installed anew inside the venv, nothing else is.
Measured with scikit-learn 1.5.2 and numpy 1.26: three packages, 211 MB and 36 s, against more than a hundred packages
in a venv that shares nothing. Where packages come from is pip's own configuration (PIP_INDEX_URL, pip.conf).
"""

import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dashboard import processes
from dashboard.inference.environments import Environment, base, digest_of, folder, make_room, record
from dashboard.inference.environments import python as interpreter
from dashboard.inference.requirements import wanted
from dashboard.settings import CHECKOUT, Settings
from mlflow_runs.errors import DashboardError

Report = Callable[[str, float], None]

_PINNED = ("mlflow", "mosec")
_IMPORTS = "mosec, mlflow.pyfunc, numpy, onnxruntime, pandas, torch, dashboard.inference.worker"
_STEPS = ((re.compile(r"^Collecting (\S+)"), 0.1), (re.compile(r"^\s*Downloading (\S+)"), 0.3))
_NOT_FOUND = re.compile(r"No matching distribution found for (.+)$", re.MULTILINE)
_CONFLICT = re.compile(r"^(?:ERROR: )?(Cannot install .+|ResolutionImpossible.*)$", re.MULTILINE)


class CannotBuild(DashboardError):
    """The environment cannot be built; the text says which packages are in the way."""

    code = "cannot_build"
    status = 422


def build(settings: Settings, requirements: Sequence[str], report: Report) -> Environment:
    """The environment for these requirements, built where it is not there; `report(step, share)` hears how far it is.

    Raises CannotBuild naming the packages that cannot be had or do not go together.
    """
    digest = digest_of(requirements)
    place = folder(settings.data_dir, digest)
    limit = settings.environments_mb * 2**20
    if not limit:
        raise CannotBuild("Own environments are switched off (VITRINE_ENVIRONMENTS_MB is 0).")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with processes.lock_folder(place / "lock"):
            made = _made(place, digest, requirements, report, limit)
    except processes.DataFolderInUse as exc:
        raise CannotBuild(f"This environment is being built already (process {exc}).") from exc
    finally:
        if not (place / "ready.json").exists():
            shutil.rmtree(place / "venv", ignore_errors=True)
    make_room(settings.data_dir, limit, settings.environment_idle, keep=digest)
    return made


def _made(place: Path, digest: str, requirements: Sequence[str], report: Report, limit: int) -> Environment:
    started, data_dir = time.time(), place.parent.parent
    (place / "ready.json").unlink(missing_ok=True)
    (place / "build.log").unlink(missing_ok=True)
    shutil.rmtree(place / "venv", ignore_errors=True)
    report("Making a virtual environment", 0.02)
    _run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], place, report, limit)
    python = interpreter(data_dir, digest)
    _share_packages(place / "venv")
    before = _installed(place)
    asked = [*wanted(requirements), *_needed()]
    report("Choosing packages", 0.08)
    pip = [str(python), "-m", "pip", "install", "--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    _run([*pip, "--progress-bar", "off", *asked], place, report, limit)
    report("Checking that the engine starts in it", 0.9)
    _run([str(python), "-c", f"import {_IMPORTS}"], place, report, limit)
    made = Environment(
        digest=digest,
        requirements=wanted(requirements),
        installed=tuple(sorted(_installed(place) - before)),
        bytes=_size(place),
        made=time.time(),
        seconds=time.time() - started,
    )
    record(data_dir, made)
    return made


def _needed() -> list[str]:
    """The engine's own needs: MLflow and mosec exactly as here, the rest in any version that goes with the model's."""
    return [text if text.split("==")[0] in _PINNED else text.split("==")[0] for text in base()]


def _share_packages(venv: Path) -> None:
    paths = sysconfig.get_paths(vars={"base": str(venv), "platbase": str(venv)})
    ours = sysconfig.get_paths()
    lines = dict.fromkeys((ours["purelib"], ours["platlib"]))
    Path(paths["purelib"], "zz_engine.pth").write_text("\n".join(lines) + "\n")
    (venv / "bin" / "mosec").symlink_to(Path(ours["scripts"], "mosec"))  # because mosec looks for its server there


def _installed(place: Path) -> set[str]:
    """Name and version of the packages inside the environment itself."""
    found = place.glob("venv/lib/python*/site-packages/*.dist-info")
    return {path.name.removesuffix(".dist-info").replace("-", "==", 1) for path in found}


def _size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file() and not path.is_symlink())


def _run(command: Sequence[str], place: Path, report: Report, limit: int) -> None:
    """Run a command, its output into build.log and its progress to `report`; it ends with this process."""
    with (
        (place / "build.log").open("a") as log,
        subprocess.Popen(
            command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        threading.Thread(target=_watch_size, args=(process, place, limit), daemon=True).start()
        try:
            for line in process.stdout or ():
                log.write(line)
                log.flush()
                _tell(line, report)
            status = process.wait()
        finally:
            process.kill()
    if status:
        raise CannotBuild(_explained((place / "build.log").read_text(), place, status, limit))


def _watch_size(process: "subprocess.Popen[str]", place: Path, limit: int) -> None:
    while process.poll() is None:
        time.sleep(1.0)
        if _size(place) > limit:
            process.send_signal(signal.SIGTERM)
            return


def _tell(line: str, report: Report) -> None:
    text = " ".join(line.split())[:160]
    share = next((share for pattern, share in _STEPS if pattern.match(line)), None)
    if line.startswith("Installing collected packages"):
        share = 0.6
    if share is not None:
        report(text, share)


def _explained(log: str, place: Path, status: int, limit: int) -> str:
    if _size(place) > limit:
        return f"The environment grew beyond its budget of {limit / 2**20:.0f} MB (VITRINE_ENVIRONMENTS_MB)."
    missing = [name.strip() for name in _NOT_FOUND.findall(log)]
    if missing:
        return f"These packages cannot be had here: {', '.join(dict.fromkeys(missing))}."
    conflict = _CONFLICT.search(log)
    if conflict:
        return f"The requirements do not go together with the engine's: {' '.join(conflict[1].split())[:400]}"
    errors = [line for line in log.splitlines() if "error" in line.lower()] or log.splitlines()[-1:] or ["no output"]
    return f"Building the environment failed (status {status}): {' '.join(errors[-1].split())[:300]}"
