"""Video of a simulated sand arena with several fish, frame by frame with exact poses, identities and behaviours.

For trying tracking and behaviour protocols before the data exist, for tests and benchmarks. Frames are drawn when they
are asked for, so that an hour of video costs no memory. Short labelled clips are `phantoms.arena_clips`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from ethomorph.core.events import Event, EventLog, Observation
from ethomorph.core.files import atomic_path, write_text
from ethomorph.core.recordings import Recording
from ethomorph.phantoms.arena_motion import (
    Program,
    Swimmer,
    approach,
    circle,
    dig,
    sift,
    spit,
    stay_inside,
    swim,
    turn,
)
from ethomorph.phantoms.arena_scene import Light, Scene, draw_light
from ethomorph.phantoms.fish import EDGES, NODES, SYMMETRY, draw_style, outline, paint

STATES = ("swim", "dig", "spit", "feed", "court")
"""What a fish may be doing in `simulate_arena`; exactly one of these in every frame."""


@dataclass
class ArenaVideo:
    """A simulated recording.

    Attributes
    ----------
    scene : what is drawn below and above the fish.
    swimmers : the fish, in the order in which they are drawn (a later one covers an earlier one).
    poses : (frames, fish, nodes, 2) px, exact whether seen or not.
    hidden : (frames, fish, nodes) whether a leaf, another fish or the picture's edge hides it.
    names : of the fish.
    nodes, edges, symmetry : the skeleton.
    """

    scene: Scene
    swimmers: list[Swimmer]
    poses: np.ndarray
    hidden: np.ndarray
    names: list[str]
    nodes: list[str] = field(default_factory=lambda: list(NODES))
    edges: list[tuple[str, str]] = field(default_factory=lambda: list(EDGES))
    symmetry: list[tuple[str, str]] = field(default_factory=lambda: list(SYMMETRY))

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def fps(self) -> float:
        return self.scene.fps

    @property
    def states(self) -> np.ndarray:
        """(frames, fish) the behaviour of each fish, one of `STATES`."""
        return np.array([fish.states for fish in self.swimmers]).T

    def frame(self, index: int) -> np.ndarray:
        """One frame, (height, width, 3) uint8, R, G, B."""
        picture = self.scene.ground(index)
        light = self.scene.light.gain(index / self.fps)
        for fish in self.swimmers:
            paint(picture, fish.lines[index], fish.style, light)
        return np.ascontiguousarray(self.scene.finish(picture, index)[..., ::-1])

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Frames one after the other."""
        for index in range(start, len(self) if stop is None else stop):
            yield self.frame(index)

    @property
    def events(self) -> EventLog:
        """What the fish did, as an observer would score it without error."""
        seconds = len(self) / self.fps
        events = []
        for name, fish in zip(self.names, self.swimmers, strict=True):
            starts = [0, *(i for i in range(1, len(self)) if fish.states[i] != fish.states[i - 1]), len(self)]
            for a, b in pairwise(starts):
                events.append(Event("arena", name, fish.states[a], a / self.fps, b / self.fps))
        return EventLog(events, {"arena": Observation("arena", 0.0, seconds)}, list(STATES), list(self.names))

    def recordings(self) -> list[Recording]:
        """One recording for each fish, with its own pose first and its behaviour as the label."""
        states = self.states
        seen = np.where(self.hidden[..., None], np.nan, self.poses)
        found = []
        for i, name in enumerate(self.names):
            order = [i, *(j for j in range(len(self.names)) if j != i)]
            found.append(
                Recording(
                    name, seen[:, order], self.fps, list(NODES), [self.names[j] for j in order], group=name,
                    labels=states[:, i],
                )
            )  # fmt: skip
        return found

    def write(self, folder: str | Path, *, crf: int = 20) -> Path:
        """Write ``video.mp4``, ``poses.slp``, ``events.csv`` (as BORIS exports) and ``states.csv``; the folder back."""
        import sleap_io

        from ethomorph.formats.boris import write_aggregated

        folder = Path(folder)
        write_video(folder / "video.mp4", self.frames(), self.fps, crf=crf)
        with atomic_path(folder / "poses.slp") as temporary:
            temporary.unlink()
            sleap_io.save_slp(self.labels(folder / "video.mp4"), str(temporary), embed=False, verbose=False)
        log = self.events
        watched = {name: replace(one, attributes={"Source": "video.mp4"}) for name, one in log.observations.items()}
        write_aggregated(replace(log, observations=watched), folder / "events.csv")
        rows = [",".join(["frame", *self.names])]
        rows += [",".join([str(i), *row]) for i, row in enumerate(self.states)]
        write_text(folder / "states.csv", "\n".join(rows) + "\n")
        return folder

    def labels(self, video: str | Path = "video.mp4") -> sleap_io.Labels:  # type: ignore[name-defined]  # noqa: F821
        """The poses as `sleap_io.Labels`: a track a fish, hidden nodes left out."""
        import sleap_io

        skeleton = sleap_io.Skeleton(nodes=list(NODES), edges=list(EDGES), symmetries=list(SYMMETRY))
        tracks = [sleap_io.Track(name) for name in self.names]
        film = sleap_io.Video(filename=str(video), open_backend=False)
        seen = np.where(self.hidden[..., None], np.nan, self.poses)
        frames = [
            sleap_io.LabeledFrame(
                video=film,
                frame_idx=i,
                instances=[
                    sleap_io.Instance.from_numpy(points, skeleton=skeleton, track=track)
                    for points, track in zip(seen[i], tracks, strict=True)
                    if np.isfinite(points).any()
                ],
            )
            for i in range(len(self))
        ]
        return sleap_io.Labels(labeled_frames=frames, videos=[film], skeletons=[skeleton], tracks=tracks)


