"""Typed volumes: `ScalarVolume` may be interpolated, `LabelVolume` never is. Both lie on a `Grid`.

The containers of images and segmentations. They read no files; a volume's array may be memory-mapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid, refuse_other_grid

GRID_BOUND = ("Segmentation_ReferenceImageExtentOffset",)
"""Header fields that say something about the grid and are dropped with it."""

Status = Literal["", "notstarted", "inprogress", "completed", "flagged"]


@dataclass(frozen=True)
class ScalarVolume:
    """A volume of intensities.

    Attributes
    ----------
    array : (z, y, x) numbers in the type they were stored in; may be memory-mapped.
    grid : where it lies.
    source : the file, for messages.
    notes : what reading had to decide, one sentence each.
    header : further fields of the file that a writer of the same format gives back.
    """

    array: np.ndarray
    grid: Grid
    source: str = ""
    notes: tuple[str, ...] = ()
    header: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_other_shape(self.array.shape, self.grid, self.source)

    def on(self, grid: Grid) -> ScalarVolume:
        """This image on another grid, linearly interpolated; 0 outside."""
        if self.grid.is_same(grid):
            return self
        from ethomorph.core.resample import resample_image

        return replace(self, array=resample_image(self.array, self.grid, grid), grid=grid)

    def cropped(self, box: tuple[slice, slice, slice]) -> ScalarVolume:
        return replace(self, array=self.array[box], grid=self.grid.cropped(box))


@dataclass(frozen=True)
class Segment:
    """One thing in a segmentation, as 3D Slicer describes it.

    Attributes
    ----------
    name : what people call it.
    value : its label value inside its layer, at least 1.
    layer : index of the layer that holds it.
    id : unique identifier; made from the name where "".
    color : red, green, blue in 0..1.
    status : how far a person has come with it; "" where not said.
    terminology : ``context~category~type~modifier~...`` in Slicer's notation; "" where not said.
    tags : further tags.
    name_generated, color_generated : whether a program made them up.
    """

    name: str
    value: int
    layer: int = 0
    id: str = ""
    color: tuple[float, float, float] = (0.5, 0.68, 0.5)
    status: Status = ""
    terminology: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    name_generated: bool = False
    color_generated: bool = False


@dataclass(frozen=True)
class LabelVolume:
    """A segmentation: whole numbers on a grid, and a table of what they mean.

    Attributes
    ----------
    layers : (layers, z, y, x) unsigned integers, 0 is nothing. Segments overlap only between layers.
    grid : where it lies.
    segments : one for each label value that occurs; values are unique inside a layer, ids and names in all.
    reference : the grid of the image that was segmented, where the file says so; a saved crop is smaller than it.
    header : further fields of the file.

    Examples
    --------
    >>> array = np.zeros((4, 5, 6), np.uint8)
    >>> array[1:3, 1:3, 1:3] = 1
    >>> labels = LabelVolume.of(array, Grid(array.shape, (0.1, 0.1, 0.1)), {"Tooth_L_001": 1})
    >>> labels.names, int(labels.mask("Tooth_L_001").sum())
    (['Tooth_L_001'], 8)
    """

    layers: np.ndarray
    grid: Grid
    segments: tuple[Segment, ...]
    reference: Grid | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    header: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.layers.ndim != 4:
            raise LabelError(f"layers of shape {self.layers.shape}", place=self.source, fix="give (layers, z, y, x)")
        refuse_other_shape(self.layers.shape[1:], self.grid, self.source)
        object.__setattr__(self, "segments", tuple(self.segments))
        refuse_ambiguous(self)

    @classmethod
    def of(
        cls,
        array: np.ndarray,
        grid: Grid,
        names: dict[str, int] | Sequence[Segment] | None = None,
        *,
        source: str = "",
        notes: tuple[str, ...] = (),
    ) -> LabelVolume:
        """From one (z, y, x) array; without `names` every value that occurs is called ``Segment_<value>``."""
        if names is None:
            found = [int(v) for v in np.unique(array) if v]
            names = {f"Segment_{value}": value for value in found}
        if isinstance(names, dict):
            names = [Segment(name, value, color=color_of(i)) for i, (name, value) in enumerate(names.items())]
        return cls(np.asarray(array)[None], grid, tuple(names), source=source, notes=notes)

    @property
    def array(self) -> np.ndarray:
        """(z, y, x) of the only layer; raises LabelError where there are several."""
        if len(self.layers) != 1:
            raise LabelError(
                f"{len(self.layers)} layers of overlapping segments, where one is meant",
                place=self.source,
                fix="choose segments with `labels.only([...])`, or remove the overlap in 3D Slicer",
            )
        return self.layers[0]

    @property
    def names(self) -> list[str]:
        return [segment.name for segment in self.segments]

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def segment(self, name: str) -> Segment:
        """The segment of that name; raises LabelError with the names there are."""
        found = next((s for s in self.segments if s.name == name), None)
        if found is None:
            raise LabelError(f"no segment {name!r}", place=self.source, fix=f"choose of {', '.join(self.names[:20])}")
        return found

    def mask(self, segment: str | Segment) -> np.ndarray:
        """(z, y, x) bool: where a segment is."""
        if isinstance(segment, str):
            segment = self.segment(segment)
        return self.layers[segment.layer] == segment.value

    def on(self, grid: Grid) -> LabelVolume:
        """These labels on another grid by their header, nearest voxel; nothing where the labels do not reach."""
        if self.grid.is_same(grid):
            return self
        from ethomorph.core.resample import resample_labels

        layers = np.stack([resample_labels(layer, self.grid, grid) for layer in self.layers])
        header = {k: v for k, v in self.header.items() if k not in GRID_BOUND}
        return replace(self, layers=layers, grid=grid, header=header)

    def only(self, names: Sequence[str]) -> LabelVolume:
        """One layer with these segments alone, renumbered from 1; where two overlap the later one is on top."""
        kind = np.uint8 if len(names) < 256 else np.uint16
        array = np.zeros(self.grid.shape, kind)
        segments = []
        for value, name in enumerate(names, start=1):
            segment = self.segment(name)
            array[self.mask(segment)] = value
            segments.append(replace(segment, value=value, layer=0))
        return replace(self, layers=array[None], segments=tuple(segments))

    def is_same(self, other: LabelVolume) -> bool:
        """Same grid, same names in the same order, same voxels each."""
        if not self.grid.is_same(other.grid) or self.names != other.names:
            return False
        pairs = zip(self.segments, other.segments, strict=True)
        return all(np.array_equal(self.mask(a), other.mask(b)) for a, b in pairs)


def refuse_other_shape(shape: tuple[int, ...], grid: Grid, place: str) -> None:
    """Raise LabelError where an array does not have its grid's shape."""
    if len(shape) != 3:
        raise LabelError(
            f"{len(shape)} axes ({' x '.join(map(str, shape))}), where a volume has three",
            place=place, fix="choose one time point or channel and save that",
        )  # fmt: skip
    if tuple(shape) != grid.shape:
        raise LabelError(f"an array of shape {tuple(shape)} does not fit the grid's {grid.shape}", place=place)


