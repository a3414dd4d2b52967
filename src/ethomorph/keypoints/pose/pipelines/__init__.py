"""One file a pipeline: which networks it trains, on which views, and how it finds animals with them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ethomorph.core.errors import StudyError

if TYPE_CHECKING:
    from ethomorph.keypoints.pose.pipelines.base import Pipeline

PIPELINES = {
    "single_instance": "SingleInstance",
    "top_down": "TopDown",
    "bottom_up": "BottomUp",
}
"""Name, which is also the file's, to class."""


def pipeline_class(name: str) -> type[Pipeline]:
    """The class of a pipeline; raises StudyError for an unknown name."""
    if name not in PIPELINES:
        raise StudyError(f"there is no method {name!r}", fix=f"use one of {', '.join(PIPELINES)}")
    found: type[Pipeline] = getattr(import_module(f"{__name__}.{name}"), PIPELINES[name])
    return found
