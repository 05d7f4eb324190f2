"""Tags that Vitrine leaves on runs."""

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlflow_runs.errors import StoreUnavailable

LONGEST = 8000


def set_run_tag(client: MlflowClient, run_id: str, key: str, value: str) -> None:
    """Set a tag of at most 8,000 characters; StoreUnavailable says why the store refused it."""
    if len(value) > LONGEST:
        raise StoreUnavailable(f"the tag {key} would have {len(value)} characters; MLflow keeps {LONGEST}")
    try:
        client.set_tag(run_id, key, value)
    except (MlflowException, OSError) as exc:
        text = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
        raise StoreUnavailable(f"the tracking store refused the tag {key}: {text}") from exc
