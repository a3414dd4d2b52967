"""How simulated fish move: a swimmer that is driven frame by frame, and the programs that drive it.

A program is a generator of `Drive`: it is asked once a frame and reads the swimmer's state to decide. Times in
seconds, distances in body lengths unless they are named px.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ethomorph.phantoms.arena_scene import Cloud, Mark
from ethomorph.phantoms.fish import Style, keypoints, midline

TURN = 5.0  # rad/s, how fast a fish can turn at most


@dataclass
class Drive:
    """What a program wants of the next frame.

    Attributes
    ----------
    speed : body lengths a second; negative backs off.
    heading : direction wanted, or None to keep.
    pitch : head down, rad.
    beat, hz : amplitude of the tail beat (rad at the tail) and its rate; None for what the speed asks for.
    pit, spit : sand taken or let go in this frame, 0 for none; 1 is what a builder takes.
    gills : whether it leaves by the gills, to both sides, instead of the mouth.
    """

    speed: float
    heading: float | None = None
    pitch: float = 0.0
    beat: float | None = None
    hz: float | None = None
    pit: float = 0.0
    spit: float = 0.0
    gills: bool = False


Program = Iterator[Drive]


@dataclass
class Swimmer:
    """A fish on its way.

    Attributes
    ----------
    x, y, heading : place and direction, px and rad.
    fps : frames per second.
    state : the behaviour it is in, as the ethogram calls it.
    lines, nodes : of every frame so far.
    """

    style: Style
    x: float
    y: float
    heading: float
    fps: float
    rng: np.random.Generator
    state: str = "swim"
    speed: float = 0.0
    pitch: float = 0.0
    bend: float = 0.0
    beat: float = 0.2
    phase: float = 0.0
    lines: list[np.ndarray] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    clouds: list[Cloud] = field(default_factory=list)

    @property
    def length(self) -> float:
        return self.style.length_px

    @property
    def snout(self) -> tuple[float, float]:
        """Where the snout is about to be."""
        reach = 0.35 * self.length * np.cos(self.pitch)
        return self.x + reach * float(np.cos(self.heading)), self.y + reach * float(np.sin(self.heading))

    def step(self, drive: Drive) -> None:
        """Move on by one frame and keep what was seen and left behind."""
        dt = 1 / self.fps
        ease = min(1.0, 7 * dt)
        turn = 0.0
        if drive.heading is not None:
            turn = float(np.clip(wrapped(drive.heading - self.heading) / dt, -TURN, TURN)) * min(1.0, 9 * dt)
        self.heading += turn * dt
        self.speed += (drive.speed - self.speed) * ease
        self.pitch += (drive.pitch - self.pitch) * min(1.0, 10 * dt)
        self.bend += (np.clip(-0.28 * turn, -1.0, 1.0) - self.bend) * ease
        effort = 0.12 + 0.16 * abs(self.speed)
        self.beat += ((drive.beat if drive.beat is not None else min(effort, 0.6)) - self.beat) * ease
        hz = (
            drive.hz
            if drive.hz is not None
            else self.style.beat_hz * (0.45 + 0.55 * abs(self.speed) / self.style.speed)
        )
        self.phase += hz * dt
        self.x += self.speed * self.length * float(np.cos(self.heading)) * dt
        self.y += self.speed * self.length * float(np.sin(self.heading)) * dt
        frame = len(self.lines)
        self.lines.append(
            midline(self.x, self.y, self.heading, length=self.length, pitch=self.pitch, bend=self.bend, beat=self.beat,
                    phase=self.phase)
        )  # fmt: skip
        self.states.append(self.state)
        self._leave(drive, frame)

    def poses(self) -> np.ndarray:
        """(frames, nodes, 2) px."""
        return np.stack([keypoints(line, self.style) for line in self.lines])

    def _leave(self, drive: Drive, frame: int) -> None:
        x, y = self.lines[-1][0]
        size = self.length / 40
        if drive.pit:
            self.marks.append(Mark(frame, x, y, 3.4 * size * drive.pit**0.5, 0.22 * drive.pit))
        if drive.spit:
            sides = (2.1, -2.1) if drive.gills else (0.0,)
            for side in sides:
                amount = drive.spit / len(sides)
                start = self.lines[-1][4] if drive.gills else self.lines[-1][0]
                seed = int(self.rng.integers(2**31))
                self.clouds.append(
                    Cloud(frame, start[0], start[1], self.heading + side, 34 * size * (0.6 if drive.gills else 1.0),
                          max(4, round(30 * amount)), 2.0 * size * amount**0.3, 0.55, seed)
                )  # fmt: skip
            fallen = frame + round(0.8 * self.fps)
            way = 0.0 if drive.gills else 9 * size
            x, y = x + way * np.cos(self.heading), y + way * np.sin(self.heading)
            self.marks.append(Mark(fallen, x, y, 4.2 * size, -0.16 * drive.spit))


def swim(fish: Swimmer, seconds: float, speed: float | None = None, wander: float = 0.8) -> Program:
    """Cruise, with a heading that wanders."""
    wanted, goal = fish.heading, (fish.style.speed if speed is None else speed)
    for _ in range(frames(fish, seconds)):
        wanted += fish.rng.normal(0, wander) * np.sqrt(1 / fish.fps)
        yield Drive(goal, wanted)


def approach(fish: Swimmer, x: float, y: float, speed: float, near_px: float, *, most_s: float = 6.0) -> Program:
    """Swim until the snout is within `near_px` of a place."""
    for _ in range(frames(fish, most_s)):
        dx, dy = x - fish.snout[0], y - fish.snout[1]
        away = float(np.hypot(dx, dy))
        if away <= near_px:
            return
        yield Drive(min(speed, 0.25 + 3 * away / fish.length), float(np.arctan2(dy, dx)))


def dig(fish: Swimmer, amount: float, seconds: float, pitch: float) -> Program:
    """Tip head down, bite sand in the middle of it, come up."""
    count = frames(fish, seconds)
    for i in range(count):
        down = np.sin(np.pi * (i + 1) / (count + 1))
        yield Drive(0.12 * fish.style.vigour, None, pitch * down, beat=0.35, hz=5, pit=amount if i == count // 2 else 0)


def spit(fish: Swimmer, amount: float, seconds: float) -> Program:
    """Stop, let sand go forwards, and back off from it."""
    count = frames(fish, seconds)
    for i in range(count):
        now = i == count // 3
        yield Drive(-0.55 * fish.style.vigour if i >= count // 3 else 0.15, None, 0.15, spit=amount if now else 0)


def sift(fish: Swimmer, amount: float, seconds: float) -> Program:
    """Hang still and let chewed sand out of the gills, a little at a time."""
    count = frames(fish, seconds)
    puffs = {count // 4, count // 2, 3 * count // 4}
    for i in range(count):
        yield Drive(0.1, None, 0.25, beat=0.1, hz=1.5, spit=amount if i in puffs else 0, gills=True)


def turn(fish: Swimmer, angle: float, seconds: float, speed: float = 0.4) -> Program:
    """Turn by an angle."""
    wanted = fish.heading + angle
    for _ in range(frames(fish, seconds)):
        yield Drive(speed, wanted)


def drop(fish: Swimmer, amount: float, seconds: float) -> Program:
    """Lose sand in passing, without stopping."""
    count = frames(fish, seconds)
    for i in range(count):
        yield Drive(fish.style.speed, None, 0.05, spit=amount if i in (count // 2, count // 2 + 2) else 0)


def circle(
    fish: Swimmer, centre: Callable[[], tuple[float, float]], radius: float, spin: float, seconds: float
) -> Program:
    """Swim around a moving centre with quivering fins, as courting pairs do."""
    for _ in range(frames(fish, seconds)):
        cx, cy = centre()
        dx, dy = fish.x - cx, fish.y - cy
        away = max(float(np.hypot(dx, dy)), 1e-6) / (radius * fish.length)
        tangent = np.arctan2(dy, dx) + np.sign(spin) * np.pi / 2
        inward = np.sign(spin) * np.clip(0.9 * (away - 1), -0.8, 0.8)
        quiver = fish.rng.random() < 0.7
        yield Drive(abs(spin) * radius, float(tangent + inward), 0.0, beat=0.3, hz=9.0 if quiver else None)


def stay_inside(fish: Swimmer, drive: Drive, size: tuple[int, int], margin: float) -> Drive:
    """Turn a fish back that comes near the wall."""
    height, width = size
    edge = margin * fish.length
    ahead_x, ahead_y = fish.x + edge * np.cos(fish.heading), fish.y + edge * np.sin(fish.heading)
    if edge * 0.4 < ahead_x < width - edge * 0.4 and edge * 0.4 < ahead_y < height - edge * 0.4:
        return drive
    drive.heading = float(np.arctan2(height / 2 - fish.y, width / 2 - fish.x))
    drive.speed = max(drive.speed, 0.5)
    return drive


def frames(fish: Swimmer, seconds: float) -> int:
    return max(1, round(seconds * fish.fps))


def wrapped(angle: float) -> float:
    """An angle brought into -pi .. pi."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
