"""Flags on the pages: how an answer can be corrected, keeping a flag, taking it back, the list of flags."""

import json
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dashboard.access.users import require_editor
from dashboard.errors import BadInput, BadQuery
from dashboard.flags import VERDICTS, Flag, FlagFilter
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.images import upright_size
from dashboard.inference.outputs import Prediction
from dashboard.reports.corrections import FlagOffer, checked_correction, offer_for
from dashboard.reports.inputs import Given, InferenceQuery, data_uri, evaluation_of, read_input

if TYPE_CHECKING:
    from dashboard.services import Services

PAGE = 20
_THUMB = 48
_MANY = 10_000


@dataclass(frozen=True)
class FlagsQuery:
    """Which flags: those of a run, or with `scope` "model" those of every version of its model."""

    run: str = ""
    scope: str = "run"
    verdict: str = ""
    search: str = ""
    offset: int = 0


@dataclass(frozen=True)
class ListedFlag:
    """A flag with a thumbnail where its input is a picture."""

    flag: Flag
    image: str | None


@dataclass(frozen=True)
class FlagsReport:
    """One page of flags, newest first."""

    query: FlagsQuery
    flags: tuple[ListedFlag, ...]
    total: int


def flag_offer(services: "Services", run_id: str, card: ModelCard, prediction: Prediction) -> FlagOffer:
    """What fits the answer that was given."""
    evaluation = evaluation_of(services, run_id)
    return offer_for(prediction, (*card.classes, *(evaluation.classes if evaluation else ())))


def flag_answer(services: "Services", query: InferenceQuery, verdict: str, corrected: Any, reason: str) -> Flag:
    """Keep a flag of the answer to the page's input; on return it is durable."""
    given = read_input(services, model_card(services.runs.run(query.run)), query)
    if given is None:
        raise BadInput("There is no answer to flag yet; ask the model first.")
    return flag_given(services, query.run, given, int(query.row) if given.row else None, verdict, corrected, reason)


def flag_given(
    services: "Services", run_id: str, given: Given, row: int | None, verdict: str, corrected: Any, reason: str
) -> Flag:
    """Keep a flag of the model's answer to one input. Raises NotAllowed, BadInput, or what a prediction raises."""
    author = require_editor("flag answers").name or "anonymous"
    if verdict not in VERDICTS:
        raise BadInput(f"Choose a verdict first: {', '.join(VERDICTS)}." if not verdict else _no_verdict(verdict))
    answer = services.inference.predict(run_id, [given.value])
    prediction, card = answer.predictions[0], answer.model
    picture = given.value if isinstance(given.value, bytes) else b""
    offer = flag_offer(services, run_id, card, prediction)
    said = checked_correction(offer, corrected, upright_size(picture) if picture else None)
    evaluation = evaluation_of(services, run_id) if row is not None else None
    flag = Flag(
        id=uuid.uuid4().hex,
        run_id=run_id,
        model=card.name,
        version=card.version or "",
        model_id=card.model_id,
        verdict=verdict,
        corrected="" if said is None else _json(said),
        reason=str(reason or "").replace("\0", "").strip(),
        author=author,
        created=time.time(),
        input="" if picture else _json(given.value),
        output=_json(answer_facts(prediction)),
        source=given.source,
        row=row if evaluation else None,
        digest=evaluation.digest if evaluation else "",
    )
    kept = services.flags.add(flag, picture)
    services.predictions.tell_flags()
    return kept


def _no_verdict(verdict: str) -> str:
    return f"The verdict {verdict[:40]!r} is none of {', '.join(VERDICTS)}."


def answer_facts(prediction: Prediction) -> dict[str, Any]:
    """What an answer holds, as JSON can carry it; the raw output only where there is nothing else."""
    told = {
        name: value for name, value in asdict(prediction).items() if value not in (None, {}, (), []) and name != "raw"
    }
    told = {name: f"{len(value)} bytes" if isinstance(value, bytes) else value for name, value in told.items()}
    return told or {"raw": prediction.raw}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def undo_flag(services: "Services", flag_id: str) -> Flag:
    """Take a flag back, here and in MLflow; returns what it was."""
    require_editor("take flags back")
    flag = services.flags.flag(flag_id)
    services.flags.undo(flag_id)
    services.predictions.tell_flags()
    return flag


def flags_report(services: "Services", query: FlagsQuery, limit: int = PAGE) -> FlagsReport:
    """One page of flags of a run, or of its model."""
    found, total = services.flags.find(filter_of(services, query), limit, query.offset)
    return FlagsReport(query, tuple(ListedFlag(flag, _thumb(services, flag)) for flag in found), total)


def filter_of(services: "Services", query: FlagsQuery) -> FlagFilter:
    """The query as the state database takes it; BadQuery for an unknown scope."""
    if query.scope not in ("run", "model"):
        raise BadQuery(f"scope={query.scope[:40]!r} is neither run nor model")
    model = services.runs.run(query.run).model
    about = {"run_id": query.run} if query.scope == "run" else {"model": model}
    return FlagFilter(**about, verdict=query.verdict, search=query.search.strip())


def all_flags(services: "Services", query: FlagsQuery) -> Sequence[Flag]:
    """Every flag that the query means, newest first."""
    return services.flags.find(filter_of(services, query), _MANY)[0]


def _thumb(services: "Services", flag: Flag) -> str | None:
    with suppress(BadInput):
        return data_uri(services.flags.picture(flag.id), _THUMB) if flag.picture else None
    return None
