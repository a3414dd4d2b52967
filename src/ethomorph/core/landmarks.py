"""`LandmarkSet`: digitised specimens, 2-D or 3-D, with everything their files said about them.

This is the container for landmarks on stills and specimens. Poses in video stay in `sleap_io.Labels`; a 2-D set goes
there and back with `formats.sleap_slp.labels_of` and `from_labels`. It does no statistics and reads no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from ethomorph.core.errors import LabelError

Frame = Literal["image", "y_up", "lps"]
FRAMES = {
    "image": "pixels, x right, y down, origin at the top left",
    "y_up": "x right, y up, origin at the bottom left (TPS without its image)",
    "lps": "millimetres, left-posterior-superior",
}


@dataclass
class Specimen:
    """One configuration of landmarks: one animal, print or bone in one picture or volume.

    Attributes
    ----------
    points : float64 array (landmarks, 2 or 3); a row of NaN is a missing landmark.
    id : what the file calls the specimen; may repeat where it was digitised twice.
    image : the picture's name exactly as the file gives it.
    image_path : the picture on this disk, once found.
    image_size : (height, width) in px, once known.
    scale : units per px (TPS ``SCALE``), never yet applied to `points`.
    unit : the unit that `scale` leads to.
    box : (left, top, right, bottom) in px around the specimen, right and bottom inclusive.
    curves : each (points, 2 or 3), in the frame of `points`.
    confidence : (landmarks,) in 0..1, for predictions.
    spread : (landmarks,) in px, the ensemble's spread, for predictions.
    attributes : everything else the file said (COMMENT, VARIABLES, grade, sex ...), text to text.
    """

    points: np.ndarray
    id: str = ""
    image: str | None = None
    image_path: Path | None = None
    image_size: tuple[int, int] | None = None
    scale: float | None = None
    unit: str = "mm"
    box: tuple[float, float, float, float] | None = None
    curves: list[np.ndarray] = field(default_factory=list)
    confidence: np.ndarray | None = None
    spread: np.ndarray | None = None
    attributes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.points = np.asarray(self.points, dtype=np.float64)
        if self.points.ndim != 2 or self.points.shape[1] not in (2, 3):
            raise LabelError(f"points have shape {self.points.shape}", place=self.label, fix="give (landmarks, 2 or 3)")

    @property
    def label(self) -> str:
        """How messages and tables call the specimen: its id, else its image."""
        return self.id or (self.image or "unnamed specimen")

    @property
    def visible(self) -> np.ndarray:
        """Boolean (landmarks,): which landmarks have coordinates."""
        return np.isfinite(self.points).all(axis=1)


@dataclass
class LandmarkSet:
    """Specimens that share one landmark scheme.

    Attributes
    ----------
    specimens : each with ``len(names)`` landmarks.
    names : the landmarks' names in order.
    frame : what the coordinates mean, a key of `FRAMES`.
    edges : pairs of landmark indices to draw as lines.
    symmetry : pairs of landmark indices that swap under reflection.
    source : where the set came from, for messages.
    notes : what reading had to decide or could not keep, one sentence each.

    Examples
    --------
    >>> wings = LandmarkSet([Specimen([[0, 0], [3, 4]], id="a")], names=["hinge", "tip"])
    >>> wings.array().shape
    (1, 2, 2)
    """

    specimens: list[Specimen]
    names: list[str]
    frame: Frame = "image"
    edges: list[tuple[int, int]] = field(default_factory=list)
    symmetry: list[tuple[int, int]] = field(default_factory=list)
    source: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = [str(name) for name in self.names]
        refuse_mixed_counts(self)

    def __len__(self) -> int:
        return len(self.specimens)

    def __iter__(self) -> Iterator[Specimen]:
        return iter(self.specimens)

    def __getitem__(self, index: int) -> Specimen:
        return self.specimens[index]

    @property
    def dim(self) -> int:
        """2 or 3."""
        return self.specimens[0].points.shape[1] if self.specimens else 2

    def array(self) -> np.ndarray:
        """Coordinates as (specimens, landmarks, dim), NaN where missing; a copy."""
        if not self.specimens:
            return np.empty((0, len(self.names), self.dim))
        return np.stack([specimen.points for specimen in self.specimens])

    def subset(self, indices: Iterable[int]) -> Self:
        """The set with only these specimens, in this order."""
        return replace(self, specimens=[self.specimens[int(i)] for i in indices], notes=list(self.notes))

    def where(self, keep: Callable[[Specimen], bool]) -> Self:
        """The set with only the specimens that `keep` accepts."""
        return replace(self, specimens=[s for s in self.specimens if keep(s)], notes=list(self.notes))

    def with_points(self, points: np.ndarray, **changes: Any) -> Self:
        """A copy with new coordinates (specimens, landmarks, dim) and, by name, other changed fields."""
        new = [replace(s, points=p) for s, p in zip(self.specimens, points, strict=True)]
        return replace(self, specimens=new, notes=list(self.notes), **changes)

    def renamed(self, names: Sequence[str]) -> Self:
        """The set with other names for its landmarks; raises LabelError where their number does not fit."""
        if len(names) != len(self.names) or len(set(names)) != len(names):
            raise LabelError(
                f"{len(names)} names ({len(set(names))} different) for {len(self.names)} landmarks",
                place=self.source,
                fix="give one name a landmark",
            )
        return replace(self, names=list(names), notes=list(self.notes))

    def keep(self, names: Sequence[str]) -> Self:
        """The set with only these landmarks, in this order; curves and boxes stay as they are.

        Raises
        ------
        LabelError : a name that the scheme does not have.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise LabelError(
                f"no landmark {unknown[0]!r}", place=self.source, fix=f"the landmarks are {', '.join(self.names)}"
            )
        index = [self.names.index(name) for name in names]
        place = {old: new for new, old in enumerate(index)}

        def renumbered(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
            return [(place[a], place[b]) for a, b in pairs if a in place and b in place]

        def chosen(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[index]

        kept = [
            replace(s, points=s.points[index], confidence=chosen(s.confidence), spread=chosen(s.spread))
            for s in self.specimens
        ]
        return replace(
            self,
            specimens=kept,
            names=list(names),
            edges=renumbered(self.edges),
            symmetry=renumbered(self.symmetry),
            notes=list(self.notes),
        )

    def image_paths(self) -> list[Path]:
        """Each picture once, in order; raises LabelError where a specimen's picture was not found."""
        seen: dict[Path, None] = {}
        for specimen in self.specimens:
            if specimen.image_path is None:
                raise LabelError(
                    f"specimen {specimen.label}: image {specimen.image!r} was not found",
                    place=self.source,
                    fix="give the folder of the images with --images",
                )
            seen[specimen.image_path] = None
        return list(seen)


def concatenate(sets: Sequence[LandmarkSet]) -> LandmarkSet:
    """Join sets of one scheme; raises LabelError where names or frames differ."""
    first = sets[0]
    for other in sets[1:]:
        if other.names != first.names or other.frame != first.frame:
            raise LabelError(
                f"{other.source or 'the second set'} has another landmark scheme than {first.source or 'the first'}",
                fix="convert both to the same names and order first",
            )
    return replace(
        first, specimens=[s for one in sets for s in one.specimens], notes=[n for one in sets for n in one.notes]
    )


def refuse_mixed_counts(landmarks: LandmarkSet) -> None:
    """Raise LabelError naming every specimen whose landmark count differs from the scheme's."""
    expected = len(landmarks.names)
    odd = [(i, s) for i, s in enumerate(landmarks.specimens) if len(s.points) != expected]
    if odd:
        listed = ", ".join(f"specimen {i + 1} ({s.label}): {len(s.points)}" for i, s in odd[:8])
        more = f" and {len(odd) - 8} more" if len(odd) > 8 else ""
        raise LabelError(
            f"the scheme has {expected} landmarks, but {listed}{more}",
            place=landmarks.source,
            fix="correct these specimens, or read with gaps='missing' (--gaps missing) to fill up with missing points",
        )
    dims = {s.points.shape[1] for s in landmarks.specimens}
    if len(dims) > 1:
        raise LabelError("2-D and 3-D specimens are mixed", place=landmarks.source, fix="separate them into two files")
