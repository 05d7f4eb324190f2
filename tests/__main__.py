"""All tests in three processes side by side, `python -m tests`: the journeys in a browser, the parts, and the rest."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_PYTEST = [sys.executable, "-m", "pytest"]
_JOURNEYS = ["tests/browser"]
# much of their time is waiting for processes to start and to leave
_PARTS = [*sorted(map(str, Path("tests/dashboard").glob("test_*.py"))), "tests/mlflow_runs", "tests/test_deployment.py"]


def main() -> int:
    """The exit status: 0 when all passed. What parts and journeys print comes after the rest."""
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(_told, paths) for paths in (_PARTS, _JOURNEYS)]
        elsewhere = [f"--ignore={path}" for path in (*_PARTS, *_JOURNEYS)]
        failed = subprocess.run([*_PYTEST, *elsewhere], check=False).returncode
        for done in (other.result() for other in others):
            sys.stdout.write(done.stdout)
            failed = failed or done.returncode
    return failed


def _told(paths: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_PYTEST, *paths], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
