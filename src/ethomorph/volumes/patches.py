"""Patches drawn lazily from memory-mapped volumes, foreground oversampled, augmented in physical units.

Each volume is brought onto the network's grid once and kept as plain .npy files beside the run; a training holds no
volume in memory. Which patches come follows from (seed, epoch, index) alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ethomorph.core.errors import LabelError
from ethomorph.core.files import atomic_path
from ethomorph.core.grid import Grid
from ethomorph.core.resample import resample_image, resample_labels
from ethomorph.volumes.classes import ClassMap, Encoded
from ethomorph.volumes.data import Case
from ethomorph.volumes.plan import Plan, intensity_range
from ethomorph.volumes.settings import SegmenterSettings

PLACES = 4000
"""Voxels of each class that patches may be centred on, drawn once."""

ARRAYS = ("image", "classes", "distance", "border")


@dataclass(frozen=True)
class Prepared:
    """One volume on the network's grid, memory-mapped.

    Attributes
    ----------
    arrays : image float16, normalised; classes uint8; distance uint8, 255 deepest inside a thing; border uint8, 1 where
        a thing touches another.
    places : class number to (n, 3) voxels.
    """

    name: str
    arrays: dict[str, np.ndarray]
    places: dict[int, np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.arrays["image"].shape


def prepare(case: Case, plan: Plan, classes: ClassMap, folder: Path, *, seed: int) -> Prepared:
    """Bring a volume and its labels onto the network's grid, or take up what was prepared before."""
    files = {name: folder / f"{case.name}.{name}.npy" for name in ARRAYS}
    if not all(f.is_file() for f in files.values()):
        image = case.read_image()
        low, scale = intensity_range(image)
        grid = plan.grid_for(image.grid)
        encoded = on_grid(classes.encode(case.read_labels(image)), image.grid, grid)
        pixels = image.array if grid is image.grid else resample_image(image.array, image.grid, grid)
        distance, border = thing_targets(encoded.instances, grid.spacing_zyx)
        made = {
            "image": plan.normalized(pixels, low, scale).astype(np.float16), "classes": encoded.classes,
            "distance": distance, "border": border,
        }  # fmt: skip
        for name, file in files.items():
            with atomic_path(file) as temporary:
                np.save(temporary, made[name])
    arrays = {name: np.load(file, mmap_mode="r") for name, file in files.items()}
    return Prepared(case.name, arrays, places_of(arrays["classes"], len(classes.names), seed))


def on_grid(encoded: Encoded, source: Grid, target: Grid) -> Encoded:
    """Encoded labels on another grid, by nearest voxel."""
    if source is target:
        return encoded
    classes = resample_labels(encoded.classes, source, target)
    instances = resample_labels(encoded.instances, source, target)
    return Encoded(classes, instances, encoded.names)


