"""What stands before every request: the host's name, sizes, rates, and the headers that keep a browser safe.

Plain ASGI, so that streams pass through untouched. Who may do what is decided behind it, in `routes`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 1_000_000
"""Bytes of a request; an edit has some hundred."""
MAX_UPLOAD = 400_000_000
UPLOAD_PATH = "/uploads"
RATE, BURST = 200.0, 600.0
"""Requests a second and at once for one address; ten annotators behind one proxy stay far below."""
SIGN_IN_RATE, SIGN_IN_BURST = 0.2, 8.0
SIGN_IN_PATH = "/api/session"
MOST_ADDRESSES = 10_000

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Buckets:
    """A token bucket an address."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, who: str) -> bool:
        now = time.monotonic()
        if len(self._left) > MOST_ADDRESSES:
            self._left.clear()
        left, since = self._left.get(who, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.rate)
        self._left[who] = (left - 1 if left >= 1 else left, now)
        return left >= 1


class Shield:
    """The outermost layer.

    Parameters
    ----------
    hosts : names that a request may be addressed to, so that no foreign page can reach the server by a name of its own;
        empty lets any name through (a proxy in front has checked it).
    """

    def __init__(self, app: Any, *, hosts: frozenset[str]) -> None:
        self.app, self.hosts = app, hosts
        self.all, self.sign_ins = Buckets(RATE, BURST), Buckets(SIGN_IN_RATE, SIGN_IN_BURST)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        limit = MAX_UPLOAD if scope["path"].endswith(UPLOAD_PATH) else MAX_BODY
        await self.app(scope, _counted(receive, limit), _with_headers(send))

    def _refusal(self, scope: Any, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "").lower()
        if self.hosts and host not in self.hosts:
            return 421, "this server does not answer to that name"
        who = scope["client"][0] if scope.get("client") else "?"
        if not self.all.take(who):
            return 429, "too many requests; wait a moment"
        signing = scope["method"] == "POST" and scope["path"] == SIGN_IN_PATH
        if signing and not self.sign_ins.take(who):
            return 429, "too many attempts to sign in; wait half a minute"
        if scope["method"] not in ("GET", "HEAD"):
            origin = headers.get("origin")
            if origin is not None and origin.split("://", 1)[-1].lower() != host:
                return 403, "this request comes from another site"
            length = headers.get("content-length", "0")
            limit = MAX_UPLOAD if scope["path"].endswith(UPLOAD_PATH) else MAX_BODY
            if not length.isdigit() or int(length) > limit:
                return 413, f"the request is larger than {limit} bytes"
        return None


class TooLarge(Exception):
    """A request without a length went on beyond the limit."""


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise TooLarge
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {k.lower() for k, _ in message["headers"]}
            added = HEADERS | {"content-security-policy": POLICY, "cache-control": "no-store"}
            message["headers"] = [
                *message["headers"],
                *((k.encode(), v.encode()) for k, v in added.items() if k.encode() not in present),
            ]
        await send(message)

    return guarded


async def _answer(send: Send, status: int, text: str) -> None:
    body = ('{"detail": "' + text + '"}').encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    guarded = _with_headers(send)
    await guarded({"type": "http.response.start", "status": status, "headers": headers})
    await guarded({"type": "http.response.body", "body": body})
