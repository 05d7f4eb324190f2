"""Run the real supervisor over parts given as JSON [[name, python code, once, after_store], ...]; used by tests."""

import json
import sys

from dashboard.parts import Part, environment_parts
from dashboard.settings import Settings
from dashboard.supervisor import Supervisor, clear_predecessor, say


def main(text: str) -> None:
    settings = Settings()
    clear_predecessor(settings.folder("run") / "supervisor.json")
    parts = [
        Part(name, (sys.executable, "-c", code), {"PART": name}, once, after_store)
        for name, code, once, after_store in json.loads(text)
    ]
    Supervisor(settings, parts, say, grace=2.0, on_demand=lambda: environment_parts(settings)).run()


if __name__ == "__main__":
    main(sys.argv[1])
