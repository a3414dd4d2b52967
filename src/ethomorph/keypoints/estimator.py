"""`LandmarkRegressor`: landmarks learned from labelled pictures and predicted in new ones, whatever the method.

The face is scikit-learn's: settings to the constructor, `fit` returns itself, what was learned ends in an underscore.
How the methods work is not known here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from ethomorph.core.errors import ImageError, InputError, LabelError, StudyError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.core.model_files import damage_named, read_arrays, read_facts, write_arrays, write_facts
from ethomorph.keypoints.data import Found, by_picture
from ethomorph.keypoints.enhance import Enhancement

if TYPE_CHECKING:
    from ethomorph.keypoints.ert import ErtModel
    from ethomorph.keypoints.ert_settings import ErtSettings
    from ethomorph.keypoints.heatmap import HeatmapModel
    from ethomorph.keypoints.heatmap_settings import HeatmapSettings
    from ethomorph.keypoints.prior import ShapePrior

Method = Literal["heatmap", "ert"]
METHODS = ("heatmap", "ert")
CHUNK = 8
"""Pictures predicted together."""
AHEAD = 3
"""Chunks that are read before they are needed; bounds the memory of a long prediction."""
LEAST_CONFIDENCE = 0.05
"""Confidence below which a landmark counts as hidden, and is put where the shape prior expects it."""
LEAST_FOR_PRIOR = 5
"""Specimens from which a shape prior can be learned."""


@dataclass
class Task:
    """One picture to predict: where its pixels come from, and what is known about it."""

    name: str
    path: Path | None = None
    pixels: np.ndarray | None = None
    known: list[Specimen] | None = None


class LandmarkRegressor:
    """Finds specimens in pictures and their landmarks, without being given boxes.

    Parameters
    ----------
    method : ``heatmap`` (confidence maps; the more accurate) or ``ert`` (regression trees; the faster).
    settings : of the method: `HeatmapSettings`, `ErtSettings`, a table of their keys, or None for the defaults.
    enhancement : what is done to every picture before the method sees it: an `Enhancement`, its table or its name.
    shape_prior : learn what shapes there are, flag predictions that are not among them, and fill in hidden landmarks.
    not_anatomy : names of landmarks that move freely of the animal, such as a scale bar's ends; the prior ignores them.
    seed : of everything random.
    device : "auto", "cpu", "cuda", "mps"; regression trees always use the CPU.
    max_minutes : bound of the training; None for none.

    Attributes
    ----------
    model_ : the fitted method.
    names_ : the landmarks' names.
    prior_ : the shape prior, or None.
    training_ : the set that `fit` was given, for the mean-shape baseline; None in a loaded model.
    notes_ : what training had to decide, one sentence each.
    skipped_ : after `predict` with ``on_error="report"``: a line for each picture that could not be read.

    Examples
    --------
    >>> LandmarkRegressor(method="heatmap", settings={"steps": 40}).settings.steps
    40
    """

    def __init__(
        self, *, method: Method = "heatmap", settings: HeatmapSettings | ErtSettings | dict[str, Any] | None = None,
        enhancement: Enhancement | dict[str, Any] | str | None = None, shape_prior: bool = True,
        not_anatomy: Sequence[str] = (), seed: int = 0, device: str = "auto", max_minutes: float | None = None,
    ) -> None:  # fmt: skip
        self.method: Method = method
        self.settings = method_settings(method, settings)
        self.enhancement = Enhancement.of(enhancement)
        self.shape_prior, self.seed, self.device, self.max_minutes = shape_prior, seed, device, max_minutes
        self.not_anatomy = tuple(not_anatomy)
        self.skipped_: list[str] = []
        self.training_: LandmarkSet | None = None

    def resolved(self) -> dict[str, Any]:
        """Every setting as it will be used, as plain nested tables."""
        return {
            "method": self.method,
            "settings": self.settings.to_dict(),
            "enhancement": self.enhancement.to_dict(),
            "shape_prior": self.shape_prior,
            "not_anatomy": list(self.not_anatomy),
            "seed": self.seed,
            "device": self.device,
        }

    def fit(
        self, landmarks: LandmarkSet, *, validation: LandmarkSet | None = None, folder: str | Path | None = None,
        resume: bool = False, progress: bool = True,
    ) -> Self:  # fmt: skip
        """Learn from labelled pictures.

        Parameters
        ----------
        landmarks : in the frame "image", with their pictures found. Every specimen of a picture should be in it.
        validation : other specimens, which choose among the states of one training; never the ones to be scored.
        folder : run folder for history, health and checkpoints.
        resume : go on from the folder's last checkpoint, with the same result as an unbroken run.

        Raises
        ------
        LabelError : no landmarks, 3-D ones, or a picture that was not found.
        ImageError : a picture that cannot be read.
        """
        refuse_unsuitable(landmarks)
        if validation is not None:
            refuse_unsuitable(validation)
        pictures = by_picture(landmarks)
        held = by_picture(validation) if validation is not None and len(validation) else None
        self.names_, self.edges_, self.symmetry_ = landmarks.names, landmarks.edges, landmarks.symmetry
        self.training_ = landmarks
        self.prior_ = self._fit_prior(landmarks.array()[:, self._anatomy()])
        self.model_ = self._new_model()
        self.model_.fit(
            pictures, held, landmarks.names, folder=Path(folder) if folder else None, seed=self.seed,
            max_minutes=self.max_minutes, resume=resume, progress=progress,
        )  # fmt: skip
        self.notes_ = list(self.model_.notes_)
        return self

    def predict(
        self, inputs: LandmarkSet | str | Path | np.ndarray | Iterable[str | Path | np.ndarray], *,
        progress: bool = True, on_error: Literal["raise", "report"] = "raise",
    ) -> LandmarkSet:  # fmt: skip
        """Landmarks of every specimen found.

        Parameters
        ----------
        inputs : a landmark set, whose pictures are predicted (its coordinates are not looked at); files, folders and
            patterns; or pictures as arrays, (y, x) or (y, x, 3).
        progress : show progress on standard error.
        on_error : raise on the first picture that cannot be read, or leave it out and list it in `skipped_` and in the
            result's notes.

        Returns
        -------
        A specimen for each found one. A picture without any gives one specimen of missing points whose attribute
        ``status`` is ``not found``.

        Raises
        ------
        ImageError : a picture that cannot be read, named; or no picture at all.
        """
        if on_error not in ("raise", "report"):
            raise InputError(f"on_error is {on_error!r}", fix="use 'raise' or 'report'")
        refuse_unfitted(self)
        tasks = list_tasks(inputs)
        self.skipped_ = []
        specimens: list[Specimen] = []
        with progress_bar(len(tasks), progress) as advance:
            for some, pictures in self._read_ahead(tasks, on_error):
                for task, pixels, found in zip(some, pictures, self.model_.predict_images(pictures), strict=True):
                    specimens += self._as_specimens(task, pixels, found)
                advance(len(some))
        notes = [f"left out: {line}" for line in self.skipped_]
        return LandmarkSet(
            specimens, list(self.names_), edges=list(self.edges_), symmetry=list(self.symmetry_), source="prediction",
            notes=notes,
        )  # fmt: skip

    def predict_in_boxes(self, landmarks: LandmarkSet) -> LandmarkSet | None:
        """Predictions inside boxes taken from the labels, as ml-morph scores its models; None without boxes.

        It shows how much of an error is the detector's; it is not an error that new pictures would have.
        """
        refuse_unfitted(self)
        if self.method != "ert":
            return None
        specimens = []
        for picture in by_picture(landmarks):
            pixels = self._load(picture.path)
            shown = [s for s in picture.specimens if s.visible.sum() >= 2]
            boxes = np.array([[*np.nanmin(s.points, axis=0), *np.nanmax(s.points, axis=0)] for s in shown])
            if len(boxes):
                found = self.model_.fit_boxes([pixels], [boxes])[0]  # type: ignore[union-attr]
                specimens += [replace(s, points=f.points, curves=[]) for s, f in zip(shown, found, strict=True)]
        return replace(landmarks, specimens=specimens, notes=[])

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder of readable settings and safetensors; returns the folder."""
        refuse_unfitted(self)
        folder = Path(folder)
        self.model_.save(folder)
        if self.prior_ is not None:
            write_arrays(folder / "prior.safetensors", self.prior_.to_arrays())
        facts = self.resolved() | {
            "names": list(self.names_),
            "edges": [list(edge) for edge in self.edges_],
            "symmetry": [list(pair) for pair in self.symmetry_],
        }
        write_facts(folder / "estimator.toml", without_none(facts))
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto") -> Self:
        """The inverse of `save`; raises FormatError for a folder that is none, or damaged."""
        folder = Path(folder)
        facts = read_facts(folder / "estimator.toml")
        with damage_named(folder / "estimator.toml"):
            estimator = cls(
                method=facts["method"], settings=facts["settings"], enhancement=facts["enhancement"],
                shape_prior=facts["shape_prior"], not_anatomy=facts["not_anatomy"], seed=facts["seed"], device=device,
            )  # fmt: skip
            estimator.names_ = [str(name) for name in facts["names"]]
            estimator.edges_ = [(int(a), int(b)) for a, b in facts["edges"]]
            estimator.symmetry_ = [(int(a), int(b)) for a, b in facts["symmetry"]]
        if estimator.method == "heatmap":
            from ethomorph.keypoints.heatmap import HeatmapModel

            estimator.model_ = HeatmapModel.load(folder, device=device)
        else:
            from ethomorph.keypoints.ert import ErtModel

            estimator.model_ = ErtModel.load(folder)
        estimator.prior_ = load_prior(folder / "prior.safetensors")
        estimator.notes_ = list(estimator.model_.notes_)
        return estimator

    @classmethod
    def from_dat(cls, path: str | Path, *, names: Sequence[str] | None = None, text_order: bool = True) -> Self:
        """A regressor around a dlib ``.dat`` such as ml-morph's and LizardMorph's; no detector comes with it.

        Parameters
        ----------
        names : of the landmarks in numeric order; the numbers 0, 1, 2 ... by default.
        text_order : see `ErtModel.from_dat`.

        Raises
        ------
        FormatError : not a whole shape predictor, or another number of landmarks.
        """
        from ethomorph.keypoints.ert import ErtModel

        estimator = cls(method="ert", shape_prior=False)
        estimator.model_ = ErtModel.from_dat(path, landmarks=names, text_order=text_order)
        estimator.names_, estimator.edges_, estimator.symmetry_ = estimator.model_.names_, [], []
        estimator.prior_ = None
        estimator.notes_ = [
            *estimator.model_.notes_,
            "no detector comes with it: each picture is taken as one specimen that fills it",
        ]
        return estimator

    def _new_model(self) -> HeatmapModel | ErtModel:
        if self.method == "heatmap":
            from ethomorph.keypoints.heatmap import HeatmapModel

            return HeatmapModel(settings=self.settings, load=self._load, device=self.device)  # type: ignore[arg-type]
        from ethomorph.keypoints.ert import ErtModel

        return ErtModel(settings=self.settings, load=self._load)  # type: ignore[arg-type]

    def _fit_prior(self, points: np.ndarray) -> ShapePrior | None:
        usable = points[np.isfinite(points).all(-1).sum(-1) >= min(3, points.shape[1])]
        if not self.shape_prior or len(usable) < LEAST_FOR_PRIOR or points.shape[1] < 4:
            return None
        from ethomorph.keypoints.prior import ShapePrior

        return ShapePrior.fit(usable)

    def _load(self, path: Path) -> np.ndarray:
        """A picture file as the method sees it: enhanced, float32 (y, x) in 0..1."""
        from ethomorph.formats.images import read_image

        return self.enhancement.apply(read_image(path).grey())

    def _pixels(self, task: Task) -> np.ndarray:
        if task.path is not None:
            return self._load(task.path)
        from ethomorph.formats.images import grey

        return self.enhancement.apply(grey(np.asarray(task.pixels)))

    def _read_ahead(self, tasks: Sequence[Task], on_error: str) -> Iterator[tuple[list[Task], list[np.ndarray]]]:
        """Chunks of tasks with their pictures, read by threads, a bounded number of chunks ahead."""
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="read") as pool:
            waiting: deque[list[tuple[Task, Future[np.ndarray]]]] = deque()
            starts = iter(range(0, len(tasks), CHUNK))

            def submit() -> None:
                start = next(starts, None)
                if start is not None:
                    waiting.append([(task, pool.submit(self._pixels, task)) for task in tasks[start : start + CHUNK]])

            for _ in range(AHEAD):
                submit()
            while waiting:
                some, pictures = [], []
                for task, future in waiting.popleft():
                    try:
                        pictures.append(future.result())
                        some.append(task)
                    except ImageError as error:
                        if on_error == "raise":
                            pool.shutdown(wait=False, cancel_futures=True)
                            raise
                        self.skipped_.append(str(error))
                submit()
                if some:
                    yield some, pictures

    def _as_specimens(self, task: Task, pixels: np.ndarray, found: list[Found]) -> list[Specimen]:
        known = task.known[0] if task.known else Specimen(np.zeros((0, 2)))
        base = Specimen(
            np.full((len(self.names_), 2), np.nan), image=task.name, image_path=task.path, image_size=pixels.shape[:2],
            id=known.id if task.known and len(task.known) == 1 else Path(task.name).stem, scale=known.scale,
            unit=known.unit,
        )  # fmt: skip
        if not found:
            return [replace(base, attributes={"status": "not found"})]
        return [self._as_specimen(base, one) for one in found]

    def _anatomy(self) -> np.ndarray:
        """Indices of the landmarks that are the animal."""
        unknown = [name for name in self.not_anatomy if name not in self.names_]
        if unknown:
            raise LabelError(f"no landmark {unknown[0]!r}", fix=f"the landmarks are {', '.join(self.names_)}")
        return np.array([i for i, name in enumerate(self.names_) if name not in self.not_anatomy])

    def _as_specimen(self, base: Specimen, found: Found) -> Specimen:
        flags, points = list(found.flags), found.points.copy()
        attributes = {"status": "found", "score": f"{found.score:.3f}"}
        if self.prior_ is not None:
            animal = self._anatomy()
            names = [self.names_[i] for i in animal]
            hidden = found.confidence[animal] < LEAST_CONFIDENCE
            if self.method == "heatmap" and hidden.any() and not hidden.all():
                points[animal] = self.prior_.fill(points[animal], trust=~hidden)
                attributes["filled"] = ", ".join(np.array(names)[hidden])
            place = {int(old): new for new, old in enumerate(animal)}
            pairs = [(place[a], place[b]) for a, b in self.symmetry_ if a in place and b in place]
            flags += self.prior_.check(points[animal], names=names, pairs=pairs or None)[0]
        if flags:
            attributes["flags"] = "; ".join(flags)
        return replace(
            base, points=points, confidence=found.confidence, spread=found.spread, box=found.box, attributes=attributes
        )


