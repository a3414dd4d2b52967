"""Scored behaviour as the page sees it: an item an observation with its video, one list of bouts each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethomorph.core.errors import InputError
from ethomorph.core.events import EventLog
from ethomorph.review.bouts import bouts_of, checked_bouts, with_bouts
from ethomorph.review.source import MARKS, Refused, checked_mark, text_or_none
from ethomorph.review.store import Store
from ethomorph.review.video import Frames, VideoSource
from ethomorph.study.config import Study, TaskSection
from ethomorph.study.run import Run


class BehaviorSource(VideoSource):
    """``kind = "behavior"`` with BORIS events or labels frame by frame. The only field beside the marks: ``bouts``."""

    kind = "behavior"
    suffixes = (".csv",)

    def __init__(self, study: Study, name: str, section: TaskSection, store: Store, run: Run | None = None) -> None:
        super().__init__(study, name, section, store)
        self.path = study.existing(section.labels, f"task.{name}.labels")
        self.log = events_of(study, section)
        self.warnings += self.log.notes
        self.frames = Frames(films_of(study, section, self.log))

    def items(self) -> list[str]:
        return list(self.log.observations)

    def native(self, item: str, fields: list[str]) -> dict[str, Any]:
        self.refuse_unknown(item)
        unknown = [f for f in fields if f not in (*MARKS, "bouts")]
        if unknown:
            raise Refused(f"an observation has no field {unknown[0]!r}")
        return {f: bouts_of(self.log, item) if f == "bouts" else None for f in fields}

    def checked(self, item: str, field: str, value: Any) -> Any:
        self.refuse_unknown(item)
        if field in MARKS:
            return checked_mark(field, value, ["good", "bad"])
        if field == "bouts":
            return checked_bouts(value, self.log.observations[item].seconds)
        raise Refused(f"an observation has no field {field!r}")

    def detail(self, item: str) -> dict[str, Any]:
        self.refuse_unknown(item)
        native = self.native(item, [*MARKS, "bouts"])
        held = self.store.values(item).get(item, {})
        values = {f: (v, 0) for f, v in native.items()} | held
        film, seen = self.frames.films.get(item), self.log.observations[item]
        fps = film.fps if film else self.section.fps or 25.0
        return {
            "item": item, "label": item, "native": native, "need": {"amount": 0, "reasons": []},
            "values": {f: {"value": v, "revision": r} for f, (v, r) in values.items()},
            "frames": len(film) if film else max(1, round(seen.seconds * fps)), "fps": fps, "film": film is not None,
            "width": film.size[1] if film else 640, "height": film.size[0] if film else 480,
            "tracks": [], "labelled": [], "suspects": [],
        }  # fmt: skip

    def scheme(self) -> dict[str, Any]:
        return {
            "nodes": [], "edges": [], "grades": [], "behaviors": self.log.behaviors, "subjects": self.log.subjects,
            "warnings": self.warnings,
        }  # fmt: skip

    def queue(self) -> list[dict[str, Any]]:
        held = self.store.values(fields=["status", "assigned", "grade", "bouts"])
        return [
            {
                "item": item, "need": 0.0, "reasons": [f"{len(self.log.of(item))} bouts scored"], "grade": None,
                "status": text_or_none(held.get(item, {}), "status"), "edited": item in held, "group": None,
                "assigned": text_or_none(held.get(item, {}), "assigned"), "part": None,
            }
            for item in self.items()
        ]  # fmt: skip

    def poses(self, item: str, start: int, stop: int) -> dict[int, list[dict[str, Any]]]:
        """No poses belong to scored events."""
        self.refuse_unknown(item)
        return {}

    def write(self, path: Path) -> list[str]:
        """Write the corrected events as BORIS's aggregated table."""
        from ethomorph.formats.boris import write_aggregated

        log = self.log
        for item, held in self.store.values(fields=["bouts"]).items():
            if item in log.observations:
                log = with_bouts(log, item, held["bouts"][0])
        return write_aggregated(log, path)


def events_of(study: Study, section: TaskSection) -> EventLog:
    """A behaviour task's labels as events; raises Refused for clips, which are not scored on a time line."""
    from ethomorph.behavior.samples import is_events, read_samples

    path = study.path(section.labels)
    if path.is_file() and is_events(path):
        from ethomorph.formats.boris import read_boris

        return read_boris(path)
    from ethomorph.behavior.bouts import UNSCORED_STATE, log_of

    poses = study.path(section.poses) if section.poses else None
    images = study.path(section.images) if section.images else None
    found = read_samples(section, path, images, poses)
    if not isinstance(found, list):
        raise Refused("these labels are of single clips, not of a time line")
    return log_of(found, leave_out=(UNSCORED_STATE,))


def films_of(study: Study, section: TaskSection, log: EventLog) -> dict[str, Any]:
    """The film of each observation whose video is found."""
    from ethomorph.behavior.samples import media_name
    from ethomorph.formats.pictures import PictureIndex
    from ethomorph.formats.video import open_film

    folder = study.path(section.images) if section.images else study.path(section.labels).parent
    index = PictureIndex(folder)
    found = {}
    for name, seen in log.observations.items():
        paths = index.find(media_name(seen))
        if paths:
            found[name] = open_film(paths[0])
    return found


def sibling_bouts(study: Study, videos: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Bouts that the study's behaviour tasks scored in these videos, by video."""
    from ethomorph.behavior.samples import media_name

    found: dict[str, list[dict[str, Any]]] = {}
    for section in study.config.task.values():
        if section.kind != "behavior" or not study.path(section.labels).is_file():
            continue
        try:
            log = events_of(study, section)
        except InputError:
            continue
        for name, seen in log.observations.items():
            video = media_name(seen)
            if video in videos:
                found[video] = bouts_of(log, name)
    return found
