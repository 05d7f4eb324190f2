"""The digit generator: what it draws, how well it draws a digit again, and that it is published without a table."""

from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from mlflow_runs.demo.__main__ import publish_demo
from mlflow_runs.demo.digit_generator import load, task


@pytest.fixture(scope="module")
def split():
    return load()


def test_digits_are_split_without_overlap(split):
    assert (len(split.train), len(split.evaluation), len(split.production)) == (1500, 297, 0)
    assert not set(split.train["id"]) & set(split.evaluation["id"])


def test_training_again_gives_the_same_figures_and_beats_the_mean_picture(split):
    version = task(epochs=3).versions[1]
    first, second = (version.fit(split.train).answer(split.evaluation) for _ in range(2))
    assert first.equals(second)
    assert first["reconstruction_error"].mean() < 0.25  # drawing the mean picture every time gives 0.27


@pytest.mark.filterwarnings("ignore::UserWarning:mlflow")
@pytest.mark.filterwarnings("ignore::FutureWarning:mlflow")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_is_published_with_its_figure_and_draws_from_its_metadata(make_store):
    uri = make_store()
    publish_demo([task(epochs=1)], uri, str(Path(uri.removeprefix("sqlite:///")).parent / "files"), lambda text: None)
    client = MlflowClient(uri)
    version = client.get_model_version_by_alias("digit-generator", "champion")
    run = client.get_run(version.run_id)
    assert run.info.run_name == "six numbers"
    assert set(run.data.metrics) == {"reconstruction_error"}
    assert not [item.path for item in client.list_artifacts(version.run_id) if item.path.endswith(".parquet")]
    source = f"models:/digit-generator/{version.version}"
    info = mlflow.models.get_model_info(source)
    assert info.metadata["input"]["kind"] == "latent"
    drawn = mlflow.pyfunc.load_model(source).predict(np.zeros((3, 6), np.float32))
    assert drawn.shape == (3, 1, 64, 64)
    assert 0 <= drawn.min() < drawn.max() <= 1
