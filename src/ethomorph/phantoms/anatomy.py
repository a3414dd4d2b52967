"""Where an individual in a pose has every bone and every landmark.

The plan is drawn once in reference millimetres (an animal of 63.5 mm snout-vent length; u from the snout tailwards, v
to the animal's left) and bent into place. Landmarks and bones go through the same maps, so the landmarks are exact. The
proportions are a generic anole's, chosen by eye; no measurement should be quoted from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ethomorph.phantoms.individual import Individual, Pose
from ethomorph.phantoms.projection import Tube

_HEAD_END, _TAIL_BASE, _TAIL_END = 18.6, 63.5, 176.0  # u of the occiput, of the vent's level and of the tail tip, mm
_BONE, _TISSUE = 0.36, 0.034  # attenuation per mm of compact bone and of soft tissue at about 45 kV, effective

_TOE, _LONG_TOE = (0.4, 0.32, 0.16, 0.12), (0.3, 0.26, 0.22, 0.12, 0.1)  # phalanges as shares of the toe
_Radii = float | Sequence[float] | np.ndarray

# Length (mm) and direction (degrees from the animal's side towards the tail) of each limb segment at rest.
_ARM = {"humerus": (13.4, 2.0), "forearm": (10.6, -94.0), "hand": (8.4, -108.0)}
_LEG = {"femur": (17.2, 6.0), "shank": (15.6, 105.0), "metatarsus": (9.4, 30.0), "toe": (10.3, 28.0)}


@dataclass
class Body:
    """A posed animal in millimetres, snout at the origin: `bone` and `tissue` to project, `points` by landmark name."""

    bone: list[Tube]
    tissue: list[Tube]
    points: dict[str, np.ndarray]


def build_body(individual: Individual, pose: Pose, rng: np.random.Generator) -> Body:
    """Every bone and landmark of a posed animal. `rng` decides what has no landmarks: gut gas, irregularities."""
    frame = _Frame(individual, pose)
    body = Body([], [], {})
    _skull(frame, body)
    _spine(frame, body, rng)
    _girdles(frame, body)
    body.bone = frame.bend(body.bone)
    for side in (0, 1):
        _arm(frame, body, side)
        _leg(frame, body, side)
    _soft_tissue(frame, body, rng)
    return body


class _Frame:
    """The bent axis: takes reference coordinates (u, v) to millimetres and knows the heading along the way."""

    def __init__(self, individual: Individual, pose: Pose) -> None:
        self.individual, self.pose = individual, pose
        grid = np.arange(-4.0, _TAIL_END + 4.0, 0.25)
        self._grid = grid
        trunk = np.clip((grid - 24) / 34, 0, 1)
        tail = np.clip((grid - 66) / 100, 0, 1)
        heading = -pose.neck * (1 - _smooth((grid - 19) / 7)) + pose.trunk * (trunk - 0.5)
        heading += pose.sway * np.sin(2 * np.pi * trunk)
        heading += pose.tail * tail**1.3 + pose.tail_wave * np.sin(2 * np.pi * tail) * tail
        self._heading = heading
        stretch = np.where(grid < _HEAD_END, individual.head_length, self._trunk_stretch())
        stretch = np.where(grid > _TAIL_BASE, individual.tail, stretch) * individual.size
        steps = np.stack([np.cos(heading), np.sin(heading)], 1) * (stretch * 0.25)[:, None]
        self._centre = np.cumsum(steps, axis=0)
        self._centre -= self._on_grid(self._centre, np.zeros(1))
        width = individual.head_width + (1 - individual.head_width) * _smooth((grid - 17.5) / 4)
        self._width = width * individual.size

    def _trunk_stretch(self) -> float:
        # What the head takes of the snout-vent length the trunk gives, so that svl_mm stays true.
        return (_TAIL_BASE - _HEAD_END * self.individual.head_length) / (_TAIL_BASE - _HEAD_END)

    def _on_grid(self, values: np.ndarray, u: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(u, self._grid, values[:, k]) for k in range(values.shape[1])], -1)

    def heading(self, u: float) -> float:
        return float(np.interp(u, self._grid, self._heading))

    def at(self, points: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
        """(n, 2) reference (u, v) to (n, 2) mm."""
        uv = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        u, v = (uv + self._warp(uv)).T
        heading = np.interp(u, self._grid, self._heading)
        out = v * np.interp(u, self._grid, self._width)
        return self._on_grid(self._centre, u) + out[:, None] * np.stack([-np.sin(heading), np.cos(heading)], -1)

    def bend(self, tubes: list[Tube]) -> list[Tube]:
        """Tubes whose points are reference coordinates, taken to millimetres all at once."""
        points = self.at(np.concatenate([tube.points for tube in tubes]))
        ends = np.cumsum([len(tube.points) for tube in tubes])[:-1]
        return [replace(tube, points=part) for tube, part in zip(tubes, np.split(points, ends), strict=True)]

    def _warp(self, uv: np.ndarray) -> np.ndarray:
        ku, kv, pu, pv, au, av = self.individual.warp.T
        phase = uv[:, :1] * ku + uv[:, 1:] * kv
        # Fades at the snout and along the tail, where SVL and tail length are already the individual's own.
        fade = np.clip(uv[:, 0] / 5, 0, 1) * np.clip((70 - uv[:, 0]) / 5, 0, 1)
        return fade[:, None] * np.stack([np.sin(phase + pu) @ au, np.sin(phase + pv) @ av], -1)

    def tube(self, points: Sequence[Sequence[float]] | np.ndarray, radii: _Radii, density: float = 1.0,
             marrow: float = 0.0, *, smooth: int = 0) -> Tube:
        """A bone along reference points, still to `bend`; `smooth` > 0 draws a curve in that many pieces."""
        uv = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        radius = np.broadcast_to(np.asarray(radii, dtype=np.float64), (len(uv),))
        if smooth:
            uv, radius = _curve(uv, radius, smooth)
        size = self.individual.size
        return Tube(uv, radius * size, _BONE * self.individual.density * density, marrow)


def _skull(frame: _Frame, body: Body) -> None:
    tube = frame.tube
    body.points["snout_tip"] = frame.at([[0.0, 0.0]])[0]
    for side, name in ((1.0, "left"), (-1.0, "right")):
        def s(*points: tuple[float, float], side: float = side) -> np.ndarray:
            return np.array(points) * [1.0, side]

        body.points |= {
            f"orbit_front_{name}": frame.at(s((6.9, 1.9)))[0],
            f"orbit_back_{name}": frame.at(s((12.0, 5.1)))[0],
            f"jaw_corner_{name}": frame.at(s((18.0, 6.5)))[0],
        }
        teeth = np.linspace(0.12, 0.98, 15)[:, None]
        row = s((1.3, 1.15)) * (1 - teeth) + s((10.0, 4.55)) * teeth + s((0.0, 0.4)) * np.sin(np.pi * teeth)
        body.bone += [
            tube(s((0.42, 0.0), (0.6, 0.9), (1.3, 1.75), (2.6, 2.5), (5.0, 3.6), (9.0, 4.95), (12.0, 5.75)),
                 [0.42, 0.46, 0.46, 0.42, 0.38, 0.3, 0.2], 0.85, smooth=10),  # upper jaw
            tube(s((1.3, 0.28), (2.4, 1.4), (4.6, 2.5), (8.6, 4.05), (12.2, 4.9), (15.0, 5.15), (18.0, 4.8)),
                 [0.4, 0.6, 0.72, 0.72, 0.55, 0.36, 0.34], 1.15, smooth=12),  # lower jaw
            *(tube(tooth, 0.17, 2.2) for tooth in row),
            tube(s((11.6, 5.7), (14.0, 6.05), (17.0, 5.9)), [0.16, 0.14, 0.12], 0.8, smooth=4),  # jugal to quadrate
            tube(s((12.0, 5.1)), 0.5, 1.7), tube(s((11.3, 6.15), (12.0, 5.1)), [0.12, 0.3], 1.3),
            tube(s((17.8, 4.75)), 0.62, 1.5), tube(s((17.9, 4.75), (18.0, 6.37)), [0.36, 0.13], 1.5),  # quadrate
            tube(s((7.0, 3.6), (7.35, 2.8), (6.9, 1.9)), [0.3, 0.24, 0.26], 1.1, smooth=4),  # prefrontal
            tube(s((6.9, 1.9)), 0.34, 1.0),
            tube(s((2.6, 0.55), (6.9, 1.6), (10.7, 0.95), (12.6, 1.7), (14.4, 2.15)),
                 [0.13, 0.17, 0.18, 0.16, 0.16], 1.0, smooth=9),  # frontal and parietal margin
            tube(s((14.4, 2.15)), 0.34, 1.5),
            tube(s((14.4, 2.15), (15.9, 2.9), (17.7, 4.6)), [0.24, 0.26, 0.22], 1.3, smooth=4),  # pterygoid
            tube(s((14.6, 2.2), (12.0, 2.9), (9.4, 3.4)), [0.18, 0.2, 0.16], 0.6, smooth=4),
            tube(s((15.6, 0.0), (15.75, 0.75), (16.3, 1.35), (17.6, 2.4)), [0.3, 0.3, 0.24, 0.2], 1.3, smooth=6),
            *_ring(frame, s((17.25, 1.25))[0], 0.62, 0.2, 1.4),  # ear capsule
            tube(s((17.4, 2.1), (17.9, 3.4), (17.8, 4.6)), [0.2, 0.16, 0.2], 1.0),
        ]
    roof = [[1.6, 0], [4.0, 0], [8.0, 0], [12.0, 0], [15.0, 0], [17.2, 0]]
    body.bone += [
        tube(roof, [1.2, 2.4, 3.6, 4.4, 4.4, 3.6], 0.075),
        tube([[14.2, 0], [17.0, 0]], [1.9, 1.9], 0.045), tube([[15.0, 0], [17.2, 0]], [1.2, 1.3], 0.045),
        tube([[0.5, 0], [2.4, 0]], [0.24, 0.12], 1.1), tube([[2.4, 0], [10.2, 0]], [0.1, 0.1], 0.7),
        tube([[10.7, -0.95], [10.7, 0.95]], 0.17, 1.3), tube([[10.7, 0]], 0.36, 1.3),
        tube([[18.6, 0]], 0.5, 1.7), tube([[17.0, 0], [18.4, 0]], [0.5, 0.3], 0.7),
    ]
    # Skull bones are denser and overlie each other: the brightest part of the animal.
    body.bone = [replace(tube, attenuation=1.4 * tube.attenuation) for tube in body.bone]
    for name, u in (("frontal_suture", 10.7), ("parietal_arch", 15.6), ("occiput", 18.6)):
        body.points[name] = frame.at([[u, 0.0]])[0]


def _spine(frame: _Frame, body: Body, rng: np.random.Generator) -> None:
    tube = frame.tube
    starts = np.concatenate([np.linspace(19.3, 25.0, 6)[:-1], np.linspace(25.0, 59.4, 22)])
    for u, pitch in zip(starts, np.diff(np.append(starts, 61.0)), strict=True):
        wide = np.interp(u, [19, 26, 45, 60], [0.75, 0.9, 1.0, 0.9])
        body.bone += [
            tube([[u + 0.3 * pitch, 0], [u + 0.75 * pitch, 0]], np.array([0.46, 0.58]) * wide, 0.8, 0.35),
            tube([[u + 0.35 * pitch, 0], [u + 1.1 * pitch, 0]], [0.12, 0.2], 1.2),
        ]
        for side in (1, -1):
            jitter = 0.06 * rng.standard_normal()
            wing = [[u + 0.1 * pitch, 0.4 * side * wide], [u + (0.86 + jitter) * pitch, 0.95 * side * wide]]
            body.bone.append(tube(wing, [0.24, 0.36], 0.65))
    for u in starts[5:21]:
        reach = np.interp(u, [24, 30, 42, 56], [4.2, 5.2, 5.9, 3.0])
        lean = np.interp(u, [24, 32, 56], [1.5, 5.5, 4.0])
        for side in (1, -1):
            rib = [[u + 0.5, 0.6], [u + 0.1 * lean + 0.4, 0.4 * reach], [u + 0.5 * lean, 0.85 * reach],
                   [u + 1.25 * lean, reach]]
            body.bone.append(tube(np.array(rib) * [1, side], [0.2, 0.17, 0.15, 0.1], 0.55, smooth=5))
            if 24 < u < 33:  # cartilage back to the breast bone
                back = [[u + 1.25 * lean, reach], [u + 0.4 * lean, 0.62 * reach], [max(28.0, u - 1.0), 0.9]]
                body.bone.append(tube(np.array(back) * [1, side], [0.1, 0.13, 0.13], 0.45, smooth=4))
    u, pitch, n = 61.0, 1.55, 0
    while u < 168:
        thin = np.interp(u, [61, 75, 110, 170], [1.0, 0.85, 0.5, 0.16])
        body.bone.append(tube([[u + 0.22 * pitch, 0], [u + 0.5 * pitch, 0], [u + 0.8 * pitch, 0]],
                              np.array([0.46, 0.36, 0.52]) * thin, 0.95, 0.3))
        if 3 <= n < 13:
            out = np.interp(n, [3, 13], [2.6, 0.8])
            for side in (1, -1):
                body.bone.append(tube([[u + 0.5 * pitch, 0.3 * side], [u + 0.9 * pitch, out * side]], [0.2, 0.08], 0.7))
        u, n = u + pitch, n + 1
        pitch = min(3.4, pitch * 1.035)


def _girdles(frame: _Frame, body: Body) -> None:
    tube = frame.tube
    for side, name in ((1.0, "left"), (-1.0, "right")):
        def s(*points: tuple[float, float], side: float = side) -> np.ndarray:
            return np.array(points) * [1.0, side]

        body.points[f"shoulder_{name}"] = frame.at(s((25.9, 3.7)))[0]
        body.points[f"hip_{name}"] = frame.at(s((60.3, 3.1)))[0]
        body.bone += [
            tube(s((25.9, 3.7)), 0.55, 1.6, 0.4),
            # clavicle, scapula, coracoid; then ilium, pubis, ischium and the two sacral ribs
            tube(s((25.7, 3.7), (24.4, 3.45), (22.6, 1.9), (21.0, 0.0)), [0.22, 0.2, 0.2, 0.26], 1.1, smooth=7),
            tube(s((25.9, 3.7), (27.0, 4.5), (28.4, 4.6)), [0.4, 0.35, 0.55], 0.4, smooth=3),
            tube(s((25.9, 3.6), (26.8, 2.6), (27.2, 1.1)), [0.4, 0.7, 0.5], 0.3, smooth=4),
            tube(s((60.3, 3.1)), 0.7, 0.9, 0.3),
            tube(s((60.3, 3.1), (62.0, 2.95), (64.4, 2.75)), [0.42, 0.33, 0.36], 1.1, 0.4),
            tube(s((60.2, 3.0), (57.8, 2.8), (55.6, 1.55), (53.6, 0.0)), [0.42, 0.34, 0.26, 0.26], 1.05, 0.4, smooth=7),
            tube(s((60.0, 2.7), (58.9, 1.9), (57.6, 1.15), (56.4, 0.2)), [0.34, 0.26, 0.24, 0.2], 0.8, smooth=5),
            tube(s((57.6, 2.75), (57.2, 3.4)), [0.25, 0.1], 0.8),
            tube(s((60.3, 0.2), (60.2, 1.5), (60.9, 2.7)), [0.36, 0.26, 0.34], 1.15, smooth=4),
            tube(s((63.5, 0.2), (63.0, 1.4), (62.9, 2.7)), [0.32, 0.22, 0.28], 1.1, smooth=4),
        ]
    body.bone += [
        tube([[21.0, 0]], 0.62, 1.5), tube([[21.2, 0], [28.0, 0]], [0.24, 0.14], 0.8),
        tube([[53.6, 0]], 0.46, 1.2), tube([[60.3, 0]], 0.5, 1.0), tube([[63.5, 0]], 0.42, 1.0),
        tube([[27.5, 0], [30.5, 0]], [1.3, 0.7], 0.12),
    ]
    for name, u in (("interclavicle", 21.0), ("pubis", 53.6), ("sacrum", 60.3), ("tail_base", 63.5)):
        body.points[name] = frame.at([[u, 0.0]])[0]


class _Limb:
    """Walks out along a limb: each call of `step` turns by the joint and returns the segment's far end."""

    def __init__(self, frame: _Frame, root: np.ndarray, u: float, side: int) -> None:
        self.frame, self.side, self.end, self.turn = frame, side, root, 0.0
        self.sign, self.heading, self.size = (1, -1)[side], frame.heading(u), frame.individual.size

    def direction(self, degrees: float) -> np.ndarray:
        angle = np.deg2rad(degrees) + self.turn
        along, across = np.sin(angle), self.sign * np.cos(angle)
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.array([c * along - s * across, s * along + c * across])

    def step(self, segment: str, length: float, degrees: float) -> np.ndarray:
        self.turn += self.frame.pose.joints[segment][self.side]
        self.end = self.end + self.direction(degrees) * self.length(segment, length)
        return self.end

    def length(self, segment: str, length: float) -> float:
        return length * self.size * self.frame.individual.segments[segment][self.side]

    def tube(self, points: Sequence[np.ndarray], radii: _Radii, density: float = 1.0,
             marrow: float = 0.0) -> Tube:
        radius = np.broadcast_to(np.asarray(radii, dtype=np.float64), (len(points),)) * self.size
        return Tube(np.stack(points), radius, _BONE * self.frame.individual.density * density, marrow)

    def flesh(self, points: Sequence[np.ndarray], radii: Sequence[float]) -> Tube:
        line, radius = _curve(np.stack(points), np.array(radii), 5)
        return Tube(line, radius * self.size * self.frame.individual.girth, 0.6 * _TISSUE)

    def shaft(self, a: np.ndarray, b: np.ndarray, radius: float, bow: float = 0.0) -> Tube:
        """A long bone: a hollow shaft that widens to both ends, bowed sideways by `bow` of its length."""
        t = np.array([0.0, 0.08, 0.25, 0.5, 0.75, 0.92, 1.0])
        across = np.array([-(b - a)[1], (b - a)[0]]) * self.sign
        line = a + t[:, None] * (b - a) + bow * np.sin(2 * np.pi * t)[:, None] * across
        return self.tube(list(line), radius * np.array([1.5, 1.35, 1.0, 0.9, 1.0, 1.35, 1.5]), 1.0, 0.6)

    def digit(self, base: np.ndarray, degrees: float, lengths: np.ndarray, radius: float
              ) -> tuple[list[Tube], list[np.ndarray]]:
        """Bones of one digit with the gaps of its joints, the last a claw, and their ends; the last is the very tip."""
        tubes, ends, here = [], [], base
        for i, length in enumerate(lengths):
            step = self.direction(degrees) * length * self.size
            claw = i == len(lengths) - 1
            thick = radius * (1 - 0.12 * i)
            # Radii stay within the bone's length, so that neighbours leave a joint space; a claw ends in its tip.
            trim = min(0.12, 0.25 * length) * self.size * step / np.hypot(*step)
            start, stop = here + trim, here + step - (0 if claw else 0.6) * trim
            if claw:
                sharp = 0.08 * self.size * step / np.hypot(*step)
                tubes.append(self.tube([start, here + 0.5 * step, stop - sharp], [thick * 1.25, thick, 0.08], 1.35))
            else:
                tubes.append(self.tube([start, here + 0.5 * step, stop], thick * np.array([1.15, 0.8, 1.15]), 1.1, 0.3))
            here = here + step
            ends.append(here)
        return tubes, ends


