"""The tables of the review page and the connection to them: SQLite beside the study, or any SQLAlchemy URL.

An edit is stored with its changes in one transaction; the page hears of success only after the commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Engine, ForeignKey, Index, String, UniqueConstraint, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from ethomorph.core.errors import StudyError

BUSY_MS = 15_000
"""How long a write waits for another one; far above what any edit takes."""


class Base(DeclarativeBase):
    """Every table."""


class Edit(Base):
    """One thing a person did: an edit, or the undoing or redoing of one."""

    __tablename__ = "edit"
    __table_args__ = (
        UniqueConstraint("study", "key", name="edit_once"),
        Index("edit_place", "study", "task", "item"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    study: Mapped[str] = mapped_column(String(200))
    task: Mapped[str] = mapped_column(String(200))
    item: Mapped[str] = mapped_column(String(1000))
    person: Mapped[str] = mapped_column(String(200))
    time: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(10))  # edit, undo or redo
    target: Mapped[int | None] = mapped_column(default=None)  # the edit that is undone or redone
    key: Mapped[str] = mapped_column(String(100))  # given by the page, so that asking twice stores once
    reverted: Mapped[bool] = mapped_column(default=False)
    redoable: Mapped[bool] = mapped_column(default=False)


class Change(Base):
    """One field of one edit."""

    __tablename__ = "change"

    edit: Mapped[int] = mapped_column(ForeignKey("edit.id"), primary_key=True)
    field: Mapped[str] = mapped_column(String(300), primary_key=True)
    before: Mapped[Any] = mapped_column(JSON, nullable=True)
    after: Mapped[Any] = mapped_column(JSON, nullable=True)


class Value(Base):
    """What a field holds now; `revision` is the edit that put it there."""

    __tablename__ = "value"

    study: Mapped[str] = mapped_column(String(200), primary_key=True)
    task: Mapped[str] = mapped_column(String(200), primary_key=True)
    item: Mapped[str] = mapped_column(String(1000), primary_key=True)
    field: Mapped[str] = mapped_column(String(300), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON, nullable=True)
    revision: Mapped[int]


class Person(Base):
    """Somebody who may sign in to a lab server; `password` is an argon2 hash."""

    __tablename__ = "person"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    password: Mapped[str] = mapped_column(String(300))
    created: Mapped[str] = mapped_column(String(40))


class Membership(Base):
    """What a person may do in a study: look, annotate or manage. Without a row the study does not exist for them."""

    __tablename__ = "membership"

    person: Mapped[str] = mapped_column(ForeignKey("person.name"), primary_key=True)
    study: Mapped[str] = mapped_column(String(200), primary_key=True)
    role: Mapped[str] = mapped_column(String(20))


class SignIn(Base):
    """A browser that is signed in; the cookie itself is not kept, only its SHA-256."""

    __tablename__ = "sign_in"

    cookie: Mapped[str] = mapped_column(String(64), primary_key=True)
    person: Mapped[str] = mapped_column(String(200))
    csrf: Mapped[str] = mapped_column(String(64))
    expires: Mapped[float]


def now() -> str:
    """The time in UTC as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path.absolute()}"


def connect(url: str) -> Engine:
    """An engine whose tables exist.

    SQLite keeps a write-ahead log and flushes it at every commit, so that what was acknowledged survives a kill and a
    loss of power.

    Raises
    ------
    StudyError : the database cannot be opened.
    """
    try:
        engine = create_engine(url, pool_size=20, max_overflow=40) if "sqlite" not in url else _sqlite(url)
        Base.metadata.create_all(engine)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        first = str(error).splitlines()[0][:200]
        raise StudyError(
            f"the database cannot be opened ({first})", place=url.rsplit("@")[-1], fix="correct --database"
        ) from None
    return engine


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False}, pool_size=20)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where `begin` says so, not at the first write
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that only looks."""
    with Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that commits at the end of the block, or leaves everything as it was."""
    with Session(engine.execution_options(writes=True)) as session, session.begin():
        yield session
