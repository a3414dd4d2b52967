"""`Turn`: a lock among processes, also of several machines on a shared file system; a killed holder loses it."""

from __future__ import annotations

from pathlib import Path
from typing import IO


class Turn:
    """A lock on a file, which is made where it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stream: IO[str] | None = None

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the turn; without `wait`, whether it was free."""
        import fcntl

        stream = self.path.open("w")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            return False
        self.stream = stream
        return True

    def release(self) -> None:
        """Give the turn back; does nothing without it."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None