def refuse_ambiguous(labels: LabelVolume) -> None:
    """Raise LabelError for numbers that cannot be labels, doubled values, ids or names, and a layer not there."""
    kind = labels.layers.dtype
    if kind.kind not in "ui":
        raise LabelError(
            f"labels of type {kind}", place=labels.source, fix="labels are whole numbers; round them first"
        )
    seen: dict[tuple[int, int], str] = {}
    for segment in labels.segments:
        if not 0 <= segment.layer < len(labels.layers):
            raise LabelError(f"segment {segment.name!r}: no layer {segment.layer}", place=labels.source)
        if not 1 <= segment.value <= np.iinfo(kind).max:
            raise LabelError(
                f"segment {segment.name!r}: label value {segment.value} does not fit {kind} voxels",
                place=labels.source, fix="renumber the segments, or save as uint16",
            )  # fmt: skip
        key = (segment.layer, segment.value)
        if key in seen:
            raise LabelError(
                f"segments {seen[key]!r} and {segment.name!r} share label value {segment.value} of one layer",
                place=labels.source, fix="renumber one of them",
            )  # fmt: skip
        seen[key] = segment.name
    for what, found in (("name", labels.names), ("id", [s.id for s in labels.segments if s.id])):
        double = next((n for n in found if found.count(n) > 1), None) if len(set(found)) < len(found) else None
        if double is not None:
            raise LabelError(
                f"several segments have the {what} {double!r}",
                place=labels.source,
                fix="give each its own in 3D Slicer",
            )


def paired(image: ScalarVolume, labels: LabelVolume, *, resample: bool = True) -> LabelVolume:
    """The labels on the image's grid, by header.

    Parameters
    ----------
    resample : False refuses labels on another grid instead.

    Raises
    ------
    LabelError : the two do not overlap in space, or grids differ and `resample` is off; shows both grids and the fix.
    """
    if not resample:
        refuse_other_grid(image.grid, labels.grid, place=labels.source)
    index = image.grid.to_index(labels.grid.corners)
    top = np.array(image.grid.shape[::-1]) - 0.5
    if (index.max(axis=0) < -0.5).any() or (index.min(axis=0) > top).any():
        raise LabelError(
            f"labels lie outside the image: image {image.grid}; labels {labels.grid}",
            place=labels.source, fix="pair the right files, or harden the transform in 3D Slicer before saving",
        )  # fmt: skip
    return labels.on(image.grid)


def color_of(index: int) -> tuple[float, float, float]:
    """A colour for the n-th segment: hues by the golden angle, so that neighbours differ.

    >>> color_of(0) != color_of(1)
    True
    """
    import colorsys

    shade = (0.95, 0.75, 0.85)[index % 3]
    red, green, blue = colorsys.hsv_to_rgb((0.09 + index * 0.61803) % 1.0, 0.62, shade)
    return round(red, 4), round(green, 4), round(blue, 4)
