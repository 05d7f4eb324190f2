"""Tags on runs of a real store; a refusal is a sentence."""

import pytest
from mlflow import MlflowClient

from mlflow_runs.errors import StoreUnavailable
from mlflow_runs.run_tags import LONGEST, set_run_tag

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # MLflow's own queries


@pytest.fixture
def client(store_uri):
    return MlflowClient(tracking_uri=store_uri)


def test_a_tag_is_set_and_replaced(client):
    run_id = client.create_run(client.get_experiment_by_name("exp").experiment_id).info.run_id
    for value in ("one", "x" * LONGEST):
        set_run_tag(client, run_id, "vitrine.engines", value)
        assert client.get_run(run_id).data.tags["vitrine.engines"] == value


def test_a_refusal_says_why(client):
    with pytest.raises(StoreUnavailable, match="refused the tag"):
        set_run_tag(client, "f" * 32, "vitrine.engines", "x")
    with pytest.raises(StoreUnavailable, match="8001 characters"):
        set_run_tag(client, "f" * 32, "vitrine.engines", "x" * 8001)
