"""`Detector`: finds the boxes of specimens in a picture, learnt from the same pictures as the landmarks.

A window of gradient orientations slides over a small copy of the picture at the sizes seen in training; ridge
regressions say how well a window covers a specimen and how to move its edges. Closed forms only: it trains in seconds
and finds in a few milliseconds. It knows one kind of specimen in about one pose; it names no species.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy import linalg

from ethomorph.keypoints.boxes import distinct, overlap
from ethomorph.keypoints.gradients import CHANNELS, gradient_field, sampled

SIDE_CELLS = 12
"""Mean side of the window in cells."""
MARGIN = 0.15
"""How far the window reaches beyond the box on every side, as a share of the box."""
SCALE_STEP = 1.12
JITTERS = 24
"""Shifted windows per specimen from which the regressions learn."""
NEGATIVES = 12
"""Random windows per picture that cover no specimen."""
MINED = 6
"""Best wrong windows per picture that are learnt from once more."""
POSITIVE_OVERLAP, NEGATIVE_OVERLAP = 0.5, 0.35
FOLDS = 4
RIDGE = 3.0
CANDIDATES = 60
"""Peaks per picture that are compared at all."""
CELL = 5
"""Side of a cell in px of the small copy, for a specimen of mean size."""
ALWAYS, WORTH = 2, 0.4
"""The best two are always looked at closely, others where the first look gives this share of the threshold."""


@dataclass(frozen=True)
class Detector:
    """The fitted arrays.

    Attributes
    ----------
    shrink : px of the small copy per px of the picture, at most 1.
    window : int (2,), height and width in cells.
    size : float (2,), width and height in px of the small copy of the box that the window stands for at scale 1.
    scales : float (n,), box sizes to try, relative to `size`.
    weights : float32 (features + 1, 5): columns are how well the window covers a specimen, then the shift of the
        middle in box widths and heights, then the logarithms of the factors for width and height.
    link : float (2,), threshold and slope that turn the first column into a probability.
    contrast : gradient strength at which cells are half normalised, in grey levels.
    """

    shrink: np.ndarray
    window: np.ndarray
    size: np.ndarray
    scales: np.ndarray
    weights: np.ndarray
    link: np.ndarray
    contrast: np.ndarray

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, for safetensors."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Detector:
        """The inverse of `to_arrays`; raises ValueError where the arrays do not fit together."""
        detector = cls(**{field.name: arrays[field.name] for field in fields(cls)})
        features = int(np.prod(detector.window)) * CHANNELS + 1
        finite = all(np.isfinite(array).all() for array in detector.to_arrays().values())
        if detector.weights.shape != (features, 5) or not finite:
            raise ValueError("the detector's arrays do not fit together")
        return detector

    @classmethod
    def fit(cls, images: list[np.ndarray], boxes: list[np.ndarray], *, seed: int = 0) -> Detector:
        """Learn from uint8 pictures (y, x) and each one's boxes (n, 4) px, every specimen marked."""
        every = np.concatenate(boxes)
        sides = every[:, 2:] - every[:, :2] + 1
        size = np.exp(np.log(sides).mean(axis=0))
        shape = size / np.sqrt(size.prod())
        window = np.maximum(3, np.round(SIDE_CELLS * shape * (1 + 2 * MARGIN))).astype(np.int64)[::-1].copy()
        factor = np.log(np.sqrt(sides.prod(axis=1) / size.prod()))
        low, high = factor.min() - np.log(SCALE_STEP), factor.max() + np.log(SCALE_STEP)
        scales = np.exp(np.linspace(low, high, max(2, round((high - low) / np.log(SCALE_STEP)) + 1)))
        shrink = min(1.0, SIDE_CELLS * CELL / float(np.sqrt(size.prod())))
        images = [smaller(image, shrink) for image in images]
        boxes = [scaled(b, shrink) for b in boxes]
        blank = cls(
            np.array(shrink), window, size * shrink, scales,
            np.zeros((int(window.prod()) * CHANNELS + 1, 5), np.float32), np.array([0.5, 10.0]),
            np.array(_typical_contrast(images)),
        )
        rng = np.random.default_rng(seed)
        lessons = [blank._lesson(image, b, rng) for image, b in zip(images, boxes, strict=True)]
        detector = blank._learn(lessons)
        # The second round adds the windows that the first one takes for specimens and are none.
        lessons = [_joined(old, detector._mistakes(i, b)) for old, i, b in zip(lessons, images, boxes, strict=True)]
        detector = blank._learn(lessons)
        return _replaced(detector, link=blank._calibrate(images, boxes, lessons, rng))

    def find(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (n, 4) px and probabilities (n,) of the specimens in a uint8 picture, best first; n may be 0."""
        boxes, values = self.candidates(smaller(pixels, float(self.shrink)))
        keep = values > self.link[0]
        boxes, values = scaled(boxes[keep], 1 / float(self.shrink)), values[keep]
        return boxes, 1 / (1 + np.exp(-self.link[1] * (values - self.link[0])))

    def candidates(self, small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The boxes (n, 4) of the small copy that look most like specimens, and how much they do (n,), best first."""
        field = self._field(small)
        boxes, values = self._scan(field)
        order = np.argsort(-values, kind="stable")[:CANDIDATES]
        order = order[distinct(boxes[order], values[order], 0.5)]
        worth = (values[order] >= WORTH * self.link[0]) | (np.arange(len(order)) < ALWAYS)
        boxes = boxes[order[worth]]
        for _ in range(2):
            seen = self._features(field, boxes) @ self.weights
            boxes = moved(boxes, seen[:, 1:])
        values = (self._features(field, boxes) @ self.weights)[:, 0]
        order = distinct(boxes, values)
        return boxes[order], values[order]

    def _scan(self, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All local best windows of the pyramid: boxes (n, 4) and values (n,)."""
        import cv2

        template = self.weights[:-1, 0].reshape(*self.window, CHANNELS)
        height, width = field.shape[:2]
        boxes, values = [], []
        for scale in self.scales:
            step = scale * self.size * (1 + 2 * MARGIN) / self.window[::-1]
            # Half a window of border, so that a specimen at the picture's edge can be seen whole.
            border = self.window[::-1] // 2 * step
            x, y = (np.arange(-b, side + b, s) for b, side, s in zip(border, (width, height), step, strict=True))
            if len(x) < self.window[1] or len(y) < self.window[0]:
                continue
            cells = sampled(field, x, y)
            planes = zip(_planes(cells), _planes(template), strict=True)
            answer = np.asarray(sum(cv2.matchTemplate(c, t, cv2.TM_CCORR) for c, t in planes)) + self.weights[-1, 0]
            row, column = np.nonzero(answer == cv2.dilate(answer, np.ones((3, 3), np.uint8)))
            first = np.stack([x[column], y[row]], axis=1)
            middle = first + (self.window[::-1] - 1) / 2 * step
            half = (self.size * scale - 1) / 2
            boxes.append(np.concatenate([middle - half, middle + half], axis=1))
            values.append(answer[row, column])
        if not boxes:
            return np.empty((0, 4)), np.empty(0)
        return np.concatenate(boxes), np.concatenate(values)

    def _field(self, small: np.ndarray) -> np.ndarray:
        return gradient_field(small, CELL, float(self.contrast))

    def _features(self, field: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Window features with a constant (n, features + 1) at boxes (n, 4)."""
        out = np.ones((len(boxes), self.weights.shape[0]), dtype=np.float32)
        cells = self.window[::-1]
        for i, box in enumerate(boxes):
            side = box[2:] - box[:2] + 1
            step = side * (1 + 2 * MARGIN) / cells
            x, y = ((box[:2] + box[2:])[k] / 2 + (np.arange(cells[k]) - (cells[k] - 1) / 2) * step[k] for k in (0, 1))
            out[i, :-1] = sampled(field, x, y).ravel()
        return out

    def _lesson(self, pixels: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Windows around and beside the specimens of one picture: features (n, f), targets (n, 5), NaN where none."""
        anywhere = random_windows(pixels.shape, self.size, self.scales, NEGATIVES, rng)
        features, targets = self._taught(pixels, np.concatenate([random_near(boxes, JITTERS, rng), anywhere]), boxes)
        empty = emptied(pixels, boxes, rng)
        nothing = np.concatenate([boxes, random_windows(pixels.shape, self.size, self.scales, 4, rng)])
        more, none = self._taught(empty, nothing, np.empty((0, 4)))
        return np.concatenate([features, more]), np.concatenate([targets, none])

    def _mistakes(self, pixels: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        windows, _ = self.candidates(pixels)
        return self._taught(pixels, windows[: MINED + len(boxes)], boxes)

    def _taught(self, pixels: np.ndarray, windows: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        targets = np.full((len(windows), 5), np.nan, dtype=np.float32)
        if len(boxes) and len(windows):
            shared = overlap(windows[:, None], boxes[None])
            best = shared.argmax(axis=1)
            cover = shared.max(axis=1)
            targets[:, 0] = np.clip((cover - NEGATIVE_OVERLAP) / (1 - NEGATIVE_OVERLAP), 0, 1)
            near = cover >= POSITIVE_OVERLAP
            targets[near, 1:] = displacement(windows[near], boxes[best[near]])
        else:
            targets[:, 0] = 0
        return self._features(self._field(pixels), windows), targets

    def _learn(self, lessons: list[tuple[np.ndarray, np.ndarray]]) -> Detector:
        features = np.concatenate([f for f, _ in lessons])
        targets = np.concatenate([t for _, t in lessons])
        near = np.isfinite(targets[:, 1])
        weights = np.concatenate([ridge(features, targets[:, :1]), ridge(features[near], targets[near, 1:])], axis=1)
        return _replaced(self, weights=weights.astype(np.float32))

    def _calibrate(
        self, images: list[np.ndarray], boxes: list[np.ndarray], lessons: list[tuple[np.ndarray, np.ndarray]],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Threshold and slope from pictures that the regressions have not seen, in `FOLDS` turns."""
        fold = rng.permutation(len(images)) % min(FOLDS, len(images))
        right, wrong = [], []
        for turn in range(fold.max() + 1):
            others = [lessons[i] for i in np.flatnonzero(fold != turn)] or lessons
            if not any(np.isfinite(t[:, 1]).any() for _, t in others):
                continue
            detector = self._learn(others)
            for i in np.flatnonzero(fold == turn):
                found, values = detector.candidates(images[i])
                if len(boxes[i]) and len(found):
                    shared = overlap(found[:, None], boxes[i][None])
                    hit = shared.argmax(axis=0)
                    right += [float(values[h]) for j, h in enumerate(hit) if shared[h, j] >= POSITIVE_OVERLAP]
                    wrong += [float(v) for v in values[shared.max(axis=1) < NEGATIVE_OVERLAP]]
                wrong += [float(v) for v in detector.candidates(emptied(images[i], boxes[i], rng))[1][:1]]
        return threshold(np.array(right), np.array(wrong))


def smaller(pixels: np.ndarray, factor: float) -> np.ndarray:
    """The picture shrunk by a factor of at most 1, averaged over areas."""
    import cv2

    if factor == 1:
        return pixels
    whole = max(1, int(1 / factor))
    if whole > 1:  # OpenCV averages whole factors much faster than others
        height, width = (max(1, side // whole) for side in pixels.shape)
        part = pixels[: height * whole, : width * whole]
        pixels = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    rest = factor * whole
    return cv2.resize(pixels, None, fx=rest, fy=rest, interpolation=cv2.INTER_AREA) if rest < 1 else pixels


def scaled(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes (n, 4) of a picture in a copy of it that is `factor` as large."""
    inclusive = np.array([0, 0, 1, 1])
    return (boxes + inclusive) * factor - inclusive


def threshold(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Where specimens part from everything else, and the slope of a logistic curve through that point.

    Between the weakest specimens (2nd percentile) and the strongest others (98th), nearer to the others: a missed
    specimen is lost, a false one is seen in review.
    """
    if not len(right):
        return np.array([0.5, 10.0])
    low = float(np.percentile(right, 2))
    high = float(np.percentile(wrong, 98)) if len(wrong) else 0.0
    cut = high + 0.4 * (low - high) if low > high else low
    return np.array([cut, 4 / max(float(np.median(right)) - cut, 0.05)])


def ridge(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Weights (f, t) of least squares with a penalty on all but the last feature, which is the constant."""
    gram = features.T @ features
    gram.flat[:: len(gram) + 1] += np.append(np.full(len(gram) - 1, RIDGE), 1e-6)
    return linalg.cho_solve(linalg.cho_factor(gram), features.T @ targets)


def displacement(windows: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n, 4): shift of the middle in window sides, and logarithms of the side ratios, that turn windows into boxes."""
    side, wanted = windows[:, 2:] - windows[:, :2] + 1, boxes[:, 2:] - boxes[:, :2] + 1
    shift = (boxes[:, :2] + boxes[:, 2:] - windows[:, :2] - windows[:, 2:]) / 2 / side
    return np.concatenate([shift, np.log(wanted / side)], axis=1)


def moved(windows: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The inverse of `displacement`, each step bounded to a third of the window."""
    by = np.clip(by, -1 / 3, 1 / 3)
    side = windows[:, 2:] - windows[:, :2] + 1
    middle = (windows[:, :2] + windows[:, 2:]) / 2 + by[:, :2] * side
    half = (side * np.exp(by[:, 2:]) - 1) / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def random_near(boxes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` shifted and resized copies of every box: most by a little, some by a lot, the first not at all."""
    wide = np.where(np.arange(count) % 3 == 0, 0.15, 0.06)[None, :, None]
    by = rng.normal(size=(len(boxes), count, 4)) * wide
    by[:, 0] = 0
    return moved(np.repeat(boxes, count, axis=0), by.reshape(-1, 4))


def random_windows(
    shape: tuple[int, ...], size: np.ndarray, scales: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Windows (count, 4) anywhere in the picture, at sizes seen in training."""
    half = size * rng.choice(scales, size=count)[:, None] / 2
    middle = rng.random((count, 2)) * np.array(shape[::-1])
    return np.concatenate([middle - half, middle + half - 1], axis=1)


def emptied(pixels: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture without its specimens: their boxes are filled with the grey and the noise of what lies around."""
    empty = pixels.copy()
    covered = np.zeros(pixels.shape, dtype=bool)
    for box in boxes:
        left, top = np.maximum(0, np.floor(box[:2] - 0.1 * (box[2:] - box[:2]))).astype(int)
        right, bottom = np.ceil(box[2:] + 0.1 * (box[2:] - box[:2])).astype(int) + 1
        covered[top:bottom, left:right] = True
    around = pixels[~covered] if not covered.all() else pixels.ravel()[:: max(1, pixels.size // 1000)]
    if covered.any():
        empty[covered] = rng.choice(around, size=int(covered.sum()))
    return empty


def _planes(cells: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(cells[..., c]) for c in range(CHANNELS)]


def _typical_contrast(images: list[np.ndarray]) -> float:
    """A tenth of the usual strong gradient: weaker ones are mostly noise."""
    strengths = []
    for image in images[:50]:
        dy, dx = np.gradient(image.astype(np.float32))
        strengths.append(np.percentile(np.hypot(dx, dy), 95))
    return max(float(np.median(strengths)) * 0.1, 0.1)


def _joined(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]])


def _replaced(detector: Detector, **changes: np.ndarray) -> Detector:
    return Detector(**(detector.to_arrays() | changes))
