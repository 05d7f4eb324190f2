"""All tests in two processes side by side, `python -m tests`: the journeys through the whole product, and the rest."""

import subprocess
import sys
import tempfile

_PYTEST = [sys.executable, "-m", "pytest"]
# about half of the time
_JOURNEYS = [
    "tests/browser",
    "tests/test_deployment.py",
    "tests/dashboard/test_celery_worker.py",
    "tests/mlflow_runs/demo",
]


def main() -> int:
    """The exit status: 0 when both passed. What the journeys print comes after the rest."""
    with tempfile.TemporaryFile("w+") as later:
        journeys = subprocess.Popen([*_PYTEST, *_JOURNEYS], stdout=later, stderr=subprocess.STDOUT)
        rest = subprocess.run([*_PYTEST, *(f"--ignore={path}" for path in _JOURNEYS)], check=False).returncode
        failed = journeys.wait()
        later.seek(0)
        sys.stdout.write(later.read())
    return rest or failed


if __name__ == "__main__":
    sys.exit(main())
