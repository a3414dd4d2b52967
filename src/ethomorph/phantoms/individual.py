"""Who a simulated lizard is and how it lies: an `Individual` keeps its shape, each radiograph has its own `Pose`.

Population means and spreads are a generic anole's, chosen to look right; no measurement should be quoted from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

REFERENCE_SVL_MM = 63.5
SEGMENTS = ("humerus", "forearm", "hand", "femur", "shank", "metatarsus", "toe")


@dataclass(frozen=True)
class Individual:
    """One animal's own shape; the same in all its radiographs.

    Attributes
    ----------
    id, sex : "F" or "M".
    svl_mm : snout-vent length.
    head_length, head_width, girth, tail : relative to the reference plan at this animal's size.
    segments : relative length of each limb segment, left then right, by name in `SEGMENTS`.
    warp : (modes, 6) smooth displacement of the axial skeleton: wave numbers in u and v (per mm), phases of both
        displacements, amplitudes in u and v (mm at reference size).
    density : relative mineral density.
    """

    id: str
    sex: str
    svl_mm: float
    head_length: float
    head_width: float
    girth: float
    tail: float
    segments: dict[str, tuple[float, float]]
    warp: np.ndarray
    density: float

    @property
    def size(self) -> float:
        return self.svl_mm / REFERENCE_SVL_MM


@dataclass(frozen=True)
class Pose:
    """How the animal lies. Angles in radians; a joint's deviation from rest carries over to what hangs on it.

    Attributes
    ----------
    neck, trunk, sway, tail, tail_wave : turn of the neck; a C and an S in the trunk; a C and an S in the tail.
    joints : (left, right) deviation of each limb segment by name in `SEGMENTS`.
    spread : relative opening of the digits' fan.
    """

    neck: float = 0.0
    trunk: float = 0.0
    sway: float = 0.0
    tail: float = 0.0
    tail_wave: float = 0.0
    joints: dict[str, tuple[float, float]] = field(default_factory=lambda: dict.fromkeys(SEGMENTS, (0.0, 0.0)))
    spread: float = 1.0


def draw_individual(
    name: str, rng: np.random.Generator, *, dimorphism: float = 1.0, variation: float = 1.0
) -> Individual:
    """An animal from the population.

    Males are longer (mean 66 against 59 mm at `dimorphism` 1), with relatively longer and wider heads and longer legs;
    heads grow with SVL to the power 0.9 and limbs to the power 1.08 within each sex (`variation` scales what is the
    individual's own).
    """
    sex = "M" if rng.random() < 0.5 else "F"
    side = (0.5 if sex == "M" else -0.5) * dimorphism
    svl = (62.5 + 7.0 * side) * np.exp(0.055 * variation * rng.standard_normal())
    log_size = np.log(svl / REFERENCE_SVL_MM)

    def own(mean: float, spread: float) -> float:
        return float(np.exp(mean + spread * variation * rng.standard_normal()))

    limb = own(0.08 * log_size + 0.05 * side, 0.025)
    segments = {}
    for segment in SEGMENTS:
        both = limb * own(0.0, 0.02)
        segments[segment] = (both * own(0.0, 0.006), both * own(0.0, 0.006))
    modes = 6
    warp = np.column_stack([
        rng.uniform(0.05, 0.45, modes), rng.uniform(0.05, 0.35, modes), rng.uniform(0, 2 * np.pi, (modes, 2)),
        0.13 * variation * rng.standard_normal((modes, 2)),
    ])
    return Individual(
        id=name, sex=sex, svl_mm=float(svl), head_length=own(-0.10 * log_size + 0.05 * side, 0.02),
        head_width=own(-0.06 * log_size + 0.09 * side, 0.03), girth=own(-0.03 * side, 0.06),
        tail=own(0.05 * side, 0.06), segments=segments, warp=warp, density=own(0.3 * log_size, 0.08),
    )


def draw_pose(rng: np.random.Generator, *, variation: float = 1.0) -> Pose:
    """A pose as a taped-down specimen has it: limbs spread, body nearly straight, tail anywhere."""
    spread = dict(zip(SEGMENTS, (8.0, 9.0, 9.0, 8.0, 9.0, 9.0, 4.0), strict=True))
    joints = {}
    for segment, degrees in spread.items():
        common, own = rng.standard_normal(), rng.standard_normal(2)
        left, right = np.deg2rad(degrees * variation) * (0.5 * common + 0.85 * own)
        joints[segment] = (float(left), float(right))
    neck, trunk, sway, wave = np.deg2rad([5.0, 7.0, 4.0, 25.0]) * variation * rng.standard_normal(4)
    tail = variation * np.deg2rad(rng.choice([-1, 1]) * rng.uniform(20, 150))
    return Pose(float(neck), float(trunk), float(sway), float(tail), float(wave), joints, float(rng.uniform(0.8, 1.2)))
