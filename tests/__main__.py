"""All tests in two processes side by side, `python -m tests`: those in the browser, and the rest."""

import subprocess
import sys
import tempfile

_PYTEST = [sys.executable, "-m", "pytest"]


def main() -> int:
    """The exit status: 0 when both passed. What the browser tests print comes after the rest."""
    with tempfile.TemporaryFile("w+") as later:
        journeys = subprocess.Popen([*_PYTEST, "tests/browser"], stdout=later, stderr=subprocess.STDOUT)
        rest = subprocess.run([*_PYTEST, "--ignore=tests/browser"], check=False).returncode
        browser = journeys.wait()
        later.seek(0)
        sys.stdout.write(later.read())
    return rest or browser


if __name__ == "__main__":
    sys.exit(main())
