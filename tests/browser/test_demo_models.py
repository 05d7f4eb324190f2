"""Every demo model through the running product's engine answers as the bare model does, at batch 1, 7 and 64."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.cache import ResultCache
from dashboard.inference.asking import Ask
from dashboard.inference.cards import ModelCard
from dashboard.inference.client import InferenceClient
from dashboard.settings import Settings
from mlflow_runs.index import RunIndex
from tests.browser.conftest import PUBLISHED, newest

# MLflow warns of its own type hints when models are loaded here, beside the product
pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("ignore::UserWarning")]
_SIDE = 32


@pytest.fixture(scope="module")
def client(demo: Any, tmp_path_factory: Any) -> Iterator[InferenceClient]:
    """A client of the product's engine with a result cache of its own."""
    index = RunIndex(demo.data_dir / "index.db")
    cache = ResultCache(tmp_path_factory.mktemp("cache"), 64)
    made = InferenceClient(demo.data_dir, cache, index, Settings(data_dir=demo.data_dir, tracking_uri=""))
    yield made
    made.close()
    index.close()


def _bare(folder: Path, card: ModelCard) -> Any:
    """The model as MLflow loads it, without the engine, as a function over arrays."""
    import mlflow
    import torch

    from dashboard.inference.loading import as_outputs

    if "pytorch" not in card.flavors:
        model = mlflow.sklearn.load_model(str(folder))
        predict = getattr(model, "predict_proba", model.predict)
        return lambda values: {"": predict(_frame(values))}
    module = mlflow.pytorch.load_model(str(folder))

    def run(values: dict[str, Any]) -> dict[str, Any]:
        with torch.inference_mode():
            return as_outputs(module(*(torch.from_numpy(array) for array in values.values())))

    return run


def _frame(values: dict[str, Any]) -> Any:
    frame = pd.DataFrame({name: array[:, 0] for name, array in values.items()})
    return frame.iloc[:, 0] if list(frame.dtypes) == [object] else frame


def _inputs(card: ModelCard, rows: int) -> dict[str, Any]:
    generator = np.random.default_rng(rows)
    if card.tensors:
        sides = {spec.name: [_SIDE if n < 0 else n for n in spec.shape[1:]] for spec in card.tensors}
        return {s.name: generator.random((rows, *sides[s.name])).astype(s.dtype) for s in card.tensors}
    if card.kind == "text":
        return {card.inputs[0].name: np.array([[f"array of shape {n}"] for n in range(rows)], dtype=object)}
    return {field.name: generator.uniform(1, 20, (rows, 1)) for field in card.inputs}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_engine_answers_as_the_bare_model(client: InferenceClient, demo: Any, name: str) -> None:
    card = client.card(newest(demo, name)["run_id"])
    (folder,) = (demo.data_dir / "mlartifacts").rglob(f"{card.model_id}/artifacts")
    bare = _bare(folder, card)
    for rows in (1, 7, 64):
        values = _inputs(card, rows)
        given = client.routes.engine(card).infer(Ask(card, values, time.monotonic() + 60)).tensors
        expected = bare(values)
        assert len(given) == len(expected)
        for found, wanted in zip(given.values(), expected.values(), strict=True):
            np.testing.assert_allclose(found, np.asarray(wanted), rtol=1e-3, atol=1e-4)
