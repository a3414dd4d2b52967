"""What a pose sample is: a labelled frame with every animal in it; and the skeleton they share.

Between here and `sleap_io.Labels` lie `labelled_frames` and `scheme_of`. Decoded frames are kept within a bound.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.formats.video import Film

if TYPE_CHECKING:
    import sleap_io


@dataclass(frozen=True)
class Scheme:
    """A skeleton as plain numbers.

    Attributes
    ----------
    names : of the nodes in order.
    edges : (source, destination) node numbers.
    symmetry : pairs of node numbers that change places when an animal is mirrored.
    """

    names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    symmetry: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def mirrored(self) -> np.ndarray:
        """The node that each node becomes when the animal is mirrored."""
        order = np.arange(len(self.names))
        for a, b in self.symmetry:
            order[a], order[b] = b, a
        return order

    def tree(self) -> tuple[tuple[int, int], ...]:
        """Edges that join all nodes without a circle: the skeleton's own where they do, filled up from node to node.

        A skeleton without edges, as DeepLabCut's often are, becomes a chain in the order of its nodes.
        """
        root = list(range(len(self.names)))

        def top(node: int) -> int:
            while root[node] != node:
                node = root[node]
            return node

        kept = []
        for a, b in (*self.edges, *((i, i + 1) for i in range(len(self.names) - 1))):
            if top(a) != top(b):
                root[top(b)] = top(a)
                kept.append((a, b))
        return tuple(kept)

    def to_dict(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "edges": [list(edge) for edge in self.edges],
            "symmetry": [list(pair) for pair in self.symmetry],
        }

    @classmethod
    def from_dict(cls, block: dict[str, Any]) -> Scheme:
        pairs = {key: tuple((int(a), int(b)) for a, b in block[key]) for key in ("edges", "symmetry")}
        return cls(tuple(str(name) for name in block["names"]), pairs["edges"], pairs["symmetry"])

    def skeleton(self) -> sleap_io.Skeleton:
        """The skeleton as sleap-io has it."""
        import sleap_io

        names = list(self.names)
        return sleap_io.Skeleton(
            nodes=names,
            edges=[(names[a], names[b]) for a, b in self.edges],
            symmetries=[(names[a], names[b]) for a, b in self.symmetry],
        )


@dataclass
class LabelledFrame:
    """One frame with all its animals.

    Attributes
    ----------
    video, frame : which frame, counted from 0.
    points : (animals, nodes, 2) px, NaN where hidden; no animal is an empty array.
    tracks : the name of each animal, "" where it has none.
    """

    video: int
    frame: int
    points: np.ndarray
    tracks: list[str] = field(default_factory=list)


def scheme_of(labels: sleap_io.Labels) -> Scheme:
    """The skeleton of labels."""
    skeleton = labels.skeletons[0]
    symmetry = sorted({(min(a, b), max(a, b)) for a, b in map(tuple, skeleton.symmetry_inds)})
    return Scheme(
        tuple(skeleton.node_names),
        tuple((int(a), int(b)) for a, b in skeleton.edge_inds),
        tuple((int(a), int(b)) for a, b in symmetry),
    )


def labelled_frames(labels: sleap_io.Labels) -> tuple[list[LabelledFrame], list[str]]:
    """Every labelled frame, and what had to be decided.

    A person's instances count, predictions only where nobody labelled anything in the whole file. Instances without a
    visible node are left out; a frame that only had predictions or hidden instances is left out with them, one that is
    marked as empty stays.
    """
    import sleap_io

    place = {id(video): i for i, video in enumerate(labels.videos)}
    frames = labels.labeled_frames
    by_hand = any(not isinstance(i, sleap_io.PredictedInstance) for frame in frames for i in frame.instances)
    nodes = len(labels.skeletons[0].nodes)
    kept, passed, hidden, dropped = [], 0, 0, 0
    for frame in frames:
        chosen = [i for i in frame.instances if not by_hand or not isinstance(i, sleap_io.PredictedInstance)]
        passed += len(frame.instances) - len(chosen)
        points = [np.array(i.numpy(), dtype=np.float64)[:, :2] for i in chosen]
        seen = [bool(np.isfinite(p).all(axis=1).any()) for p in points]
        hidden += sum(not s for s in seen)
        if not any(seen) and (frame.instances or not getattr(frame, "is_negative", False)):
            dropped += 1
            continue
        names = [i.track.name if i.track is not None else "" for i in chosen]
        shown = [p for p, s in zip(points, seen, strict=True) if s]
        array = np.stack(shown) if shown else np.empty((0, nodes, 2))
        tracks = [n for n, s in zip(names, seen, strict=True) if s]
        kept.append(LabelledFrame(place[id(frame.video)], int(frame.frame_idx), array, tracks))
    notes = []
    if not by_hand and kept:
        notes.append("nobody labelled these: the instances are predictions, taken as truth")
    if passed:
        notes.append(f"{passed} predictions are left out, since the file holds labels by hand")
    if hidden:
        notes.append(f"{hidden} instances without a visible node are left out")
    if dropped:
        notes.append(f"{dropped} frames without a labelled animal are left out")
    return kept, notes


def refuse_beyond_film(frames: Sequence[LabelledFrame], films: Sequence[Film], place: str) -> None:
    """Raise LabelError for labels on frames that their video does not have."""
    late = [f for f in frames if f.frame >= len(films[f.video]) or f.frame < 0]
    if late:
        first = late[0]
        film = films[first.video]
        raise LabelError(
            f"{len(late)} labelled frames lie past the end of their video, such as frame {first.frame} of {film.name}, "
            f"which has {len(film)}",
            place=place,
            fix="name the video that was labelled, or delete these labels",
        )


class FrameStore:
    """Labelled frames as pixels, resized, decoded once and kept as long as they fit into `memory_mb`.

    Parameters
    ----------
    scale : resizing by area averaging; points of the result are ``scaled`` ones.
    grey : one channel instead of three.
    """

    def __init__(self, films: Sequence[Film], *, scale: float, grey: bool, memory_mb: int) -> None:
        self.films, self.scale, self.grey = list(films), scale, grey
        self.room = memory_mb * 2**20
        self.kept: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self.bytes = 0

    def pixels(self, frame: LabelledFrame) -> np.ndarray:
        """uint8 (height, width) or (height, width, 3).

        Raises
        ------
        LabelError : a labelled frame that cannot be decoded.
        """
        key = (frame.video, frame.frame)
        if key in self.kept:
            return self.kept[key]
        raw = self.films[frame.video].frame(frame.frame, grey=self.grey)
        if raw is None:
            raise LabelError(
                f"labelled frame {frame.frame} cannot be decoded", place=self.films[frame.video].name,
                fix="re-encode the video from its source, or delete that label",
            )  # fmt: skip
        picture = resized(raw, self.scale)
        if self.bytes + picture.nbytes <= self.room:
            self.kept[key] = picture
            self.bytes += picture.nbytes
        return picture

    def warm(self, frames: Sequence[LabelledFrame]) -> None:
        """Decode frames in the order in which they lie in their videos, which is fast, as far as there is room."""
        for frame in sorted(frames, key=lambda f: (f.video, f.frame)):
            if self.bytes >= self.room:
                return
            self.pixels(frame)


def resized(picture: np.ndarray, scale: float) -> np.ndarray:
    """A picture resized by `scale`; by area where it shrinks, so that nothing aliases."""
    if scale == 1:
        return picture
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=how)


def scaled(points: np.ndarray, scale: float) -> np.ndarray:
    """Points in a picture resized by `scale`: pixel centres are kept, x' = scale (x + 0.5) - 0.5."""
    return points if scale == 1 else scale * (points + 0.5) - 0.5


