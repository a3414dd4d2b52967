"""Dorsal radiographs of simulated lizards whose landmarks are known exactly.

For trying a protocol before the data exist, for tests, and for the demonstration. Each image is a physical projection
(attenuation of tissue, bone and metal; photons counted; a haze of scatter), so exposure, blur and noise act as they do
on a real plate. It is no model of any species: do not quote a biological number from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ethomorph.core.files import atomic_path, write_text
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.phantoms import scheme
from ethomorph.phantoms.anatomy import Body, build_body
from ethomorph.phantoms.individual import Individual, draw_individual, draw_pose
from ethomorph.phantoms.observer import Observer, draw_observer
from ethomorph.phantoms.projection import Bar, Exposure, Tube, attenuation_map, develop, expose

_MARGIN_PX = 9.0  # no landmark lies nearer to the picture's edge
_BAR_WIDTH_MM, _BAR_ATTENUATION = 1.3, 3.2
_FIELD_MM = 86.0  # what the picture's short side shows at the middle magnification
_STANDS = (0.93, 1.07)  # two table heights, as labs have them: relative mm per px


@dataclass
class RadiographSample:
    """Simulated radiographs and everything that is known about them.

    Attributes
    ----------
    images : (height, width) uint8 or uint16 each, bright where much was absorbed.
    image_names : file name of each image.
    landmarks : the exact truth, one specimen an animal and image; NaN where `missing_share` struck. Attributes:
        specimen (the individual), sex, svl_mm, grade (good or bad), observer ("truth").
    coded : the same specimens as observer A digitised them, with A's bias and slips of the hand.
    repeat : the specimens that observer B digitised too.
    mm_per_px : (images,) magnification of each image.
    """

    images: list[np.ndarray]
    image_names: list[str]
    landmarks: LandmarkSet
    coded: LandmarkSet
    repeat: LandmarkSet
    mm_per_px: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def write(self, folder: str | Path, *, labels: str = "truth") -> Path:
        """Write ``images/``, ``landmarks.tps``, ``repeat.tps`` and ``specimens.csv``; returns the folder.

        `labels` says what ``landmarks.tps`` holds: "truth", or "coded" for observer A's version. Images with several
        animals have no row in ``specimens.csv``, whose rows are matched by image.
        """
        import cv2

        from ethomorph.formats.registry import write_landmarks

        folder = Path(folder)
        if labels not in ("truth", "coded"):
            raise ValueError(f"labels is 'truth' or 'coded', not {labels!r}")
        for name, image in zip(self.image_names, self.images, strict=True):
            with atomic_path(folder / "images" / name) as temporary:
                if not cv2.imwrite(str(temporary), image):
                    raise OSError(f"{folder / 'images' / name} could not be written")
        write_landmarks(self.landmarks if labels == "truth" else self.coded, folder / "landmarks.tps")
        if len(self.repeat):
            write_landmarks(self.repeat, folder / "repeat.tps")
        write_text(folder / "specimens.csv", self._table("truth" if labels == "truth" else "A"))
        return folder

    def _table(self, observer: str) -> str:
        rows = ["image,specimen,sex,svl_mm,grade,mm_per_px,observer"]
        alone = [s for s in self.landmarks if sum(o.image == s.image for o in self.landmarks) == 1]
        for s in alone:
            known = s.attributes
            rows.append(",".join([str(s.image), known["specimen"], known["sex"], known["svl_mm"], known["grade"],
                                  f"{s.scale:.6f}", observer]))
        return "\n".join(rows) + "\n"


@dataclass
class _Plate:
    """What lies on one plate, in plate mm, and how it is exposed."""

    bodies: list[Body]
    individuals: list[Individual]
    bar: Bar
    mm_per_px: float
    exposure: Exposure
    gain: float
    grade: str
    tag: tuple[str, tuple[int, int]] | None = None
    points: list[np.ndarray] = field(default_factory=list)


def simulate_radiographs(
    specimens: int, *, size: tuple[int, int] = (480, 632), seed: int = 0, images_per_individual: int = 1,
    repeats: int = 0, bits: int = 8, photons: float = 12000.0, readout: float = 12.0, blur_px: float = 0.6,
    bad_share: float = 0.08, missing_share: float = 0.0, pose_variation: float = 1.0, shape_variation: float = 1.0,
    dimorphism: float = 1.0, bias_px: float = 0.5, repeat_px: float = 0.8, tag_share: float = 0.7,
    empty: int = 0, doubles: int = 0,
) -> RadiographSample:
    """Simulate dorsal radiographs of `specimens` lizards.

    Parameters
    ----------
    specimens : number of individuals.
    size : (height, width) px. The body lies along the longer side: head left in a wide picture, down in a tall one.
    seed : the same seed gives the same sample.
    images_per_individual : radiographs of each individual, each in a new pose, so that splits must go by individual.
    repeats : how many individuals observer B digitises a second time.
    bits : 8 or 16.
    photons, readout, blur_px : exposure of a good image, see `projection.Exposure`.
    bad_share : share of images graded bad: underexposed, blurred or smeared.
    missing_share : share of the body's landmarks that were not digitised.
    pose_variation, shape_variation, dimorphism : 1 is lifelike, 0 none.
    bias_px, repeat_px : per coordinate, standard deviation of an observer's own habit at each landmark and of each
        placement around that habit.
    tag_share : share of images with a burned-in number.
    empty, doubles : further images with no animal and with two.

    Raises
    ------
    ValueError : a size under 120 px, other bits than 8 and 16, or a count below zero.

    Examples
    --------
    >>> sample = simulate_radiographs(2, size=(240, 316), seed=1)
    >>> sample.images[0].shape, sample.landmarks.array().shape
    ((240, 316), (2, 34, 2))
    >>> bar = sample.landmarks[0].points[:2] * sample.mm_per_px[0]
    >>> round(float(np.hypot(*(bar[1] - bar[0]))), 6)
    27.0
    """
    _refuse_settings(specimens, size, images_per_individual, repeats, bits, empty, doubles)
    streams = np.random.default_rng(seed).spawn(5)
    animals = [draw_individual(f"{i + 1:04d}", streams[0], dimorphism=dimorphism, variation=shape_variation)
               for i in range(specimens + 2 * doubles)]
    plan = [[animal] for animal in animals[:specimens] for _ in range(images_per_individual)]
    plan += [[] for _ in range(empty)]
    plan += [animals[specimens + 2 * i : specimens + 2 * i + 2] for i in range(doubles)]
    base = Exposure(photons=photons, readout=readout, blur_px=blur_px)
    grades = _grades(len(plan), bad_share, streams[1])
    images, names, found, magnification = [], [], [], []
    # A stream of its own for each plate: a longer sample begins with the shorter one's images.
    for i, (residents, rng) in enumerate(zip(plan, streams[2].spawn(len(plan)), strict=True)):
        plate = _lay_out(residents, size, base, grades[i], rng, pose_variation, tag_share, f"{i + 1:04d}")
        images.append(_render(plate, size, bits, rng))
        names.append(_name(residents, i, images_per_individual))
        magnification.append(plate.mm_per_px)
        found += [_specimen(animal, points, names[-1], size, plate)
                  for animal, points in zip(plate.individuals, plate.points, strict=True)]
    truth = LandmarkSet(found, list(scheme.NAMES), edges=list(scheme.EDGES), symmetry=list(scheme.SYMMETRY),
                        source="simulated radiographs")
    _drop(truth, missing_share, streams[3])
    first, second = (draw_observer(name, len(scheme.NAMES), bias_px, repeat_px, streams[4]) for name in "AB")
    twice = {animal.id for animal in animals[: min(repeats, specimens)]}
    return RadiographSample(
        images, names, truth, _coded(truth, first, streams[4]),
        _coded(truth.where(lambda s: s.id in twice), second, streams[4]), np.array(magnification),
    )


def _refuse_settings(
    specimens: int, size: tuple[int, int], per_individual: int, repeats: int, bits: int, empty: int, doubles: int
) -> None:
    if min(size) < 120:
        raise ValueError(f"size is (height, width) of at least 120 px, not {size}")
    if bits not in (8, 16):
        raise ValueError(f"bits is 8 or 16, not {bits}")
    if min(specimens, repeats, empty, doubles) < 0 or per_individual < 1:
        raise ValueError("counts are not negative, and images_per_individual is at least 1")


def _grades(images: int, bad_share: float, rng: np.random.Generator) -> list[str]:
    bad = set(rng.permutation(images)[: round(bad_share * images)].tolist())
    return ["bad" if i in bad else "good" for i in range(images)]


def _name(residents: Sequence[Individual], number: int, per_individual: int) -> str:
    if len(residents) != 1:
        return f"{'empty' if not residents else 'double'}_{number + 1:04d}.png"
    return f"{residents[0].id}_dorsal{chr(97 + number % per_individual) if per_individual > 1 else ''}.png"


def _lay_out(
    residents: Sequence[Individual], size: tuple[int, int], base: Exposure, grade: str, rng: np.random.Generator,
    pose_variation: float, tag_share: float, number: str,
) -> _Plate:
    """Pose the animals, turn and place them within the picture, find room for the scale bar and the number."""
    height, width = size
    mm_per_px = _FIELD_MM / min(size) * float(rng.choice(_STANDS) * np.exp(0.015 * rng.standard_normal()))
    bodies, corners = [], []
    for animal in residents:
        body = build_body(animal, draw_pose(rng, variation=pose_variation), rng)
        turn = np.deg2rad(5.0) * pose_variation * rng.standard_normal() - (np.pi / 2 if height > width else 0.0)
        body = _moved(body, turn, np.zeros(2))
        bodies.append(body)
        points = np.stack(list(body.points.values()))
        corners.append((points.min(0), points.max(0)))
    share = np.array([width, height], dtype=float)
    across = int(height <= width)  # the axis along which two animals share the plate
    share[across] /= max(1, len(bodies))
    for low, high in corners:
        mm_per_px = max(mm_per_px, float(np.max((high - low) / (share - 2 * _MARGIN_PX - 4))))
    placed = []
    for k, (body, (low, high)) in enumerate(zip(bodies, corners, strict=True)):
        slack = (share - 2 * _MARGIN_PX) * mm_per_px - (high - low)
        corner = np.full(2, _MARGIN_PX * mm_per_px)
        corner[across] += k * share[across] * mm_per_px
        # Towards the middle, where people put their animals: the sum of two draws.
        placed.append(_moved(body, 0.0, corner - low + slack * rng.uniform(0.1, 0.9, (2, 2)).mean(0)))
    bar = _place_bar(placed, size, mm_per_px, rng)
    exposure, gain = _exposure(base, grade, rng)
    plate = _Plate(placed, list(residents), bar, mm_per_px, exposure, gain, grade)
    ends = np.stack([bar.start, bar.end])
    for body in placed:
        body.points |= {"scale_start": ends[0], "scale_end": ends[1]}
        plate.points.append(np.stack([body.points[name] for name in scheme.NAMES]) / mm_per_px)
    if rng.random() < tag_share:
        plate.tag = (number, _place_tag(plate, size, rng))
    return plate


def _moved(body: Body, turn: float, shift: np.ndarray) -> Body:
    c, s = np.cos(turn), np.sin(turn)
    matrix = np.array([[c, s], [-s, c]])  # for rows: x' = c x - s y, y' = s x + c y

    def move(tube: Tube) -> Tube:
        return replace(tube, points=tube.points @ matrix + shift)

    return Body([move(t) for t in body.bone], [move(t) for t in body.tissue],
                {name: point @ matrix + shift for name, point in body.points.items()})


def _place_bar(bodies: list[Body], size: tuple[int, int], mm_per_px: float, rng: np.random.Generator) -> Bar:
    """The scale lies at the animal's right side where there is room, always along the picture's long side."""
    height, width = size
    tall = height > width
    long_mm, short_mm = max(size) * mm_per_px, min(size) * mm_per_px
    inked = np.concatenate([t.points for b in bodies for t in b.bone]) if bodies else np.full((1, 2), -1e6)
    inset = (_MARGIN_PX + 3) * mm_per_px + 1.2
    half = scheme.SCALE_BAR_MM / 2
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for attempt in range(60):
        tilt = np.deg2rad(3.0) * rng.standard_normal()
        depth = inset + abs(rng.normal(0, 3.0)) if attempt < 40 else rng.uniform(inset, short_mm - inset)
        low, high = half + inset, max(half + inset + 0.1, long_mm - half - inset)
        share = rng.uniform(0.25, 0.75) if attempt < 20 else rng.uniform(0, 1)
        along = low + share * (high - low)
        direction = np.array([np.cos(tilt), np.sin(tilt)])
        centre = np.array([along, depth])
        start, end = centre - half * direction, centre + half * direction
        if tall:  # as the wide picture turned by a quarter: top becomes left, right becomes up
            start, end = (np.array([p[1], long_mm - p[0]]) for p in (end, start))
        clear = float(_clearance(inked, start, end))
        if best is None or clear > best[0]:
            best = (clear, start, end)
        if clear > 4.0:
            break
    assert best is not None
    return Bar(best[1], best[2], _BAR_WIDTH_MM, _BAR_ATTENUATION)


def _clearance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    line = end - start
    along = np.clip((points - start) @ line / (line @ line), 0, 1)
    return float(np.hypot(*(points - start - along[:, None] * line).T).min())


def _place_tag(plate: _Plate, size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """The pixel for the number's lower left corner, clear of bone and bar."""
    inked = [t.points for b in plate.bodies for t in b.bone] + [np.linspace(plate.bar.start, plate.bar.end, 20)]
    points = np.concatenate(inked) / plate.mm_per_px
    unit = min(size) / 480
    best, spot = -1.0, (0, 0)
    for _ in range(30):
        x, y = rng.uniform([8, 40 * unit], [size[1] - 75 * unit, size[0] - 12])
        clear = float(np.hypot(*(points - [x + 32 * unit, y - 10 * unit]).T).min())
        if clear > best:
            best, spot = clear, (int(x), int(y))
        if clear > 50 * unit:
            break
    return spot


