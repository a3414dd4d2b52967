"""The anatomy of a simulated lizard head in its own frame: bones, jaws with a hinge, teeth that touch, soft tissue.

Head frame in mm: x to the left, y backwards, z upwards, origin midway between the jaw joints. No model of any species.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ethomorph.phantoms.solids import Cut, Ellipsoid, Moved, RoundCone, Solid, chain

SIDES = (("left", 1.0), ("right", -1.0))
CURVE = 28
"""Points along a jaw."""


@dataclass(frozen=True)
class Tooth:
    """One tooth: its solid in the head frame and where it belongs."""

    name: str
    jaw: str
    side: str
    solid: RoundCone
    replacement: bool = False


@dataclass
class Anatomy:
    """Solids of a head by tissue, all in the head frame, the mandible opened already.

    Attributes
    ----------
    jaws : solids of the lower jaw by side.
    bone, soft, eyes : solids of the rest of the skull, of the flesh and of the eyes.
    brain : an ellipsoid, so its volume is known.
    teeth : functional ones first; replacement teeth follow.
    landmarks : name to point.
    """

    jaws: dict[str, list[Solid]] = field(default_factory=dict)
    bone: list[Solid] = field(default_factory=list)
    soft: list[Solid] = field(default_factory=list)
    eyes: list[Solid] = field(default_factory=list)
    brain: Ellipsoid = field(default_factory=lambda: Ellipsoid(np.zeros(3), np.ones(3)))
    teeth: list[Tooth] = field(default_factory=list)
    landmarks: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def ball(self) -> tuple[np.ndarray, float]:
        """A ball about everything."""
        balls = [s.ball for s in (*self.soft, *self.bone)]
        low = np.min([c - r for c, r in balls], axis=0)
        high = np.max([c + r for c, r in balls], axis=0)
        return (low + high) / 2, float(np.linalg.norm(high - low) / 2)


def build_head(
    rng: np.random.Generator, *, teeth: int | None = None, gape_deg: float | None = None, variation: float = 1.0
) -> Anatomy:
    """Draw a head.

    Parameters
    ----------
    teeth : functional teeth in all, 20 to 45; drawn where left out. A few may be lost besides.
    gape_deg : how far the mouth is open, at least 4.
    variation : 1 is lifelike, 0 the mean head.

    Raises
    ------
    ValueError : another number of teeth, a mouth that is closed further than teeth allow.
    """
    refuse_settings(teeth, gape_deg)
    v = variation
    size = float(np.exp(0.08 * v * rng.standard_normal()))
    long = 16.0 * size * float(np.exp(0.05 * v * rng.standard_normal()))
    wide = 5.4 * size * float(np.exp(0.05 * v * rng.standard_normal()))
    count = teeth if teeth is not None else int(rng.integers(22, 45))
    gape = np.deg2rad(gape_deg if gape_deg is not None else rng.uniform(6, 24))
    rows = _shares(count, rng)
    head = Anatomy()
    _skull(head, size, long, wide, rng, v)
    mandible = _mandible(head, size, long, wide, gape)
    _upper_jaw(head, size, long, wide)
    for (jaw, side, sign), number in rows.items():
        _row(head, jaw, side, sign, number, size, long, wide, mandible, rng, v)
    head.teeth.sort(key=lambda tooth: tooth.replacement)
    _flesh(head, size, long, wide, mandible)
    return head


def refuse_settings(teeth: int | None, gape_deg: float | None) -> None:
    if teeth is not None and not 20 <= teeth <= 45:
        raise ValueError(f"a head has 20 to 45 teeth here, not {teeth}")
    if gape_deg is not None and not 4 <= gape_deg <= 45:
        raise ValueError(f"a mouth opens 4 to 45 degrees, not {gape_deg:g}")


def _arc(t: np.ndarray, long: float, wide: float, sign: float) -> np.ndarray:
    """(n, 3) along a jaw seen from above, from the joint (t = 0) to the symphysis (t = 1)."""
    x = sign * wide * np.maximum(1 - t**2.4, 0) ** 0.62
    return np.stack([x, -long * t, np.zeros_like(t)], axis=1)


def _shares(count: int, rng: np.random.Generator) -> dict[tuple[str, str, float], int]:
    """How many teeth stand in each of the four rows."""
    rows = [(jaw, side, sign) for jaw in ("lower", "upper") for side, sign in SIDES]
    shares = [count // 4] * 4
    for i in rng.permutation(4)[: count % 4]:
        shares[i] += 1
    return dict(zip(rows, shares, strict=True))


def _skull(head: Anatomy, size: float, long: float, wide: float, rng: np.random.Generator, v: float) -> None:
    case = Ellipsoid(
        np.array([0, 1.2, 4.6]) * size,
        np.array([0.78 * wide, 4.4 * size, 3.1 * size]) * (1 + 0.03 * v * rng.standard_normal(3)),
    )  # fmt: skip
    wall = 0.5 * size
    cavity = case.thinned(wall)
    foramen = RoundCone(
        case.centre + [0, case.axes[1] - 1.2, -0.4], case.centre + [0, case.axes[1] + 1, -0.6], 1.0, 1.0
    )
    head.bone.append(Cut(case, (cavity, foramen)))
    head.brain = cavity.thinned(0.25 * size)
    orbits = [
        Ellipsoid(np.array([s * 0.86 * wide, -0.30 * long, 4.0 * size]), np.full(3, 2.5 * size)) for _, s in SIDES
    ]
    roof = Ellipsoid(np.array([0, -0.46 * long, 2.3 * size]), np.array([0.8 * wide, 0.58 * long, 3.0 * size]))
    head.bone.append(Cut(roof, (roof.thinned(wall), cavity, *orbits), below=2.4 * size))
    head.bone.append(
        Ellipsoid(np.array([0, -0.5 * long, 2.0 * size]), np.array([0.38 * wide, 0.44 * long, 0.42 * size]))
    )
    for _, s in SIDES:
        top, joint = np.array([s * 0.72 * wide, 1.6 * size, 4.0 * size]), np.array([s * wide, 0.1 * size, 0.95 * size])
        head.bone.append(RoundCone(top, joint, 0.6 * size, 0.55 * size))
        arch = np.array([[s * wide * 1.0, -0.42 * long, 1.9 * size], [s * wide * 1.1, -0.22 * long, 2.1 * size],
                         [s * wide * 1.02, -0.02 * long, 2.9 * size], top])  # fmt: skip
        head.bone += chain(arch, np.array([0.5, 0.42, 0.45, 0.55]) * size)
    head.eyes += [Ellipsoid(orbit.centre, orbit.axes * 0.82) for orbit in orbits]
    head.landmarks |= {
        "snout_tip": np.array([0, -1.04 * long, 2.3 * size]),
        "occipital": case.centre + [0, case.axes[1], 0],
        "braincase_top": case.centre + [0, 0, case.axes[2]],
        "orbit_left": orbits[0].centre, "orbit_right": orbits[1].centre,
    }  # fmt: skip
    for name, s in SIDES:
        head.landmarks[f"jaw_joint_{name}"] = np.array([s * wide, 0.0, 0.0])
        for number, (x, y, z) in enumerate(((0.72, 0.12, 5.2), (0.7, -0.02, 5.6), (0.9, -0.1, 3.6)), start=1):
            head.landmarks[f"muscle_{number}_origin_{name}"] = np.array([s * x * wide, y * long, z * size])


def _mandible(head: Anatomy, size: float, long: float, wide: float, gape: float) -> np.ndarray:
    """Build the lower jaw; returns the rotation about the joints' axis that opens it."""
    cosine, sine = np.cos(gape), np.sin(gape)
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    t = np.linspace(0, 1, CURVE)
    radius = size * np.interp(t, [0, 0.2, 0.6, 1], [0.75, 1.05, 0.85, 0.62])
    for name, s in SIDES:
        line = _arc(t, long, wide, s)
        parts: list[Solid] = []
        for deep in (0.0, -0.75):  # taller than wide
            parts += chain(line + [0, 0, deep * size], radius * (1.0 if deep == 0 else 0.86))
        parts.append(
            RoundCone(line[0] + [0, 0.2 * size, 0], line[0] + [0, 1.5 * size, -0.3 * size], 0.7 * size, 0.45 * size)
        )
        coronoid = line[6]
        parts.append(RoundCone(coronoid, coronoid + [0, 0.2 * size, 1.7 * size], 0.7 * size, 0.3 * size))
        head.jaws[name] = [Moved(part, turn, np.zeros(3)) for part in parts]
        for number, place in enumerate(
            (line[6] + [0, 0.2 * size, 1.7 * size], line[4], line[8] - [0, 0, size]), start=1
        ):
            head.landmarks[f"muscle_{number}_insertion_{name}"] = turn @ place
    head.landmarks["jaw_tip"] = turn @ np.array([0, -long, 0.0])
    return turn


