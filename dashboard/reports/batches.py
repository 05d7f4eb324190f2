"""Files through a run's model: what an upload holds, its finished result, and the work itself."""

from collections.abc import Callable, Mapping
from typing import Any

from dashboard import uploads
from dashboard.access.users import require_editor
from dashboard.errors import BadInput
from dashboard.inference.batch import BatchSummary, finished, predict_file, result_key
from dashboard.inference.batch_files import BatchFile, inspect
from dashboard.inference.cards import model_card
from dashboard.inference.outputs import Prediction
from dashboard.services import Services
from dashboard.shared_work import SharedWork


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
    """Predict an uploaded file through the engine, or follow who does; `report(done, total)` hears of every chunk."""
    path = uploads.uploaded(services.settings, str(token.get("key")))
    card = model_card(services.runs.run(run_id))

    def ask(given: list[Any]) -> tuple[Prediction, ...]:
        return services.inference.predict(run_id, given).predictions

    def work(told: Callable[..., None]) -> BatchSummary:
        return predict_file(path, card, _name(token), ask, uploads.results(services.settings), told)

    shared = _work(services, card.model_id, token)
    return shared.run(work, lambda: batch_finished(services, run_id, token), report)


def batch_running(services: Services, run_id: str, token: Mapping[str, Any]) -> bool:
    """Whether the file is going through the run's model now, for whichever page."""
    info = services.runs.run(run_id).model_info
    return info is not None and _work(services, info.model_id, token).running()


def cancel_batch(services: Services, run_id: str, token: Mapping[str, Any]) -> None:
    """End it, whichever page began it."""
    require_editor("cancel a batch")
    _work(services, model_card(services.runs.run(run_id)).model_id, token).cancel()


def _work(services: Services, model_id: str, token: Mapping[str, Any]) -> SharedWork:
    return SharedWork(services.settings.folder("run/work"), result_key(model_id, str(token.get("key"))))


def _name(token: Mapping[str, Any]) -> str:
    return str(token.get("name", "file"))[:120]