def thing_targets(instances: np.ndarray, spacing_zyx: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Targets of the heads: depth inside each thing as a share of its deepest (uint8, 255), and where things touch.

    A voxel is border where another thing lies within its 26 neighbours.
    """
    distance = np.zeros(instances.shape, np.uint8)
    border = np.zeros(instances.shape, np.uint8)
    for number, box in enumerate(ndimage.find_objects(instances), start=1):
        if box is None:
            continue
        wide = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
        here = instances[wide]
        mine = here == number
        depth = ndimage.distance_transform_edt(np.pad(mine, 1), sampling=spacing_zyx)[1:-1, 1:-1, 1:-1]
        share = depth / max(float(depth.max()), 1e-9)
        distance[wide][mine] = np.maximum(1, np.round(255 * share[mine])).astype(np.uint8)
        others = (here > 0) & ~mine
        if others.any():
            touched = ndimage.binary_dilation(others, np.ones((3, 3, 3), bool)) & mine
            border[wide][touched] = 1
    return distance, border


def places_of(classes: np.ndarray, count: int, seed: int) -> dict[int, np.ndarray]:
    """Some voxels of each class, drawn evenly over it."""
    rng = np.random.default_rng([seed, 3])
    found = {}
    for number in range(1, count + 1):
        voxels = np.flatnonzero(np.asarray(classes).ravel() == number)
        if len(voxels):
            chosen = rng.choice(voxels, min(PLACES, len(voxels)), replace=False)
            found[number] = np.stack(np.unravel_index(chosen, classes.shape), axis=1)
    return found


class Patches(torch.utils.data.Dataset):
    """Random patches of prepared volumes.

    Parameters
    ----------
    volumes : what to draw from, each equally often.
    count : patches in an epoch.
    calm : no augmentation, always foreground, the same patches in every epoch, as a validation part needs them.
    """

    def __init__(
        self, volumes: Sequence[Prepared], plan: Plan, settings: SegmenterSettings, *, count: int, seed: int,
        calm: bool = False,
    ) -> None:  # fmt: skip
        if not any(volume.places for volume in volumes):
            raise LabelError("no voxel of any class in these volumes", fix="check the patterns of [task.NAME.classes]")
        self.volumes, self.plan, self.settings = volumes, plan, settings
        self.count, self.seed, self.epoch, self.calm = count, seed, 0, calm

    def set_epoch(self, epoch: int) -> None:
        self.epoch = 0 if self.calm else epoch

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, self.epoch, int(self.calm), index])
        turn = np.random.default_rng([self.seed, self.epoch, 2, index // len(self.volumes)])
        volume = self.volumes[int(turn.permutation(len(self.volumes))[index % len(self.volumes)])]
        centre = choose_centre(volume, self.plan.patch, 1.0 if self.calm else self.settings.foreground, rng)
        turned = not self.calm and rng.random() < self.settings.turned
        matrix = draw_geometry(rng, self.settings, self.plan, turned=turned) if not self.calm else np.eye(3)
        patch = cut(volume, centre, matrix, self.plan.patch)
        image = patch["image"]
        if not self.calm:
            image = vary_intensity(rng, image, self.settings, self.plan)
        return {
            "image": image[None].float(),
            "classes": patch["classes"].long(),
            "distance": patch["distance"].float() / 255.0,
            "border": patch["border"].float(),
        }


def choose_centre(
    volume: Prepared, patch: tuple[int, int, int], foreground: float, rng: np.random.Generator
) -> np.ndarray:
    """(3,) voxel: of a class drawn at random, or anywhere."""
    if volume.places and rng.random() < foreground:
        number = list(volume.places)[int(rng.integers(len(volume.places)))]
        near = volume.places[number][int(rng.integers(len(volume.places[number])))]
        return near + rng.uniform(-0.25, 0.25, 3) * np.array(patch)
    half = np.minimum(np.array(patch), np.array(volume.shape)) / 2
    return rng.uniform(half, np.maximum(np.array(volume.shape) - half, half + 1e-6))


def draw_geometry(
    rng: np.random.Generator, settings: SegmenterSettings, plan: Plan, *, turned: bool = True
) -> np.ndarray:
    """(3, 3) from patch to volume offsets in voxels (z, y, x): a turn and zoom in mm where `turned`, and mirrors."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(3)
    if turned:
        turn = Rotation.from_rotvec(np.deg2rad(settings.rotate_deg) * rng.uniform(-1, 1, 3)).as_matrix()
        zoom = settings.zoom ** rng.uniform(-1, 1)
        size = np.array(plan.spacing[::-1])
        matrix = turn * zoom * size[None, :] / size[:, None]
    flips = [-1.0 if axis in plan.mirror_axes and rng.random() < 0.5 else 1.0 for axis in range(3)]
    return matrix * np.array(flips)[None, :]


def cut(volume: Prepared, centre: np.ndarray, matrix: np.ndarray, patch: tuple[int, int, int]) -> dict[str, Tensor]:
    """Cut a patch, with air outside of the volume.

    A straight or mirrored one takes voxels as they are, so that the network sees noise and edges as it will in
    prediction. A turned one is sampled: image, distance and the share of each class linearly, border by nearest voxel.
    """
    if np.array_equal(np.abs(matrix), np.eye(3)):
        return cut_straight(volume, centre, np.diag(matrix), patch)
    reach = np.abs(matrix) @ (np.array(patch) / 2) + 2
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, volume.shape).astype(int)
    low = np.minimum(low, np.array(volume.shape) - 1)
    high = np.maximum(high, low + 1)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    size = high - low
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch]
    index = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    points = index @ torch.from_numpy(matrix.T.astype(np.float32)) + torch.from_numpy((centre - low).astype(np.float32))
    # grid_sample wants (x, y, z) in -1..1 between the edges of the outermost voxels
    grid = ((points + 0.5) * 2 / torch.from_numpy(size.astype(np.float32)) - 1).flip(-1)[None]

    def sampled(names: tuple[str, ...], mode: str) -> Tensor:
        stack = np.stack([np.asarray(volume.arrays[name][box], np.float32) for name in names])
        return torch.nn.functional.grid_sample(
            torch.from_numpy(stack)[None], grid, mode=mode, padding_mode="zeros", align_corners=False
        )[0]

    inside = ((grid >= -1) & (grid <= 1)).all(dim=-1)[0]
    image, distance = sampled(("image", "distance"), "bilinear")
    (border,) = sampled(("border",), "nearest")
    here = np.asarray(volume.arrays["classes"][box])
    numbers = np.unique(np.append(here.ravel(), 0)).astype(np.int64)
    shares = torch.from_numpy((here == numbers[:, None, None, None]).astype(np.float32))
    shares = torch.nn.functional.grid_sample(shares[None], grid, padding_mode="zeros", align_corners=False)[0]
    shares[0] += 1e-4  # outside of the volume there is background
    classes = torch.from_numpy(numbers)[shares.argmax(dim=0)].float()
    return {"image": torch.where(inside, image, -1.0), "distance": distance, "classes": classes, "border": border}


