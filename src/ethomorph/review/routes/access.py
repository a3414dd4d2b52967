"""Who asks, and what may they: the dependencies that every address stands behind."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Request

from ethomorph.review.accounts import ROLES, Gate, NotAllowed, Role, Visitor
from ethomorph.review.events import Broadcaster
from ethomorph.review.jobs import Jobs
from ethomorph.review.library import Library, OpenStudy
from ethomorph.review.pictures import Pictures
from ethomorph.review.source import Refused, Source

Kind = TypeVar("Kind", bound=Source)

CSRF_HEADER = "x-ethomorph-csrf"


@dataclass
class Server:
    """What all requests share."""

    library: Library
    gate: Gate
    events: Broadcaster
    pictures: Pictures
    jobs: Jobs
    cookie: str
    secure: bool


def server_of(request: Request) -> Server:
    found: Server = request.app.state.server
    return found


def visitor_of(request: Request) -> Visitor:
    """The signed-in person; whatever changes something must also bring the page's CSRF token."""
    server = server_of(request)
    visitor = server.gate.visitor(request.cookies.get(server.cookie))
    if request.method not in ("GET", "HEAD"):
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), visitor.csrf.encode()):
            raise NotAllowed("the page's secret is missing or old", fix="load the page again")
    return visitor


@dataclass(frozen=True)
class Desk:
    """A person at a study."""

    server: Server
    visitor: Visitor
    opened: OpenStudy

    def source(self, task: str) -> Source:
        return self.opened.source(task)

    def source_of(self, task: str, what: str, kind: type[Kind]) -> Kind:
        """A task's source, which must be of this kind; raises Refused where the task has no `what`."""
        source = self.source(task)
        if not isinstance(source, kind):
            raise Refused(f"{task} has no {what}")
        return source


def _desk(request: Request, study: str, least: Role) -> Desk:
    server, visitor = server_of(request), visitor_of(request)
    role = visitor.role(study)
    if role is None:
        raise Refused(f"there is no study {study!r}")
    opened = server.library.study(study)
    if ROLES.index(role) < ROLES.index(least):
        raise NotAllowed(f"your role here is {role!r}, this needs {least!r}")
    return Desk(server, visitor, opened)


StudyName = Annotated[str, Path(max_length=100)]


def looking(request: Request, study: StudyName) -> Desk:
    return _desk(request, study, "look")


def annotating(request: Request, study: StudyName) -> Desk:
    return _desk(request, study, "annotate")


def managing(request: Request, study: StudyName) -> Desk:
    return _desk(request, study, "manage")


Looks = Annotated[Desk, Depends(looking)]
Annotates = Annotated[Desk, Depends(annotating)]
Manages = Annotated[Desk, Depends(managing)]
TheServer = Annotated[Server, Depends(server_of)]
TheVisitor = Annotated[Visitor, Depends(visitor_of)]