def _exposure(base: Exposure, grade: str, rng: np.random.Generator) -> tuple[Exposure, float]:
    photons = base.photons * float(np.exp(0.12 * rng.standard_normal()))
    heel = tuple(float(h) for h in rng.normal(0, 0.02, 2))
    normal = replace(base, photons=photons, heel=(heel[0], heel[1]),
                     scatter=float(base.scatter * rng.uniform(0.7, 1.3)))
    fault = int(rng.integers(3))
    angle, strength = float(rng.uniform(0, np.pi)), float(rng.uniform(0.8, 1.2))
    if grade == "good":
        return normal, float(rng.uniform(0.97, 1.03))
    if fault == 0:
        return replace(normal, photons=0.05 * strength * photons), 0.9
    if fault == 1:
        return replace(normal, blur_px=base.blur_px + 2.0 * strength, photons=0.5 * photons), 0.97
    return replace(normal, motion_px=6.0 * strength, motion_rad=angle, photons=0.5 * photons), 0.97


def _render(plate: _Plate, size: tuple[int, int], bits: int, rng: np.random.Generator) -> np.ndarray:
    grey = develop(expose(_attenuation(plate, size, rng), plate.exposure, rng), plate.exposure, gain=plate.gain)
    if plate.tag:
        _burn_in(grey, *plate.tag)
    levels = 2**bits - 1
    return np.round(grey * levels).astype(np.uint8 if bits == 8 else np.uint16)