def method_settings(method: str, given: Any) -> Any:
    """The settings object of a method; raises StudyError for an unknown method or settings of another one."""
    if method not in METHODS:
        raise StudyError(f"there is no method {method!r}", fix=f"use one of {', '.join(METHODS)}")
    if method == "heatmap":
        from ethomorph.keypoints.heatmap_settings import HeatmapSettings as Settings
    else:
        from ethomorph.keypoints.ert_settings import ErtSettings as Settings  # type: ignore[assignment]
    if given is None or isinstance(given, dict):
        return Settings.from_dict(dict(given or {}))
    if not isinstance(given, Settings):
        raise StudyError(f"{type(given).__name__} is not for {method}", fix=f"give {Settings.__name__} or a table")
    return given


def refuse_unsuitable(landmarks: LandmarkSet) -> None:
    """Refuse sets without specimens, in 3-D or in another frame than the picture's."""
    if not len(landmarks):
        raise LabelError("there is no specimen", place=landmarks.source, fix="give labelled pictures")
    if landmarks.dim != 2 or landmarks.frame != "image":
        raise LabelError(
            f"landmarks are {landmarks.dim}-D in frame {landmarks.frame!r}", place=landmarks.source,
            fix="give the folder of the images, so that points are known in their pixels",
        )  # fmt: skip