def _arm(frame: _Frame, body: Body, side: int) -> None:
    name = ("left", "right")[side]
    root = body.points[f"shoulder_{name}"]
    limb = _Limb(frame, root, 26.0, side)
    elbow = limb.step("humerus", *_ARM["humerus"])
    wrist = limb.step("forearm", *_ARM["forearm"])
    fore = limb.direction(_ARM["forearm"][1])
    beside = np.array([-fore[1], fore[0]]) * limb.size * limb.sign
    body.bone += [
        limb.shaft(root, elbow, 0.36, 0.01), limb.tube([elbow - 0.3 * beside, elbow + 0.3 * beside], 0.48, 0.75, 0.3),
        limb.shaft(elbow + 0.36 * beside, wrist + 0.3 * beside, 0.22),
        limb.shaft(elbow - 0.36 * beside, wrist - 0.3 * beside, 0.2),
        limb.tube([wrist], 0.44, 0.7, 0.3), limb.tube([wrist + 0.45 * beside], 0.26, 0.7),
        limb.tube([wrist - 0.45 * beside], 0.26, 0.7),
    ]
    limb.turn += frame.pose.joints["hand"][side]
    total, rest = limb.length("hand", _ARM["hand"][0]) / limb.size, _ARM["hand"][1]
    fan = np.array([-62.0, -30.0, 0.0, 27.0, 60.0]) * frame.pose.spread
    share = np.array([0.66, 0.9, 1.0, 0.94, 0.7])
    tips = []
    for k in range(5):
        bones, ends = limb.digit(wrist, rest + fan[k], total * share[k] * np.array([0.36, 0.25, 0.22, 0.17]), 0.17)
        body.bone += bones
        body.tissue.append(limb.flesh([wrist, ends[0], ends[2], ends[3]], [0.8, 0.62, 0.6, 0.12]))
        tips.append(ends[-1])
    body.points |= {f"elbow_{name}": elbow, f"wrist_{name}": wrist, f"finger_tip_{name}": tips[2]}
    body.tissue += [limb.flesh([root, 0.5 * (root + elbow), elbow], [2.6, 2.1, 1.6]),
                    limb.flesh([elbow, 0.6 * elbow + 0.4 * wrist, wrist], [1.6, 1.6, 0.9])]


