"""What a model's logged requirements ask for beyond this environment; imports neither mlflow nor torch."""

import importlib.metadata
from collections.abc import Iterable, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_OURS = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})


def unmet(lines: Iterable[str]) -> tuple[str, ...]:
    """The requirements that this environment does not meet, each with what is installed here."""
    return tuple(text for line in lines if (text := _unmet(_bare(line))))


def wanted(lines: Iterable[str]) -> tuple[str, ...]:
    """The requirements that an environment of the model's own is built from, sorted, without MLflow's own packages.

    Those stay the engine's: it reads the store and the model's files with them, and newer ones read older models.
    Lines that are no requirement (options, files) are left out: a store must not decide where packages come from.
    """
    found = {str(requirement) for line in lines if (requirement := _parsed(_bare(line))) is not None}
    return tuple(sorted(found))


def clashes(lines: Sequence[str]) -> bool:
    """Whether an environment of its own may help: something besides MLflow's own packages is not met."""
    return bool(unmet(wanted(lines)))


def _parsed(line: str) -> Requirement | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    applies = requirement.marker is None or requirement.marker.evaluate()
    ours = canonicalize_name(requirement.name) in _OURS
    return requirement if applies and not ours and requirement.url is None else None


def _unmet(line: str) -> str:
    try:
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate():
            return ""
        installed = importlib.metadata.version(needed.name)
    except InvalidRequirement:
        return ""
    except importlib.metadata.PackageNotFoundError:
        return f"{line} (not installed)"
    met = needed.specifier.contains(installed, prereleases=True)
    return "" if met else f"{line} ({installed} is installed)"


def _bare(line: str) -> str:
    return line.split("#")[0].strip()
