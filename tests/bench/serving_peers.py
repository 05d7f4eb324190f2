"""Other servers holding the same model, each as its own documentation begins; started by bench_serving.

None of them is a dependency; what is not importable is left out of the table.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np


def torch_model(folder: str) -> Any:
    import mlflow.pytorch
    import torch

    torch.set_num_threads(1)
    model = mlflow.pytorch.load_model(folder)
    return lambda values: _forward(torch, model, values)


def _forward(torch: Any, model: Any, values: Any) -> Any:
    with torch.inference_mode():
        return model(torch.as_tensor(np.asarray(values, dtype=np.float32))).numpy()


def gradio(port: int, folder: str) -> None:
    """Gradio with batching, its queue and API."""
    import json

    import gradio

    model = torch_model(folder)

    def predict(texts: list[str]) -> list[list[str]]:
        return [[json.dumps(row.tolist()) for row in model([json.loads(text) for text in texts])]]

    panel = gradio.Interface(predict, "text", "text", batch=True, max_batch_size=32, api_name="predict")
    panel.queue(default_concurrency_limit=1, max_size=None)
    panel.launch(server_name="127.0.0.1", server_port=port, quiet=True)


def mlflow(port: int, folder: str) -> None:
    """`mlflow models serve` in this environment."""
    import os

    import uvicorn

    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", folder, "-p", str(port)]
    # because it calls uvicorn by name
    beside = Path(uvicorn.__file__).parents[4] / "bin"
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{beside}:{os.environ['PATH']}"
    os.execv(sys.executable, [*command, "--env-manager", "local", "--workers", "1"])


def stock(port: int, folder: str) -> None:
    """A Dash background callback as its documentation shows it: the job loads the model and predicts."""
    import dash
    import diskcache
    from dash import Input, Output, State, dcc, html

    cache = diskcache.Cache(str(Path(folder).parent / "stock-jobs"))
    app = dash.Dash(background_callback_manager=dash.DiskcacheManager(cache), health_endpoint="health")
    app.layout = html.Div([html.Button(id="go"), dcc.Input(id="what"), html.Div(id="out")])

    @app.callback(  # type: ignore[untyped-decorator,unused-ignore]
        Output("out", "children"),
        Input("go", "n_clicks"),
        State("what", "value"),
        background=True,
        prevent_initial_call=True,
    )
    def predict(_clicks: int, values: list[Any]) -> str:
        return str(torch_model(folder)([values])[0].argmax())

    app.run(host="127.0.0.1", port=str(port), debug=False, threaded=True)


if __name__ == "__main__":
    servers = {"gradio": gradio, "mlflow": mlflow, "stock": stock}
    servers[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