def simulate_arena(
    *,
    fish: int = 5,
    frames: int = 1000,
    size: tuple[int, int] = (480, 640),
    fps: float = 25.0,
    length_px: float = 62.0,
    plants: int = 5,
    light: Light | None = None,
    seed: int = 0,
) -> ArenaVideo:
    """A recording of several fish that swim, dig, spit, feed and court.

    Parameters
    ----------
    fish : how many; the first is a male who builds, the others are females.
    frames, size, fps : of the video; size is (height, width) px.
    length_px : of the fish on average.
    plants : leaves that hang into the picture.
    light : see `Light`; drawn where left out.
    seed : draws everything.

    Examples
    --------
    >>> video = simulate_arena(fish=2, frames=20, size=(120, 160), length_px=30)
    >>> video.frame(3).shape, video.poses.shape
    ((120, 160, 3), (20, 2, 8, 2))
    """
    rng = np.random.default_rng([seed, 0])
    scene = Scene(size, fps, light or draw_light(rng), plants=plants, seed=seed)
    height, width = size
    swimmers = []
    for i in range(fish):
        style = draw_style(rng, length_px * (1.1 if i == 0 else 0.95), male=i == 0)
        place = rng.uniform(0.2, 0.8, 2)
        heading, own = float(rng.uniform(-np.pi, np.pi)), np.random.default_rng([seed, 2, i])
        swimmers.append(Swimmer(style, place[0] * width, place[1] * height, heading, fps, own))
    bower = (float(rng.uniform(0.35, 0.65) * width), float(rng.uniform(0.35, 0.65) * height))
    pond = Pond(swimmers, bower, size)
    lives = [pond.life(i) for i in range(fish)]
    for _ in range(frames):
        for i, animal in enumerate(swimmers):
            animal.step(stay_inside(animal, next(lives[i]), size, 0.9))
    for animal in swimmers:
        scene.marks += animal.marks
        scene.clouds += animal.clouds
    scene.marks.sort(key=lambda mark: mark.frame)
    poses = np.stack([animal.poses() for animal in swimmers], axis=1)
    return ArenaVideo(
        scene, swimmers, poses, hidden_nodes(scene, swimmers, poses), [f"fish {i + 1}" for i in range(fish)]
    )


