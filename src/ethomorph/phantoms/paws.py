"""Photographs of simulated cat prints in sand, whose landmarks, animals and trails are known exactly.

For tests and for trying a field protocol from picture to count. The feet have a cat's plan (four toes, a three-lobed
heel pad) and individual proportions; they are no model of a species.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ethomorph.core.files import atomic_path, write_text
from ethomorph.core.landmarks import LandmarkSet, Specimen

TOES = [f"toe{k}_{end}" for k in (1, 2, 3, 4) for end in ("tip", "base", "outer", "inner")]
HEEL = ["heel_top", "heel_shoulder_outer", "heel_shoulder_inner", "heel_side_outer", "heel_side_inner",
        "heel_lobe_outer", "heel_lobe_middle", "heel_lobe_inner", "heel_notch"]  # fmt: skip
SCALE = ["scale_start", "scale_end"]
SCALE_CM = 10.0
NAMES = [*SCALE, *TOES, *HEEL]
"""Two ends of the scale bar, then the 25 points of the felid recipe."""

# A left hind foot in cm, x to the inner side, y to the toes: centre, half length, half width, tilt of each toe.
_TOES_CM = np.array([[-2.9, 2.9, 1.25, 0.8, 0.25], [-1.2, 4.7, 1.4, 0.82, 0.08],
                     [1.1, 4.9, 1.4, 0.82, -0.06], [2.9, 3.3, 1.25, 0.8, -0.22]])  # fmt: skip
_HEEL_CM = np.array([[0.0, 1.2], [-1.5, 0.55], [1.5, 0.6], [-2.5, -1.3], [2.5, -1.25],
                     [-1.75, -2.5], [0.0, -2.75], [1.75, -2.45], [0.0, -1.75]])  # fmt: skip
_OUTLINE = [0, 2, 4, 7, 6, 5, 3, 1]  # around the heel, without the notch
_LATENT, _SPREAD_CM = 14, 0.16
_OWN_CM, _GIVE = 0.03, 0.012  # what only one print has: of each dimension, and of its size as the ground gives way
_SHARES = (0.6, 0.04, 0.36)  # of variance between animals, trails, prints; as in captive cats


@dataclass
class PawSample:
    """Simulated pictures of prints and everything that is known about them.

    Attributes
    ----------
    images : (height, width) uint8 each.
    image_names : file name of each.
    landmarks : one specimen a picture, named `NAMES`. Attributes: specimen (the animal), trail, foot, sex, site.
    """

    images: list[np.ndarray]
    image_names: list[str]
    landmarks: LandmarkSet

    def __len__(self) -> int:
        return len(self.images)

    def write(self, folder: str | Path) -> Path:
        """Write ``images/``, ``landmarks.tps`` and ``specimens.csv`` (a row a picture); returns the folder."""
        import cv2

        from ethomorph.formats.registry import write_landmarks

        folder = Path(folder)
        for name, image in zip(self.image_names, self.images, strict=True):
            with atomic_path(folder / "images" / name) as temporary:
                if not cv2.imwrite(str(temporary), image):
                    raise OSError(f"{folder / 'images' / name} could not be written")
        write_landmarks(self.landmarks, folder / "landmarks.tps")
        columns = ["specimen", "trail", "foot", "sex", "site"]
        rows = [",".join([str(s.image), *(s.attributes[c] for c in columns)]) for s in self.landmarks]
        write_text(folder / "specimens.csv", "\n".join([",".join(["image", *columns]), *rows]) + "\n")
        return folder


def simulate_paws(
    *,
    animals: int = 6,
    trails: tuple[int, int] = (1, 2),
    prints: tuple[int, int] = (6, 8),
    right_share: float = 0.0,
    sites: int = 1,
    px_per_cm: float = 20.0,
    smear: float = 0.0,
    turn_deg: float = 8.0,
    seed: int = 0,
    name: str = "cat",
) -> PawSample:
    """Simulate photographs of single prints beside a 10 cm scale.

    Parameters
    ----------
    animals, trails, prints : how many animals; least and most trails an animal, prints a trail (uniform).
    right_share : share of trails that show the right hind foot instead of the left.
    sites : trails of an animal are at one site; sites take turns.
    px_per_cm : resolution; pictures show 15 cm by 16 cm.
    smear : 0 firm sand to 1 loose sand: edges blurred, floor rough.
    turn_deg : standard deviation of the print's direction in the picture.
    seed : the same seed gives the same sample.
    name : animals are called ``<name> 1`` and so on.

    Examples
    --------
    >>> sample = simulate_paws(animals=1, trails=(1, 1), prints=(2, 2), seed=1)
    >>> sample.landmarks.array().shape
    (2, 27, 2)
    >>> bar = sample.landmarks[0].points[:2] * sample.landmarks[0].scale
    >>> round(float(np.hypot(*(bar[1] - bar[0]))), 6)
    100.0
    """
    species, generator = np.random.default_rng(20), np.random.default_rng(seed)
    size = _TOES_CM.size + _HEEL_CM.size
    loadings = species.normal(size=(_LATENT, size)) * (0.9 ** np.arange(_LATENT))[:, None]
    loadings *= _SPREAD_CM / np.sqrt((loadings**2).sum(0))
    between, walk, step = np.sqrt(_SHARES)
    images, names, found = [], [], []
    for number in range(1, animals + 1):
        own, growth = between * generator.normal(size=_LATENT), 1 + 0.05 * generator.normal()
        sex = "FM"[number % 2]
        growth *= 1.06 if sex == "M" else 0.96
        for trail in range(1, int(generator.integers(trails[0], trails[1] + 1)) + 1):
            centre = own + walk * generator.normal(size=_LATENT)
            right = bool(generator.random() < right_share)
            for print_ in range(1, int(generator.integers(prints[0], prints[1] + 1)) + 1):
                form = (centre + step * generator.normal(size=_LATENT)) @ loadings
                form += _OWN_CM * generator.normal(size=size)
                points, outlines = build_foot(form, growth * (1 + _GIVE * generator.normal()))
                label = f"{name.replace(' ', '_')}{number}_{trail}_{print_}"
                picture, placed = _photograph(points, outlines, right, px_per_cm, smear, turn_deg, generator)
                known = {
                    "specimen": f"{name} {number}", "trail": f"{name} {number}/{trail}", "sex": sex,
                    "foot": "right hind" if right else "left hind", "site": f"site {number % sites + 1}",
                }  # fmt: skip
                images.append(picture)
                names.append(f"{label}.png")
                found.append(
                    Specimen(placed, id=label, image=names[-1], image_size=(picture.shape[0], picture.shape[1]),
                             scale=10 / px_per_cm, attributes=known)
                )  # fmt: skip
    edges = [(2 + 4 * k + a, 2 + 4 * k + b) for k in range(4) for a, b in ((0, 1), (2, 3))]
    edges += [(18 + a, 18 + b) for a, b in zip(_OUTLINE, [*_OUTLINE[1:], _OUTLINE[0]], strict=True)]
    return PawSample(images, names, LandmarkSet(found, list(NAMES), edges=edges, source="simulated prints"))


def build_foot(form: np.ndarray, growth: float = 1.0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Points (25, 2) in cm and the pads' outlines for deviations `form` (38,) from the typical foot; y up."""
    toes = _TOES_CM + form[: _TOES_CM.size].reshape(_TOES_CM.shape) * np.array([1, 1, 0.6, 0.4, 0.5])
    heel = growth * (_HEEL_CM + form[_TOES_CM.size :].reshape(_HEEL_CM.shape))
    points, outlines = [], []
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    for x, y, long, wide, tilt in toes:
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        ends = np.array([[0, long], [0, -long], [-wide, 0], [wide, 0]])
        points.append(growth * (ends @ turn + [x, y]))
        outlines.append(growth * (np.column_stack([wide * np.cos(angle), long * np.sin(angle)]) @ turn + [x, y]))
    dents = [(heel[7] + heel[6]) / 2 + [0, 0.3], (heel[6] + heel[5]) / 2 + [0, 0.3]]  # between the three lobes
    ring = [*heel[_OUTLINE[:4]], dents[0], heel[6], dents[1], *heel[_OUTLINE[5:]]]
    outlines.append(_smooth(np.array(ring)))
    return np.concatenate([*points, heel]), outlines


