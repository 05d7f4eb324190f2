"""What a model needs beyond the engine's packages, the environment of its own, and the job that builds it."""

from collections.abc import Callable
from dataclasses import dataclass

from dashboard.access.users import require_editor
from dashboard.inference import environments
from dashboard.inference.cards import model_card
from dashboard.inference.environment_build import build
from dashboard.inference.environments import Environment
from dashboard.inference.requirements import clashes, unmet, wanted
from dashboard.services import Services
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.records import RunRow

Report = Callable[[str, float], None]
_LAST_LINES = 12


@dataclass(frozen=True)
class ModelNeeds:
    """A run's model and its requirements: `unmet` here, `wanted` for an environment of its own.

    `environment` is that environment where it is built, `serving` whether its engine runs; `failed` are the last lines
    of a build that failed; `elsewhere` is the server that answers for the model, `reason` why there is nothing to say.
    """

    run: RunRow
    unmet: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    buildable: bool = False
    environment: Environment | None = None
    serving: bool = False
    failed: tuple[str, ...] = ()
    elsewhere: str = ""
    reason: str = ""


def model_needs(services: Services, run_id: str) -> ModelNeeds:
    """What the run's model needs; raises RunNotFound."""
    run = services.runs.run(run_id)
    if run.model_info is None:
        return ModelNeeds(run, reason="This run holds no model.")
    card, settings = model_card(run), services.settings
    if elsewhere := services.inference.elsewhere(card):
        return ModelNeeds(run, elsewhere=elsewhere)
    digest = environments.digest_of(card.requirements)
    made = environments.environment(settings.data_dir, digest)
    return ModelNeeds(
        run=run,
        unmet=unmet(card.requirements),
        wanted=wanted(card.requirements),
        buildable=clashes(card.requirements) and settings.environments_mb > 0,
        environment=made,
        serving=digest in environments.serving(settings.data_dir, settings.environment_idle),
        failed=() if made else environments.last_lines(settings.data_dir, digest, _LAST_LINES),
    )


def build_environment(services: Services, run_id: str, report: Report) -> ModelNeeds:
    """Build the environment of the run's model, in this process; raises CannotBuild or ModelUnavailable."""
    found = model_needs(services, run_id)
    if not found.buildable:
        raise ModelUnavailable(found.reason or "The model needs no environment of its own.")
    if found.environment is None:
        build(services.settings, found.wanted, report)
    return model_needs(services, run_id)


def remove_environment(services: Services, run_id: str) -> ModelNeeds:
    """Delete the environment of the run's model; it is served by the ordinary engine again."""
    require_editor("remove an environment")
    found = model_needs(services, run_id)
    if found.environment is not None:
        environments.remove(services.settings.data_dir, found.environment.digest)
    return model_needs(services, run_id)
