"""A small Dash application whose one background callback behaves in every way a job can; used by test_jobs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dash
import diskcache
import flask
from dash import Input, Output, State, dcc, html

from dashboard.errors import BadInput
from dashboard.jobs import background_manager, original_error
from dashboard.settings import Settings

OUTPUT = "out.children"


def create_server() -> flask.Flask:
    return create_dash().server


def create_dash() -> dash.Dash:
    settings = Settings()
    app = dash.Dash(
        server=flask.Flask("jobs"),
        use_async=False,
        on_error=lambda error: f"{type(original_error(error)).__name__}: {original_error(error)}",
        background_callback_manager=_manager(settings),
        health_endpoint="health",
    )
    app.server.secret_key = "only for this test"
    app.layout = html.Div(
        [html.Button(id="go"), html.Button(id="stop"), dcc.Input(id="what", value="add 1")]
        + [html.Div(id=name) for name in ("out", "progress", "queue", "side")]
    )
    app.callback(
        Output("out", "children"),
        Input("go", "n_clicks"),
        State("what", "value"),
        progress=[Output("progress", "children")],
        background=True,
        interval=100,
        cancel=[Input("stop", "n_clicks")],
        prevent_initial_call=True,
    )(work)
    if not os.environ.get("STOCK_MANAGER"):
        app._background_manager.offer("offered", offered)
    return app


def offered(report: Any, what: str, path: str) -> None:
    """A job without a page: leaves its result in a file, or fails."""
    report(0.5, "halfway")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "refuse":
        raise BadInput("this cannot be used")
    Path(path).with_suffix(".begun").touch()
    while not Path(path).with_suffix(".go").exists():
        time.sleep(0.02)
    Path(path).write_text("done")


def _manager(settings: Settings) -> Any:
    if os.environ.get("STOCK_MANAGER"):
        return dash.DiskcacheManager(diskcache.Cache(str(settings.data_dir / "stock")))
    return background_manager(settings, waiting=("queue", "children"))


def work(set_progress: Any, _clicks: int, what: str) -> Any:
    kind, _, argument = what.partition(" ")
    return _KINDS[kind](set_progress, argument)


def _add(_: Any, argument: str) -> Any:
    return {"sum": int(argument) + 1, "pid": os.getpid()}


def _slow(set_progress: Any, argument: str) -> Any:
    for step in range(100):
        set_progress(f"{step}%")
        time.sleep(float(argument) / 100)
    return "slow done"


def _raise(_: Any, argument: str) -> Any:
    raise ValueError(f"cannot use {argument}")


def _bad(_: Any, argument: str) -> Any:
    raise BadInput(f"{argument}: not a number")


def _object(_: Any, argument: str) -> Any:
    return lambda: None


def _die(_: Any, argument: str) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _exit(_: Any, argument: str) -> Any:
    os._exit(3)


def _stubborn(_: Any, argument: str) -> Any:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(argument).write_text(str(os.getpid()))
    time.sleep(60)


def _family(_: Any, argument: str) -> Any:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(argument).write_text(f"{os.getpid()} {child.pid}")
    child.wait()


def _tidy(_: Any, argument: str) -> Any:
    try:
        Path(argument).write_text("working")
        time.sleep(60)
    finally:
        Path(argument).write_text("let go")


def _nothing(_: Any, argument: str) -> Any:
    raise dash.exceptions.PreventUpdate


def _side(_: Any, argument: str) -> Any:
    dash.set_props("side", {"children": "one"})
    dash.set_props("queue", {"title": "two"})
    return "side done"


_KINDS = {
    "add": _add,
    "slow": _slow,
    "raise": _raise,
    "bad": _bad,
    "object": _object,
    "die": _die,
    "exit": _exit,
    "stubborn": _stubborn,
    "family": _family,
    "tidy": _tidy,
    "nothing": _nothing,
    "side": _side,
}
