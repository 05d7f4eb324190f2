"""Flags: what people say of single answers of a model. Durable in the state database before anyone is told so.

The back office carries each flag from here to MLflow (flag_writer.py), however often it or the store fails in between.
"""

import time
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import sqlalchemy as sa

from dashboard.errors import BadInput, BadQuery
from dashboard.state import transaction
from dashboard.uploads import content_key

Verdict = Literal["right", "wrong", "unsure"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
LONGEST_REASON = 2000
LARGEST_PICTURE = 32 * 2**20
_LONGEST_INPUT = 2**20
_RETRY = 10.0


@dataclass(frozen=True)
class Flag:
    """One judgement of one answer. Times are Unix seconds (UTC); `input`, `output` and `corrected` are JSON texts.

    `corrected` is "" where nothing was corrected, `input` is "" for a picture, which lies under the key `picture`.
    `row` is the 0-based row of the run's evaluation with content digest `digest` where the input came from there.
    `stored` says where MLflow stands: "" not yet written, "written", "removed" after an undo.
    """

    id: str
    run_id: str
    model: str
    version: str
    model_id: str
    verdict: Verdict
    corrected: str
    reason: str
    author: str
    created: float
    input: str
    output: str
    source: str
    picture: str = ""
    row: int | None = None
    digest: str = ""
    undone: float | None = None
    stored: str = ""
    problem: str = ""
    retry_at: float = 0.0


@dataclass(frozen=True)
class FlagFilter:
    """Which flags are meant; "" is all. `search` is looked for in reason, correction and author."""

    run_id: str = ""
    model: str = ""
    verdict: str = ""
    search: str = ""


@dataclass(frozen=True)
class Flags:
    """The flags of one state database by its SQLAlchemy address; opens on first use in each process."""

    url: str

    def add(self, flag: Flag, picture: bytes = b"") -> Flag:
        """Keep a flag, with its picture; on return it survives the death of this process and of the machine."""
        _check(flag, picture)
        kept = replace(flag, picture=content_key(picture)) if picture else flag
        with transaction(self.url, _flags, _pictures) as connection:
            connection.execute(_flags().insert().values(**asdict(kept)))
            if picture:
                connection.execute(_pictures().insert().values(flag=kept.id, data=picture))
        return kept

    def flag(self, flag_id: str) -> Flag:
        """One flag, undone ones included; BadQuery where there is none."""
        table = _flags()
        with transaction(self.url, _flags) as connection:
            row = connection.execute(sa.select(table).where(table.c.id == flag_id)).first()
        if row is None:
            raise BadQuery(f"There is no flag {flag_id[:40]!r}; the list of flags shows those there are.")
        return Flag(**row._mapping)

    def picture(self, flag_id: str) -> bytes:
        """The picture that was flagged; empty where the input was none."""
        table = _pictures()
        with transaction(self.url, _pictures) as connection:
            return bytes(connection.execute(sa.select(table.c.data).where(table.c.flag == flag_id)).scalar() or b"")

    def find(self, asked: FlagFilter, limit: int = 100, offset: int = 0) -> tuple[tuple[Flag, ...], int]:
        """Flags that are not undone, newest first, and how many match."""
        if asked.verdict and asked.verdict not in VERDICTS:
            raise BadQuery(f"verdict={asked.verdict[:40]!r} is none of {', '.join(VERDICTS)}.")
        table = _flags()
        exact = {"run_id": asked.run_id, "model": asked.model, "verdict": asked.verdict}
        where: list[Any] = [
            table.c.undone.is_(None),
            *(table.c[name] == value for name, value in exact.items() if value),
        ]
        if asked.search:
            searched = ("reason", "author", "corrected")
            where.append(sa.or_(*(table.c[name].icontains(asked.search, autoescape=True) for name in searched)))
        chosen = sa.select(table).where(*where).order_by(table.c.created.desc(), table.c.id).limit(limit).offset(offset)
        with transaction(self.url, _flags) as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()
            return tuple(Flag(**row._mapping) for row in connection.execute(chosen)), int(total)

    def rows(self, run_id: str, digest: str) -> tuple[int, ...]:
        """The flagged rows of a run's evaluation, in order."""
        table = _flags()
        mine = table.c.run_id == run_id, table.c.digest == digest, table.c.row.is_not(None), table.c.undone.is_(None)
        with transaction(self.url, _flags) as connection:
            return tuple(sorted({int(n) for n in connection.execute(sa.select(table.c.row).where(*mine)).scalars()}))

    def undo(self, flag_id: str) -> None:
        """Take a flag back; it leaves every list, and MLflow. Undoing twice is no error."""
        self.flag(flag_id)
        self._change(flag_id, undone=time.time(), retry_at=0.0)

    def due(self, limit: int = 50) -> tuple[Flag, ...]:
        """Flags that MLflow does not hold yet, and undone ones that it still holds, oldest first."""
        table = _flags()
        open_ = sa.or_(
            sa.and_(table.c.stored == "", table.c.undone.is_(None)),
            sa.and_(table.c.stored == "written", table.c.undone.is_not(None)),
        )
        chosen = sa.select(table).where(open_, table.c.retry_at <= time.time()).order_by(table.c.created).limit(limit)
        with transaction(self.url, _flags) as connection:
            return tuple(Flag(**row._mapping) for row in connection.execute(chosen))

    def note_stored(self, flag_id: str, stored: str) -> None:
        """MLflow holds the flag ("written"), or no longer ("removed")."""
        self._change(flag_id, stored=stored, problem="")

    def note_problem(self, flag_id: str, problem: str) -> None:
        """Writing failed; it is tried again a little later."""
        self._change(flag_id, problem=problem[:500], retry_at=time.time() + _RETRY)

    def _change(self, flag_id: str, **values: Any) -> None:
        table = _flags()
        with transaction(self.url, _flags) as connection:
            connection.execute(table.update().where(table.c.id == flag_id).values(**values))


def _check(flag: Flag, picture: bytes) -> None:
    if flag.verdict not in VERDICTS:
        raise BadInput(f"The verdict {str(flag.verdict)[:40]!r} is none of {', '.join(VERDICTS)}.")
    if len(flag.reason) > LONGEST_REASON:
        raise BadInput(f"The reason has {len(flag.reason):,} characters; at most {LONGEST_REASON:,} are accepted.")
    for name in ("corrected", "input"):
        if len(getattr(flag, name)) > _LONGEST_INPUT:
            raise BadInput(f"The {name} text is longer than {_LONGEST_INPUT:,} characters, the most that a flag keeps.")
    if len(picture) > LARGEST_PICTURE:
        raise BadInput(f"The picture has {len(picture):,} bytes; a flag keeps at most {LARGEST_PICTURE:,}.")


def _flags() -> sa.Table:
    """One column per field of Flag."""
    text = {"id": sa.String(32), "run_id": sa.String(64), "model": sa.String(500), "digest": sa.String(128)}
    kinds: dict[str, Any] = {
        "row": sa.BigInteger,
        "created": sa.Float(53),
        "undone": sa.Float(53),
        "retry_at": sa.Float(53),
    }
    optional = ("row", "undone")
    columns = [
        sa.Column(
            item.name,
            text.get(item.name) or kinds.get(item.name) or sa.Text(),
            primary_key=item.name == "id",
            nullable=item.name in optional,
        )
        for item in fields(Flag)
    ]
    return sa.Table("flags", sa.MetaData(), *columns)


def _pictures() -> sa.Table:
    return sa.Table(
        "flag_pictures",
        sa.MetaData(),
        sa.Column("flag", sa.String(32), primary_key=True),
        sa.Column("data", sa.LargeBinary(LARGEST_PICTURE), nullable=False),
    )
