"""Signing in and out, and the people of a study."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ethomorph import __version__
from ethomorph.review.accounts import SIGNED_IN_S, NotSignedIn, Visitor, people_of, set_person, set_role
from ethomorph.review.library import describe
from ethomorph.review.models import PersonShown, PersonWanted, SessionShown, SignInWanted, StudyShown
from ethomorph.review.routes.access import Manages, Server, TheServer, TheVisitor
from ethomorph.review.source import Refused

router = APIRouter(prefix="/api")


@router.post("/session")
def sign_in(wanted: SignInWanted, response: Response, server: TheServer) -> SessionShown:
    """Sign in by the one-time token or by name and password; sets the cookie."""
    if wanted.token is not None:
        cookie, visitor = server.gate.by_token(wanted.token)
    elif wanted.name is not None and wanted.password is not None:
        cookie, visitor = server.gate.by_password(wanted.name, wanted.password)
    else:
        raise NotSignedIn("give a token, or name and password")
    response.set_cookie(
        server.cookie, cookie, max_age=SIGNED_IN_S, httponly=True, samesite="strict", secure=server.secure, path="/"
    )
    return _session(server, visitor)


@router.get("/session")
def session(server: TheServer, visitor: TheVisitor) -> SessionShown:
    """Who is signed in, the page's secret, and the studies that this person may see."""
    return _session(server, visitor)


@router.delete("/session", status_code=204)
def sign_out(request: Request, response: Response, server: TheServer, visitor: TheVisitor) -> None:
    server.gate.leave(request.cookies.get(server.cookie))
    response.delete_cookie(server.cookie, path="/")
    response.headers["clear-site-data"] = '"cache"'


@router.get("/studies/{study}/people")
def people(desk: Manages) -> list[PersonShown]:
    return [PersonShown.model_validate(row) for row in people_of(desk.server.gate.engine, desk.opened.slug)]


@router.put("/studies/{study}/people")
def put_person(wanted: PersonWanted, desk: Manages) -> list[PersonShown]:
    """Give somebody a role in this study, or take it away; with a password a new account is made."""
    gate = desk.server.gate
    if gate.how == "token":
        raise Refused("this page belongs to one person", fix="start a lab server with --accounts")
    if wanted.password is not None:
        refuse_known(gate.engine, wanted.name)
        set_person(gate.engine, wanted.name, wanted.password)
    set_role(gate.engine, wanted.name, desk.opened.slug, wanted.role)
    return people(desk)


def refuse_known(engine: object, name: str) -> None:
    """Raise Refused where the account exists: who manages one study must not change passwords of people of others."""
    from sqlalchemy import Engine

    from ethomorph.review.database import Person, reading

    assert isinstance(engine, Engine)
    with reading(engine) as found:
        if found.get(Person, name) is not None:
            raise Refused(f"{name!r} has an account already", fix="leave the password out")


def _session(server: Server, visitor: Visitor) -> SessionShown:
    shown = [
        StudyShown.model_validate(describe(opened, visitor.role(slug)))
        for slug, opened in server.library.studies.items()
        if visitor.role(slug) is not None
    ]
    return SessionShown(person=visitor.name, csrf=visitor.csrf, how=server.gate.how, version=__version__, studies=shown)
