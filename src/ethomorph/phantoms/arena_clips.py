"""Short labelled clips of a simulated sand arena: ten behaviours, 10:1, many individuals in many videos.

They mimic clips cut around events in cichlid arenas, with what makes those hard: individuals differ in look, in style
and in what they do; classes go with place and time of day; light drifts; one behaviour contains another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ethomorph.core.files import write_text
from ethomorph.phantoms.arena import write_video
from ethomorph.phantoms.arena_motion import Program, Swimmer, approach, circle, dig, drop, sift, spit, swim, turn
from ethomorph.phantoms.arena_scene import Cloud, Light, Scene, draw_light
from ethomorph.phantoms.fish import NODES, Style, draw_style, paint

SHARES = {
    "feed_multiple": 0.20, "fish_other": 0.18, "feed_scoop": 0.15, "feed_spit": 0.115, "build_scoop": 0.095,
    "build_spit": 0.08, "no_fish": 0.07, "drop_sand": 0.055, "spawn": 0.035, "build_multiple": 0.02,
}  # fmt: skip
"""The ten classes and their shares, 10:1 between the commonest and the rarest."""
BUILDING = ("build_scoop", "build_spit", "build_multiple", "spawn")
COLUMNS = "clip,label,specimen,video,second,row_px,column_px,light,sex,observer"


@dataclass(frozen=True)
class Planned:
    """One clip before it is drawn."""

    name: str
    label: str
    individual: int
    video: int
    second: int
    row: int
    column: int
    seed: int


@dataclass
class Individual:
    """An arena with its male: how he and his mate look, his sand, the light of each of his videos, his habits."""

    male: Style
    female: Style
    sand: int
    lights: list[Light]
    liking: dict[str, float]
    bower: tuple[float, float]
    hour: float


@dataclass
class ArenaClips:
    """Labelled clips that are drawn when they are asked for.

    Attributes
    ----------
    plan : what each clip shows, of whom, when and where.
    individuals : the arenas.
    size, frames, fps : of the clips; size is the side in px.
    """

    plan: list[Planned]
    individuals: list[Individual]
    size: int
    frames: int
    fps: float

    def __len__(self) -> int:
        return len(self.plan)

    @property
    def labels(self) -> list[str]:
        return [one.label for one in self.plan]

    @property
    def groups(self) -> list[str]:
        return [f"male_{one.individual + 1:02d}" for one in self.plan]

    def clip(self, index: int) -> np.ndarray:
        """(frames, size, size, 3) uint8, R, G, B."""
        scene, fish = self._acted(index)
        return np.stack(list(self._drawn(scene, fish)))

    def poses(self, index: int) -> np.ndarray:
        """(frames, fish, nodes, 2) px of the fish in a clip; (frames, 0, nodes, 2) where there is none."""
        _, fish = self._acted(index)
        if not fish:
            return np.zeros((self.frames, 0, len(NODES), 2))
        return np.stack([one.poses() for one in fish], axis=1)

    def write(self, folder: str | Path, *, crf: int = 23) -> Path:
        """Write ``clips/*.mp4`` and ``labels.csv``; returns the folder."""
        folder, rows = Path(folder), [COLUMNS]
        for i, (one, group) in enumerate(zip(self.plan, self.groups, strict=True)):
            scene, fish = self._acted(i)
            write_video(folder / "clips" / one.name, self._drawn(scene, fish), self.fps, crf=crf)
            light = "bright" if scene.light.level > 0.92 else "dim"
            video = f"{group}_{one.video + 1}"
            rows.append(
                f"{one.name},{one.label},{group},{video},{one.second},{one.row},{one.column},{light},male,truth"
            )
        write_text(folder / "labels.csv", "\n".join(rows) + "\n")
        return folder

    def _acted(self, index: int) -> tuple[Scene, list[Swimmer]]:
        one = self.plan[index]
        who = self.individuals[one.individual]
        rng = np.random.default_rng(one.seed)
        light = replace(who.lights[one.video], phase=float(rng.random()))
        scene = Scene((self.size, self.size), self.fps, light, seed=int(who.sand + one.row * 7 + one.column))
        seconds = self.frames / self.fps
        fish = cast(one.label, who, rng, self.size, self.fps)
        programs = act(one.label, fish, rng, self.size, seconds)
        for _ in range(self.frames):
            for animal, program in zip(fish, programs, strict=True):
                animal.step(next(program))
        for animal in fish:
            scene.marks += animal.marks
            scene.clouds += animal.clouds
        scene.marks.sort(key=lambda mark: mark.frame)
        if one.label == "no_fish":
            disturb(scene, rng, self.size, self.frames)
        return scene, fish

    def _drawn(self, scene: Scene, fish: list[Swimmer]) -> Iterator[np.ndarray]:
        for frame in range(self.frames):
            picture = scene.ground(frame)
            light = scene.light.gain(frame / self.fps)
            for animal in fish:
                paint(picture, animal.lines[frame], animal.style, light)
            yield np.ascontiguousarray(scene.finish(picture, frame)[..., ::-1])


def simulate_clips(
    count: int = 600,
    *,
    individuals: int = 24,
    videos: int = 2,
    size: int = 96,
    frames: int = 32,
    fps: float = 16.0,
    shares: dict[str, float] | None = None,
    seed: int = 0,
) -> ArenaClips:
    """Plan `count` clips of the ten behaviours; nothing is drawn yet.

    Parameters
    ----------
    individuals, videos : arenas, and videos of each; light differs between videos.
    size, frames, fps : of each clip, side in px.
    shares : of the classes, `SHARES` where left out.
    seed : draws everything.

    Examples
    --------
    >>> clips = simulate_clips(40, individuals=4, size=64, frames=8, fps=4)
    >>> clips.clip(0).shape, len(set(clips.groups))
    ((8, 64, 64, 3), 4)
    """
    rng = np.random.default_rng([seed, 0])
    shares = shares or SHARES
    people = [individual(np.random.default_rng([seed, 1, i]), size, videos, list(shares)) for i in range(individuals)]
    numbers = np.maximum(1, np.round(np.array(list(shares.values())) / sum(shares.values()) * count)).astype(int)
    numbers[0] += count - numbers.sum()
    labels = np.repeat(np.array(list(shares)), numbers)
    rng.shuffle(labels)
    plan = []
    for i, label in enumerate(labels.tolist()):
        liking = np.array([p.liking[label] for p in people])
        who = int(rng.choice(individuals, p=liking / liking.sum()))
        second, row, column = where(people[who], label, rng)
        name = f"clip_{i:05d}.mp4"
        plan.append(Planned(name, label, who, int(rng.integers(videos)), second, row, column, int(rng.integers(2**31))))
    return ArenaClips(plan, people, size, frames, fps)


def individual(rng: np.random.Generator, size: int, videos: int, classes: list[str]) -> Individual:
    """Draw an arena."""
    length = 0.44 * size
    return Individual(
        male=draw_style(rng, length),
        female=draw_style(rng, 0.9 * length, male=False),
        sand=int(rng.integers(2**20)),
        lights=[draw_light(rng) for _ in range(videos)],
        liking={name: float(rng.gamma(1.6) + 0.05) for name in classes},
        bower=(float(rng.uniform(300, 700)), float(rng.uniform(300, 900))),
        hour=float(rng.uniform(0.2, 0.8)),
    )


def where(who: Individual, label: str, rng: np.random.Generator) -> tuple[int, int, int]:
    """Second of the day's video, row and column in the arena: building is at the bower, in the male's own hours."""
    building = label in BUILDING
    centre = who.hour if building else 0.5
    second = int(36_000 * np.clip(rng.normal(centre, 0.12 if building else 0.28), 0, 0.999))
    spread = 60 if building else 260
    row, column = (int(np.clip(rng.normal(b, spread), 60, m)) for b, m in zip(who.bower, (910, 1230), strict=True))
    return second, row, column


def cast(label: str, who: Individual, rng: np.random.Generator, size: int, fps: float) -> list[Swimmer]:
    """The fish of a clip, where they begin."""
    if label == "no_fish":
        return []
    styles = [who.male, who.female] if label == "spawn" else [who.male]
    if label in ("feed_scoop", "feed_spit", "feed_multiple", "fish_other"):
        styles = [who.female if rng.random() < 0.5 else who.male]
    if label == "fish_other" and rng.random() < 0.35:
        styles.append(who.female)
    fish = []
    for style in styles:
        angle = float(rng.uniform(-np.pi, np.pi))
        away = size * float(rng.uniform(0.25, 0.5)) if label != "spawn" else 0.3 * size
        middle = size / 2 + rng.normal(0, 0.05 * size, 2)
        x, y = middle[0] - away * np.cos(angle), middle[1] - away * np.sin(angle)
        own = np.random.default_rng(int(rng.integers(2**31)))
        fish.append(Swimmer(style, x, y, angle + float(rng.normal(0, 0.15)), fps, own, speed=0.8 * style.speed))
    return fish


def act(label: str, fish: list[Swimmer], rng: np.random.Generator, size: int, seconds: float) -> list[Program]:
    """The programs that make the fish of a clip do what its label says; each goes on for ever."""
    if label == "spawn":
        spin = float(rng.choice([-1, 1]) * rng.uniform(2.2, 3.4))

        def centre() -> tuple[float, float]:
            return size / 2, size / 2

        return [circle(one, centre, float(rng.uniform(0.45, 0.65)), spin, 10 * seconds) for one in fish]
    play = PLAYS.get(label, passing)
    first = [lasting(fish[0], play(fish[0], rng, size, seconds))] if fish else []
    return first + [lasting(one, passing(one, rng, size, seconds)) for one in fish[1:]]


def lasting(fish: Swimmer, program: Program) -> Program:
    """A program, and swimming away after it."""
    yield from program
    while True:
        yield from swim(fish, 5.0)


def arriving(fish: Swimmer, rng: np.random.Generator, size: int, speed: float = 1.0) -> Program:
    """Come to the middle of the picture."""
    x, y = size / 2 + rng.normal(0, 0.06 * size, 2)
    yield from approach(fish, x, y, fish.style.speed * speed, 0.15 * fish.length, most_s=1.0)


def build_scoop(fish: Swimmer, rng: np.random.Generator, size: int, seconds: float) -> Program:
    """One large mouthful, carried off."""
    yield from arriving(fish, rng, size)
    yield from dig(fish, float(rng.uniform(0.7, 1.3)), float(rng.uniform(0.55, 0.8)) / fish.style.vigour, 0.95)
    yield from turn(fish, float(rng.normal(0, 1.2)), 0.4, fish.style.speed)


def build_spit(fish: Swimmer, rng: np.random.Generator, size: int, seconds: float) -> Program:
    """Bring a mouthful and spit it out."""
    yield from arriving(fish, rng, size)
    yield from spit(fish, float(rng.uniform(0.7, 1.3)), float(rng.uniform(0.6, 0.9)) / fish.style.vigour)


def build_multiple(fish: Swimmer, rng: np.random.Generator, size: int, seconds: float) -> Program:
    """Mouthful and spit, in turns."""
    yield from arriving(fish, rng, size)
    for _ in range(3):
        yield from dig(fish, float(rng.uniform(0.6, 1.1)), 0.45, 0.95)
        yield from turn(fish, float(rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)), 0.25)
        yield from spit(fish, float(rng.uniform(0.6, 1.1)), 0.5)


def feed_scoop(fish: Swimmer, rng: np.random.Generator, size: int, seconds: float) -> Program:
    """A small bite."""
    yield from arriving(fish, rng, size, 0.7)
    yield from dig(fish, float(rng.uniform(0.12, 0.35)), float(rng.uniform(0.25, 0.45)), 0.6)
    yield from swim(fish, 0.4, 0.3)


def feed_spit(fish: Swimmer, rng: np.random.Generator, size: int, seconds: float) -> Program:
    """Chew and let the sand out of the gills."""
    yield from arriving(fish, rng, size, 0.7)
    yield from sift(fish, float(rng.uniform(0.15, 0.4)), float(rng.uniform(0.8, 1.3)))


def feed_multiple(fish: Swimmer, rng: np.random.Generator, size: int, seconds: float) -> Program:
    """Bite and chew, in turns."""
    yield from arriving(fish, rng, size, 0.7)
    for _ in range(3):
        yield from dig(fish, float(rng.uniform(0.12, 0.3)), 0.3, 0.6)
        yield from sift(fish, float(rng.uniform(0.15, 0.3)), float(rng.uniform(0.35, 0.6)))


def drop_sand(fish: Swimmer, rng: np.random.Generator, size: int, seconds: float) -> Program:
    """Lose the mouthful on the way."""
    yield from arriving(fish, rng, size)
    yield from drop(fish, float(rng.uniform(0.25, 0.5)), 0.5)


def passing(fish: Swimmer, rng: np.random.Generator, size: int, seconds: float) -> Program:
    """Swim by, or hang around."""
    if rng.random() < 0.3:
        yield from arriving(fish, rng, size, 0.6)
        yield from swim(fish, seconds, 0.12, 0.3)
    yield from swim(fish, 2 * seconds, None, 1.0)


PLAYS: dict[str, Callable[[Swimmer, np.random.Generator, int, float], Program]] = {
    "build_scoop": build_scoop, "build_spit": build_spit, "build_multiple": build_multiple, "feed_scoop": feed_scoop,
    "feed_spit": feed_spit, "feed_multiple": feed_multiple, "drop_sand": drop_sand, "fish_other": passing,
}  # fmt: skip


def disturb(scene: Scene, rng: np.random.Generator, size: int, frames: int) -> None:
    """What makes a clip without any fish: stronger ripples, or sand that something outside has stirred up."""
    scene.light = replace(scene.light, ripple=float(rng.uniform(0.05, 0.14)), drift=float(rng.uniform(0.05, 0.3)),
                          period_s=float(rng.uniform(1, 6)))  # fmt: skip
    if rng.random() < 0.4:
        x, y = rng.uniform(0, size, 2)
        scene.clouds.append(
            Cloud(int(rng.integers(frames)), float(x), float(y), float(rng.uniform(-3, 3)), 20.0, 18, 0.02 * size, 1.5,
                  int(rng.integers(2**31)))
        )  # fmt: skip