def _leg(frame: _Frame, body: Body, side: int) -> None:
    name = ("left", "right")[side]
    root = body.points[f"hip_{name}"]
    limb = _Limb(frame, root, 60.0, side)
    knee = limb.step("femur", *_LEG["femur"])
    ankle = limb.step("shank", *_LEG["shank"])
    shank = limb.direction(_LEG["shank"][1])
    beside = np.array([-shank[1], shank[0]]) * limb.size * limb.sign
    body.bone += [
        limb.shaft(root, knee, 0.42, -0.02), limb.tube([knee - 0.35 * beside, knee + 0.35 * beside], 0.55, 0.75, 0.35),
        limb.shaft(knee + 0.3 * beside, ankle + 0.25 * beside, 0.32, 0.008),
        limb.shaft(knee - 0.55 * beside, ankle - 0.4 * beside, 0.19),
        limb.tube([ankle - 0.3 * beside, ankle + 0.3 * beside], 0.48, 0.85, 0.3),
        limb.tube([ankle + 0.5 * shank], 0.36, 1.0),
    ]
    base = limb.step("metatarsus", *_LEG["metatarsus"])
    rest = _LEG["metatarsus"][1]
    fan = np.array([-34.0, -17.0, 0.0]) * frame.pose.spread
    share = np.array([0.6, 0.85, 1.0])
    foot: list[list[np.ndarray]] = []
    metatarsus = limb.length("metatarsus", _LEG["metatarsus"][0]) / limb.size
    toe = limb.length("toe", _LEG["toe"][0]) / limb.size
    for k in range(3):  # toes II to IV; I is short, V stands off
        near = ankle + 0.35 * (k - 1) * beside
        reach = metatarsus * limb.size * (0.78 + 0.11 * k)
        end = base if k == 2 else near + reach * limb.direction(rest + 0.35 * fan[k])
        line = [near + 0.05 * (end - near), 0.5 * (near + end), end]
        body.bone.append(limb.tube(line, [0.27, 0.19, 0.27], 1.0, 0.35))
        foot.append([near, end])
    body.bone.append(limb.tube([base], 0.34, 1.2))
    limb.turn += frame.pose.joints["toe"][side]
    tips = []
    for k in range(3):
        phalanges = toe * share[k] * np.array(_LONG_TOE if k == 2 else _TOE)
        direction = _LEG["toe"][1] + fan[k]
        bones, ends = limb.digit(foot[k][1], direction, phalanges, 0.19)
        body.bone += bones
        pads = [0.72] * (len(ends) - 2)
        body.tissue.append(limb.flesh([foot[k][0], foot[k][1], *ends[1:]], [0.95, 0.8, *pads, 0.14]))
        tips.append(ends[-1])
    for angle, lengths in ((-60, [3.4, 2.2, 1.3]), (68, [2.4, 3.2, 2.0, 1.2])):  # toes I and V, mm
        phalanges = np.array(lengths) * toe / _LEG["toe"][0]
        bones, ends = limb.digit(ankle, rest + angle * frame.pose.spread, phalanges, 0.17)
        body.bone += bones
        body.tissue.append(limb.flesh([ankle, *ends], [0.8, *([0.6] * (len(ends) - 1)), 0.12]))
    body.points |= {f"knee_{name}": knee, f"ankle_{name}": ankle, f"toe_base_{name}": base, f"toe_tip_{name}": tips[2]}
    body.tissue += [limb.flesh([root, 0.65 * root + 0.35 * knee, knee], [3.4, 3.5, 1.7]),
                    limb.flesh([knee, 0.65 * knee + 0.35 * ankle, ankle], [1.8, 2.2, 1.0])]


