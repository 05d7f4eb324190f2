"""Files through a run's model: what an upload holds, its finished result, and the work itself."""

from collections.abc import Callable, Mapping
from typing import Any

from dashboard import uploads
from dashboard.errors import BadInput
from dashboard.inference.batch import BatchSummary, finished, predict_file, result_key
from dashboard.inference.batch_files import BatchFile, inspect
from dashboard.inference.cards import model_card
from dashboard.inference.outputs import Prediction
from dashboard.services import Services


def batch_found(services: Services, run_id: str, token: Mapping[str, Any]) -> BatchFile:
    """What an uploaded file holds for the run's model; BadInput names what does not fit."""
    card = model_card(services.runs.run(run_id))
    try:
        return inspect(uploads.uploaded(services.settings, str(token.get("key"))), card)
    except BadInput as exc:
        raise BadInput(f"{_name(token)}: {exc}") from exc


def batch_finished(services: Services, run_id: str, token: Mapping[str, Any]) -> BatchSummary | None:
    """The result of the same file through the same model, where it was computed before."""
    info = services.runs.run(run_id).model_info
    if info is None:
        return None
    return finished(uploads.results(services.settings), result_key(info.model_id, str(token.get("key"))), _name(token))


def run_batch(
    services: Services, run_id: str, token: Mapping[str, Any], report: Callable[[int, int], None]
) -> BatchSummary:
    """Predict an uploaded file through the engine; `report(done, total)` hears of every chunk."""
    path = uploads.uploaded(services.settings, str(token.get("key")))
    card = model_card(services.runs.run(run_id))

    def ask(given: list[Any]) -> tuple[Prediction, ...]:
        return services.inference.predict(run_id, given).predictions

    return predict_file(path, card, _name(token), ask, uploads.results(services.settings), report)


def _name(token: Mapping[str, Any]) -> str:
    return str(token.get("name", "file"))[:120]