def unscaled(points: np.ndarray, scale: float) -> np.ndarray:
    """The inverse of `scaled`."""
    return points if scale == 1 else (points + 0.5) / scale - 0.5


def centre_of(points: np.ndarray, anchor: int | None) -> np.ndarray:
    """(..., 2): the anchor node where it is seen, else the middle of the box around the nodes that are."""
    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            middle = (np.nanmin(points, axis=-2) + np.nanmax(points, axis=-2)) / 2
    if anchor is None:
        return middle
    at = points[..., anchor, :]
    return np.where(np.isfinite(at).all(-1, keepdims=True), at, middle)


def crop_side(
    frames: Sequence[LabelledFrame], *, scale: float, padding: float, multiple: int, anchor: int | None
) -> int:
    """Side in scaled px that holds every labelled animal about its centre, times `padding`, as a multiple."""
    reach = 0.0
    for frame in frames:
        if len(frame.points):
            away = np.abs(frame.points - centre_of(frame.points, anchor)[:, None])
            reach = max(reach, float(np.nanmax(away)))
    return int(np.ceil(max(2 * reach * scale * padding, multiple) / multiple) * multiple)


def padded(picture: np.ndarray, multiple: int) -> np.ndarray:
    """The picture with its right and lower edge repeated up to a multiple of `multiple`."""
    down, right = (-side % multiple for side in picture.shape[:2])
    if not down and not right:
        return picture
    return cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)


def channels_first(picture: np.ndarray) -> np.ndarray:
    """(height, width[, 3]) as contiguous (channels, height, width)."""
    return picture[None] if picture.ndim == 2 else np.ascontiguousarray(picture.transpose(2, 0, 1))