def _smooth(corners: np.ndarray, steps: int = 16) -> np.ndarray:
    """A closed Catmull-Rom curve through the corners."""
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    before, start, stop, after = (np.roll(corners, k, axis=0) for k in (1, 0, -1, -2))
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(before, start, stop, after, strict=True)
    ]
    return np.concatenate(pieces)


def _photograph(
    points: np.ndarray,
    outlines: list[np.ndarray],
    right: bool,
    px_per_cm: float,
    smear: float,
    turn_deg: float,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The picture, and where `NAMES` lie in it (27, 2) px."""
    import cv2

    height, width = round(16 * px_per_cm), round(15 * px_per_cm)
    turn = np.deg2rad(turn_deg) * generator.normal()
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle = np.array([7.9, 7.2]) + generator.uniform(-0.5, 0.5, 2)

    def place(cm: np.ndarray) -> np.ndarray:
        flipped = cm * np.array([-1.0 if right else 1.0, -1.0])
        return ((flipped - [0, -1.0]) @ matrix + middle) * px_per_cm

    tilt = np.deg2rad(2) * generator.normal()
    start = np.array([2.2, 14.6]) + generator.uniform(-0.3, 0.3, 2)
    along = np.array([np.cos(tilt), np.sin(tilt)])
    bar = np.array([start, start + SCALE_CM * along]) * px_per_cm

    fine = 4  # sub-pixel steps of OpenCV's polygons are given by shift
    pad = np.zeros((height, width), np.uint8)
    for outline in outlines:
        cv2.fillPoly(pad, [np.round(place(outline) * 2**fine).astype(np.int32)], 255, cv2.LINE_AA, fine)
    blur = (0.05 + 0.12 * smear) * px_per_cm
    depth = cv2.GaussianBlur(pad.astype(np.float32) / 255, (0, 0), blur)
    rim = cv2.GaussianBlur(depth, (0, 0), 0.35 * px_per_cm)
    notch = place(points[-1:])[0]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    crease = np.exp(-(((columns - notch[0]) ** 2 + (rows - notch[1]) ** 2) / (2 * (0.22 * px_per_cm) ** 2)))
    ground = _ground(height, width, px_per_cm, generator)
    relief = 0.35 * rim - depth * (1 - 0.7 * crease) + (0.10 + 0.12 * smear) * ground
    relief = relief.astype(np.float32)
    shade = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3) + 0.6 * cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3)
    grey = 158 - 46 * depth * (1 - 0.7 * crease) + 13 * ground + 26 * shade * np.sqrt(px_per_cm / 20)
    grey += generator.normal(0, 4, grey.shape)
    picture = np.clip(grey, 0, 255).astype(np.uint8)
    _ruler(picture, bar, px_per_cm)
    return picture, np.concatenate([bar, place(points)])


def _ground(height: int, width: int, px_per_cm: float, generator: np.random.Generator) -> np.ndarray:
    """Grain of several sizes, standard deviation about 1."""
    import cv2

    ground = np.zeros((height, width), np.float32)
    for cell_cm, weight in ((0.1, 0.6), (0.4, 0.5), (1.6, 0.5)):
        step = max(1, round(cell_cm * px_per_cm))
        small = generator.standard_normal((height // step + 3, width // step + 3), dtype=np.float32)
        large = cv2.resize(small, (small.shape[1] * step, small.shape[0] * step), interpolation=cv2.INTER_CUBIC)
        ground += weight * large[:height, :width]
    return ground


def _ruler(picture: np.ndarray, bar: np.ndarray, px_per_cm: float) -> None:
    """A white ruler with a black field every second centimetre, its upper edge from one end of the bar to the other."""
    import cv2

    along = (bar[1] - bar[0]) / SCALE_CM
    down = np.array([-along[1], along[0]]) * 0.6

    def quad(first: float, last: float, depth: float) -> np.ndarray:
        a, b = bar[0] + first * along, bar[0] + last * along
        return np.round(np.array([a, b, b + depth * down, a + depth * down]) * 16).astype(np.int32)

    cv2.fillPoly(picture, [quad(0, SCALE_CM, 1.0)], 235, cv2.LINE_AA, 4)
    for k in range(0, int(SCALE_CM), 2):
        cv2.fillPoly(picture, [quad(k, k + 1, 0.5)], 25, cv2.LINE_AA, 4)
    cv2.polylines(picture, [quad(0, SCALE_CM, 1.0)], True, 25, max(1, round(px_per_cm / 20)), cv2.LINE_AA, 4)
