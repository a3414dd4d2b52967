"""Errors a person can act on.

An `InputError` says what is wrong, where, and what would be right, in one line; the command line prints that line and
exits with 2. Anything else that escapes is a failure of ours (exit 1).
"""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """Bad input. `str(error)` is one line: ``place: what; fix``.

    Parameters
    ----------
    what : what was found, in plain words.
    place : file, and inside it the row, key or specimen.
    fix : what to do about it, an imperative sentence without a full stop.
    """

    def __init__(self, what: str, *, place: str | Path = "", fix: str = "") -> None:
        self.what, self.place, self.fix = what, str(place), fix
        line = ": ".join(part for part in (self.place, what) if part)
        super().__init__(" ".join(f"{line}; {fix}".split()) if fix else " ".join(line.split()))


class FormatError(InputError):
    """A file that is not what its name says, or is damaged."""


class LabelError(InputError):
    """Labels that contradict each other or their image."""


class ImageError(InputError):
    """An image that cannot be read or has no usable content."""


class StudyError(InputError):
    """A study.toml or run folder that cannot be used as it stands."""


class SplitError(InputError):
    """A split that cannot be made honestly."""


class Interrupted(KeyboardInterrupt):
    """A person or a scheduler stopped the work; what was finished is on disk. The message says how to go on."""


class MissingPart(InputError):
    """An optional dependency is needed; `fix` is the line that installs it."""
