"""Makes flags from many threads and prints each id once it is acknowledged: `python -m tests.dashboard.flag_maker`.

Arguments: the state database's address, the run id, how many.
"""

import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

from dashboard.flags import Flag, Flags


def main(url: str, run_id: str, count: int) -> None:
    """Add the flags, some with a picture."""
    flags = Flags(url)

    def add(number: int) -> None:
        made = Flag(
            id=uuid.uuid4().hex, run_id=run_id, model="m", version="1", model_id="m-1", verdict="wrong",
            corrected='"b"', reason=str(number), author="ann", created=1_700_000_000 + number, input='{"x": 1}',
            output='{"label": "a"}', source="your values",
        )  # fmt: skip
        flags.add(made, b"\x89PNG\r\n\x1a\n" + bytes(number) if number % 3 == 0 else b"")
        sys.stdout.write(f"{made.id}\n")
        sys.stdout.flush()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add, range(count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
