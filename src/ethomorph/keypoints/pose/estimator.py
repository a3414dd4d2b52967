"""`PoseEstimator`: poses learned from labelled frames and found in video, whatever the pipeline.

The face is scikit-learn's: settings to the constructor, `fit` returns itself, what was learned ends in an underscore.
How a pipeline works is not known here.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from ethomorph.core.errors import InputError, LabelError
from ethomorph.core.files import sha256
from ethomorph.core.memory import give_back_memory
from ethomorph.core.model_files import damage_named, read_arrays, read_facts, write_arrays, write_facts
from ethomorph.formats.video import Film
from ethomorph.keypoints.pose.augment import sided
from ethomorph.keypoints.pose.data import (
    FrameStore,
    LabelledFrame,
    Scheme,
    crop_side,
    labelled_frames,
    refuse_beyond_film,
    resized,
    scheme_of,
    unscaled,
)
from ethomorph.keypoints.pose.groups import Groups, describe
from ethomorph.keypoints.pose.partners import mean_shape
from ethomorph.keypoints.pose.pipelines import pipeline_class
from ethomorph.keypoints.pose.pipelines.base import Facts, Pipeline, most_animals
from ethomorph.keypoints.pose.settings import PoseSettings
from ethomorph.keypoints.pose.table import PoseTable, labels_of

if TYPE_CHECKING:
    import sleap_io
    import torch

    from ethomorph.keypoints.pose.decode import FoundPose
    from ethomorph.keypoints.pose.runtimes import Runner, RuntimeName, Trial
    from ethomorph.training.fit import FitResult

Method = Literal["single_instance", "top_down", "bottom_up"]
TRIAL_STEPS = 3
TOGETHER = 4
"""Labelled frames that are found together."""


class PoseEstimator:
    """Finds animals and their nodes in video frames.

    Parameters
    ----------
    method : ``single_instance`` (one animal), ``top_down`` (animals first, then nodes in a crop of each) or
        ``bottom_up`` (all nodes first, then which belong together).
    settings : a `PoseSettings`, a nested table of its keys, or None for the defaults.
    seed : of everything random.
    device : "auto", "cpu", "cuda", "mps".
    runtime : "auto" (the fastest that agrees with torch on this machine), "torch", "onnxruntime", "openvino".
    max_minutes : bound of the training; None for none.

    Attributes
    ----------
    scheme_ : the skeleton.
    pipeline_ : the fitted pipeline.
    result_ : the fit's `ethomorph.training.fit.FitResult`; None for a loaded model.
    trials_ : what the runtimes showed, a list by network, after the first prediction.
    notes_ : what training had to decide, one sentence each.

    Examples
    --------
    >>> PoseEstimator(method="top_down", settings={"heads": {"sigma_px": 4}}).settings.heads.sigma_px
    4.0
    """

    def __init__(
        self, *, method: Method = "single_instance", settings: PoseSettings | dict[str, Any] | None = None,
        seed: int = 0, device: str = "auto", runtime: RuntimeName = "auto", max_minutes: float | None = None,
    ) -> None:  # fmt: skip
        self.kind = pipeline_class(method)
        self.method: Method = method
        self.settings = settings if isinstance(settings, PoseSettings) else PoseSettings.from_dict(settings or {})
        self.seed, self.device, self.max_minutes = seed, device, max_minutes
        self.runtime: RuntimeName = runtime
        self.notes_: list[str] = []
        self._folder: Path | None = None
        self._runners: dict[str, Runner] = {}

    def resolved(self) -> dict[str, Any]:
        """Every setting as it will be used, as plain nested tables."""
        return {"method": self.method, "seed": self.seed, "settings": self.settings.to_dict()}

    def fit(
        self, labels: sleap_io.Labels | str | Path, *, validation: sleap_io.Labels | str | Path | None = None,
        media: str | Path | None = None, folder: str | Path | None = None, resume: bool = False, progress: bool = True,
    ) -> Self:  # fmt: skip
        """Learn from labels and the videos they name.

        Parameters
        ----------
        labels, validation : labels or label files; the validation part chooses among the states of one training.
        media : folder of the videos or pictures, or the one video, where they are not where the labels say.
        folder : run folder for history, health and checkpoints.
        resume : go on from the folder's last checkpoint, with the same result as an unbroken run.

        Raises
        ------
        LabelError, ImageError : labels without an animal, videos that are not there or too short.
        """
        scheme, frames, films, notes = opened(labels, media)
        held: list[LabelledFrame] = []
        if validation is not None:
            other, held, more, said = opened(validation, media)
            if other.names != scheme.names:
                raise LabelError("the validation part has another skeleton", fix="bring both to the same nodes")
            held = [LabelledFrame(f.video + len(films), f.frame, f.points, f.tracks) for f in held]
            films, notes = [*films, *more], [*notes, *said]
        fitted = self.fit_frames(
            frames, held, films, scheme, folder=Path(folder) if folder else None, resume=resume, progress=progress
        )
        fitted.notes_ = [*notes, *fitted.notes_]
        return fitted

    def prepared(
        self, frames: Sequence[LabelledFrame], films: Sequence[Film], scheme: Scheme
    ) -> tuple[Pipeline, FrameStore]:
        """The pipeline that the data and settings lead to, before any training, and the frames' store."""
        settings = self.settings
        grey = settings.data.channels == "grey"
        store = FrameStore(films, scale=settings.data.input_scale, grey=grey, memory_mb=settings.data.memory_mb)
        return self.kind(scheme, settings, self._facts(frames, store, scheme)), store

    def fit_frames(
        self, frames: Sequence[LabelledFrame], validation: Sequence[LabelledFrame], films: Sequence[Film],
        scheme: Scheme, *, folder: Path | None = None, resume: bool = False, progress: bool = True,
    ) -> Self:  # fmt: skip
        """As `fit`, from frames; their `video` counts in `films`."""
        from ethomorph.keypoints.pose.train import PoseModule, Views, loader, step_seconds
        from ethomorph.training.fit import FitSettings, fit
        from ethomorph.training.planned import planned_steps
        from ethomorph.training.randomness import seed_all

        started = time.monotonic()
        refuse_untrainable(frames, self.method)
        scheme, self.notes_ = sided(scheme, self.settings.augmentation.flip)
        self.scheme_ = scheme
        self.pipeline_, store = self.prepared(frames, films, scheme)
        settings = self.settings.optimization
        validation = spread(validation, settings.judged)
        store.warm([*frames, *validation])
        train = Views(frames, store, self.pipeline_, count=settings.batch * settings.steps_an_epoch, seed=self.seed)
        check = (
            Views(validation, store, self.pipeline_, count=len(validation), seed=self.seed, calm=True)
            if validation else None
        )  # fmt: skip
        seed_all(self.seed)
        module = PoseModule(self.pipeline_)
        module.know(train, check or train)
        steps = settings.epochs * settings.steps_an_epoch
        if self.max_minutes is not None:
            left = self.max_minutes * 60 - (time.monotonic() - started)
            batches = loader(train, 0)(settings.batch)
            steps, note = planned_steps(
                steps, left, lambda: step_seconds(module, batches, TRIAL_STEPS), folder=folder, resume=resume
            )
            self.notes_ += [note] if note else []
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
        self.result_: FitResult | None = fit(
            module, loader(train, settings.workers), loader(check, 0) if check else None,
            settings=FitSettings(
                max_epochs=-(-steps // settings.steps_an_epoch), max_steps=steps, max_minutes=self.max_minutes,
                learning_rate=settings.learning_rate, batch_size=settings.batch, patience=settings.patience,
                min_delta=settings.min_delta, warm_up=settings.warm_up, schedule=settings.schedule,  # type: ignore[arg-type]
                plateau_patience=settings.plateau_patience, plateau_factor=settings.plateau_factor,
                rate_warm_up=min(20, steps // 4 + 1), gradient_clip=5.0, seed=self.seed, workers=settings.workers,
                device=self.device, checkpoint_seconds=60.0 if folder else None,
            ),
            folder=folder, resume=resume, progress=progress, label=self.method.replace("_", " "),
        )  # fmt: skip
        self.notes_ += self.result_.notes
        self._take(module.average)
        return self

    def groups(self, frames: dict[str, int] | None = None) -> Groups:
        """The model in SLEAP's five groups; see `ethomorph.keypoints.pose.groups`."""
        refuse_unfitted(self)
        return describe(self.pipeline_, method=self.method, frames=frames, seed=self.seed)

    def predict(
        self, source: str | Path | Film, *, start: int = 0, stop: int | None = None, progress: bool = True
    ) -> sleap_io.Labels:
        """Poses in a video or a folder of pictures, a frame a frame, also where no animal is seen.

        For videos of many thousand frames use `tables`, or the command line, which write as they go.
        """
        from ethomorph.formats.poses import video_named
        from ethomorph.formats.video import PictureFilm, open_film
        from ethomorph.keypoints.pose.stream import frame_progress

        film = open_film(source) if isinstance(source, (str, Path)) else source
        count = (len(film) if stop is None else min(stop, len(film))) - start
        with frame_progress(film.name, count, progress) as advance:
            tables = list(self.tables(film, start=start, stop=stop, advance=advance))
        from ethomorph.keypoints.pose.table import concatenate

        name: Any = (
            [str(p) for p in film.paths] if isinstance(film, PictureFilm) else str(getattr(film, "path", film.name))
        )
        return labels_of([concatenate(tables)], [video_named(name)], self.scheme_)

    def tables(
        self, film: Film, *, start: int = 0, stop: int | None = None, advance: Callable[[int], None] | None = None,
        shard: int = 1000,
    ) -> Iterator[PoseTable]:  # fmt: skip
        """Poses of a film in tables of `shard` frames, as they are found."""
        from ethomorph.keypoints.pose.stream import predict_film

        refuse_unfitted(self)
        data = self.settings.data
        yield from predict_film(
            film, self.find, nodes=len(self.scheme_), grey=data.channels == "grey", scale=data.input_scale, start=start,
            stop=stop, advance=advance, shard=shard,
        )  # fmt: skip

    def predict_labelled(self, frames: Sequence[LabelledFrame], films: Sequence[Film]) -> list[list[FoundPose]]:
        """The animals found in each of some frames, in order; frames that cannot be decoded have none."""
        refuse_unfitted(self)
        data = self.settings.data
        found: dict[tuple[int, int], list[FoundPose]] = {}
        order = sorted({(f.video, f.frame) for f in frames})
        for begin in range(0, len(order), TOGETHER):
            some = order[begin : begin + TOGETHER]
            raw = [films[v].frame(i, grey=data.channels == "grey") for v, i in some]
            sizes = {None if one is None else one.shape for one in raw}
            groups = [range(len(some))] if len(sizes) == 1 and None not in sizes else [[i] for i in range(len(some))]
            for places in groups:
                if raw[places[0]] is None:
                    found[some[places[0]]] = []
                    continue
                pictures = [resized(raw[i], data.input_scale) for i in places]  # type: ignore[arg-type]
                for place, animals in zip(places, self.find(pictures), strict=True):
                    found[some[place]] = animals
        return [found[f.video, f.frame] for f in frames]

    def find(self, pictures: list[np.ndarray]) -> list[list[FoundPose]]:
        """The animals in pictures of one size that are already resized; points are in px of the frames as they were."""
        found = self.pipeline_.find(self._run, pictures)
        scale = self.settings.data.input_scale
        for animals in found:
            for animal in animals:
                animal.points = unscaled(animal.points.astype(float), scale)
        return found

    def save(self, folder: str | Path, *, export: bool = True) -> Path:
        """Write readable settings, safetensors and, where onnx is installed, exported networks; returns the folder."""
        refuse_unfitted(self)
        folder = Path(folder)
        weights = {
            f"{name}.{key}": value.numpy(force=True)
            for name, network in self._networks.items()
            for key, value in network.state_dict().items()
        }
        write_arrays(folder / "model.safetensors", weights)
        facts = self.resolved() | {
            "scheme": self.scheme_.to_dict(),
            "facts": asdict(self.pipeline_.facts),
            "notes": self.notes_,
        }
        facts["facts"]["canvas"] = list(self.pipeline_.facts.canvas)
        facts["facts"]["shape"] = [list(place) for place in self.pipeline_.facts.shape]
        write_facts(folder / "model.toml", facts)
        if export:
            self._export(folder)
        self._folder, self._runners = folder, {}
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto", runtime: RuntimeName = "auto") -> Self:
        """The inverse of `save`; raises FormatError for a folder that is none, or damaged."""
        import torch

        folder = Path(folder)
        facts, arrays = read_facts(folder / "model.toml"), read_arrays(folder / "model.safetensors")
        with damage_named(folder / "model.toml"):
            estimator = cls(
                method=facts["method"], settings=facts["settings"], seed=facts["seed"], device=device, runtime=runtime
            )
            estimator.scheme_ = Scheme.from_dict(facts["scheme"])
            known = facts["facts"] | {"canvas": tuple(int(v) for v in facts["facts"]["canvas"])}
            known["shape"] = tuple((float(x), float(y)) for x, y in facts["facts"].get("shape", []))
            estimator.pipeline_ = estimator.kind(estimator.scheme_, estimator.settings, Facts(**known))
            estimator.notes_ = [str(note) for note in facts["notes"]]
            networks = torch.nn.ModuleDict(estimator.pipeline_.networks(pretrained=False))
        with damage_named(folder / "model.safetensors"):
            networks.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        estimator._take(networks)
        estimator._folder, estimator.result_ = folder, None
        return estimator

    def identity(self) -> str:
        """What stands for the trained weights: the hash of their file; empty where they were not saved."""
        path = self._folder / "model.safetensors" if self._folder else None
        return sha256(path) if path is not None and path.is_file() else ""

    def _take(self, networks: Any) -> None:
        self._networks: dict[str, Any] = {name: network.cpu().eval() for name, network in networks.items()}
        self._runners = {}
        self._folder = None
        self.trials_: dict[str, list[Trial]] = {}

    def _export(self, folder: Path) -> None:
        from ethomorph.core.errors import MissingPart
        from ethomorph.keypoints.pose.runtimes import export

        try:
            for name, size in self.pipeline_.input_sizes().items():
                export(self._networks[name], folder / f"{name}.onnx", size, self.pipeline_.facts.channels)
        except MissingPart as error:
            self.notes_.append(f"not exported: {error}")

    def _run(self, name: str, batch: np.ndarray) -> list[torch.Tensor]:
        """Run a network, the first time after taking the fastest runtime for it, compared on these pictures."""
        if name not in self._runners:
            self._runners[name] = self._chosen(name, batch)
        return self._runners[name](batch)

    def _chosen(self, name: str, batch: np.ndarray) -> Runner:
        from ethomorph.keypoints.pose.runtimes import Pieces, choose, piece_of
        from ethomorph.training.devices import choose_device

        give_back_memory()  # what training has freed: the runtimes come on top of what is held
        device = str(choose_device(self.device))
        piece = piece_of(batch.shape, device)
        choice = choose(
            self._networks[name], self._folder / f"{name}.onnx" if self._folder else None,
            batch[np.arange(piece) % len(batch)], lambda maps: self._checked(name, maps), wanted=self.runtime,
            device=device,
        )  # fmt: skip
        self.trials_[name] = choice.trials
        return choice.runner if device != "cpu" else Pieces(choice.runner, piece)

    def _checked(self, name: str, maps: list[Any]) -> np.ndarray:
        """Points by which runtimes are compared: the highest place of each map."""
        from ethomorph.keypoints.pose.decode import single_peaks

        head = next(iter(self.pipeline_.heads[name].values()))
        return single_peaks(head, maps[0])[0].numpy(force=True).reshape(-1, 2)  # type: ignore[arg-type]

    def _facts(self, frames: Sequence[LabelledFrame], store: FrameStore, scheme: Scheme) -> Facts:
        from ethomorph.keypoints.pose.train import pixel_statistics

        settings = self.settings
        refuse_unknown_anchor(settings.heads.anchor, scheme)
        anchor = scheme.names.index(settings.heads.anchor) if settings.heads.anchor else None
        sizes = [store.films[video].size for video in sorted({frame.video for frame in frames})]
        scale = settings.data.input_scale
        canvas = tuple(max(1, round(scale * max(side))) for side in zip(*sizes, strict=True))
        crop = settings.data.crop_px or crop_side(
            frames, scale=scale, padding=settings.data.crop_padding, multiple=settings.model.max_stride, anchor=anchor
        )
        mean, std = pixel_statistics(frames, store)
        instances = 1 if self.method == "single_instance" else settings.heads.instances or most_animals(frames)
        shape = mean_shape(np.concatenate([frame.points for frame in frames if len(frame.points)]))
        told = tuple((float(x), float(y)) for x, y in shape.round(6))
        return Facts(1 if store.grey else 3, (canvas[0], canvas[1]), crop, instances, mean, std, told)


def spread(frames: Sequence[LabelledFrame], most: int) -> Sequence[LabelledFrame]:
    """At most so many frames, spread evenly; 0 for all."""
    if not most or len(frames) <= most:
        return frames
    return [frames[int(i)] for i in np.linspace(0, len(frames) - 1, most).round()]


def opened(
    labels: sleap_io.Labels | str | Path, media: str | Path | None
) -> tuple[Scheme, list[LabelledFrame], list[Film], list[str]]:
    """Skeleton, frames and films of labels or a label file, and what had to be decided."""
    from ethomorph.formats.poses import find_films, read_poses

    notes: list[str] = []
    place = "labels"
    if isinstance(labels, (str, Path)):
        place = str(labels)
        labels, notes = read_poses(place)
    frames, said = labelled_frames(labels)
    if not frames:
        raise LabelError("there is no labelled animal", place=place, fix="label some frames first")
    films = find_films(labels, place, media)
    refuse_beyond_film(frames, films, place)
    return scheme_of(labels), frames, films, [*notes, *said]


def refuse_untrainable(frames: Sequence[LabelledFrame], method: str) -> None:
    """Raise LabelError without any animal, with a node that is never seen, or with several animals for one."""
    animals = [points for frame in frames for points in frame.points]
    if not animals:
        raise LabelError("there is no labelled animal to train on", fix="label some frames first")
    unseen = np.flatnonzero(~np.isfinite(np.array(animals)).all(-1).any(0))
    if len(unseen):
        listed = ", ".join(str(i + 1) for i in unseen)
        raise LabelError(f"node {listed} is hidden in every training frame", fix="label it, or delete it")
    most = most_animals(frames)
    if method == "single_instance" and most > 1:
        many = sum(len(frame.points) > 1 for frame in frames)
        raise LabelError(
            f"{many} frames hold more than one animal, up to {most}", fix="use method top_down or bottom_up"
        )


def refuse_unknown_anchor(anchor: str, scheme: Scheme) -> None:
    """Raise InputError for an anchor that the skeleton does not have."""
    if anchor and anchor not in scheme.names:
        raise InputError(
            f"no node {anchor!r}", place="settings.heads.anchor", fix=f"the nodes are {', '.join(scheme.names)}"
        )


def refuse_unfitted(estimator: PoseEstimator) -> None:
    """Refuse to predict or save before anything was learned."""
    if not hasattr(estimator, "pipeline_"):
        raise InputError("the model has not been trained", fix="call fit, or load a saved model")