def _attenuation(plate: _Plate, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    import cv2

    skeleton: list[Tube | Bar] = [plate.bar, *(tube for body in plate.bodies for tube in body.bone)]
    flesh = [tube for body in plate.bodies for tube in body.tissue]
    soft = np.maximum(attenuation_map(flesh, size, plate.mm_per_px, oversampling=1), 0)
    soft = cv2.GaussianBlur(soft, (0, 0), 0.22 / plate.mm_per_px)
    mottle = rng.standard_normal((size[0] // 4 + 1, size[1] // 4 + 1), dtype=np.float32)
    texture = cv2.resize(cv2.GaussianBlur(mottle, (0, 0), 1.2), size[::-1], interpolation=cv2.INTER_CUBIC)
    return attenuation_map(skeleton, size, plate.mm_per_px) + soft * (1 + 0.12 * texture)


def _burn_in(grey: np.ndarray, text: str, spot: tuple[int, int]) -> None:
    import cv2

    scale = min(grey.shape) / 480
    thick = max(1, round(2 * scale))
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.7 * scale, thick)
    x, y = spot
    grey[max(0, y - h - 4) : y + 5, max(0, x - 4) : x + w + 4] = 0
    layer = np.zeros(grey.shape, np.uint8)
    cv2.putText(layer, text, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.7 * scale, 255, thick, cv2.LINE_AA)
    np.maximum(grey, layer.astype(np.float32) / 255, out=grey)


def _specimen(animal: Individual, points: np.ndarray, image: str, size: tuple[int, int], plate: _Plate) -> Specimen:
    attributes = {"specimen": animal.id, "sex": animal.sex, "svl_mm": f"{animal.svl_mm:.3f}", "grade": plate.grade,
                  "observer": "truth"}
    return Specimen(points, id=animal.id, image=image, image_size=size, scale=plate.mm_per_px, attributes=attributes)


def _drop(truth: LandmarkSet, share: float, rng: np.random.Generator) -> None:
    for specimen in truth:
        lost = rng.random(len(truth.names)) < share
        lost[:2] = False
        specimen.points[lost] = np.nan


def _coded(truth: LandmarkSet, observer: Observer, rng: np.random.Generator) -> LandmarkSet:
    coded = truth.with_points(np.stack([observer.place(s.points, rng) for s in truth]) if len(truth) else truth.array(),
                              source=f"{truth.source}, observer {observer.name}")
    for specimen in coded:
        specimen.attributes = specimen.attributes | {"observer": observer.name}
    return coded
