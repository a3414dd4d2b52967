"""From a fingerprint of the data to a plan of the network, written as ``plan.toml`` for people to read.

The rules follow nnU-Net (Isensee et al. 2021, Nat Methods 18:203): median spacing, patches as large as memory allows,
an axis pooled only while it is fine and long enough. Everything a prediction needs stands in the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import ScalarVolume
from ethomorph.volumes.classes import IGNORED, ClassMap, Encoded
from ethomorph.volumes.settings import SegmenterSettings

SAMPLED = 400_000
"""Voxels that intensities are looked at, spread over the volume."""

COMMON_SCALE = 0.08
"""Volumes share one intensity scale, as CT in Hounsfield units, where theirs vary by less than this share."""

NEAR, SAME = 1.25, 1.05
"""Training volumes within these factors of the network's voxels keep theirs: by themselves, or where they were set."""

STEM, STEM_CHANNELS = 2, 2
"""Voxels that a CPU folds into features first, and how many times as many features that makes."""

WIDE_VOXELS = 5.0
"""Things must be so wide for a stem, as balls of their volume."""

MAX_LEVELS = 5
WIDEST = 320
CPU_PATCH, STEM_PATCH, GPU_PATCH = 48**3, 80**3, 112**3
CPU_CHANNELS, GPU_CHANNELS = 8, 32


