"""Who is there: the one-time token of a page on one's own machine, and accounts with roles on a lab server.

Passwords are kept as argon2id hashes, cookies as SHA-256. A person without a role in a study is told that the study
does not exist.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

from sqlalchemy import Engine, delete, select

from ethomorph.core.errors import InputError, MissingPart
from ethomorph.review.database import Membership, Person, SignIn, now, reading, writing

Role = Literal["look", "annotate", "manage"]
ROLES: tuple[Role, ...] = ("look", "annotate", "manage")
SIGNED_IN_S = 12 * 3600
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 1000
_WRONG = "no such name and password"


class NotAllowed(InputError):
    """Signed in, but without the role that this needs."""


class NotSignedIn(InputError):
    """Nobody is signed in, or the token or password is wrong."""


@dataclass(frozen=True)
class Visitor:
    """A signed-in person; `roles` is None for the owner of a page on one's own machine, who may do everything."""

    name: str
    csrf: str
    roles: dict[str, Role] | None

    def role(self, study: str) -> Role | None:
        return "manage" if self.roles is None else self.roles.get(study)


class Gate:
    """Signing in and out.

    Parameters
    ----------
    engine : where accounts and sign-ins are kept.
    owner : the person's name on a page of one's own machine; None on a lab server, where accounts count.
    """

    def __init__(self, engine: Engine, owner: str | None) -> None:
        self.engine, self.owner = engine, owner
        self._tokens: set[str] = set()
        self._lock = Lock()

    @property
    def how(self) -> Literal["token", "account"]:
        return "account" if self.owner is None else "token"

    def new_token(self) -> str:
        """A token that opens the page once."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tokens.add(_digest(token))
        return token

    def by_token(self, token: str) -> tuple[str, Visitor]:
        """Cookie and visitor for a token, which is used up; raises NotSignedIn."""
        with self._lock:
            known = next((t for t in self._tokens if hmac.compare_digest(t, _digest(token))), None)
            if known is None or self.owner is None:
                raise NotSignedIn("this link was used or is wrong", fix="press Enter in the terminal for a new one")
            self._tokens.discard(known)
        return self._enter(self.owner)

    def by_password(self, name: str, password: str) -> tuple[str, Visitor]:
        """Cookie and visitor for an account; raises NotSignedIn, as slowly for a wrong name as for a wrong password."""
        from argon2.exceptions import VerificationError

        hasher = password_hasher()
        with reading(self.engine) as session:
            person = session.get(Person, name) if self.owner is None else None
            stored = person.password if person is not None else _nobody(hasher)
        try:
            hasher.verify(stored, password[:LONGEST_PASSWORD])
        except VerificationError:
            raise NotSignedIn(_WRONG) from None
        if person is None:
            raise NotSignedIn(_WRONG)
        return self._enter(name)

    def visitor(self, cookie: str | None) -> Visitor:
        """Who holds this cookie; raises NotSignedIn."""
        if not cookie:
            raise NotSignedIn("nobody is signed in")
        with reading(self.engine) as session:
            found = session.get(SignIn, _digest(cookie))
            if found is None or found.expires < time.time():
                raise NotSignedIn("nobody is signed in")
            return Visitor(found.person, found.csrf, self._roles(session, found.person))

    def leave(self, cookie: str | None) -> None:
        """Sign out."""
        with writing(self.engine) as session:
            session.execute(delete(SignIn).where(SignIn.cookie == _digest(cookie or "")))

    def _enter(self, name: str) -> tuple[str, Visitor]:
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        with writing(self.engine) as session:
            session.execute(delete(SignIn).where(SignIn.expires < time.time()))
            session.add(SignIn(cookie=_digest(cookie), person=name, csrf=csrf, expires=time.time() + SIGNED_IN_S))
            return cookie, Visitor(name, csrf, self._roles(session, name))

    def _roles(self, session: Any, name: str) -> dict[str, Role] | None:
        if self.owner is not None:
            return None
        rows = session.execute(select(Membership.study, Membership.role).where(Membership.person == name))
        return {row.study: row.role for row in rows}


def set_person(engine: Engine, name: str, password: str) -> None:
    """Make an account or change its password; every browser of that person is signed out.

    Raises
    ------
    InputError : no name, or a password that is too short.
    """
    if not name.strip() or len(name) > 100 or any(ord(c) < 32 for c in name):
        raise InputError("a person needs a name of at most 100 characters")
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InputError(
            f"the password has {len(password)} characters", fix=f"use {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}"
        )
    hashed = password_hasher().hash(password)
    with writing(engine) as session:
        session.execute(delete(SignIn).where(SignIn.person == name))
        person = session.get(Person, name)
        if person is None:
            session.add(Person(name=name, password=hashed, created=now()))
        else:
            person.password = hashed


def set_role(engine: Engine, name: str, study: str, role: Role | None) -> None:
    """Give a person a role in a study, or take it away; raises InputError where there is no such person."""
    with writing(engine) as session:
        if session.get(Person, name) is None:
            raise InputError(f"there is no person {name!r}", fix="add them with --add-user")
        row = session.get(Membership, (name, study))
        if role is None:
            if row is not None:
                session.delete(row)
        elif row is None:
            session.add(Membership(person=name, study=study, role=role))
        else:
            row.role = role


def people_of(engine: Engine, study: str) -> list[dict[str, str]]:
    """The people of a study and their roles, by name."""
    query = select(Membership.person, Membership.role).where(Membership.study == study).order_by(Membership.person)
    with reading(engine) as session:
        return [{"name": name, "role": role} for name, role in session.execute(query)]


def password_hasher() -> Any:
    """argon2id with the library's present defaults (RFC 9106, low memory)."""
    try:
        from argon2 import PasswordHasher
    except ImportError:
        raise MissingPart("accounts need argon2-cffi", fix="pip install 'ethomorph[review]'") from None
    return PasswordHasher()


_decoy: list[str] = []


def _nobody(hasher: Any) -> str:
    """A hash that no password has, so that a wrong name takes as long as a wrong password."""
    if not _decoy:
        _decoy.append(hasher.hash(secrets.token_urlsafe(24)))
    return _decoy[0]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
