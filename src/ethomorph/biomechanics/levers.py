"""The jaw as a lever: muscle forces, mechanical advantage, force and stress at each tooth.

The algebra of Dental Dynamics (SlicerBiomech), all in mm, N and degrees. Shapes of teeth come from
`biomechanics.tooth_shape`; nothing here knows voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethomorph.core.errors import LabelError

POINT_NAMES = (
    "Jaw Joint", "Tip of Jaw", "Closing Muscle 1 Insertion", "Closing Muscle 1 Origin", "Closing Muscle 2 Insertion",
    "Closing Muscle 2 Origin", "Closing Muscle 3 Insertion", "Closing Muscle 3 Origin",
)  # fmt: skip
MUSCLES = 3


@dataclass(frozen=True)
class JawPoints:
    """The eight points of a jaw in LPS mm; NaN where one was not set.

    Attributes
    ----------
    joint, tip : (3,) jaw joint and tip of the jaw.
    insertions, origins : (3, 3), a row a muscle.
    """

    joint: np.ndarray
    tip: np.ndarray
    insertions: np.ndarray
    origins: np.ndarray

    @classmethod
    def from_array(cls, points: np.ndarray, *, place: str = "") -> JawPoints:
        """From (8, 3) in Dental Dynamics' order; fewer are filled up as not set, exactly (0, 0, 0) is not set either.

        Raises
        ------
        LabelError : more than eight points, no joint, no tip, or the two in one place.
        """
        points = np.asarray(points, dtype=float)
        if not 2 <= len(points) <= len(POINT_NAMES):
            raise LabelError(f"{len(points)} points, where a jaw has 2 to 8", place=place,
                             fix=f"give {', '.join(POINT_NAMES)} in this order")  # fmt: skip
        full = np.full((len(POINT_NAMES), 3), np.nan)
        full[: len(points)] = points
        full[(full == 0).all(axis=1)] = np.nan
        for index in (0, 1):
            if not np.isfinite(full[index]).all():
                raise LabelError(f"{POINT_NAMES[index]!r} is not set", place=place,
                                 fix="set it in 3D Slicer; a point exactly at 0, 0, 0 counts as not set")  # fmt: skip
        if np.linalg.norm(full[1] - full[0]) == 0:
            raise LabelError("joint and tip of the jaw are one point", place=place, fix="set them apart")
        return cls(full[0], full[1], full[2::2], full[3::2])

    def array(self) -> np.ndarray:
        """(8, 3) in Dental Dynamics' order."""
        muscles = np.stack([self.insertions, self.origins], axis=1).reshape(-1, 3)
        return np.concatenate([self.joint[None], self.tip[None], muscles])

    @property
    def length_mm(self) -> float:
        return float(np.linalg.norm(self.tip - self.joint))


@dataclass(frozen=True)
class SimulatedMuscle:
    """A muscle whose force and angle are typed in.

    Attributes
    ----------
    force_n : in-force.
    angle_deg : between the muscle's line and the in-lever.
    """

    force_n: float = 1.0
    angle_deg: float = 90.0


@dataclass(frozen=True)
class EmpiricalMuscle:
    """A muscle whose force follows from its measured architecture; length and angle come from its points.

    Attributes
    ----------
    volume_mm3, pennation_deg : of the muscle.
    fmax_n_mm2 : greatest isometric stress.
    """

    volume_mm3: float = 1.0
    pennation_deg: float = 0.0
    fmax_n_mm2: float = 0.2


Muscle = SimulatedMuscle | EmpiricalMuscle


@dataclass(frozen=True)
class MuscleForce:
    """What a muscle does at its insertion; fibre length is None for a simulated one."""

    in_lever_mm: float
    force_n: float
    angle_deg: float
    fibre_mm: float | None = None


def muscle_force(number: int, muscle: Muscle, points: JawPoints, *, slicer_compat: bool = False) -> MuscleForce:
    """In-lever, in-force and angle of muscle `number` (1 to 3).

    ``PCSA = volume cos(pennation) / fibre length``, ``F = PCSA Fmax``; the angle lies at the insertion between joint
    and origin. With `slicer_compat` the force of an empirical muscle 3 is PCSA times its *pennation*, as the module
    has it (0 N at its default).

    Raises
    ------
    LabelError : a point that the muscle needs is not set; settings that no muscle has.
    """
    refuse_impossible(number, muscle)
    insertion, origin = points.insertions[number - 1], points.origins[number - 1]
    _refuse_unset(insertion, f"Closing Muscle {number} Insertion")
    in_lever = float(np.linalg.norm(insertion - points.joint))
    if in_lever == 0:
        raise LabelError(f"muscle {number} inserts exactly at the joint", fix="move its insertion")
    if isinstance(muscle, SimulatedMuscle):
        return MuscleForce(in_lever, muscle.force_n, muscle.angle_deg)
    _refuse_unset(origin, f"Closing Muscle {number} Origin")
    fibre = float(np.linalg.norm(origin - insertion))
    if fibre == 0:
        raise LabelError(f"muscle {number} has its origin at its insertion", fix="set the two points apart")
    area = muscle.volume_mm3 * np.cos(np.deg2rad(muscle.pennation_deg)) / fibre
    strength = muscle.pennation_deg if slicer_compat and number == 3 else muscle.fmax_n_mm2
    return MuscleForce(in_lever, float(area * strength), angle_at(insertion, points.joint, origin), fibre)


def tooth_forces(muscle: MuscleForce, out_levers_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(teeth,) mechanical advantage, and force in N at each tooth: ``F sin(angle) in-lever / out-lever``.

    Examples
    --------
    >>> advantage, force = tooth_forces(MuscleForce(3.0, 10.0, 90.0), np.array([6.0, 12.0]))
    >>> advantage.tolist(), force.tolist()
    ([0.5, 0.25], [5.0, 2.5])
    """
    advantage = muscle.in_lever_mm / out_levers_mm
    return advantage, muscle.force_n * np.sin(np.deg2rad(muscle.angle_deg)) * advantage


def stress_pa(force_n: np.ndarray, area_mm2: np.ndarray) -> np.ndarray:
    """(teeth,) N/m2 from N and mm2."""
    return force_n / (area_mm2 * 1e-6)


def angle_at(corner: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Angle in degrees at a corner, between the lines to `a` and `b`."""
    u, v = a - corner, b - corner
    return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)))


def refuse_impossible(number: int, muscle: Muscle) -> None:
    """Raise LabelError for a muscle number or a setting that does not exist in nature."""
    if not 1 <= number <= MUSCLES:
        raise LabelError(f"muscle {number}", fix=f"there are muscles 1 to {MUSCLES}")
    values = vars(muscle)
    wrong = next((k for k, v in values.items() if not np.isfinite(v) or v < 0), None)
    if wrong is None and isinstance(muscle, EmpiricalMuscle) and muscle.pennation_deg >= 90:
        wrong = "pennation_deg"
    if wrong is None and isinstance(muscle, SimulatedMuscle) and muscle.angle_deg > 180:
        wrong = "angle_deg"
    if wrong is not None:
        raise LabelError(f"muscle {number}: {wrong} = {values[wrong]:g}", fix="give a value that a muscle can have")


def _refuse_unset(point: np.ndarray, name: str) -> None:
    if not np.isfinite(point).all():
        raise LabelError(f"{name!r} is not set", fix="set it in 3D Slicer, or leave the muscle out")
