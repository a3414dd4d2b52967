"""Solids with signed distances, for phantoms: rounded cones, ellipsoids, spheres; with their exact volumes and areas.

Distances are in mm, negative inside. Ellipsoids' are approximate away from their surface, all others exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Solid(Protocol):
    """What can be stamped into a volume."""

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(...) signed distance in mm of (..., 3) points."""

    @property
    def ball(self) -> tuple[np.ndarray, float]:
        """Centre and radius of a ball that holds the solid."""


@dataclass(frozen=True)
class RoundCone:
    """The hull of two balls: a tooth, a rod, a limb of bone.

    Attributes
    ----------
    a, b : (3,) centres of the balls in mm.
    ra, rb : their radii in mm.

    Examples
    --------
    >>> ball = RoundCone(np.zeros(3), np.array([0, 0, 1e-9]), 1.0, 1.0)
    >>> round(ball.volume_mm3, 4), round(ball.area_mm2, 4)
    (4.1888, 12.5664)
    """

    a: np.ndarray
    b: np.ndarray
    ra: float
    rb: float

    def distance(self, points: np.ndarray) -> np.ndarray:
        axis = self.b - self.a
        length2 = float(axis @ axis)
        difference = self.ra - self.rb
        slant2 = length2 - difference**2
        if slant2 <= 0:  # one ball holds the other
            centre, radius = (self.a, self.ra) if self.ra > self.rb else (self.b, self.rb)
            return np.linalg.norm(points - centre, axis=-1) - radius
        local = points - self.a
        along = local @ axis
        across2 = np.maximum((local * local).sum(axis=-1) * length2 - along**2, 0.0)
        # where the tangent cone touches the balls, see Quilez, "Round Cone" (distance functions)
        side = np.sign(difference) * difference**2 * across2
        beyond = along - length2
        at_b = np.sign(beyond) * slant2 * beyond**2 > side
        at_a = np.sign(along) * slant2 * along**2 < side
        rim = (np.sqrt(across2 * slant2 / length2) + along * difference / np.sqrt(length2)) / np.sqrt(length2) - self.ra
        rest = np.sqrt(across2 + beyond**2) / np.sqrt(length2) - self.rb
        start = np.sqrt(across2 + along**2) / np.sqrt(length2) - self.ra
        return np.where(at_b, rest, np.where(at_a, start, rim))

    @property
    def ball(self) -> tuple[np.ndarray, float]:
        return (self.a + self.b) / 2, float(np.linalg.norm(self.b - self.a)) / 2 + max(self.ra, self.rb)

    @property
    def tips(self) -> tuple[np.ndarray, np.ndarray]:
        """The outermost points of the two ends along the axis, a's and b's."""
        axis = (self.b - self.a) / np.linalg.norm(self.b - self.a)
        return self.a - axis * self.ra, self.b + axis * self.rb

    @property
    def volume_mm3(self) -> float:
        """A frustum and two parts of balls, cut where the tangent cone leaves them."""
        h, sine = self._slope
        cosine2 = 1 - sine**2
        frustum = np.pi * h * cosine2 / 3 * cosine2 * (self.ra**2 + self.ra * self.rb + self.rb**2)
        return float(frustum + _ball_below(self.ra, self.ra * sine) + _ball_below(self.rb, -self.rb * sine))

    @property
    def area_mm2(self) -> float:
        h, sine = self._slope
        cosine = np.sqrt(1 - sine**2)
        side = np.pi * (self.ra + self.rb) * cosine * h * cosine
        return float(side + 2 * np.pi * (self.ra**2 * (1 + sine) + self.rb**2 * (1 - sine)))

    @property
    def _slope(self) -> tuple[float, float]:
        h = float(np.linalg.norm(self.b - self.a))
        return h, (self.ra - self.rb) / h


@dataclass(frozen=True)
class Ellipsoid:
    """Axes along x, y and z."""

    centre: np.ndarray
    axes: np.ndarray

    def distance(self, points: np.ndarray) -> np.ndarray:
        local = (points - self.centre) / self.axes
        near = np.linalg.norm(local, axis=-1)
        slope = np.linalg.norm(local / self.axes, axis=-1)
        return near * (near - 1.0) / np.maximum(slope, 1e-9)

    @property
    def ball(self) -> tuple[np.ndarray, float]:
        return self.centre, float(np.max(self.axes))

    @property
    def volume_mm3(self) -> float:
        return float(4 / 3 * np.pi * np.prod(self.axes))

    def thinned(self, wall: float) -> Ellipsoid:
        return Ellipsoid(self.centre, self.axes - wall)


@dataclass(frozen=True)
class Cut:
    """A solid without what lies in others, and where `below` is given only what lies above that z."""

    whole: Solid
    holes: tuple[Solid, ...] = ()
    below: float | None = None

    def distance(self, points: np.ndarray) -> np.ndarray:
        found = self.whole.distance(points)
        for hole in self.holes:
            found = np.maximum(found, -hole.distance(points))
        return found if self.below is None else np.maximum(found, self.below - points[..., 2])

    @property
    def ball(self) -> tuple[np.ndarray, float]:
        return self.whole.ball


@dataclass(frozen=True)
class Moved:
    """A solid turned and shifted: ``p -> rotation @ p + shift``."""

    solid: Solid
    rotation: np.ndarray
    shift: np.ndarray

    def distance(self, points: np.ndarray) -> np.ndarray:
        return self.solid.distance((points - self.shift) @ self.rotation)

    @property
    def ball(self) -> tuple[np.ndarray, float]:
        centre, radius = self.solid.ball
        return self.rotation @ centre + self.shift, radius


def chain(points: np.ndarray, radii: np.ndarray) -> list[RoundCone]:
    """A curved rod: rounded cones from point to point."""
    pairs = zip(points, points[1:], radii, radii[1:], strict=False)
    return [RoundCone(a, b, float(ra), float(rb)) for a, b, ra, rb in pairs]


def _ball_below(radius: float, height: float) -> float:
    """Volume of the part of a ball below a plane `height` above its centre."""
    return float(np.pi * (2 / 3 * radius**3 + radius**2 * height - height**3 / 3))