def cut_straight(
    volume: Prepared, centre: np.ndarray, signs: np.ndarray, patch: tuple[int, int, int]
) -> dict[str, Tensor]:
    """A patch of whole voxels nearest to `centre`, mirrored along the axes with a negative sign."""
    size = np.array(patch)
    start = np.round(centre - (size - 1) / 2).astype(int)
    low, high = np.clip(start, 0, volume.shape), np.clip(start + size, 0, volume.shape)
    source = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    target = tuple(slice(int(a), int(b)) for a, b in zip(low - start, high - start, strict=True))
    axes = [axis for axis in range(3) if signs[axis] < 0]
    made = {}
    for name in ARRAYS:
        out = np.full(patch, -1.0 if name == "image" else 0.0, np.float32)
        out[target] = volume.arrays[name][source]
        made[name] = torch.from_numpy(np.ascontiguousarray(np.flip(out, tuple(axes))))
    return made


def vary_intensity(rng: np.random.Generator, image: Tensor, settings: SegmenterSettings, plan: Plan) -> Tensor:
    """Brightness, contrast, gamma, blur and noise, each in some of the patches."""
    if rng.random() < 0.5:
        image = (image + 1) * float(1 + settings.contrast * rng.uniform(-1, 1)) - 1
        image = image + float(0.5 * settings.contrast * rng.uniform(-1, 1))
    if rng.random() < 0.3:
        power = settings.gamma ** float(rng.uniform(-1, 1))
        shifted = ((image + 1) / 2).clamp_min(0)
        image = 2 * shifted**power - 1
    if rng.random() < 0.3:
        sigma = [settings.blur_mm * float(rng.random()) / s for s in plan.spacing[::-1]]
        image = torch.from_numpy(ndimage.gaussian_filter(image.numpy(), [min(s, 1.5) for s in sigma], truncate=2.5))
    if rng.random() < 0.5:
        scale = settings.noise * float(rng.random())
        image = image + torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)) * scale
    return image.clamp(-2.5, 5.5)
