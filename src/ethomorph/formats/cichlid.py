"""The naming scheme of clips cut from cichlid arenas: ``project__NNNN_vid__cluster__size__second__row__column.mp4``.

It says where and when a clip was cut: the project (one animal's arena), the video, the cluster of changed pixels with
its size, the second in the video, and the place in px. Only names are read, never a video.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_NAME = re.compile(
    r"(?P<project>.+)__(?P<video>\d+_vid)__(?P<cluster>\d+)__(?P<size_px>\d+)__(?P<second>\d+)__(?P<row_px>\d+)__(?P<column_px>\d+)"
)
CLIP_SECONDS = 4.0
"""Length of such a clip: 2 s before and after the event."""


def parse_name(name: str) -> dict[str, str] | None:
    """What a clip's name says, or None where it is not of this scheme.

    Examples
    --------
    >>> parse_name("MC16_2__0001_vid__192__2135__797__238__1036.mp4")["video"]
    'MC16_2:0001_vid'
    >>> parse_name("clip_12.mp4") is None
    True
    """
    stem = PurePosixPath(name.replace("\\", "/")).name
    stem = stem[: -len(".mp4")] if stem.lower().endswith(".mp4") else stem
    found = _NAME.fullmatch(stem)
    if found is None:
        return None
    said = found.groupdict()
    return said | {"video": f"{said['project']}:{said['video']}"}
