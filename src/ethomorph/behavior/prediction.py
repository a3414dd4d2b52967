"""`Prediction`: what a classifier says of clips or of the frames of recordings, and from probabilities to decisions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ethomorph.behavior.segments import without_short
from ethomorph.behavior.signals import moving_mean


@dataclass
class Prediction:
    """Probabilities and decisions.

    Attributes
    ----------
    names : of the clips; of the recordings where `frames` is set.
    classes : in the order of the columns.
    probabilities : (clips, classes); one (frames, classes) a recording where `frames` is set.
    codes : (clips,) decided class of each, or one (frames,) a recording.
    skipped : names of clips that could not be read, with the reason; they stand in no other attribute.
    """

    names: list[str]
    classes: list[str]
    probabilities: list[np.ndarray] | np.ndarray
    codes: list[np.ndarray] | np.ndarray
    frames: bool = False
    fps: list[float] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """The decided class of each clip; of recordings, one list after the other."""
        codes = np.concatenate(list(self.codes)) if self.frames else np.asarray(self.codes)
        return [self.classes[int(code)] for code in codes]


def decided(probabilities: np.ndarray, prior: np.ndarray, favour_rare: float) -> np.ndarray:
    """(n,) class of the highest ``probability / prior ** favour_rare``.

    0 errs least often; 1 errs least often were all classes equally common.

    Examples
    --------
    >>> decided(np.array([[0.7, 0.3]]), np.array([0.9, 0.1]), 1.0).tolist()
    [1]
    """
    weight = np.where(prior > 0, np.maximum(prior, 1e-12) ** -favour_rare, 0.0)
    return np.argmax(probabilities * weight, axis=1)


def smoothed(probabilities: np.ndarray, fps: float, seconds: float) -> np.ndarray:
    """(frames, classes) averaged over `seconds` around each frame."""
    width = round(seconds * fps)
    return moving_mean(probabilities, width) if width > 1 else probabilities


def frame_codes(
    probabilities: np.ndarray, prior: np.ndarray, *, favour_rare: float, least_bout_s: float, fps: float
) -> np.ndarray:
    """(frames,) decided class, bouts shorter than `least_bout_s` given to their neighbours."""
    codes = decided(probabilities, prior, favour_rare)
    return without_short(codes, round(least_bout_s * fps)) if least_bout_s > 0 else codes
