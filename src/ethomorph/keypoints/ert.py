"""`ErtModel`: landmarks by dlib's ensemble of regression trees, with its own detector of specimens.

The method of ml-morph and LizardMorph, trained by dlib and evaluated here with sub-pixel results, several views and a
spread. Boxes from annotations are used for training only, unless `fit_boxes` is asked for them by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.model_files import damage_named, read_arrays, read_facts, write_arrays, write_facts
from ethomorph.keypoints.boxes import distinct, jittered, landmark_box
from ethomorph.keypoints.cascade import Cascade
from ethomorph.keypoints.dat import read_dat, write_dat
from ethomorph.keypoints.data import Found, Picture
from ethomorph.keypoints.detector import Detector
from ethomorph.keypoints.ert_settings import ErtSettings
from ethomorph.keypoints.ert_train import Example, train_cascade
from ethomorph.keypoints.prior import ShapePrior

BATCH = 16
"""Pictures that are fitted together."""
SPREAD_UNIT = 0.01
"""Spread, as a share of the box's mean side, at which confidence has fallen to 1/e."""


class ErtModel:
    """Regression trees that fit landmarks in boxes which a detector finds.

    Parameters
    ----------
    settings : see `ErtSettings`.
    load : reads a picture file as float32 (y, x) in 0..1 for `fit`; default is the plain grey picture.

    Attributes
    ----------
    names_ : the landmarks' names in order.
    cascade_ : the fitted trees.
    detector_ : finds boxes; None for a model from a bare ``.dat``, which then looks at the whole picture.
    notes_ : what training had to decide, one sentence each.
    """

    def __init__(
        self, *, settings: ErtSettings | None = None, load: Callable[[Path], np.ndarray] | None = None
    ) -> None:
        self.settings = settings or ErtSettings()
        self.load_picture = load or load_grey

    def fit(
        self,
        pictures: list[Picture],
        validation: list[Picture] | None = None,
        names: list[str] | None = None,
        *,
        folder: Path | None = None,
        seed: int = 0,
        max_minutes: float | None = None,
        resume: bool = False,
        progress: bool = True,
    ) -> Self:
        """Train trees and detector.

        Parameters
        ----------
        pictures : with their marked specimens; landmarks that are missing (NaN) are left out of the trees' targets.
        validation : not needed by this method, which has nothing to stop early.
        names : of the landmarks; numbers by default.
        folder, resume : dlib cannot continue an interrupted training; it starts again.
        seed : makes the run repeatable with one thread; with more, dlib adds up in another order.
        max_minutes : see `ert_train.train_cascade`; what was given up stands in `notes_`.

        Raises
        ------
        LabelError : no specimen with landmarks, or a landmark that is missing in every specimen.
        """
        images = [self.load_picture(picture.path) for picture in pictures]
        points = [[specimen.points for specimen in picture.specimens] for picture in pictures]
        return self.fit_arrays(images, points, names, seed=seed, max_minutes=max_minutes, progress=progress)

    def fit_arrays(
        self,
        images: Sequence[np.ndarray],
        points: Sequence[Sequence[np.ndarray]],
        names: list[str] | None = None,
        *,
        seed: int = 0,
        max_minutes: float | None = None,
        progress: bool = False,
    ) -> Self:
        """As `fit`, from float32 (y, x) pictures in 0..1 and each one's specimens (landmarks, 2) px."""
        shapes = np.array([p for group in points for p in group if np.isfinite(p).all(axis=1).any()], dtype=float)
        refuse_untrainable(shapes)
        self.names_ = list(names) if names is not None else [str(i) for i in range(shapes.shape[1])]
        whole = ShapePrior.fit(shapes) if not np.isfinite(shapes).all() else None
        small, boxes, examples, notes = [], [], [], []
        rng = np.random.default_rng(seed)
        for image, group in zip(images, points, strict=True):
            pixels, factor = shrunk(to_bytes(image), self.settings.max_side_px)
            marked = [to_small(p, factor) for p in group if np.isfinite(p).all(axis=1).any()]
            filled = [whole.fill(p) if whole is not None and not np.isfinite(p).all() else p for p in marked]
            around = [landmark_box(p) for p in filled]
            small.append(pixels)
            boxes.append(np.array(around).reshape(-1, 4))
            if marked:
                examples.append(self._example(pixels, marked, np.array(around), rng))
        self.detector_: Detector | None = Detector.fit(small, boxes, seed=seed)
        options = self.settings.dlib_options() | {
            "random_seed": str(seed), "num_threads": self.settings.threads or os.cpu_count() or 1,
        }
        with _bar(progress) as report:
            self.cascade_, used = train_cascade(examples, options, max_minutes=max_minutes, report=report)
        changed = [f"{name} from {options[name]} to {used[name]}" for name in options if used[name] != options[name]]
        if changed:
            notes.append(f"to train within {max_minutes:g} min, changed {', '.join(changed)}")
        missing = int((~np.isfinite(shapes).all(axis=2)).sum())
        if missing:
            notes.append(f"{missing} of {shapes.shape[0] * shapes.shape[1]} landmarks are missing and were left out")
        self.notes_ = notes
        return self

    def _example(
        self, pixels: np.ndarray, points: list[np.ndarray], boxes: np.ndarray, rng: np.random.Generator
    ) -> Example:
        """The picture's specimens, each in as many boxes as the settings say."""
        copies = self.settings.boxes_per_specimen
        boxes = np.repeat(boxes, copies, axis=0)
        side = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes = boxes + self.settings.box_jitter * side * rng.standard_normal(boxes.shape)
        return Example(pixels, [p for p in points for _ in range(copies)], [_whole_box(box) for box in boxes])

    def predict_image(self, grey: np.ndarray) -> list[Found]:
        """Specimens in one picture, float32 (y, x) in 0..1; empty where none is found."""
        return self.predict_images([grey])[0]

    def predict_images(self, images: Sequence[np.ndarray]) -> list[list[Found]]:
        """Specimens in each of several pictures; much faster than one by one."""
        found: list[list[Found]] = []
        for start in range(0, len(images), BATCH):
            part = [shrunk(to_bytes(image), self.settings.max_side_px) for image in images[start : start + BATCH]]
            seen = [self._detect(pixels) for pixels, _ in part]
            found += self._fit_boxes(part, [b for b, _ in seen], [s for _, s in seen], refits=self.settings.refits)
        return found

    def fit_boxes(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[list[Found]]:
        """Landmarks in given boxes (n, 4) px, as ml-morph scores its models: it hides every miss of a detector."""
        part = [shrunk(to_bytes(image), self.settings.max_side_px) for image in images]
        given = []
        for (_, factor), b in zip(part, boxes, strict=True):
            given.append(to_small(np.asarray(b, dtype=float).reshape(-1, 2, 2), factor).reshape(-1, 4))
        return self._fit_boxes(part, given, [np.ones(len(b)) for b in given], refits=0)

    def _detect(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.detector_ is None:
            return np.array([[0, 0, pixels.shape[1] - 1, pixels.shape[0] - 1]], dtype=float), np.ones(1)
        return self.detector_.find(pixels)

    def _fit_boxes(
        self, part: list[tuple[np.ndarray, float]], boxes: list[np.ndarray], scores: list[np.ndarray], *, refits: int
    ) -> list[list[Found]]:
        pixels = [image for image, _ in part]
        which = np.repeat(np.arange(len(part)), [len(b) for b in boxes])
        box = np.concatenate(boxes).reshape(-1, 4) if boxes else np.empty((0, 4))
        for _ in range(refits):
            box = landmark_box(self.cascade_.fit(pixels, which, box))
        settings = self.settings
        views = jittered(box, settings.views, settings.view_jitter)
        fits = self.cascade_.fit(pixels, np.repeat(which, settings.views), views.reshape(-1, 4))
        fits = fits.reshape(len(box), settings.views, self.cascade_.landmarks, 2)
        points, spread = combine(fits)
        side = np.sqrt(np.prod(box[:, 2:] - box[:, :2] + 1, axis=1))[:, None]
        confidence = np.exp(-spread / (SPREAD_UNIT * side)) if settings.views > 1 else np.ones_like(spread)
        score = np.concatenate(scores) if scores else np.empty(0)
        found: list[list[Found]] = [[] for _ in part]
        for i, image in enumerate(which):
            factor = part[image][1]
            found[image].append(
                Found(
                    from_small(points[i], factor), confidence[i], spread[i] / factor,
                    tuple(from_small(landmark_box(points[i]).reshape(2, 2), factor).ravel().tolist()), float(score[i]),
                )
            )
        return [_without_doubles(group) for group in found]

    def save(self, folder: str | Path) -> Path:
        """Write ``model.safetensors`` and ``model.toml``; returns the folder."""
        folder = Path(folder)
        arrays = {f"cascade.{name}": array for name, array in self.cascade_.to_arrays().items()}
        if self.detector_ is not None:
            arrays |= {f"detector.{name}": array for name, array in self.detector_.to_arrays().items()}
        write_arrays(folder / "model.safetensors", arrays)
        facts: dict[str, Any] = {
            "method": "ert", "names": self.names_, "notes": self.notes_, "settings": self.settings.to_dict(),
        }
        write_facts(folder / "model.toml", facts)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The inverse of `save`; raises FormatError for a damaged folder."""
        folder = Path(folder)
        facts, arrays = read_facts(folder / "model.toml"), read_arrays(folder / "model.safetensors")
        with damage_named(folder / "model.toml"):
            model = cls(settings=ErtSettings.from_dict(facts["settings"]))
            model.names_, model.notes_ = [str(n) for n in facts["names"]], [str(n) for n in facts["notes"]]
        with damage_named(folder / "model.safetensors"):
            model.cascade_ = Cascade.from_arrays(_under("cascade.", arrays))
            detector = _under("detector.", arrays)
            model.detector_ = Detector.from_arrays(detector) if detector else None
            if len(model.names_) != model.cascade_.landmarks:
                raise ValueError(f"{len(model.names_)} names for {model.cascade_.landmarks} landmarks")
        return model

    @classmethod
    def from_dat(
        cls, path: str | Path, *, landmarks: int | Sequence[str] | None = None, text_order: bool = True,
        settings: ErtSettings | None = None,
    ) -> Self:
        """A model from a dlib ``.dat``, such as ml-morph's and LizardMorph's.

        Parameters
        ----------
        landmarks : how many landmarks, or their names, are expected; None takes what the file has.
        text_order : the file's landmarks were named 0, 1, 2 ... without padding, as ml-morph names them, and dlib has
            sorted these names as text (0, 1, 10, 11, 2 ...): put them back in the order of numbers. False for a file
            whose names were padded with zeros.

        Raises
        ------
        FormatError : not a whole shape predictor, or another number of landmarks.
        """
        cascade = read_dat(path)
        count = cascade.landmarks
        if landmarks is None or isinstance(landmarks, int):
            names, expected = [str(i) for i in range(count)], count if landmarks is None else landmarks
        else:
            names, expected = list(landmarks), len(landmarks)
        if expected != count:
            raise FormatError(
                f"the model has {count} landmarks, expected {expected}", place=path,
                fix="give the scheme that it was trained on",
            )
        model = cls(settings=settings)
        model.cascade_ = cascade.reordered(numeric_order(count)) if text_order else cascade
        model.names_ = names
        model.detector_ = None
        changed = ", order of landmarks put right" if text_order and count > 10 else ""
        model.notes_ = [f"read from {Path(path).name}{changed}"]
        return model

    def to_dat(self, path: str | Path) -> Path:
        """Write the trees as dlib's ``.dat``, landmarks in the order of `names_`."""
        return write_dat(self.cascade_, path)


def numeric_order(count: int) -> np.ndarray:
    """Where landmark i stands in a list of the names "0" ... sorted as text.

    Examples
    --------
    >>> numeric_order(12).tolist()
    [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 2, 3]
    """
    as_text = sorted(range(count), key=str)
    return np.argsort(as_text)


def combine(fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median over views (n, p, 2) of fits (n, views, p, 2), and spread (n, p): root mean square distance from it, px.

    A single view has no spread: NaN.
    """
    points = np.median(fits, axis=1)
    if fits.shape[1] < 2:
        return points, np.full(points.shape[:2], np.nan)
    return points, np.sqrt(((fits - points[:, None]) ** 2).sum(axis=-1).mean(axis=1))


def load_grey(path: Path) -> np.ndarray:
    """A picture file as float32 (y, x) in 0..1."""
    from ethomorph.formats.images import grey, read_image

    image = read_image(path)
    return grey(image.pixels, bits=image.bits)


def to_bytes(grey: np.ndarray) -> np.ndarray:
    """uint8 (y, x) from float in 0..1, as dlib compares pixels."""
    return np.clip(grey * 255 + 0.5, 0, 255).astype(np.uint8)


def shrunk(pixels: np.ndarray, max_side_px: int) -> tuple[np.ndarray, float]:
    """The picture with at most this longer side, averaged over areas, and the factor (1 where it was small enough)."""
    import cv2

    side = max(pixels.shape)
    if not max_side_px or side <= max_side_px:
        return pixels, 1.0
    factor = max_side_px / side
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), factor


def to_small(points: np.ndarray, factor: float) -> np.ndarray:
    """Pixel centres of a picture in its shrunk copy."""
    return (np.asarray(points, dtype=float) + 0.5) * factor - 0.5


def from_small(points: np.ndarray, factor: float) -> np.ndarray:
    """The inverse of `to_small`."""
    return (points + 0.5) / factor - 0.5


def refuse_untrainable(shapes: np.ndarray) -> None:
    """Raise LabelError without any specimen, or with a landmark that no specimen shows."""
    if not len(shapes):
        raise LabelError("there is no specimen with landmarks to train on", fix="give labelled pictures")
    nowhere = np.flatnonzero(~np.isfinite(shapes).all(axis=2).any(axis=0))
    if len(nowhere):
        listed = ", ".join(str(i + 1) for i in nowhere)
        raise LabelError(f"landmark {listed} is missing in every training specimen", fix="label it, or leave it out")


def _whole_box(box: np.ndarray) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(v) for v in np.floor(box + 0.5))
    return left, top, right, bottom


def _without_doubles(found: list[Found]) -> list[Found]:
    """Two boxes may slide onto one specimen when they are fitted again: the better one stays."""
    if len(found) < 2:
        return found
    boxes, scores = np.array([f.box for f in found]), np.array([f.score for f in found])
    return [found[i] for i in distinct(boxes, scores)]


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


class _bar:
    """A progress bar on standard error while trees are fitted, where somebody may be looking."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown

    def __enter__(self) -> Callable[[float], None] | None:
        if not self.shown:
            return None
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("fitting trees"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        )
        task = self.bar.add_task("", total=1.0)
        self.bar.start()
        return lambda share: self.bar.update(task, completed=share)

    def __exit__(self, *error: object) -> None:
        if self.shown:
            self.bar.stop()
