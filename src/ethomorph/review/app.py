"""The web application: its addresses, how errors are told, and the built page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import IntegrityError, OperationalError

from ethomorph import __version__
from ethomorph.core.errors import InputError
from ethomorph.review.accounts import Gate, NotAllowed, NotSignedIn
from ethomorph.review.events import Broadcaster
from ethomorph.review.jobs import Busy, Jobs
from ethomorph.review.library import Library
from ethomorph.review.models import Problem
from ethomorph.review.pictures import Pictures
from ethomorph.review.routes import edits, landmarks, prints, session, training, video, volumes
from ethomorph.review.routes.access import Server, visitor_of
from ethomorph.review.shield import Shield, TooLarge
from ethomorph.review.source import Refused
from ethomorph.review.store import Conflict

STATIC = Path(__file__).parent / "static"
ROUTERS = (session.router, edits.router, landmarks.router, video.router, volumes.router, prints.router, training.router)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (400, 401, 403, 404, 409, 413, 421, 422, 429)
}


def create_app(paths: list[Path], gate: Gate, *, hosts: frozenset[str], cookie: str, secure: bool = False) -> FastAPI:
    """The application for some studies or runs.

    Parameters
    ----------
    paths : study or run folders.
    gate : who may sign in.
    hosts : names (with port) that the server answers to.
    cookie : the cookie's name; different for servers on different ports of one machine.
    secure : the cookie travels by HTTPS only.
    """
    events = Broadcaster()
    server = Server(
        Library(paths, gate.engine, events), gate, events, Pictures(), Jobs(events), cookie=cookie, secure=secure
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        server.jobs.stop_all()

    app = FastAPI(
        title="ethomorph review", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
        responses=PROBLEMS, lifespan=lifespan,
    )  # fmt: skip
    app.state.server = server
    for router in ROUTERS:
        app.include_router(router)
    _add_errors(app)
    _add_page(app)
    app.add_middleware(Shield, hosts=hosts)
    return app


def _add_page(app: FastAPI) -> None:
    @app.get("/api/openapi.json", include_in_schema=False)
    def openapi(request: Request) -> dict[str, Any]:
        visitor_of(request)
        return app.openapi()

    @app.api_route("/api/{rest:path}", methods=["GET", "POST", "PUT", "DELETE"], include_in_schema=False)
    def nothing(rest: str, request: Request) -> None:
        visitor_of(request)
        raise Refused("there is nothing at this address")

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    app.mount("/static", _Static(directory=STATIC, check_dir=False), name="static")


class _Static(StaticFiles):
    """The built files; a browser asks each time whether they are still the same."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["cache-control"] = "no-cache"
        return response


STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotSignedIn, 401), (NotAllowed, 403), (Conflict, 409), (Busy, 409), (Refused, 404), (InputError, 400),
)  # fmt: skip


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(InputError)
    def refused(request: Request, error: InputError) -> JSONResponse:
        status = next(code for kind, code in STATUS if isinstance(error, kind))
        problem = Problem(detail=_without_paths(error, request))
        if isinstance(error, NotSignedIn):
            problem.sign_in = request.app.state.server.gate.how
        if isinstance(error, Conflict):
            problem.current = {f: {"value": v, "revision": r} for f, (v, r) in error.current.items()}
        return JSONResponse(problem.model_dump(exclude_none=True), status)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"detail": f"{place}: {first['msg']}"}, 422)

    @app.exception_handler(IntegrityError)
    @app.exception_handler(OperationalError)
    def busy(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "the database was busy; nothing was stored, try again"}, 503)

    @app.exception_handler(TooLarge)
    def large(request: Request, error: TooLarge) -> JSONResponse:
        return JSONResponse({"detail": "the request is too large"}, 413)


def _without_paths(error: InputError, request: Request) -> str:
    """The error's line with the study's folder left out: a lab server does not tell where things lie on its disk."""
    line = str(error)
    for opened in request.app.state.server.library.studies.values():
        folder = opened.study.folder
        for shown in (str(folder.resolve()), str(folder)):
            if len(shown) > 1:
                line = line.replace(shown + "/", "").replace(shown, opened.title)
    return line
