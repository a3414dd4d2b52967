"""`BehaviorClassifier`: fit, predict, save and load, for clips and for recordings, by any of the methods."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from ethomorph.behavior import cache as clip_cache
from ethomorph.behavior.feature_cache import cached_features
from ethomorph.behavior.feature_model import FeatureModel, Rows, fit_features
from ethomorph.behavior.imbalance import natural_prior
from ethomorph.behavior.kinematics import frame_features, pose_signals
from ethomorph.behavior.motion import clip_signals
from ethomorph.behavior.prediction import Prediction, decided, frame_codes, smoothed
from ethomorph.behavior.settings import METHODS, PIXELS, BehaviorSettings, Method
from ethomorph.behavior.signals import Signals, clip_feature_names, clip_features, measured_signals
from ethomorph.behavior.video import Canvas, canvas_for
from ethomorph.core.clips import ClipSet, codes_of
from ethomorph.core.errors import FormatError, ImageError, LabelError, StudyError
from ethomorph.core.files import atomic_path, write_text
from ethomorph.core.recordings import Recording
from ethomorph.statistics.calibration import correct_prior_shift

Data = ClipSet | Sequence[Recording]
FILE, WEIGHTS = "model.toml", "model.safetensors"
GUARD_S = 1.0  # frames so near to a held-out one do not teach while rounds and strengths are chosen


class BehaviorClassifier:
    """Tell behaviours apart in clips of video, in measured signals, or frame by frame in recordings of poses.

    Parameters
    ----------
    method : "features" (motion or pose features, boosted trees and a linear model; no GPU needed), "tcn" (a temporal
        network on the same signals), or on pixels "convlstm", "r3d" (3-D ResNet-18) and "x3d" (light).
    settings : a `BehaviorSettings`, or a table of those of its keys that differ.
    cache : folder for decoded clips; None decodes them anew each time.
    seed : draws what is drawn.
    max_minutes : bound of a network's training.

    Attributes
    ----------
    classes_ : codes in the order of the probabilities' columns.
    frames_ : whether it was fitted on recordings, and predicts frames.
    each_ : whether every animal of a recording was scored for itself, and not the first alone.
    prior_, taught_ : class mixture as it was found, and as it was taught.
    canvas_ : what clips are brought to; None without video.
    names_ : of the features or signals.
    history_ : a row an epoch or round.
    notes_ : what fitting decided, one sentence each.
    skipped_ : training clips that could not be read, with the reason.

    Examples
    --------
    >>> from ethomorph.core.clips import Clip
    >>> rng = np.random.default_rng(0)
    >>> def clip(i):
    ...     wave = np.sin(np.arange(24) * (0.3 + i % 2)) + rng.normal(0, 0.1, 24)
    ...     return Clip(f"c{i}", "slow fast".split()[i % 2], f"bird {i // 4}", signal=wave[:, None])
    >>> clips = ClipSet([clip(i) for i in range(40)], channels=["x"])
    >>> model = BehaviorClassifier(settings={"trees": {"rounds": 5}}).fit(clips)
    >>> model.predict(clips).labels[:2]
    ['slow', 'fast']
    """

    def __init__(
        self, *, method: Method = "features", settings: BehaviorSettings | dict[str, Any] | None = None,
        cache: str | Path | None = None, seed: int = 0, max_minutes: float | None = None,
    ) -> None:  # fmt: skip
        if method not in METHODS:
            raise StudyError(repr(method), place="method", fix=f"use one of {', '.join(METHODS)}")
        self.method, self.settings = method, BehaviorSettings.of(settings)
        self.cache, self.seed, self.max_minutes = cache, seed, max_minutes
        if self.settings.preset and method != "r3d":
            raise StudyError(
                f"preset {self.settings.preset!r} with method {method!r}", place="settings.preset", fix="use method r3d"
            )

    def fit(
        self, data: Data, validation: Data | None = None, *, classes: Sequence[str] | None = None,
        folder: str | Path | None = None, resume: bool = False, progress: bool = True,
    ) -> Self:  # fmt: skip
        """Learn from labelled clips, or from recordings with labels (frames without one are not taught).

        Parameters
        ----------
        validation : chooses rounds, strength, epochs; never mixed into training.
        classes : all codes there are; those that occur where left out.
        folder : for history, health and checkpoints of a network.
        resume : go on from the folder's last checkpoint.

        Raises
        ------
        LabelError : fewer than two classes, or labels that are not among `classes`.
        ImageError : clips that cannot be read, unless settings.unreadable is "leave_out".
        """
        refuse_unusable(data, self.method)
        self.frames_ = not isinstance(data, ClipSet)
        self.each_ = not isinstance(data, ClipSet) and any("focal" in one.attributes for one in data)
        self.classes_ = list(classes) if classes is not None else classes_in(data)
        self.notes_: list[str] = []
        self.skipped_: dict[str, str] = {}
        self.canvas_ = self._canvas(data)
        self.network_: Any = None
        self.features_: FeatureModel | None = None
        self.history_: list[dict[str, float]] = []
        self.scale_: Any = None
        if self.method == "features":
            self._fit_features(data, validation, progress)
        else:
            self._fit_network(data, validation, Path(folder) if folder else None, resume, progress)
        return self

    def predict(self, data: Data, *, progress: bool = True) -> Prediction:
        """Probabilities and decisions for every clip or frame; clips that cannot be read are listed or refused."""
        self._refuse_other_kind(data)
        if self.frames_:
            return self._predict_frames(list(data))  # type: ignore[arg-type]
        clips, decoded = self._decoded(data, progress)  # type: ignore[arg-type]
        if self.method == "features":
            taught = self.features_.probabilities(self._clip_rows(clips, decoded, progress))  # type: ignore[union-attr]
        else:
            taught = self._network_clips(clips, decoded, progress)
        true = self.natural(taught)
        codes = decided(true, self.prior_, self.settings.favour_rare)
        return Prediction([c.name for c in clips], self.classes_, true, codes, skipped=dict(self.skipped_))

    def natural(self, taught: np.ndarray) -> np.ndarray:
        """Probabilities (n, classes) with the mixture that was taught taken out, where the settings say so."""
        if not self.settings.imbalance.correct_prior or np.allclose(self.taught_, self.prior_):
            return taught
        there = self.prior_ > 0
        found = np.zeros_like(taught)
        shares = taught[:, there] / taught[:, there].sum(1, keepdims=True)
        found[:, there] = correct_prior_shift(shares, self.taught_[there], prior=self.prior_[there]).probabilities
        return found

    def rows(self, data: Data, *, progress: bool = True) -> tuple[Rows, list[str]]:
        """What ``features`` learns from, and the sample's name of each row.

        Frames without a label are left out, and of the others all but every `settings.stride`-th.
        """
        if isinstance(data, ClipSet):
            clips, decoded = self._decoded(data, progress)
            values = self._clip_rows(clips, decoded, progress)
            return Rows(values, clips.codes(self.classes_), np.array(clips.groups)), [c.name for c in clips]
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        begin = 0.0
        groups: list[str] = []
        names: list[str] = []
        for recording in data:
            features, self.names_ = frame_features(recording)
            known = codes_of(recording_labels(recording), self.classes_, recording.name)
            chosen = np.flatnonzero(known >= 0)[:: self.settings.stride]
            parts.append((features[chosen], known[chosen], begin + chosen / recording.fps))
            begin += recording.seconds + 2 * GUARD_S
            groups += units_of(recording)[chosen].tolist()
            names += [recording.name] * len(chosen)
        values, codes, times = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return Rows(values, codes, np.array(groups), times, GUARD_S), names

    def save(self, folder: str | Path) -> Path:
        """Write the model as numbers and a readable table; returns the folder."""
        import tomli_w

        from ethomorph.study.run import plain

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "method": self.method, "classes": self.classes_, "frames": self.frames_, "each": self.each_,
            "seed": self.seed, "prior": self.prior_.tolist(), "taught": self.taught_.tolist(), "names": self.names_,
            "notes": self.notes_, "settings": self.settings.to_dict(),
        }  # fmt: skip
        if self.canvas_ is not None:
            facts["canvas"] = vars(self.canvas_)
        if self.features_ is not None:
            self.features_.save(folder)
        else:
            from safetensors.torch import save_file

            with atomic_path(folder / WEIGHTS) as temporary:
                state = {k: v.contiguous() for k, v in self.network_.state_dict().items()}
                save_file(state | self._scale_tensors(), str(temporary))
        write_text(folder / FILE, tomli_w.dumps(plain(facts)))
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, cache: str | Path | None = None) -> Self:
        """The inverse of `save`; raises FormatError for a damaged folder."""
        folder = Path(folder)
        try:
            facts = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
            model = cls(method=facts["method"], settings=facts["settings"], cache=cache, seed=int(facts["seed"]))
            model.classes_, model.frames_ = [str(c) for c in facts["classes"]], bool(facts["frames"])
            model.each_ = bool(facts.get("each", False))
            model.prior_, model.taught_ = np.array(facts["prior"], float), np.array(facts["taught"], float)
            model.names_, model.notes_ = [str(n) for n in facts["names"]], [str(n) for n in facts["notes"]]
            model.canvas_ = Canvas(**facts["canvas"]) if "canvas" in facts else None
        except (OSError, KeyError, TypeError, ValueError) as error:
            said = " ".join(str(error).split())[:150]
            raise FormatError(f"not a whole behaviour model ({said})", place=folder, fix="train it again") from None
        model.skipped_, model.history_, model.features_, model.network_, model.scale_ = {}, [], None, None, None
        if model.method == "features":
            model.features_ = FeatureModel.load(folder)
        else:
            model._load_network(folder)
        return model

    def _fit_features(self, data: Data, validation: Data | None, progress: bool) -> None:
        taught, _ = self.rows(data, progress=progress)
        self._take_prior(taught.codes)
        held = None
        if validation is not None and len(validation):
            held, _ = self.rows(validation, progress=progress)
        chosen = self.settings
        self.features_, self.history_ = fit_features(
            taught, held, classes=len(self.classes_), settings=chosen.trees,
            imbalance=chosen.imbalance, linear_share=chosen.linear_share, seed=self.seed,
        )  # fmt: skip
        model = self.features_
        self.notes_.append(
            f"{len(model.trees.starts)} rounds of trees and a linear model of strength {model.linear.strength:g}, "
            f"which has a share of {model.share:.0%}"
        )

    def _fit_network(
        self, data: Data, validation: Data | None, folder: Path | None, resume: bool, progress: bool
    ) -> None:
        from ethomorph.behavior import network_data

        prepared = network_data.prepare(self, data, validation, progress=progress)
        self._take_prior(prepared.codes)
        self.network_, self.result_, notes = prepared.fit(self, folder=folder, resume=resume, progress=progress)
        self.notes_ += notes

    def _take_prior(self, codes: np.ndarray) -> None:
        count = len(self.classes_)
        there = np.bincount(codes, minlength=count)
        if (there > 0).sum() < 2:
            raise LabelError(
                f"{int((there > 0).sum())} class(es) to learn from", fix="give labelled samples of two classes at least"
            )
        self.prior_ = natural_prior(codes, count)
        self.taught_ = self.settings.imbalance.taught_prior(codes, count)

    def _canvas(self, data: Data) -> Canvas | None:
        if not isinstance(data, ClipSet) or data.has_signals:
            return None
        chosen = self.settings
        for clip in data:
            try:
                return canvas_for(clip, frames=chosen.frames, side=chosen.side_px, colour=chosen.colour)
            except ImageError:
                continue
        raise ImageError("no clip can be read", place=data.source, fix="look at the videos")

    def _decoded(self, data: ClipSet, progress: bool) -> tuple[ClipSet, Any]:
        """The clips that can be read, and their frames; None where clips are signals."""
        if self.canvas_ is None:
            return data, None
        decoded = clip_cache.decode(data, self.canvas_, self.cache, progress=progress)
        if decoded.bad and self.settings.unreadable == "refuse":
            clip_cache.refuse_bad(data, decoded)
        self.skipped_ |= {data[i].name: why for i, why in decoded.bad.items()}
        if not decoded.bad:
            return data, decoded.frames
        good = decoded.good
        return data.subset(good), clip_cache.Rows(decoded.frames, np.array(good))

    def _clip_rows(self, clips: ClipSet, frames: Any, progress: bool) -> np.ndarray:
        def compute(which: list[int]) -> tuple[np.ndarray, list[str]]:
            some = frames if frames is None else clip_cache.Rows(frames, np.array(which, int))
            signals = self._clip_signals(clips.subset(which), some, progress)
            if not signals:
                return np.zeros((0, 0), np.float32), []
            return np.stack([clip_features(one) for one in signals]), clip_feature_names(signals[0])

        if frames is None or self.canvas_ is None:
            values, self.names_ = compute(list(range(len(clips))))
        else:
            folder = Path(self.cache) if self.cache else None
            values, self.names_ = cached_features(clips, self.canvas_, folder, compute)
        return values

    def _clip_signals(self, clips: ClipSet, frames: Any, progress: bool) -> list[Signals]:
        from rich.console import Console
        from rich.progress import track

        quiet = not progress or len(clips) < 50
        console = Console(stderr=True)
        if frames is None:
            return [measured_signals(c.signal, clips.channels, c.rate_hz) for c in clips]  # type: ignore[arg-type]
        steps = track(range(len(clips)), "features of clips", console=console, transient=True, disable=quiet)
        return [clip_signals(np.asarray(frames[i])) for i in steps]

    def _predict_frames(self, recordings: list[Recording]) -> Prediction:
        chosen = self.settings
        probabilities, codes = [], []
        for recording in recordings:
            if self.method == "features":
                values, names = frame_features(recording)
                self._refuse_other_signals(names, recording)
                taught = self.features_.probabilities(values)  # type: ignore[union-attr]
            else:
                taught = self._network_frames(recording)
            true = smoothed(self.natural(taught), recording.fps, chosen.smooth_s)
            probabilities.append(true)
            codes.append(
                frame_codes(true, self.prior_, favour_rare=chosen.favour_rare, least_bout_s=chosen.least_bout_s,
                            fps=recording.fps)
            )  # fmt: skip
        names = [r.name for r in recordings]
        return Prediction(names, self.classes_, probabilities, codes, True, [r.fps for r in recordings])

    def _network_clips(self, clips: ClipSet, frames: Any, progress: bool) -> np.ndarray:
        from ethomorph.behavior import network_data

        return network_data.clip_probabilities(self, clips, frames, progress=progress)

    def _network_frames(self, recording: Recording) -> np.ndarray:
        import torch

        mean, spread = self.scale_
        signals = pose_signals(recording)
        self._refuse_other_signals(signals.names, recording)
        x = np.clip((signals.values - mean) / spread, -8, 8)
        with torch.inference_mode():
            logits = self.network_(torch.from_numpy(x.T[None].astype(np.float32)))
        return torch.softmax(logits, 1)[0].T.numpy().astype(float)

    def _scale_tensors(self) -> dict[str, Any]:
        import torch

        if self.scale_ is None:
            return {}
        return {"signals.mean": torch.from_numpy(self.scale_[0]), "signals.spread": torch.from_numpy(self.scale_[1])}

    def _load_network(self, folder: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from ethomorph.behavior.networks import make_network

        chosen = self.settings.network
        try:
            state = load_file(str(folder / WEIGHTS))
            channels = self.canvas_.channels if self.method in PIXELS and self.canvas_ else len(self.names_)
            if "signals.mean" in state:
                self.scale_ = (state.pop("signals.mean").numpy(), state.pop("signals.spread").numpy())
            self.network_ = make_network(
                self.method, channels, len(self.classes_), width=chosen.width, dropout=chosen.dropout,
                pooled=not self.frames_,
            ).eval()  # fmt: skip
            self.network_.load_state_dict(state)
        except (OSError, SafetensorError, RuntimeError, KeyError) as error:
            said = " ".join(str(error).split())[:150]
            raise FormatError(f"not a whole network ({said})", place=folder, fix="train it again") from None

    def _refuse_other_signals(self, names: list[str], recording: Recording) -> None:
        """Raise LabelError for poses of other nodes, or with other animals where none were, than those taught."""
        if names == self.names_:
            return
        strange = [n for n in names if n not in self.names_] or [n for n in self.names_ if n not in names]
        social = any(n.startswith("nearest other") for n in strange)
        what = "with and without other animals" if social else f"of other nodes ({', '.join(recording.nodes)})"
        raise LabelError(
            f"its poses and those that the model learned from are not alike: {what}", place=recording.name,
            fix="predict what was tracked as the training recordings were",
        )  # fmt: skip

    def _refuse_other_kind(self, data: Data) -> None:
        if self.frames_ == isinstance(data, ClipSet):
            fitted, given = ("recordings", "clips") if self.frames_ else ("clips", "recordings")
            raise LabelError(f"this model was fitted on {fitted}, not on {given}", fix=f"give {fitted}")


def recording_labels(recording: Recording) -> list[str]:
    """The label of each frame, "" where there is none."""
    return [""] * len(recording) if recording.labels is None else [str(label) for label in recording.labels]


def units_of(recording: Recording) -> np.ndarray:
    """(frames,) the unit of independence of each frame."""
    if recording.units is not None:
        return np.asarray(recording.units, dtype=str)
    return np.full(len(recording), recording.group or recording.name)


def classes_in(data: Data) -> list[str]:
    """The codes that occur, sorted."""
    if isinstance(data, ClipSet):
        return data.classes
    return sorted({label for recording in data for label in recording_labels(recording)} - {""})


def refuse_unusable(data: Data, method: Method) -> None:
    """Raise LabelError for nothing to learn from, and for pixels wanted of what has none."""
    if not len(data):
        raise LabelError("there is nothing to learn from", fix="give labelled clips or recordings")
    if method in PIXELS and (not isinstance(data, ClipSet) or data.has_signals):
        raise LabelError(f"method {method!r} looks at pixels", fix="give clips of video, or use features or tcn")
    if isinstance(data, ClipSet) and not data.has_signals and any(clip.path is None for clip in data):
        raise LabelError("clips have no videos", place=data.source, fix="give the folder of the videos")