def _soft_tissue(frame: _Frame, body: Body, rng: np.random.Generator) -> None:
    girth, size = frame.individual.girth, frame.individual.size
    outline = np.array([
        [1.1, 1.2], [3, 3.2], [6, 4.4], [10, 5.8], [14, 6.6], [17.5, 6.7], [20.5, 5.4], [24, 5.0], [27, 5.6], [34, 6.5],
        [43, 7.4], [50, 7.2], [55, 5.9], [60, 4.5], [64, 3.9], [72, 3.2], [84, 2.4], [100, 1.7], [125, 1.0], [150, 0.6],
        [172, 0.22],
    ])
    head = outline[:, 0] < 19
    radius = outline[:, 1] * np.where(head, frame.individual.head_width, girth) * size
    line, radius = _curve(np.column_stack([outline[:, 0], np.zeros(len(outline))]), radius, 34)
    body.tissue.append(Tube(frame.at(line), radius, 0.72 * _TISSUE))
    lungs = [[30.0, 1.9], [34.0, 2.4], [40.0, 2.3]]
    for side in (1, -1):
        lung = frame.at(np.array(lungs) * [1, side])
        body.tissue.append(Tube(lung, np.array([1.6, 2.5, 1.5]) * size, -0.45 * _TISSUE))
    for _ in range(rng.integers(2, 7)):  # gas in the gut
        spot = [[rng.uniform(41, 54), rng.normal(0, 2.2)]]
        radius = np.array([rng.uniform(0.4, 1.3)]) * size
        body.tissue.append(Tube(frame.at(spot), radius, -rng.uniform(0.5, 1.2) * _TISSUE))


