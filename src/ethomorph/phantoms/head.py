"""Simulated CT or MRI of a lizard head whose every voxel, tooth and landmark is known.

For trying a protocol before the data exist, for tests, and for training benchmarks. Any pose, spacing and scanner. It
is no model of any species: do not quote a biological number from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ethomorph.core.files import write_json
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume, Segment, color_of
from ethomorph.phantoms.head_anatomy import Anatomy, Tooth, build_head
from ethomorph.phantoms.scanner import Scanner, draw_scanner, scan
from ethomorph.phantoms.solids import Solid

MARGIN_MM = 0.6
JAW_COLOR, BONE_COLOR, BRAIN_COLOR = (0.85, 0.75, 0.45), (0.9, 0.87, 0.8), (0.85, 0.55, 0.55)


@dataclass(frozen=True)
class ToothTruth:
    """What is known of a tooth, in world LPS mm; volume and area are those of its solid, free of voxels."""

    name: str
    jaw: str
    side: str
    replacement: bool
    tip: np.ndarray
    base: np.ndarray
    volume_mm3: float
    area_mm2: float


@dataclass(frozen=True)
class HeadPhantom:
    """A simulated head.

    Attributes
    ----------
    image : uint16 intensities.
    labels : LowerJaw_left and _right, OtherBone, Tooth_<jaw>_<side>_<nn>, Replacement_<jaw>_<side>_<nn>, and Brain
        where asked for. One layer.
    landmarks : name to (3,) LPS mm.
    teeth : in the order of their labels.
    brain_mm3 : volume of the brain's ellipsoid.
    head_to_lps : (4, 4) from the head frame (x left, y backwards, z upwards, origin midway between the joints).
    scanner : how it was scanned.
    """

    image: ScalarVolume
    labels: LabelVolume
    landmarks: dict[str, np.ndarray]
    teeth: list[ToothTruth]
    brain_mm3: float
    head_to_lps: np.ndarray
    scanner: Scanner
    name: str = "head"
    anatomy: Anatomy = field(default_factory=Anatomy, repr=False)

    def write(self, folder: str | Path) -> Path:
        """Write ``images/<name>.nrrd``, ``labels/<name>.seg.nrrd`` and ``truth/<name>.json``; returns the folder."""
        from ethomorph.formats.nrrd import write_nrrd
        from ethomorph.formats.seg_nrrd import write_seg_nrrd

        folder = Path(folder)
        write_nrrd(self.image, folder / "images" / f"{self.name}.nrrd")
        write_seg_nrrd(self.labels, folder / "labels" / f"{self.name}.seg.nrrd")
        teeth = [{**vars(t), "tip": t.tip.tolist(), "base": t.base.tolist()} for t in self.teeth]
        points = {name: point.tolist() for name, point in self.landmarks.items()}
        write_json(
            folder / "truth" / f"{self.name}.json",
            {"landmarks_lps_mm": points, "teeth": teeth, "brain_mm3": self.brain_mm3,
             "head_to_lps": self.head_to_lps.tolist(), "scanner": vars(self.scanner)},
        )  # fmt: skip
        return folder


def simulate_head(
    *,
    seed: int = 0,
    spacing: float | tuple[float, float, float] = 0.25,
    contrast: str = "ct",
    teeth: int | None = None,
    gape_deg: float | None = None,
    pose: float = 1.0,
    rotation: np.ndarray | None = None,
    scanner: Scanner | None = None,
    grid: Grid | None = None,
    brain: bool | None = None,
    variation: float = 1.0,
    name: str | None = None,
) -> HeadPhantom:
    """Simulate one head.

    Parameters
    ----------
    seed : the same seed gives the same head in the same pose, whatever the spacing.
    spacing : mm, one number or (x, y, z).
    contrast : "ct", or "mri" of the same anatomy: skull dark, brain bright.
    teeth : functional teeth, 20 to 45; drawn where left out.
    gape_deg : how far the mouth is open.
    pose : 0 keeps the head straight, 1 tilts it by some 15 degrees about each axis, 3 and more is any direction.
    rotation : (3, 3) instead of a drawn pose.
    scanner : settings of the scan; drawn where left out.
    grid : where to put the head, centred; else a box that holds it.
    brain : whether the brain is a segment; where left out it is in MRI.
    variation : of the anatomy, 1 is lifelike.

    Raises
    ------
    ValueError : settings outside of what a head can have.

    Examples
    --------
    >>> head = simulate_head(seed=1, spacing=0.6, teeth=24)
    >>> head.image.array.dtype, head.labels.grid.is_same(head.image.grid)
    (dtype('uint16'), True)
    >>> sum(not tooth.replacement for tooth in head.teeth) >= 20
    True
    """
    if contrast not in ("ct", "mri"):
        raise ValueError(f"contrast is 'ct' or 'mri', not {contrast!r}")
    streams = np.random.default_rng(seed).spawn(4)
    anatomy = build_head(streams[0], teeth=teeth, gape_deg=gape_deg, variation=variation)
    turn = rotation if rotation is not None else draw_rotation(streams[1], pose)
    centre, _ = anatomy.ball
    size = (spacing,) * 3 if isinstance(spacing, (int, float)) else spacing
    place = grid or _box(anatomy, turn, centre, size)
    pose_matrix = np.eye(4)
    pose_matrix[:3, :3] = turn
    pose_matrix[:3, 3] = (place.centre if grid is not None else np.zeros(3)) - turn @ centre
    scanner = scanner or draw_scanner(streams[2], contrast=contrast)
    fields = Fields(place, pose_matrix)
    with_brain = contrast == "mri" if brain is None else brain
    labels, tissues = _rasterize(anatomy, fields, brain=with_brain)
    image = ScalarVolume(scan(tissues, scanner, streams[3]), place, source="simulated head")
    return HeadPhantom(
        image, labels, {n: _moved(pose_matrix, p) for n, p in anatomy.landmarks.items()},
        [_truth(tooth, pose_matrix) for tooth in anatomy.teeth], anatomy.brain.volume_mm3, pose_matrix, scanner,
        name or f"head_{seed:04d}", anatomy,
    )  # fmt: skip


def draw_rotation(rng: np.random.Generator, pose: float) -> np.ndarray:
    """A rotation of about 15 degrees a unit of `pose` about each axis; from 3 on any rotation at all."""
    from scipy.spatial.transform import Rotation

    if pose >= 3:
        return Rotation.random(rng=rng).as_matrix()
    return Rotation.from_rotvec(np.deg2rad(15) * pose * rng.uniform(-1, 1, 3)).as_matrix()


class Fields:
    """Signed distances on a grid, each solid evaluated only in its own box."""

    def __init__(self, grid: Grid, head_to_lps: np.ndarray) -> None:
        self.grid = grid
        self.index_to_head = np.linalg.inv(head_to_lps) @ grid.matrix
        self.head_to_index = np.linalg.inv(self.index_to_head)
        self.reach = 1.5 * max(grid.spacing)
        self.scale = float(np.mean(grid.spacing))

    def empty(self) -> np.ndarray:
        return np.full(self.grid.shape, np.float32(4 * self.reach))

    def window(self, solid: Solid) -> tuple[slice, slice, slice] | None:
        """The box of voxels near a solid; None where it is outside of the grid."""
        centre, radius = solid.ball
        middle = self.head_to_index[:3, :3] @ centre + self.head_to_index[:3, 3]
        half = (radius + self.reach) * np.linalg.norm(self.head_to_index[:3, :3], axis=1)
        low = np.floor(middle - half).astype(int)
        high = np.ceil(middle + half).astype(int) + 1
        spans = [
            slice(max(0, int(a)), min(n, int(b))) for a, b, n in zip(low, high, self.grid.shape[::-1], strict=True)
        ]
        return None if any(s.stop <= s.start for s in spans) else (spans[2], spans[1], spans[0])

    def distances(self, solid: Solid, box: tuple[slice, slice, slice]) -> np.ndarray:
        """Signed distances in a box of voxels."""
        z, y, x = (np.arange(s.start, s.stop, dtype=np.float64) for s in box)
        m = self.index_to_head
        points = (
            x[None, None, :, None] * m[:3, 0] + y[None, :, None, None] * m[:3, 1] + z[:, None, None, None] * m[:3, 2]
        ) + m[:3, 3]
        return solid.distance(points).astype(np.float32)

    def union(self, solids: list[Solid]) -> np.ndarray:
        """Distance to the nearest of several solids."""
        out = self.empty()
        for solid in solids:
            box = self.window(solid)
            if box is not None:
                np.minimum(out[box], self.distances(solid, box), out=out[box])
        return out

    def coverage(self, distance: np.ndarray) -> np.ndarray:
        """Share of each voxel that lies inside, from the distance of its centre."""
        return np.clip(0.5 - distance / np.float32(self.scale), 0, 1)


def _rasterize(anatomy: Anatomy, fields: Fields, *, brain: bool) -> tuple[LabelVolume, dict[str, np.ndarray]]:
    """Labels, and the share of each tissue in each voxel."""
    count = len(anatomy.teeth)
    nearest, owner = fields.empty(), np.zeros(fields.grid.shape, np.int32)
    for number, tooth in enumerate(anatomy.teeth):
        box = fields.window(tooth.solid)
        if box is None:
            continue
        distance = fields.distances(tooth.solid, box)
        closer = distance < nearest[box]
        owner[box][closer] = number
        nearest[box][closer] = distance[closer]
    jaws = {side: fields.union(solids) for side, solids in anatomy.jaws.items()}
    bone, soft = fields.union(anatomy.bone), fields.union(anatomy.soft)
    cavity, eyes = fields.union([anatomy.brain]), fields.union(anatomy.eyes)  # type: ignore[list-item]
    kind = np.uint8 if count + 4 < 256 else np.uint16
    array = np.zeros(fields.grid.shape, kind)
    segments: list[Segment] = []

    def put(name: str, mask: np.ndarray, color: tuple[float, float, float]) -> None:
        segments.append(Segment(name, len(segments) + 1, id=name, color=color, status="completed"))
        array[mask] = len(segments)

    if brain:
        put("Brain", cavity < 0, BRAIN_COLOR)
    put("OtherBone", bone < 0, BONE_COLOR)
    put("LowerJaw_left", (jaws["left"] < 0) & (jaws["left"] <= jaws["right"]), JAW_COLOR)
    put("LowerJaw_right", (jaws["right"] < 0) & (jaws["right"] < jaws["left"]), tuple(0.85 * c for c in JAW_COLOR))  # type: ignore[arg-type]
    inside = nearest < 0
    first = len(segments) + 1
    array[inside] = (owner[inside] + first).astype(kind)
    segments += [
        Segment(t.name, first + i, id=t.name, color=color_of(i), status="completed")
        for i, t in enumerate(anatomy.teeth)
    ]
    hard = np.minimum(bone, np.minimum(jaws["left"], jaws["right"]))
    shares = {"tooth": fields.coverage(nearest)}
    rest = 1 - shares["tooth"]
    for name, distance in (("bone", hard), ("brain", cavity), ("eye", eyes), ("soft", soft)):
        shares[name] = rest * fields.coverage(distance)
        rest = rest - shares[name]
    return LabelVolume(array[None], fields.grid, tuple(segments), source="simulated head"), shares


def _box(anatomy: Anatomy, turn: np.ndarray, centre: np.ndarray, spacing: tuple[float, ...]) -> Grid:
    """The smallest box along the world's axes that holds the posed head's bones, with a margin."""
    solids: list[Solid] = [*anatomy.bone, *(s for part in anatomy.jaws.values() for s in part)]
    low, high = [], []
    for solid in solids:
        middle, radius = solid.ball
        radius = min(radius, 6.0)  # long ellipsoids reach less far than their ball
        low.append(turn @ (middle - centre) - radius)
        high.append(turn @ (middle - centre) + radius)
    start, stop = np.min(low, axis=0) - MARGIN_MM, np.max(high, axis=0) + MARGIN_MM
    size = np.array(spacing)
    counts = np.ceil((stop - start) / size).astype(int)
    return Grid(tuple(int(n) for n in counts[::-1]), spacing, tuple(start + size / 2))  # type: ignore[arg-type]


def _moved(matrix: np.ndarray, point: np.ndarray) -> np.ndarray:
    return matrix[:3, :3] @ point + matrix[:3, 3]


def _truth(tooth: Tooth, matrix: np.ndarray) -> ToothTruth:
    base, tip = (_moved(matrix, p) for p in tooth.solid.tips)
    return ToothTruth(
        tooth.name, tooth.jaw, tooth.side, tooth.replacement, tip, base, tooth.solid.volume_mm3, tooth.solid.area_mm2
    )
