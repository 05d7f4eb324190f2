"""The wiring that every background job with a button, a cancel and a bar shares."""

from collections.abc import Sequence
from typing import Any

from dash import Input, Output


def background_job(
    run: str, cancel: str, ask: str, look: str, progress: Sequence[Output], step: str = "", interval: int = 300
) -> dict[str, Any]:
    """Keywords of `app.callback` for a job: button `run`, button `cancel`, and the row `ask` with both and the bar.

    While the job is at work the run button is off, the cancel button on, and the row, whose class is `look` at other
    times, is `running`. With `step`, the words beside the bar, the bar (first of `progress`) begins anew.
    `interval` is the time between two looks at the job in ms.
    """
    began = [(progress[0], "0", "0"), (Output(step, "children"), "Starting …", "")] if step else []
    return {
        "background": True,
        "interval": interval,
        "running": [
            (Output(run, "disabled"), True, False),
            (Output(cancel, "disabled"), False, True),
            *began,
            (Output(ask, "className"), f"{look} running", look),
        ],
        "progress": list(progress),
        "cancel": [Input(cancel, "n_clicks")],
        "prevent_initial_call": True,
    }
