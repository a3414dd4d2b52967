"""Where a sweep keeps its trials: one SQLite file, a journal that several machines write, or a database server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ethomorph.core.errors import InputError, MissingPart

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

SQLITE, JOURNAL = "sqlite", "journal"
FILES = {SQLITE: "sweep.sqlite", JOURNAL: "sweep.journal"}
LOCKED_S = 60
"""How long a process waits for the others' writing before it gives up."""


def open_storage(place: Path, wish: str | None = None) -> BaseStorage:
    """The storage of the sweep in `place`.

    Parameters
    ----------
    wish : ``sqlite`` (for one machine), ``journal`` (a file that several machines append to, on a shared file system),
        or an SQLAlchemy URL such as ``postgresql+psycopg://user:word@host/database``. None takes the file that is
        there, or SQLite.

    Raises
    ------
    InputError : the sweep was begun with the other kind of file, or the server does not answer.
    MissingPart : the database's driver is not installed.
    """
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if wish is not None and "://" in wish:
        return _server(wish)
    there = known_kind(place)
    kind = wish or there or SQLITE
    if kind not in FILES:
        raise InputError(f"storage {kind!r}", fix=f"use {', '.join(FILES)} or a URL such as postgresql+psycopg://...")
    if there and kind != there:
        raise InputError(
            f"the sweep was begun with {there}, not {kind}", place=place / FILES[there],
            fix="leave --storage out, or give another --name",
        )  # fmt: skip
    file = (place / FILES[kind]).resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    if kind == JOURNAL:
        return JournalStorage(JournalFileBackend(str(file)))
    return RDBStorage(f"sqlite:///{file}", engine_kwargs={"connect_args": {"timeout": LOCKED_S}})


def known_kind(place: Path) -> str | None:
    """The kind of file that a sweep was begun with."""
    return next((kind for kind, name in FILES.items() if (place / name).exists()), None)


def _server(url: str) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

    shown = url.rpartition("@")[2] or url
    try:
        return RDBStorage(url)
    except ModuleNotFoundError as error:
        raise MissingPart(f"{error.name} is needed for {shown}", fix=f"pip install {error.name}") from None
    except ImportError as error:  # optuna tries the driver's import and says so in many lines
        missing = error.name or "the database's driver"
        raise MissingPart(f"{missing} is needed for {shown}", fix="pip install it") from None
    except (ArgumentError, NoSuchModuleError, OperationalError) as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        raise InputError(f"the database cannot be used: {said}", place=shown, fix="check --storage") from None
