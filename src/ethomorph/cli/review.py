"""``ethomorph review``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import print_json, say, show_warnings_plainly


def review(
    studies: Annotated[list[Path], typer.Argument(help="A study's folder or a run's; several on a lab server.")],
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="8765, or any free one.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    name: Annotated[str | None, typer.Option("--as", help="How the log calls you; your user name by default.")] = None,
    database: Annotated[
        str | None,
        typer.Option("--database", help="SQLite file or SQLAlchemy URL; review/review.sqlite in the study by default."),
    ] = None,
    accounts: Annotated[bool, typer.Option("--accounts", help="A lab server: people sign in, with roles.")] = False,
    add_user: Annotated[
        str | None, typer.Option("--add-user", metavar="NAME", help="Add a person or a new password, and stop.")
    ] = None,
    role: Annotated[str, typer.Option("--role", help="With --add-user: look, annotate or manage.")] = "annotate",
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="With --add-user: asked for where left out.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    host_name: Annotated[
        list[str] | None, typer.Option("--host-name", help="A name by which people reach the server.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--certificate", help="TLS certificate.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="TLS key.")] = None,
    behind_proxy: Annotated[bool, typer.Option("--behind-proxy", help="A proxy in front speaks TLS.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the page's address as one JSON document.")] = False,
) -> None:
    """Open the page where people look, grade and correct.

    Example: `ethomorph review wings`, or for a lab `ethomorph review wings bones --database lab.sqlite --accounts`
    """
    show_warnings_plainly()
    from ethomorph.core.errors import MissingPart

    try:
        from ethomorph.review.serve import Place, review
    except ImportError as error:
        raise MissingPart(f"the review page needs {error.name}", fix="pip install 'ethomorph[review]'") from None
    if add_user is not None:
        _add(studies, database, add_user, role, password_file)
        return
    place = Place(host, port, tuple(host_name or ()), certificate, key, behind_proxy)
    review(
        studies, place=place, database=database, accounts=accounts, owner=name, browser=not no_browser,
        announce=(lambda url: print_json({"url": url})) if json else None,
    )  # fmt: skip


def _add(studies: list[Path], database: str | None, name: str, role: str, password_file: Path | None) -> None:
    from ethomorph.core.errors import InputError
    from ethomorph.review.accounts import ROLES, set_person, set_role
    from ethomorph.review.database import connect
    from ethomorph.review.library import slug_of, study_or_run
    from ethomorph.review.serve import database_url

    if role not in ROLES:
        raise InputError(f"there is no role {role!r}", fix=f"use one of {', '.join(ROLES)}")
    engine = connect(database_url(studies, database))
    if password_file is not None:
        password = password_file.read_text(encoding="utf-8").strip()
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    set_person(engine, name, password)
    for path in studies:
        set_role(engine, name, slug_of(study_or_run(path)[0]), role)  # type: ignore[arg-type]
    say(f"{name} may {role} in {len(studies)} stud{'y' if len(studies) == 1 else 'ies'}")
