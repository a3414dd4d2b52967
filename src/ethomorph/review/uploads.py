"""Pictures that somebody sends to the study: one, or a zip of many; all of them are taken in, or none.

What comes from outside is not trusted: names lose their folders, sizes are counted while unpacking, and every file must
be a picture by its content.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ethomorph.core.errors import InputError
from ethomorph.formats.images import read_header
from ethomorph.review.source import Refused

MOST_FILES = 5000
MOST_BYTES = 4_000_000_000
MOST_RATIO = 100
"""Pictures hardly shrink in a zip; one that grows a hundredfold is a bomb."""
FREE_BYTES = 50_000_000
"""Below so much unpacked, the ratio does not matter: an empty radiograph shrinks a lot."""
_CHUNK = 1 << 20


def take_in(upload: Path, name: str, folder: Path) -> list[str]:
    """Move the picture, or the zip's pictures, into `folder`; returns their names.

    Raises
    ------
    Refused : a name that points elsewhere or exists already, too many or too large files, a bomb, no picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".upload-") as scratch:
        if zipfile.is_zipfile(upload):
            unpacked = list(_unpacked(upload, Path(scratch)))
        else:
            target = Path(scratch) / plain_name(name)
            shutil.copyfile(upload, target)
            unpacked = [target]
        if not unpacked:
            raise Refused("the zip holds no files")
        for path in unpacked:
            refuse_other_than_pictures(path)
            if (folder / path.name).exists():
                raise Refused(f"{path.name} is there already", fix="rename the picture")
        for path in unpacked:
            os.replace(path, folder / path.name)
        return [path.name for path in unpacked]


def plain_name(name: str) -> str:
    """The file's own name; raises Refused where a name tries to lead elsewhere.

    >>> plain_name("day 1/0001.jpg")
    '0001.jpg'
    """
    slashed = name.replace("\\", "/")
    parts = PurePosixPath(slashed).parts
    climbs = slashed.startswith("/") or ".." in parts or (parts and parts[0].endswith(":"))
    last = parts[-1] if parts else ""
    if climbs or not last or last.startswith(".") or len(last) > 200 or any(ord(c) < 32 for c in name):
        raise Refused(f"{name[:80]!r} is no name for a picture", fix="use plain file names")
    return last


def refuse_other_than_pictures(path: Path) -> None:
    """Raise Refused where the content is not a picture that can be read."""
    try:
        read_header(path)
    except InputError as error:
        raise Refused(f"{path.name} is not a picture ({error.what})") from None


def _unpacked(upload: Path, scratch: Path) -> Iterator[Path]:
    try:
        with zipfile.ZipFile(upload) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_clutter(entry)]
            _refuse_bombs(entries, upload.stat().st_size)
            left = MOST_BYTES
            for entry in entries:
                path = scratch / plain_name(entry.filename)
                if path.exists():
                    raise Refused(f"two pictures of the zip are called {path.name}")
                left -= _extract(archive, entry, path, min(left, entry.file_size))
                yield path
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise Refused(f"the zip cannot be read ({str(error)[:100]})") from None


def _refuse_bombs(entries: list[zipfile.ZipInfo], packed: int) -> None:
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_FILES:
        raise Refused(f"the zip holds {len(entries)} files", fix=f"send at most {MOST_FILES} at once")
    if total > MOST_BYTES or (total > FREE_BYTES and total > MOST_RATIO * packed):
        raise Refused(f"the zip would unpack to {total:,} bytes", fix="send the pictures themselves")
    for entry in entries:
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise Refused(f"{entry.filename[:80]!r} is a link", fix="send the pictures themselves")


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, most: int) -> int:
    """Unpack one entry, stopping where it is longer than it said; returns its bytes."""
    seen = 0
    with archive.open(entry) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK):
            seen += len(chunk)
            if seen > most:
                raise Refused(f"{entry.filename[:80]!r} is longer than the zip says")
            target.write(chunk)
    return seen


def _is_clutter(entry: zipfile.ZipInfo) -> bool:
    """What macOS and Windows leave in zips."""
    parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
    return bool(parts) and (parts[0] == "__MACOSX" or parts[-1] in (".DS_Store", "Thumbs.db"))
