"""Starting the review server: on one's own machine by default, as a lab server with accounts when asked."""

from __future__ import annotations

import contextlib
import getpass
import ipaddress
import socket
import sys
import threading
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ethomorph.core.errors import InputError, StudyError
from ethomorph.review.accounts import Gate
from ethomorph.review.database import connect, sqlite_url
from ethomorph.review.library import study_or_run

PORT = 8765


@dataclass(frozen=True)
class Place:
    """Where the server listens and how it is reached.

    Attributes
    ----------
    names : further names by which people reach a lab server, such as ``review.lab.example``.
    certificate, key : TLS files; without them a server beyond this machine needs `behind_proxy`.
    behind_proxy : a proxy in front speaks TLS.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False

    @property
    def is_local(self) -> bool:
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    @property
    def encrypted(self) -> bool:
        return self.certificate is not None or self.behind_proxy

    def hosts(self, port: int) -> frozenset[str]:
        """The Host headers that are answered."""
        own = ("127.0.0.1", "localhost", "[::1]") if self.is_local else (self.host,)
        names = {name.lower() for name in (*own, *self.names)}
        return frozenset(names | {f"{name}:{port}" for name in names})


def database_url(paths: list[Path], given: str | None) -> str:
    """The database: the given URL, or ``review/review.sqlite`` in the one study; raises StudyError for several."""
    if given is not None:
        return given if "://" in given else sqlite_url(Path(given))
    folders = {study_or_run(path)[0].resolve() for path in paths}
    if len(folders) != 1:
        raise StudyError("several studies need one database", fix="name it with --database")
    return sqlite_url(folders.pop() / "review" / "review.sqlite")


def review(
    paths: list[Path],
    *,
    place: Place,
    database: str | None = None,
    accounts: bool = False,
    owner: str | None = None,
    browser: bool = True,
    announce: Any = None,
) -> None:
    """Serve until Ctrl-C.

    Parameters
    ----------
    owner : how the log calls the person of a local page; the user's name by default.
    announce : called with the page's address once the server listens; prints it by default.

    Raises
    ------
    InputError : a place beyond this machine without accounts or encryption, a port that is taken, a study that is none.
    """
    import uvicorn

    from ethomorph.review.app import create_app

    refuse_open_doors(place, accounts=accounts)
    gate = Gate(connect(database_url(paths, database)), None if accounts else owner or _user())
    listener = _listen(place)
    port = listener.getsockname()[1]
    app = create_app(paths, gate, hosts=place.hosts(port), cookie=f"ethomorph_{port}", secure=place.encrypted)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, proxy_headers=place.behind_proxy,
        ssl_certfile=place.certificate, ssl_keyfile=place.key, timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = _server(config, app)
    scheme = "https" if place.certificate else "http"
    shown = f"[{place.host}]" if ":" in place.host else place.host

    def address() -> str:
        return f"{scheme}://{shown}:{port}/" + ("" if accounts else f"#token={gate.new_token()}")

    server.when_up = lambda: _announce(address, announce, browser=browser and place.is_local)
    for opened in app.state.server.library.studies.values():
        threading.Thread(target=opened.open_ahead, daemon=True).start()
    server.run(sockets=[listener])


def refuse_open_doors(place: Place, *, accounts: bool) -> None:
    """Raise InputError where a server would be open to others without accounts, or send passwords in the clear."""
    if place.is_local:
        return
    if not accounts:
        raise InputError(
            f"--host {place.host} is open to other machines", fix="add --accounts, and people (--add-user)"
        )
    if not place.encrypted:
        raise InputError(
            f"--host {place.host} would send passwords unencrypted",
            fix="give --certificate and --key, or --behind-proxy where a proxy speaks TLS",
        )


def _listen(place: Place) -> socket.socket:
    """The listening socket: the asked port, or the usual one, or where that is taken any free one."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    for port in (place.port,) if place.port is not None else (PORT, 0):
        # asyncio sends small answers at once (TCP_NODELAY) only where the socket says that it is TCP
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((place.host, port))
        except OSError as error:
            listener.close()
            why = error.strerror
            continue
        return listener
    raise InputError(f"port {place.port} of {place.host} cannot be used ({why})", fix="give another --port")


def _announce(address: Any, announce: Any, *, browser: bool) -> None:
    first = address()
    if announce is not None:
        announce(first)
    else:
        print(f"review page: {first}")
    sys.stdout.flush()
    if browser:
        threading.Thread(target=webbrowser.open, args=(first,), daemon=True).start()
    if sys.stdin is not None and sys.stdin.isatty():
        threading.Thread(target=_on_enter, args=(address,), daemon=True).start()


def _on_enter(address: Any) -> None:
    """Enter in the terminal prints another link, for another browser."""
    for _ in sys.stdin:
        print(f"review page: {address()}", flush=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "me"


def _server(config: Any, app: Any) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        when_up: Any = None

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            if self.when_up is not None:
                self.when_up()

        async def shutdown(self, sockets: Any = None) -> None:
            app.state.server.events.close()
            await super().shutdown(sockets=sockets)

    return Server(config)