def _upper_jaw(head: Anatomy, size: float, long: float, wide: float) -> None:
    t = np.linspace(0.36, 1, CURVE)
    for _, s in SIDES:
        line = _arc(t, long * 1.03, wide * 1.06, s) + [0, 0, 2.0 * size]
        head.bone += chain(line, size * np.interp(t, [0.36, 0.7, 1], [0.55, 0.85, 0.7]))
        head.bone += chain(line + [0, 0, 0.8 * size], size * np.interp(t, [0.36, 0.7, 1], [0.5, 0.7, 0.6]))


def _row(
    head: Anatomy, jaw: str, side: str, sign: float, number: int, size: float, long: float, wide: float,
    opened: np.ndarray, rng: np.random.Generator, v: float,
) -> None:  # fmt: skip
    """A row of teeth on the inner side of a jaw, neighbours touching, some with a replacement tooth behind the base."""
    lower = jaw == "lower"
    t = np.linspace(0.3, 0.995, 400)
    line = _arc(t, long if lower else long * 1.03, wide if lower else wide * 1.06, sign)
    inward = 0.42 * size
    tangent = np.gradient(line, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.cross(tangent, [0, 0, 1.0])
    normal *= np.where((normal * (np.array([0, -0.4 * long, 0]) - line)).sum(axis=1) > 0, 1, -1)[:, None]
    line = line + normal * inward
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    pitch = min(1.5 * size, along[-1] / (number + 0.5))
    up = np.array([0, 0, 1.0 if lower else -1.0])
    lost = set(np.flatnonzero(rng.random(number) < 0.03 * v).tolist())
    for k in range(number):
        place = along[-1] - (k + 0.65) * pitch  # from the front backwards
        centre = np.array([np.interp(place, along, line[:, i]) for i in range(3)])
        inner = np.array([np.interp(place, along, normal[:, i]) for i in range(3)])
        radius = pitch / 2
        height = pitch * float(np.clip(2.3 + 0.25 * v * rng.standard_normal(), 1.8, 2.8))
        rim = 0.25 * size if lower else 2.0 * size - 0.25 * size
        base = centre + [0, 0, rim] + up * (radius - 0.35 * height)
        lean = 0.07 * v * rng.standard_normal(3)
        axis = up + lean
        axis /= np.linalg.norm(axis)
        tip_radius = radius * 0.34
        crown = base + axis * (height - radius - tip_radius)
        solid = RoundCone(base, crown, radius, tip_radius)
        name = f"{jaw}_{side}_{k + 1:02d}"
        if k not in lost:
            head.teeth.append(Tooth(f"Tooth_{name}", jaw, side, _opened(solid, opened, lower)))
        if rng.random() < 0.5:
            small = radius * float(rng.uniform(0.35, 0.6))
            start = base + inner * (radius + 0.75 * small) - up * 0.1 * size
            germ = RoundCone(start, start + up * small * 1.6, small, small * 0.5)
            head.teeth.append(Tooth(f"Replacement_{name}", jaw, side, _opened(germ, opened, lower), replacement=True))


def _opened(solid: RoundCone, turn: np.ndarray, lower: bool) -> RoundCone:
    return RoundCone(turn @ solid.a, turn @ solid.b, solid.ra, solid.rb) if lower else solid


def _flesh(head: Anatomy, size: float, long: float, wide: float, turn: np.ndarray) -> None:
    head.soft.append(
        Ellipsoid(np.array([0, -0.32 * long, 3.4 * size]), np.array([1.35 * wide, 0.82 * long, 4.9 * size]))
    )
    head.soft.append(RoundCone(np.array([0, 2.0, 3.2]) * size, np.array([0, 6.0, 2.6]) * size, 4.9 * size, 4.3 * size))
    t = np.linspace(0, 1, 9)
    for _, s in SIDES:
        for cone in chain(_arc(t, long, wide, s) - [0, 0, 0.4 * size], np.full(9, 1.75 * size)):
            head.soft.append(Moved(cone, turn, np.zeros(3)))
    floor = Ellipsoid(np.array([0, -0.4 * long, -0.9 * size]), np.array([0.9 * wide, 0.55 * long, 1.1 * size]))
    head.soft.append(Moved(floor, turn, np.zeros(3)))