class Pond:
    """Who does what next, in an arena with one bower."""

    def __init__(self, swimmers: list[Swimmer], bower: tuple[float, float], size: tuple[int, int]) -> None:
        self.swimmers, self.bower, self.size = swimmers, bower, size
        self.courted: dict[int, tuple[int, float]] = {}

    def life(self, who: int) -> Program:
        """What a fish does, for ever."""
        fish = self.swimmers[who]
        while True:
            fish.state = "swim"
            yield from swim(fish, float(fish.rng.uniform(0.8, 3.0)))
            if who in self.courted:
                yield from self.court(who, *self.courted.pop(who))
                continue
            draw = fish.rng.random()
            if fish.style.male and draw < 0.5:
                yield from self.build(fish)
            elif fish.style.male and draw < 0.7 and len(self.swimmers) > 1:
                partner = int(fish.rng.integers(1, len(self.swimmers)))
                seconds = float(fish.rng.uniform(3, 6))
                self.courted[partner] = (who, seconds)
                yield from self.court(who, partner, seconds)
            elif draw < 0.85:
                yield from self.feed(fish)

    def build(self, fish: Swimmer) -> Program:
        """Take sand from the bower's middle and spit it onto its rim."""
        x, y = (b + fish.rng.normal(0, 0.25) * fish.length for b in self.bower)
        yield from approach(fish, x, y, fish.style.speed, 0.2 * fish.length)
        fish.state = "dig"
        yield from dig(fish, float(fish.rng.uniform(0.7, 1.2)), float(fish.rng.uniform(0.6, 1.0)), 0.9)
        fish.state = "swim"
        yield from turn(fish, float(fish.rng.choice([-1, 1]) * fish.rng.uniform(0.7, 1.8)), 0.6, fish.style.speed)
        yield from swim(fish, float(fish.rng.uniform(0.3, 0.8)))
        fish.state = "spit"
        yield from spit(fish, float(fish.rng.uniform(0.7, 1.2)), float(fish.rng.uniform(0.8, 1.2)))

    def feed(self, fish: Swimmer) -> Program:
        """Pick at the sand here, and sift it."""
        fish.state = "feed"
        for _ in range(int(fish.rng.integers(1, 4))):
            yield from dig(fish, float(fish.rng.uniform(0.15, 0.3)), 0.4, 0.6)
            yield from sift(fish, float(fish.rng.uniform(0.12, 0.25)), float(fish.rng.uniform(0.6, 1.2)))

    def court(self, who: int, partner: int, seconds: float) -> Program:
        """Meet at the bower and circle there."""
        fish, other = self.swimmers[who], self.swimmers[partner]
        yield from approach(fish, *self.bower, fish.style.speed * 1.4, 1.1 * fish.length, most_s=2.5)
        fish.state = "court"

        def centre() -> tuple[float, float]:
            near = np.hypot(other.x - fish.x, other.y - fish.y) < 3 * fish.length
            mine, bower = ((fish.x + other.x) / 2, (fish.y + other.y) / 2), self.bower
            share = 0.5 if near else 0.0
            return tuple(share * m + (1 - share) * b for m, b in zip(mine, bower, strict=True))  # type: ignore[return-value]

        yield from circle(fish, centre, 0.62, 2.6 * fish.style.vigour, seconds)


def hidden_nodes(scene: Scene, swimmers: list[Swimmer], poses: np.ndarray) -> np.ndarray:
    """(frames, fish, nodes) whether a node is covered by a leaf, by a fish drawn later, or outside the picture."""
    import cv2

    height, width = scene.size
    cell = np.floor(poses).astype(int)
    inside = (cell[..., 0] >= 0) & (cell[..., 0] < width) & (cell[..., 1] >= 0) & (cell[..., 1] < height)
    x, y = np.clip(cell[..., 0], 0, width - 1), np.clip(cell[..., 1], 0, height - 1)
    hidden = ~inside | scene.hidden[y, x]
    for frame in range(len(poses)):
        boxes = [(line.min(0), line.max(0)) for line in (fish.lines[frame] for fish in swimmers)]
        for i, (low, high) in enumerate(boxes):
            for j in range(i + 1, len(swimmers)):
                if (boxes[j][0] > high + 12).any() or (boxes[j][1] < low - 12).any():
                    continue
                body = outline(swimmers[j].lines[frame], swimmers[j].style).astype(np.float32)
                for node, point in enumerate(poses[frame, i]):
                    hidden[frame, i, node] |= cv2.pointPolygonTest(body, point.tolist(), False) > 0
    return hidden


def write_video(path: str | Path, frames: Iterator[np.ndarray], fps: float, *, crf: int = 20) -> Path:
    """Write RGB frames (height, width, 3) uint8 as H.264; odd sides are cut by one px."""
    import av

    first = next(frames)
    height, width = (side - side % 2 for side in first.shape[:2])
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=round(fps), options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        for picture in chain([first], frames):
            clipped = np.ascontiguousarray(picture[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(clipped, format="rgb24")))
        container.mux(stream.encode())
    return Path(path)
