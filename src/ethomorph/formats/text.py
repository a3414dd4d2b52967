"""Reading text, numbers and JSON from files that may be damaged or hostile.

Everything here answers bad input with a `FormatError` that names the file and the place. It knows no format.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, TypeVar

from ethomorph.core.errors import FormatError

MAX_BYTES = 256 * 2**20  # label files are text of a few MB; more is another kind of file
MAX_LINE = 1_000_000  # characters; the widest honest line, 1,000 landmarks in a table, has some 60,000
MAX_NUMBER = 64  # characters in one number

MISSING_WORDS = frozenset({"", "na", "nan", "n/a", "null", "none", "missing"})
_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?", re.ASCII)

T = TypeVar("T")


def read_bytes(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """The file's bytes; FormatError where it is absent, not a plain file, empty or larger than `limit` bytes."""
    path = Path(path)
    check_file(path, limit)
    try:
        return path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", place=path) from None


def check_file(path: str | Path, limit: int | None = None) -> None:
    """FormatError unless `path` is a plain file with content, of at most `limit` bytes."""
    path = Path(path)
    try:
        if not path.exists():
            raise FormatError("there is no such file", place=path, fix="check the path")
        if not path.is_file():
            raise FormatError("is not a file", place=path, fix="give a file")
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"cannot be read ({error})", place=path) from None
    if size == 0:
        raise FormatError("the file is empty", place=path, fix="export it again")
    if limit is not None and size > limit:
        raise FormatError(
            f"has {size / 2**20:.0f} MB, label files have at most {limit // 2**20} MB", place=path, fix="split it"
        )


def read_text(path: str | Path, *, max_line: int | None = MAX_LINE, lone_cr: str = "\n") -> str:
    """Decoded text with LF line ends: UTF-8, UTF-16 with a byte order mark, else Latin-1.

    `lone_cr` stands for a carriage return without a line feed: a line end, except where a program is known to leave
    strays.
    """
    data = read_bytes(path)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError:
            raise FormatError("starts like UTF-16 text but is not", place=path, fix="export it again") from None
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    nul = text.find("\0")
    if nul >= 0:
        raise FormatError(f"NUL character at position {nul}: binary or damaged", place=path, fix="export it again")
    text = text.replace("\r\n", "\n").replace("\r", lone_cr)
    if not text.strip():
        raise FormatError("the file holds nothing but white space", place=path, fix="export it again")
    if max_line is not None:
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > max_line:
                raise FormatError(
                    f"line {number} has {len(line):,} characters", place=path, fix=f"at most {max_line:,}"
                )
    return text


def number(text: str, place: str) -> float:
    """One number, with decimal point or comma; NaN for the words of `MISSING_WORDS`; infinity is refused.

    Examples
    --------
    >>> number("290.", "a.tps"), number("1,5", "a.tps"), number("NA", "a.tps")
    (290.0, 1.5, nan)
    """
    text = text.strip()
    if text.lower() in MISSING_WORDS:
        return math.nan
    if len(text) > MAX_NUMBER or not _NUMBER.fullmatch(text):
        raise FormatError(f"{shown(text)} is not a number", place=place)
    return finite(float(text.replace(",", ".")), place)


def finite(value: Any, place: str) -> float:
    """A JSON or HDF5 value as float; None is NaN; FormatError for infinity and for what is no number."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FormatError(f"{shown(value)} is not a number", place=place)
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if math.isinf(result):
        raise FormatError("a coordinate is infinite", place=place, fix="mark missing points as NaN")
    return result


def whole(text: str, place: str) -> int:
    """A count: decimal digits only; FormatError otherwise."""
    text = text.strip()
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise FormatError(f"{shown(text)} is not a count", place=place)
    return int(text)


def shown(value: Any) -> str:
    """How a value is quoted in a message: its repr, shortened."""
    text = repr(value if not isinstance(value, (str, bytes)) else value[:60])
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(text: str) -> str:
    """Text without control characters and line breaks, stripped: what a line-based format can hold."""
    return " ".join("".join(c if c.isprintable() or c == " " else " " for c in text).split(" ")).strip()


def load_json(path: str | Path) -> Any:
    """Parsed JSON; FormatError where it is damaged, nested too deep, or holds infinity or broken text."""
    text = read_text(path, max_line=None)
    try:
        value = json.loads(text, parse_constant=_constant)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise FormatError(f"line {error.lineno} is not JSON ({error.msg})", place=path, fix="export it again") from None
    except RecursionError:
        raise FormatError("JSON is nested too deep", place=path) from None
    except UnicodeEncodeError:
        raise FormatError("JSON holds broken Unicode text", place=path) from None
    except ValueError as error:
        raise FormatError(f"not JSON that can be used ({error})", place=path) from None
    return value


def get(mapping: dict[str, Any], key: str, kind: type[T], place: str) -> T:
    """``mapping[key]``, which must be there and of `kind`; FormatError otherwise."""
    value = mapping.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = "is missing" if key not in mapping else f"is {shown(value)}"
        raise FormatError(f"{key!r} {found}, expected {_KINDS.get(kind, kind.__name__)}", place=place)
    return value


def as_is(value: Any, kind: type[T], what: str, place: str) -> T:
    """`value`, which must be of `kind`; FormatError otherwise."""
    if not isinstance(value, kind):
        raise FormatError(f"{what} is {shown(value)}, expected {_KINDS.get(kind, kind.__name__)}", place=place)
    return value


_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "text", int: "a whole number"}


def _constant(name: str) -> float:
    if name == "NaN":
        return math.nan
    raise ValueError(f"it holds {name}")
