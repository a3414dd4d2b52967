"""What is done about rare classes, and how probabilities become true again afterwards.

Leaving out, repeating and weighing samples all teach a classifier another class mixture than nature's. `taught_prior`
says which one, and `statistics.calibration.correct_prior_shift` takes it back out of the probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethomorph.core.errors import StudyError


@dataclass(frozen=True)
class Imbalance:
    """How rare classes are helped.

    Parameters
    ----------
    under_sampling : 0 leaves nothing out, 1 brings every class down to the rarest; between, counts become
        ``n ** (1 - rate) * n_rarest ** rate``.
    over_sampling : 0 repeats nothing, 1 brings every class up to the commonest; between likewise.
    class_weights : 0 weighs all samples alike, 1 gives every class the same weight; between, a sample weighs
        ``n_class ** -class_weights``.
    focal : gamma of the focal loss (Lin et al. 2017), for networks; 0 is cross-entropy.
    correct_prior : take the mixture that was taught out of the probabilities, so that they are true of nature's.

    Examples
    --------
    >>> Imbalance(under_sampling=1).counts(np.array([100, 10])).tolist()
    [10, 10]
    """

    under_sampling: float = 0.0
    over_sampling: float = 0.0
    class_weights: float = 0.0
    focal: float = 0.0
    correct_prior: bool = True

    def __post_init__(self) -> None:
        for name in ("under_sampling", "over_sampling", "class_weights"):
            if not 0 <= getattr(self, name) <= 1:
                raise StudyError(str(getattr(self, name)), place=f"settings.{name}", fix="give a number from 0 to 1")
        if self.focal < 0:
            raise StudyError(str(self.focal), place="settings.focal", fix="give 0 or more, such as 2")

    def counts(self, natural: np.ndarray) -> np.ndarray:
        """(classes,) how many samples of each class are taught, of how many there are; absent classes stay absent."""
        natural = np.asarray(natural, dtype=float)
        there = natural[natural > 0]
        wanted = natural ** (1 - self.under_sampling) * there.min() ** self.under_sampling
        top = wanted[natural > 0].max()
        wanted = wanted ** (1 - self.over_sampling) * top**self.over_sampling
        return np.where(natural > 0, np.maximum(1, np.round(wanted)), 0).astype(int)

    def chosen(self, codes: np.ndarray, classes: int, *, seed: int = 0) -> np.ndarray:
        """Indices of the samples that are taught, in order; a repeated sample stands there several times."""
        rng = np.random.default_rng(seed)
        natural = np.bincount(codes, minlength=classes)
        picked = []
        for code, count in enumerate(self.counts(natural)):
            members = rng.permutation(np.flatnonzero(codes == code))
            if count:
                picked.append(np.resize(members, count))
        return np.sort(np.concatenate(picked)) if picked else np.zeros(0, int)

    def weights(self, codes: np.ndarray, classes: int) -> np.ndarray:
        """(classes,) weight of a sample of each class among those taught; their mean over samples is 1."""
        counts = np.bincount(codes, minlength=classes).astype(float)
        weights = np.where(counts > 0, np.maximum(counts, 1) ** -self.class_weights, 0.0)
        return weights / max(float((weights * counts).sum() / max(counts.sum(), 1)), 1e-12)

    def taught_prior(self, codes: np.ndarray, classes: int) -> np.ndarray:
        """(classes,) the class mixture that was taught: shares of the taught samples, times their weights."""
        natural = np.bincount(codes, minlength=classes)
        taught = self.counts(natural).astype(float)
        weights = np.where(taught > 0, np.maximum(taught, 1) ** -self.class_weights, 0.0)
        return taught * weights / (taught * weights).sum()


def natural_prior(codes: np.ndarray, classes: int) -> np.ndarray:
    """(classes,) shares of the classes as they were found."""
    counts = np.bincount(codes, minlength=classes).astype(float)
    return counts / counts.sum()
