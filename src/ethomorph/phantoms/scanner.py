"""What a scanner makes of tissues: X-ray CT with beam hardening, rings and counted photons, and MRI with a bias field.

Works on the volume, not on projections: enough to look and to mislead like the real thing, not a physics simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

TISSUES = ("soft", "eye", "brain", "bone", "tooth")
CT = {"soft": 0.20, "eye": 0.17, "brain": 0.18, "bone": 0.70, "tooth": 1.0}
MRI = {"soft": 0.45, "eye": 0.95, "brain": 0.80, "bone": 0.06, "tooth": 0.03}


@dataclass(frozen=True)
class Scanner:
    """Settings of one scan.

    Parameters
    ----------
    contrast : "ct" or "mri".
    photons : counted for a voxel of attenuation 1; fewer are noisier.
    blur_voxels : standard deviation of the point spread.
    cupping : how much beam hardening darkens what lies deep or behind bone.
    rings : amplitude of ring artefacts.
    drift : slow change of brightness along the axis of rotation, or of the bias field.
    density : brightness of bone relative to the usual.
    offset, gain : of the stored 16-bit numbers, ``offset + gain * value``.
    """

    contrast: str = "ct"
    photons: float = 400.0
    blur_voxels: float = 0.6
    cupping: float = 0.15
    rings: float = 0.02
    drift: float = 0.05
    density: float = 1.0
    offset: float = 6000.0
    gain: float = 28000.0


def draw_scanner(rng: np.random.Generator, *, contrast: str = "ct", unseen: bool = False) -> Scanner:
    """Settings as scanners differ; `unseen` draws only from beyond the ranges that the others come from."""

    def between(low: float, high: float, beyond: float) -> float:
        return float(rng.uniform(high, beyond) if unseen else rng.uniform(low, high))

    return Scanner(
        contrast=contrast,
        photons=1 / between(1 / 900, 1 / 150, 1 / 80),
        blur_voxels=between(0.4, 0.8, 1.0),
        cupping=between(0.05, 0.25, 0.35),
        rings=between(0.0, 0.03, 0.05),
        drift=between(0.0, 0.08, 0.12),
        density=float(rng.uniform(0.9, 1.1)),
        offset=float(rng.uniform(3000, 9000)),
        gain=float(rng.uniform(22000, 34000)),
    )


def scan(tissues: dict[str, np.ndarray], scanner: Scanner, rng: np.random.Generator) -> np.ndarray:
    """(z, y, x) uint16 of shares (z, y, x) in 0..1 of each tissue in each voxel."""
    values = MRI if scanner.contrast == "mri" else CT
    shape = next(iter(tissues.values())).shape
    image = np.zeros(shape, np.float32)
    for name, share in tissues.items():
        value = values[name] * (scanner.density if name in ("bone", "tooth") and scanner.contrast == "ct" else 1.0)
        image += np.float32(value) * share
    image *= 1 + 0.04 * smooth_noise(shape, 2.0, rng)  # tissue is not uniform
    image = ndimage.gaussian_filter(image, scanner.blur_voxels)
    if scanner.contrast == "mri":
        image *= 1 + 3 * scanner.drift * smooth_noise(shape, max(shape) / 4, rng)
        sigma = 1 / np.sqrt(scanner.photons)
        noise = rng.standard_normal((2, *shape), dtype=np.float32) * np.float32(sigma)
        image = np.hypot(image + noise[0], noise[1])
    else:
        image = hardened(image, scanner.cupping) + ring_artefacts(shape, scanner.rings, rng)
        image *= (1 + scanner.drift * np.sin(np.linspace(0, np.pi * rng.uniform(0.5, 2), shape[0])))[:, None, None]
        counts = rng.poisson(np.maximum(image, 0) * scanner.photons + 4.0).astype(np.float32)
        image = ndimage.gaussian_filter((counts - 4.0) / np.float32(scanner.photons), 0.35)
    return np.clip(scanner.offset + scanner.gain * image, 0, 65535).astype(np.uint16)


def hardened(image: np.ndarray, cupping: float) -> np.ndarray:
    """Darker the more lies before and behind a voxel in its slice: cupping, and streaks beside bone."""
    along_x, along_y = image.mean(axis=2, keepdims=True), image.mean(axis=1, keepdims=True)
    path = along_x + along_y
    top = float(path.max()) or 1.0
    return image * (1 - np.float32(cupping) * path / np.float32(top))


def ring_artefacts(shape: tuple[int, ...], amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Rings about an axis near the middle of the slices, changing slowly from slice to slice."""
    middle = (np.array(shape[1:]) - 1) / 2 + rng.uniform(-2, 2, 2)
    y, x = np.ogrid[: shape[1], : shape[2]]
    radius = np.hypot(y - middle[0], x - middle[1]).astype(np.int64)
    count = int(radius.max()) + 1
    rows = max(2, shape[0] // 24)
    knots = rng.standard_normal((rows, count)) * (rng.random(count) < 0.3)
    profile = ndimage.zoom(knots, (shape[0] / rows, 1), order=1, grid_mode=True, mode="nearest")
    return (amplitude * profile[:, radius]).astype(np.float32)


def smooth_noise(shape: tuple[int, ...], length: float, rng: np.random.Generator) -> np.ndarray:
    """(z, y, x) float32 noise of unit standard deviation that changes over about `length` voxels."""
    coarse = tuple(max(2, int(np.ceil(n / length)) + 1) for n in shape)
    knots = rng.standard_normal(coarse).astype(np.float32)
    field = ndimage.zoom(knots, [n / c for n, c in zip(shape, coarse, strict=True)], order=1)
    return field / max(float(field.std()), 1e-6)


def without_noise(scanner: Scanner) -> Scanner:
    """The same scanner with neither noise nor artefacts, for tests of geometry."""
    return replace(scanner, photons=1e9, blur_voxels=0.0, cupping=0.0, rings=0.0, drift=0.0)