def _ring(frame: _Frame, centre: np.ndarray, radius: float, thick: float, density: float) -> list[Tube]:
    turn = np.linspace(0, 2 * np.pi, 9)
    return [frame.tube(centre + radius * np.column_stack([np.cos(turn) * 1.2, np.sin(turn)]), thick, density)]


def _curve(points: np.ndarray, radii: np.ndarray, pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """A smooth line through `points` with radii, in about equal pieces: cubic Hermite, slopes from the neighbours."""
    values = np.column_stack([points, radii])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    slopes = np.empty_like(values)
    slopes[1:-1] = (values[2:] - values[:-2]) / (along[2:] - along[:-2])[:, None]
    slopes[0], slopes[-1] = ((values[j] - values[i]) / (along[j] - along[i]) for i, j in ((0, 1), (-2, -1)))
    at = np.linspace(0, along[-1], pieces + 1)
    i = np.clip(np.searchsorted(along, at, side="right") - 1, 0, len(along) - 2)
    h = (along[i + 1] - along[i])[:, None]
    t = (at - along[i])[:, None] / h
    line = ((1 + 2 * t) * (1 - t) ** 2 * values[i] + t * (1 - t) ** 2 * h * slopes[i]
            + t * t * (3 - 2 * t) * values[i + 1] + t * t * (t - 1) * h * slopes[i + 1])
    return line[:, :2], np.maximum(line[:, 2], 0.5 * radii.min())


def _smooth(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
