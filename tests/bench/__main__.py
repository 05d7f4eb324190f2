"""Run every benchmark beside this file and print its table: `python -m tests.bench [name ...]`."""

import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def names(wanted: Sequence[str]) -> list[str]:
    """The benchmarks of this folder (`bench_<name>.py` with a `main()`), all or the wanted ones."""
    found = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    unknown = sorted(set(wanted) - set(found))
    if unknown:
        raise SystemExit(f"No benchmark is called {', '.join(unknown)}; there are: {', '.join(found)}.")
    return [name for name in found if not wanted or name in wanted]


def main(wanted: Sequence[str]) -> None:
    for name in names(wanted):
        print(f"\n== {name}", flush=True)
        begin = time.monotonic()
        importlib.import_module(f"tests.bench.bench_{name}").main()
        print(f"   ({time.monotonic() - begin:.0f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