@dataclass(frozen=True)
class Fingerprint:
    """What a volume is like.

    Attributes
    ----------
    shape : (z, y, x). spacing : (x, y, z) mm.
    low, scale : air and the distance from air to the mean of the brightest of three kinds of voxels.
    voxels : of each class.
    instances : number of things, and `instance_mm3` the median volume of one; 0 where there is none.
    left_right : array axis that runs from side to side, as the header's direction has it.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    low: float
    scale: float
    voxels: dict[str, int] = field(default_factory=dict)
    instances: int = 0
    instance_mm3: float = 0.0
    left_right: int = 2


@dataclass(frozen=True)
class Plan:
    """Everything that decides what the network sees and how large it is.

    Attributes
    ----------
    spacing : (x, y, z) mm of its voxels.
    finest, coarsest : (x, y, z) mm between which a volume is seen on its own voxels; others are resampled to `spacing`.
    patch : (z, y, x) voxels. stem : (z, y, x) voxels folded into features before the first level.
    pools, kernels : by level. channels : by level.
    normalization : "image" takes air and scale from each volume, "shared" uses `low` and `scale` for all.
    mirror_axes : array axes (z, y, x as 0, 1, 2) that training mirrors.
    steps, batch_size : of the training.
    overlap, mirrored : of prediction, see the settings.
    empty_below : normalised intensity that a patch must exceed to hold anything: that of air, or of flesh where all
        classes are brighter.
    thresholds : of the decoding, tuned on the validation part.
    memory_mb : estimated for the feature maps of a training step.
    """

    spacing: tuple[float, float, float]
    finest: tuple[float, float, float]
    coarsest: tuple[float, float, float]
    patch: tuple[int, int, int]
    pools: list[tuple[int, int, int]]
    kernels: list[tuple[int, int, int]]
    channels: list[int]
    normalization: str
    low: float
    scale: float
    mirror_axes: list[int]
    steps: int
    batch_size: int
    memory_mb: float
    overlap: float
    cases: int
    median_shape: tuple[int, int, int]
    stem: tuple[int, int, int] = (1, 1, 1)
    mirrored: bool = False
    empty_below: float = -0.6
    thresholds: dict[str, float] = field(default_factory=dict)
    because: list[str] = field(default_factory=list)

    def normalized(self, array: np.ndarray, low: float, scale: float) -> np.ndarray:
        """float32 with air at -1 and bright tissue about 1; `low` and `scale` are the volume's own."""
        if self.normalization == "shared":
            low, scale = self.low, self.scale
        out = np.array(array, np.float32)  # in place from here on: slabs are large
        out -= np.float32(low)
        out *= np.float32(2.0 / max(scale, 1e-9))
        out -= np.float32(1.0)
        return np.clip(out, -2.0, 5.0, out=out)

    def needs_resampling(self, grid: Grid) -> bool:
        """Whether voxels are of a size that training did not show the network."""
        bounds = zip(self.finest, grid.spacing, self.coarsest, strict=True)
        return any(not a * (1 - 1e-6) <= size <= b * (1 + 1e-6) for a, size, b in bounds)

    def grid_for(self, grid: Grid) -> Grid:
        """The grid on which the network sees a volume."""
        return grid.resized(self.spacing) if self.needs_resampling(grid) else grid

    def to_dict(self) -> dict[str, Any]:
        return {k: _listed(v) for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Self:
        """Raises FormatError where something is missing or of another kind."""
        try:
            made = cls(**table)
            as_tuples: dict[str, Any] = {
                **{key: tuple(float(v) for v in getattr(made, key)) for key in ("spacing", "finest", "coarsest")},
                "patch": tuple(int(v) for v in made.patch),
                "stem": tuple(int(v) for v in made.stem),
                "median_shape": tuple(int(v) for v in made.median_shape),
                "pools": [tuple(int(v) for v in p) for p in made.pools],
                "kernels": [tuple(int(v) for v in k) for k in made.kernels],
            }  # fmt: skip
            return cls(**{**table, **as_tuples})
        except (TypeError, ValueError) as error:
            raise FormatError(f"not a plan ({error})", fix="train it again") from None


def intensity_range(volume: ScalarVolume) -> tuple[float, float]:
    """Air, and how much brighter than air the brightest of three kinds of voxels is: air, flesh and bone in CT."""
    step = max(1, round((volume.array.size / SAMPLED) ** (1 / 3)))
    sample = np.asarray(volume.array[::step, ::step, ::step], dtype=np.float64).ravel()
    low, high = (float(v) for v in np.percentile(sample, [2, 99.9]))
    if high <= low:
        return low, 1.0
    counts, edges = np.histogram(np.clip(sample, low, high), 128, range=(low, high))
    bright = sample[sample > three_kinds(counts, (edges[1:] + edges[:-1]) / 2)[1]]
    return low, max(float(bright.mean()) - low, 1e-9) if len(bright) else high - low


def three_kinds(counts: np.ndarray, centres: np.ndarray) -> tuple[float, float]:
    """The two thresholds that divide a histogram into the three most different parts (Otsu 1979).

    >>> three_kinds(np.array([5, 0, 0, 4, 0, 0, 3]), np.arange(7.0))
    (0.0, 3.0)
    """
    weight = np.concatenate([[0], np.cumsum(counts)]).astype(float)
    mass = np.concatenate([[0], np.cumsum(counts * centres)])
    first, last = np.triu_indices(len(counts) + 1)
    table = np.zeros((len(counts) + 1,) * 2)
    held = weight[last] - weight[first]
    table[first, last] = np.where(held > 0, (mass[last] - mass[first]) ** 2 / np.maximum(held, 1e-12), 0)
    between = table[0, :, None] + table + table[None, :, -1]  # parts end at a and at b
    between[np.tril_indices(len(between))] = -1
    a, b = np.unravel_index(int(between[1:-1, 1:-1].argmax()), (len(counts) - 1,) * 2)
    return float(centres[a]), float(centres[b])


def fingerprint(image: ScalarVolume, encoded: Encoded | None, classes: ClassMap) -> Fingerprint:
    """Look at one volume."""
    low, scale = intensity_range(image)
    across = 2 - int(np.abs(np.asarray(image.grid.direction)[0]).argmax())
    if encoded is None:
        return Fingerprint(image.grid.shape, image.grid.spacing, low, scale, left_right=across)
    counts = np.bincount(encoded.classes.ravel(), minlength=256)
    voxels = {name: int(counts[i]) for i, name in enumerate(classes.names, start=1)}
    if counts[IGNORED]:
        voxels["ignore"] = int(counts[IGNORED])
    sizes = np.bincount(encoded.instances.ravel())[1:]
    sizes = sizes[sizes > 0]
    typical = float(np.median(sizes)) * image.grid.voxel_mm3 if len(sizes) else 0.0
    return Fingerprint(image.grid.shape, image.grid.spacing, low, scale, voxels, len(sizes), typical, across)


def make_plan(
    found: Sequence[Fingerprint], classes: ClassMap, settings: SegmenterSettings, *, gpu: bool, steps: int
) -> Plan:
    """The plan for volumes like these; every choice says why in `because`."""
    from ethomorph.volumes.networks import activation_bytes

    because = []
    spacing = settings.spacing_mm or _target_spacing(found)
    because.append("spacing as set" if settings.spacing_mm else f"spacing: the median of {len(found)} training volumes")
    finest, coarsest = _seen_spacings(found, spacing, settings)
    because.append(
        f"voxels of {spoken(finest)} to {spoken(coarsest)} mm are seen as they are: what training has within a factor "
        f"of {NEAR:g} of the median, times the zoom of its patches; others are resampled"
    )
    median = _median_shape(found, spacing)
    stem, reason = _stem(found, spacing, settings, gpu=gpu)
    because.append(reason)
    folded = stem != (1, 1, 1)
    patch_voxels = settings.patch_voxels or (GPU_PATCH if gpu else STEM_PATCH if folded else CPU_PATCH)
    base = settings.channels or (GPU_CHANNELS if gpu else CPU_CHANNELS) * (STEM_CHANNELS if folded else 1)
    while True:
        patch, pools, kernels = _patch_of(median, spacing, patch_voxels, stem)
        channels = [min(base * 2**level, WIDEST) for level in range(len(kernels))]
        bytes_ = activation_bytes(patch, channels, pools, training=True, stem=stem) * settings.batch_size
        if bytes_ <= settings.memory_gb * 2**30 or patch_voxels <= 16**3:
            break
        patch_voxels = int(patch_voxels * 0.8)
    because.append(f"patch: {patch_voxels} voxels at most, in the median volume's proportions, {len(kernels)} levels")
    scales = np.array([f.scale for f in found])
    lows = np.array([f.low for f in found])
    middle = float(np.median(scales))
    vary = max(float(scales.std()), float(lows.std())) / middle
    shared = len(found) > 1 and vary < COMMON_SCALE
    because.append(
        f"intensities vary by {vary:.1%} between volumes: "
        + ("one scale for all" if shared else "each volume by its own air and bright tissue")
    )
    mirror_axes, reason = _mirror_axes(found, classes, settings)
    because.append(reason)
    return Plan(
        spacing=spacing, finest=finest, coarsest=coarsest, patch=patch, pools=pools, kernels=kernels, channels=channels,
        normalization="shared" if shared else "image", low=float(np.median(lows)), scale=middle,
        mirror_axes=mirror_axes, steps=steps, batch_size=settings.batch_size,
        memory_mb=round(bytes_ / 2**20, 1), overlap=settings.overlap, mirrored=settings.mirrored,
        cases=len(found), median_shape=median, stem=stem,
        because=because,
    )  # fmt: skip


def _stem(
    found: Sequence[Fingerprint], spacing: tuple[float, float, float], settings: SegmenterSettings, *, gpu: bool
) -> tuple[tuple[int, int, int], str]:
    """Voxels (z, y, x) to fold into features, and why; axes that are coarse already are not folded."""
    size = np.array(spacing[::-1])
    factor = settings.stem
    reason = "stem as set"
    if not factor:
        typical = [f.instance_mm3 for f in found if f.instances]
        wide = min(((6 * v / np.pi) ** (1 / 3) for v in typical), default=np.inf) / size.max()
        factor = 1 if gpu or wide < WIDE_VOXELS else STEM
        reason = (
            "no stem: a GPU has time for the finest level" if gpu
            else f"no stem: things are {wide:.1f} voxels wide" if factor == 1
            else "stem: on a CPU the finest level costs most, so voxels are folded into features first"
        )  # fmt: skip
    z, y, x = (factor if s < 1.5 * size.min() else 1 for s in size)
    return (z, y, x), reason


def _patch_of(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], voxels: int, stem: tuple[int, int, int]
) -> tuple[tuple[int, int, int], list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """`_patch` of the folded volume, its patch in voxels."""
    z, y, x = (max(1, round(n / s)) for n, s in zip(shape, stem, strict=True))
    a, b, c = (v * s for v, s in zip(spacing, stem[::-1], strict=True))
    patch, pools, kernels = _patch((z, y, x), (a, b, c), voxels // (stem[0] * stem[1] * stem[2]))
    return (patch[0] * stem[0], patch[1] * stem[1], patch[2] * stem[2]), pools, kernels


def _mirror_axes(found: Sequence[Fingerprint], classes: ClassMap, settings: SegmenterSettings) -> tuple[list[int], str]:
    """Array axes that training mirrors, and why: left and right alone, so that what is above stays above."""
    if settings.mirror != "auto":
        return [0, 1, 2] if settings.mirror == "on" else [], f"mirroring {settings.mirror} as set"
    if classes.sided:
        return [], "mirroring off: classes have sides"
    across = sorted({f.left_right for f in found})
    if len(across) > 1:
        return [0, 1, 2], "mirroring on along every axis: no class is of one side, volumes lie in several directions"
    return across, "mirroring on from left to right: no class is of one side"


def _target_spacing(found: Sequence[Fingerprint]) -> tuple[float, float, float]:
    """The median; where one axis is more than three times as coarse as another, its tenth percentile."""
    spacings = np.array([f.spacing for f in found])
    target = np.median(spacings, axis=0)
    worst = int(np.argmax(target))
    if target[worst] > 3 * target.min():
        target[worst] = max(float(np.percentile(spacings[:, worst], 10)), target.min())
    x, y, z = (float(f"{v:.6g}") for v in target)
    return x, y, z


def _seen_spacings(
    found: Sequence[Fingerprint], spacing: tuple[float, float, float], settings: SegmenterSettings
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Between which sizes voxels stay as they are; only just the network's where its spacing was set by a person."""
    target = np.array(spacing)
    if settings.spacing_mm:
        finest, coarsest = target / SAME, target * SAME
    else:
        sizes = np.array([f.spacing for f in found])
        zoom = settings.zoom if settings.turned > 0 else 1.0
        finest = np.minimum(np.clip(sizes.min(axis=0), target / NEAR, None) / zoom, target / SAME)
        coarsest = np.maximum(np.clip(sizes.max(axis=0), None, target * NEAR) * zoom, target * SAME)
    low, high = ([float(f"{v:.4g}") for v in side] for side in (finest, coarsest))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def spoken(sizes: Sequence[float]) -> str:
    """Sizes of voxels for people, one number where all are alike.

    >>> spoken((0.2, 0.2, 0.2)), spoken((0.2, 0.2, 0.5))
    ('0.2', '0.2 x 0.2 x 0.5')
    """
    return f"{sizes[0]:g}" if len(set(sizes)) == 1 else " x ".join(f"{v:g}" for v in sizes)


def _median_shape(found: Sequence[Fingerprint], spacing: tuple[float, float, float]) -> tuple[int, int, int]:
    sizes = [np.array(f.shape) * np.array(f.spacing[::-1]) / np.array(spacing[::-1]) for f in found]
    z, y, x = (max(1, round(float(v))) for v in np.median(sizes, axis=0))
    return z, y, x


def _patch(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], voxels: int
) -> tuple[tuple[int, int, int], list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Patch, pools and kernels; the patch is a multiple of all pools and no larger than it need be."""
    sides = np.array([float(max(n, 8)) for n in shape])
    sides = np.minimum(sides, _equal_sides(sides, voxels))
    step = np.array(spacing[::-1], dtype=float)
    now, size = sides.copy(), step.copy()
    pools: list[tuple[int, int, int]] = []
    kernels = [_kernel(size)]
    while len(pools) < MAX_LEVELS - 1:
        can = (now >= 9.9) & (size < 2 * size.min() - 1e-9)
        if not can.any():
            break
        factor = np.where(can, 2, 1)
        now, size = now / factor, size * factor
        pools.append((int(factor[0]), int(factor[1]), int(factor[2])))
        kernels.append(_kernel(size))
        if now.max() < 8:
            break
    multiple = np.prod(np.array(pools), axis=0) if pools else np.ones(3)
    patch = np.maximum(np.round(sides / multiple), 1) * multiple
    return (int(patch[0]), int(patch[1]), int(patch[2])), pools, kernels


def _equal_sides(sides: np.ndarray, voxels: int) -> float:
    """The side at which cutting all longer sides to it leaves `voxels`."""
    low, high = 4.0, float(sides.max())
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(sides, middle).prod() <= voxels else (low, middle)
    return low


def _kernel(size: np.ndarray) -> tuple[int, int, int]:
    flat = [3 if s <= 2 * size.min() + 1e-9 else 1 for s in size]
    return flat[0], flat[1], flat[2]


def _listed(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_listed(v) for v in value]
    return value
