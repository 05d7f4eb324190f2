"""The same models in Gradio and in a plain Streamlit script, as their documentation begins; for bench_panel.

None of them is a dependency: bench_panel starts them with the interpreter that PANEL_PEERS names.
"""

import functools
import sys
from typing import Any

import numpy as np


def text_model(folder: str) -> Any:
    """From a text to a share per class."""
    import mlflow.sklearn
    import pandas as pd

    model = mlflow.sklearn.load_model(folder)
    return lambda text: dict(zip(model.classes_, model.predict_proba(pd.DataFrame({"text": [text]}))[0], strict=True))


def drawing_model(folder: str) -> Any:
    """From six numbers to grey values of 0 to 255, height x width."""
    import mlflow.pytorch
    import torch

    torch.set_num_threads(1)
    model = mlflow.pytorch.load_model(folder)

    def draw(*values: float) -> Any:
        with torch.inference_mode():
            return np.rint(255 * model(torch.tensor([values]))[0, 0].numpy()).astype(np.uint8)

    return draw


def gradio_text(folder: str, port: int) -> None:
    """An Interface whose function loads the model at its first call and remembers its answers."""
    import gradio

    model = functools.cache(lambda: text_model(folder))
    predict = functools.lru_cache(lambda text: model()(text))
    box, label = gradio.Textbox(lines=8), gradio.Label(num_top_classes=5)
    gradio.Interface(lambda text: predict(text), box, label, flagging_mode="never").launch(
        server_name="127.0.0.1", server_port=port, quiet=True
    )


def gradio_drawing(folder: str, port: int) -> None:
    """A live Interface with six sliders."""
    import gradio

    sliders = [gradio.Slider(-3, 3, value=0, step=0.03) for _ in range(6)]
    panel = gradio.Interface(drawing_model(folder), sliders, gradio.Image(), live=True, flagging_mode="never")
    panel.launch(server_name="127.0.0.1", server_port=port, quiet=True)


def streamlit_text(folder: str) -> None:
    """A form; the model and its answers are cached as Streamlit does."""
    import streamlit

    model = streamlit.cache_resource(text_model)
    predict = streamlit.cache_data(lambda text: model(folder)(text))
    with streamlit.form("panel"):
        text = streamlit.text_area("Text")
        asked = streamlit.form_submit_button("Predict")
    if asked:
        shares = predict(text)
        streamlit.subheader(max(shares, key=shares.get))
        streamlit.bar_chart(shares)


def streamlit_drawing(folder: str) -> None:
    """Six sliders and the picture."""
    import streamlit

    model = streamlit.cache_resource(drawing_model)
    values = [streamlit.slider(f"Number {n}", -3.0, 3.0, 0.0, 0.03) for n in range(1, 7)]
    streamlit.image(model(folder)(*values), width=320)


if __name__ == "__main__":
    name, folder, *port = sys.argv[1:]
    if port:
        {"text": gradio_text, "drawing": gradio_drawing}[name](folder, int(port[0]))
    else:
        {"text": streamlit_text, "drawing": streamlit_drawing}[name](folder)
