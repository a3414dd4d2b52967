"""Poses in video as the page sees them: an item a video, nodes to drag, exchanges of identity, bouts beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import InputError
from ethomorph.formats.poses import film_of, read_poses, write_poses
from ethomorph.formats.video import Film
from ethomorph.review.behavior import sibling_bouts
from ethomorph.review.bouts import checked_bouts
from ethomorph.review.landmarks import checked_point
from ethomorph.review.source import MARKS, Refused, checked_mark, text_or_none
from ethomorph.review.store import Store
from ethomorph.review.tracks import Animal, animals_of, suspects, swapped_name
from ethomorph.review.video import Frames, VideoSource
from ethomorph.study.config import Study, TaskSection
from ethomorph.study.run import Run

AT_ONCE = 600
"""Frames whose poses are sent together."""


class PoseSource(VideoSource):
    """``kind = "pose"``. Fields: ``node:<frame>:<instance>:<node>``, ``swap:<frame>`` and ``bouts``."""

    kind = "pose"
    suffixes = (".slp", ".csv", ".h5", ".json")

    def __init__(self, study: Study, name: str, section: TaskSection, store: Store, run: Run | None = None) -> None:
        super().__init__(study, name, section, store)
        predicted = run.folder / "predictions.slp" if run is not None else None
        self.path = predicted if predicted and predicted.is_file() else study.existing(section.labels, "labels")
        media = study.path(section.images) if section.images else None
        self.labels, self.warnings = read_poses(self.path)
        skeleton = self.labels.skeletons[0]
        self.nodes = list(skeleton.node_names)
        self.edges = [(int(a), int(b)) for a, b in skeleton.edge_inds]
        self.animals: dict[str, dict[int, list[Animal]]] = {}
        films: dict[str, Film] = {}
        for i, (video, frames) in enumerate(zip(self.labels.videos, animals_of(self.labels).values(), strict=True)):
            item = self._named(video.filename, i)
            self.animals[item] = frames
            try:
                films[item] = film_of(video, self.path, media, len(self.labels.videos))
            except InputError as error:
                self.warnings.append(str(error))
        self.frames = Frames(films)
        self.bouts = sibling_bouts(study, self.items())
        self.suspects: dict[str, list[dict[str, Any]]] = {}

    def items(self) -> list[str]:
        return list(self.animals)

    def native(self, item: str, fields: list[str]) -> dict[str, Any]:
        self.refuse_unknown(item)
        return {field: self._native(item, field) for field in fields}

    def checked(self, item: str, field: str, value: Any) -> Any:
        self.refuse_unknown(item)
        if field in MARKS:
            return checked_mark(field, value, ["good", "bad"])
        if field == "bouts":
            return checked_bouts(value, self.seconds(item))
        self._native(item, field)
        if field.startswith("node:"):
            return checked_point(value)
        return self._checked_swap(item, value)

    def detail(self, item: str) -> dict[str, Any]:
        self.refuse_unknown(item)
        held = self.store.values(item).get(item, {})
        native = self.native(item, [*MARKS, "bouts"])
        values = {f: (v, 0) for f, v in native.items()} | held
        film = self.frames.films.get(item)
        doubts = self.suspects.get(item, [])
        return {
            "item": item, "label": item, "native": native,
            "values": {f: {"value": v, "revision": r} for f, (v, r) in values.items()},
            "need": {"amount": len(doubts), "reasons": self._reasons(item)},
            "frames": self.length(item), "fps": film.fps if film else 25.0, "film": film is not None,
            "width": film.size[1] if film else 640, "height": film.size[0] if film else 480,
            "tracks": self.tracks(item), "labelled": sorted(self.animals[item]), "suspects": doubts,
        }  # fmt: skip

    def scheme(self) -> dict[str, Any]:
        return {
            "nodes": self.nodes, "edges": self.edges, "grades": [], "warnings": self.warnings,
            "behaviors": sorted({b["behavior"] for bouts in self.bouts.values() for b in bouts}),
        }  # fmt: skip

    def queue(self) -> list[dict[str, Any]]:
        held = self.store.values(fields=["status", "assigned", "grade"])
        edited = set(self.store.values())
        rows = [
            {
                "item": item, "need": float(min(4, len(self.suspects.get(item, [])))), "reasons": self._reasons(item),
                "grade": text_or_none(held.get(item, {}), "grade"), "group": None, "part": None,
                "status": text_or_none(held.get(item, {}), "status"), "edited": item in edited,
                "assigned": text_or_none(held.get(item, {}), "assigned"),
            }
            for item in self.items()
        ]  # fmt: skip
        return sorted(rows, key=lambda row: (row["status"] == "done", -row["need"]))

    def prepare(self) -> None:
        self.suspects = {item: suspects(frames) for item, frames in self.animals.items()}

    def poses(self, item: str, start: int, stop: int) -> dict[int, list[dict[str, Any]]]:
        """Instances of frames as the file has them: track, points (null where hidden) and whether predicted."""
        self.refuse_unknown(item)
        frames = self.animals[item]
        return {
            i: [{"track": a.track, "predicted": a.predicted, "points": plain_points(a.points)} for a in frames[i]]
            for i in range(start, min(stop, start + AT_ONCE)) if i in frames
        }  # fmt: skip

    def tracks(self, item: str) -> list[str]:
        return sorted({a.track for animals in self.animals[item].values() for a in animals if a.track})

    def length(self, item: str) -> int:
        film = self.frames.films.get(item)
        return len(film) if film is not None else max(self.animals[item], default=0) + 1

    def seconds(self, item: str) -> float:
        film = self.frames.films.get(item)
        return self.length(item) / (film.fps if film is not None else 25.0)

    def corrected(self) -> Any:
        """A copy of the labels with moved nodes and exchanged tracks; a prediction that was touched becomes a label."""
        import sleap_io

        labels, _ = read_poses(self.path)
        place = {id(video): item for video, item in zip(labels.videos, self.items(), strict=True)}
        held = self.store.values()
        named = {track.name: track for track in labels.tracks}
        for frame in labels.labeled_frames:
            mine = held.get(place[id(frame.video)], {})
            swaps = swaps_of(mine)
            for i, instance in enumerate(frame.instances):
                moved = {n: mine[f][0] for n in self.nodes if (f := f"node:{frame.frame_idx}:{i}:{n}") in mine}
                if moved:
                    points = np.asarray(instance.numpy(), dtype=float)[:, :2]
                    for node, value in moved.items():
                        points[self.nodes.index(node)] = value if value is not None else np.nan
                    frame.instances[i] = instance = sleap_io.Instance.from_numpy(
                        points, skeleton=instance.skeleton, track=instance.track
                    )
                if instance.track is not None and swaps:
                    instance.track = named[swapped_name(instance.track.name, int(frame.frame_idx), swaps)]
        return labels

    def write(self, path: Path) -> list[str]:
        """Write the corrected poses in the format of the suffix."""
        return write_poses(self.corrected(), path)

    def _native(self, item: str, field: str) -> Any:
        if field in MARKS:
            return None
        if field == "bouts":
            return self.bouts.get(item, [])
        kind, _, rest = field.partition(":")
        if kind == "swap" and rest.isdigit():
            return None
        parts = rest.split(":", 2)
        if kind == "node" and len(parts) == 3 and parts[0].isdigit() and parts[1].isdigit() and parts[2] in self.nodes:
            animals = self.animals[item].get(int(parts[0]), [])
            if int(parts[1]) < len(animals):
                return plain_points(animals[int(parts[1])].points)[self.nodes.index(parts[2])]
        raise Refused(f"a video has no field {field!r}")

    def _checked_swap(self, item: str, value: Any) -> list[str] | None:
        if value is None:
            return None
        tracks = self.tracks(item)
        if (
            not isinstance(value, list)
            or len(value) != 2
            or value[0] == value[1]
            or any(v not in tracks for v in value)
        ):
            raise Refused(f"an exchange is two of the tracks {', '.join(tracks)}")
        return sorted(value)

    def _reasons(self, item: str) -> list[str]:
        count = len(self.suspects.get(item, []))
        return [f"{count} place{'s' * (count > 1)} where identities look exchanged"] if count else []

    @staticmethod
    def _named(filename: Any, index: int) -> str:
        name = filename[0] if isinstance(filename, list) else filename
        return f"{Path(str(name).replace(chr(92), '/')).name or 'video'}" + (f"#{index + 1}" if index else "")


def swaps_of(held: dict[str, tuple[Any, int]]) -> dict[int, list[str]]:
    """Exchanges of identity by frame."""
    return {int(f.removeprefix("swap:")): v for f, (v, _) in held.items() if f.startswith("swap:") and v}


def plain_points(points: np.ndarray) -> list[list[float] | None]:
    """Points as JSON holds them: null where hidden, to a hundredth of a pixel."""
    return [[round(float(x), 2), round(float(y), 2)] if np.isfinite([x, y]).all() else None for x, y in points]
