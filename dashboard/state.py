"""What people made and must survive: saved slices, corrected column roles. SQLite, or another database by setting."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from dashboard.errors import BadInput, StateUnavailable

LONGEST_NAME = 200
LONGEST_TEXT = 2000


@dataclass(frozen=True)
class SavedSlice:
    """A filter that someone saved under a name for every run of a model; `created` is Unix seconds (UTC)."""

    model: str
    name: str
    description: str
    filter: str
    author: str
    created: float


@dataclass(frozen=True)
class RoleCorrection:
    """What someone said a run's columns are: role -> column (None: no column plays it), and the task ("": as read)."""

    run_id: str
    task: str
    columns: dict[str, str | None]
    author: str
    changed: float

    def description(self) -> dict[str, Any]:
        """The correction as evaluation.json would say it."""
        return {"columns": self.columns} | ({"task": self.task} if self.task else {})


@dataclass(frozen=True)
class State:
    """The state database by its SQLAlchemy address; opens on first use in each process."""

    url: str

    def slices(self, model: str) -> tuple[SavedSlice, ...]:
        """A model's saved slices, oldest first."""
        table = _saved()
        chosen = sa.select(table).where(table.c.model == model).order_by(table.c.created, table.c.name)
        with self._connected() as connection:
            return tuple(SavedSlice(**row._mapping) for row in connection.execute(chosen))

    def save_slice(self, saved: SavedSlice) -> None:
        """Keep a slice; BadInput for an empty or long text, or for a name that the model already uses."""
        name = saved.name.strip()
        if not name or len(name) > LONGEST_NAME:
            raise BadInput(
                f"The name {name[:40]!r} has {len(name)} characters; at most {LONGEST_NAME} are accepted."
                if name
                else "A slice needs a name; write one first."
            )
        if len(saved.description) > LONGEST_TEXT or len(saved.filter) > LONGEST_TEXT:
            raise BadInput(f"Filter and description of a slice may have at most {LONGEST_TEXT:,} characters each.")
        try:
            with self._connected() as connection:
                connection.execute(_saved().insert().values(**{**asdict(saved), "name": name}))
        except sa.exc.IntegrityError as exc:
            raise BadInput(f"{saved.model} already has a saved slice {name!r}; choose another name.") from exc

    def delete_slice(self, model: str, name: str) -> None:
        """Forget a saved slice; one that is not there is no error."""
        table = _saved()
        with self._connected() as connection:
            connection.execute(table.delete().where(table.c.model == model, table.c.name == name))

    def correction(self, run_id: str) -> RoleCorrection | None:
        """What someone corrected of a run's columns."""
        table = _corrected()
        with transaction(self.url, _corrected) as connection:
            row = connection.execute(sa.select(table).where(table.c.run_id == run_id)).first()
        return RoleCorrection(**{**row._mapping, "columns": json.loads(row.columns)}) if row else None

    def save_correction(self, found: RoleCorrection) -> None:
        """Keep a correction in place of the run's earlier one."""
        table, values = _corrected(), {**asdict(found), "columns": json.dumps(found.columns)}
        with transaction(self.url, _corrected) as connection:
            connection.execute(table.delete().where(table.c.run_id == found.run_id))
            connection.execute(table.insert().values(**values))

    def forget_correction(self, run_id: str) -> None:
        """Undo a correction; one that is not there is no error."""
        table = _corrected()
        with transaction(self.url, _corrected) as connection:
            connection.execute(table.delete().where(table.c.run_id == run_id))

    def _connected(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self.url, _saved)


@contextmanager
def transaction(url: str, *tables: Callable[[], sa.Table]) -> Iterator[sa.Connection]:
    """A transaction on the state database, in which the tables exist; what it reports becomes StateUnavailable.

    A broken constraint is left to the caller as SQLAlchemy's IntegrityError.
    """
    try:
        engine = _engine(os.getpid(), url)
        for table in tables:
            _make(os.getpid(), url, table)
        with engine.begin() as connection:
            yield connection
    except sa.exc.IntegrityError:
        raise
    except (sa.exc.SQLAlchemyError, ImportError, OSError) as exc:
        reason = " ".join(str(getattr(exc, "orig", None) or exc).split())[:200]
        raise StateUnavailable(f"The database of what people made cannot be used: {reason}.") from exc


def _saved() -> sa.Table:
    """The table of saved slices."""
    return sa.Table(
        "saved_slices",
        sa.MetaData(),
        sa.Column("model", sa.String(500), primary_key=True),
        sa.Column("name", sa.String(LONGEST_NAME), primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
    )


def _corrected() -> sa.Table:
    """The table of corrected column roles."""
    return sa.Table(
        "column_roles",
        sa.MetaData(),
        sa.Column("run_id", sa.String(100), primary_key=True),
        sa.Column("task", sa.String(40), nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("changed", sa.Float(53), nullable=False),
    )


@cache
def _engine(process: int, url: str) -> sa.Engine:
    """One engine per process, because a connection must not be shared across a fork."""
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite":
        # a file needs no pool, and without one nothing stays open when a worker forks
        return sa.create_engine(address, poolclass=NullPool, connect_args={"timeout": 10})
    return sa.create_engine(address, pool_size=4, pool_pre_ping=True, pool_recycle=900)


@cache
def _make(process: int, url: str, table: Callable[[], sa.Table]) -> None:
    """Make a table that is missing, once per process."""
    made, engine = table(), _engine(process, url)
    try:
        with engine.begin() as connection:
            connection.execute(CreateTable(made, if_not_exists=True))
    except sa.exc.IntegrityError:
        # PostgreSQL says so when another process makes the table at the same moment
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table(made.name):
                raise