def refuse_unfitted(estimator: LandmarkRegressor) -> None:
    """Refuse to predict or save before anything was learned."""
    if not hasattr(estimator, "model_"):
        raise InputError("the model has not been trained", fix="call fit, or load a saved model")


def list_tasks(inputs: Any) -> list[Task]:
    """One task a picture, from a landmark set, files, folders and patterns, or arrays."""
    if isinstance(inputs, LandmarkSet):
        return [Task(p.specimens[0].image or p.path.name, p.path, known=p.specimens) for p in by_picture(inputs)]
    if isinstance(inputs, np.ndarray):
        inputs = [inputs] if inputs.ndim == 2 or (inputs.shape[-1] in (3, 4) and inputs.ndim == 3) else list(inputs)
    if isinstance(inputs, (str, Path)):
        inputs = [inputs]
    tasks: list[Task] = []
    for index, one in enumerate(inputs):
        if isinstance(one, np.ndarray):
            tasks.append(Task(f"picture {index + 1}", pixels=one))
        else:
            from ethomorph.formats.images import find_images

            tasks += [Task(path.name, path) for path in find_images([one])]
    if not tasks:
        raise ImageError("there is no picture to predict", fix="give files, a folder or a pattern")
    return tasks


def load_prior(path: Path) -> ShapePrior | None:
    """The shape prior saved beside a model, or None where there is none."""
    if not path.exists():
        return None
    from ethomorph.keypoints.prior import ShapePrior

    with damage_named(path):
        return ShapePrior.from_arrays(read_arrays(path))


def without_none(value: Any) -> Any:
    """Nested tables without the keys whose value is None, which TOML cannot say."""
    if isinstance(value, dict):
        return {key: without_none(v) for key, v in value.items() if v is not None}
    return [without_none(v) for v in value] if isinstance(value, (list, tuple)) else value


class progress_bar:
    """A bar on standard error for `count` pictures; gives a function to call with how many more are done."""

    def __init__(self, count: int, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        hidden = not shown or count < 2 or not console.is_terminal
        self.bar = Progress(*columns, console=console, disable=hidden, transient=True)
        self.task = self.bar.add_task("predicting", total=count)

    def __enter__(self) -> Callable[[int], None]:
        self.bar.start()
        return lambda more: self.bar.advance(self.task, more)

    def __exit__(self, *error: object) -> None:
        self.bar.stop()
