"""From clips and recordings to what a network trains on, for `BehaviorClassifier`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.behavior.kinematics import pose_signals
from ethomorph.behavior.network_model import (
    ClipFrames,
    SignalChunks,
    SignalClips,
    fit_network,
    network_probabilities,
)
from ethomorph.behavior.settings import PIXELS
from ethomorph.core.clips import ClipSet, codes_of
from ethomorph.core.errors import LabelError
from ethomorph.training.preflight import clip_reading

if TYPE_CHECKING:
    from ethomorph.behavior.estimator import BehaviorClassifier, Data

FACTS_FRAMES = 120
"""Frames that stand for a clip when it is told which part of it is read: sampling is relative."""


@dataclass
class Prepared:
    """Training and validation data of a network.

    Attributes
    ----------
    codes : class of every training sample (clip or frame), before any is left out or repeated.
    train, validation : torch data sets.
    channels : of the input.
    pooled : one answer a clip, not one a frame.
    weights : (classes,) of the loss.
    facts : what the health monitor is told about the data.
    """

    codes: np.ndarray
    train: Any
    validation: Any
    channels: int
    pooled: bool
    weights: np.ndarray
    facts: dict[str, Any]

    def fit(
        self, model: BehaviorClassifier, *, folder: Path | None, resume: bool, progress: bool
    ) -> tuple[Any, Any, list[str]]:
        """Train the network of `model`."""
        return fit_network(
            model.method, self.train, self.validation, channels=self.channels, classes=len(model.classes_),
            pooled=self.pooled, settings=model.settings.network, weights=self.weights,
            focal=model.settings.imbalance.focal, prior=model.taught_, folder=folder, seed=model.seed,
            max_minutes=model.max_minutes, resume=resume, progress=progress, facts=self.facts,
        )  # fmt: skip


def prepare(model: BehaviorClassifier, data: Data, validation: Data | None, *, progress: bool) -> Prepared:
    """Decode or derive everything, and put it into data sets."""
    if not isinstance(data, ClipSet):
        return _of_recordings(model, data, validation)
    held = validation if isinstance(validation, ClipSet) and len(validation) else None
    make = _of_pixels if model.method in PIXELS else _of_signals
    return make(model, data, held, progress)


def clip_probabilities(model: BehaviorClassifier, clips: ClipSet, frames: Any, *, progress: bool) -> np.ndarray:
    """(clips, classes) as the network says."""
    codes = np.zeros(len(clips), int)
    rows = np.arange(len(clips))
    data: Any
    if model.method in PIXELS:
        data = ClipFrames(frames, codes, rows, settings=None, scale=model.settings.network.pixel_full)
    else:
        signals = model._clip_signals(clips, frames, progress)
        data = SignalClips([_scaled(s.values, model.scale_) for s in signals], codes, rows)
    return network_probabilities(model.network_, data, batch_size=model.settings.network.batch_size)


def _of_pixels(model: BehaviorClassifier, data: ClipSet, held: ClipSet | None, progress: bool) -> Prepared:
    clips, frames = model._decoded(data, progress)
    codes = clips.codes(model.classes_)
    chosen = model.settings
    rows = chosen.imbalance.chosen(codes, len(model.classes_), seed=model.seed)
    full = chosen.network.pixel_full
    train = ClipFrames(
        frames, codes, rows, settings=chosen.network, seed=model.seed, scale=full, groups=numbered(clips.groups)
    )
    check = None
    if held is not None:
        held, held_frames = model._decoded(held, progress)
        check = ClipFrames(
            held_frames, held.codes(model.classes_), np.arange(len(held)), settings=None, scale=full,
            groups=numbered(held.groups),
        )  # fmt: skip
    model.names_ = ["red", "green", "blue"] if chosen.colour else ["grey"]
    model.scale_ = None
    assert model.canvas_ is not None
    count = model.canvas_.frames
    read = np.floor((np.arange(count) + 0.5) / count * FACTS_FRAMES).astype(int)
    weights = chosen.imbalance.weights(codes[rows], len(model.classes_))
    facts = clip_reading(read.tolist(), FACTS_FRAMES)
    return Prepared(codes, train, check, model.canvas_.channels, True, weights, facts)


def _of_signals(model: BehaviorClassifier, data: ClipSet, held: ClipSet | None, progress: bool) -> Prepared:
    clips, frames = model._decoded(data, progress)
    signals = model._clip_signals(clips, frames, progress)
    refuse_uneven([s.values for s in signals])
    model.names_ = list(signals[0].names)
    model.scale_ = scale_of([s.values for s in signals])
    codes = clips.codes(model.classes_)
    chosen = model.settings
    rows = chosen.imbalance.chosen(codes, len(model.classes_), seed=model.seed)
    train = SignalClips([_scaled(s.values, model.scale_) for s in signals], codes, rows, numbered(clips.groups))
    check = None
    if held is not None:
        held, held_frames = model._decoded(held, progress)
        more = model._clip_signals(held, held_frames, progress)
        scaled = [_scaled(s.values, model.scale_) for s in more]
        check = SignalClips(scaled, held.codes(model.classes_), np.arange(len(held)), numbered(held.groups))
    weights = chosen.imbalance.weights(codes[rows], len(model.classes_))
    return Prepared(codes, train, check, len(model.names_), True, weights, {})


def _of_recordings(model: BehaviorClassifier, data: Any, validation: Any) -> Prepared:
    def gathered(recordings: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
        from ethomorph.behavior.estimator import recording_labels

        values, codes = [], []
        for recording in recordings:
            signals = pose_signals(recording)
            model.names_ = list(signals.names)
            values.append(signals.values)
            codes.append(codes_of(recording_labels(recording), model.classes_, recording.name))
        return values, codes

    values, codes = gathered(data)
    model.scale_ = scale_of(values)
    train = SignalChunks([_scaled(v, model.scale_) for v in values], codes, seed=model.seed, fixed=False)
    check = None
    if validation:
        more, held = gathered(validation)
        check = SignalChunks([_scaled(v, model.scale_) for v in more], held, seed=model.seed, fixed=True)
    known = np.concatenate(codes)
    known = known[known >= 0]
    weights = model.settings.imbalance.weights(known, len(model.classes_))
    return Prepared(known, train, check if check and len(check) else None, len(model.names_), False, weights, {})


def numbered(groups: list[str]) -> np.ndarray:
    """(n,) number of each name.

    Examples
    --------
    >>> numbered(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    return np.unique(groups, return_inverse=True)[1]


def scale_of(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of each signal over all instants."""
    together = np.concatenate(values)
    spread = together.std(0)
    return together.mean(0).astype(np.float32), np.where(spread > 1e-6, spread, 1).astype(np.float32)


def _scaled(values: np.ndarray, scale: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    assert scale is not None
    return np.clip((values - scale[0]) / scale[1], -8, 8).astype(np.float32)


def refuse_uneven(values: list[np.ndarray]) -> None:
    """Raise LabelError where signals of clips differ in length."""
    lengths = {len(v) for v in values}
    if len(lengths) > 1:
        raise LabelError(
            f"signals of {min(lengths)} to {max(lengths)} samples", fix="cut them to one length, or use method features"
        )
