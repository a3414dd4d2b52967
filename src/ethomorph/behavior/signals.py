"""Numbers that sum up a signal over time: level, spread, extremes, rhythm, and when it happened.

A signal is whatever was measured or derived at each instant: motion in a clip, a distance between body parts, an
accelerometer's axis. Where signals come from stands in `motion` and `kinematics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STATISTICS = (
    "mean", "sd", "low", "q10", "q50", "q90", "high", "change", "turns", "when", "early", "middle", "late", "rhythm",
    "power",
)  # fmt: skip


@dataclass(frozen=True)
class Signals:
    """What was derived at each instant of a clip or recording.

    Attributes
    ----------
    values : (instants, signals) float32, finite.
    names : of the signals.
    extra : numbers that hold for the clip as a whole, with their names.
    """

    values: np.ndarray
    names: list[str]
    extra: np.ndarray
    extra_names: list[str]


def summary(values: np.ndarray) -> np.ndarray:
    """(signals * statistics,) of (instants, signals), a signal after the other, in the order of `STATISTICS`.

    ``change`` is the mean absolute step, ``turns`` the share of instants where it crosses its mean, ``when`` the
    centre of its excess over the median (0 begin, 1 end), ``early`` to ``late`` the means of thirds less the mean,
    ``rhythm`` and ``power`` the strongest frequency (cycles a clip) and its share of the variance.

    Examples
    --------
    >>> wave = np.sin(np.linspace(0, 8 * np.pi, 64, endpoint=False))[:, None]
    >>> float(summary(wave)[STATISTICS.index("rhythm")])
    4.0
    """
    values = np.asarray(values, dtype=np.float64)
    count = len(values)
    mean, spread = values.mean(0), values.std(0)
    centred = values - mean
    steps = np.abs(np.diff(values, axis=0)).mean(0) if count > 1 else np.zeros_like(mean)
    turns = (np.diff(np.signbit(centred), axis=0) != 0).mean(0) if count > 1 else np.zeros_like(mean)
    low, q10, q50, q90, high = np.quantile(values, [0, 0.1, 0.5, 0.9, 1], axis=0)
    excess = np.maximum(values - q50, 0)
    time = np.linspace(0, 1, count)[:, None]
    total = excess.sum(0)
    when = np.where(total > 0, (excess * time).sum(0) / np.where(total > 0, total, 1), 0.5)
    thirds = [part.mean(0) - mean if len(part) else np.zeros_like(mean) for part in np.array_split(values, 3)]
    energy = np.abs(np.fft.rfft(centred, axis=0)[1:]) ** 2
    whole = energy.sum(0)
    if len(energy):
        rhythm = energy.argmax(0) + 1.0
        power = np.where(whole > 0, energy.max(0) / np.where(whole > 0, whole, 1), 0)
        rhythm = np.where(whole > 1e-12, rhythm, 0)
    else:
        rhythm = power = np.zeros_like(mean)
    rows = [mean, spread, low, q10, q50, q90, high, steps, turns, when, *thirds, rhythm, power]
    return np.stack(rows, axis=1).ravel()


def summary_names(names: Sequence[str]) -> list[str]:
    """Names of what `summary` returns."""
    return [f"{name}:{statistic}" for name in names for statistic in STATISTICS]


def clip_features(signals: Signals) -> np.ndarray:
    """Everything about a clip in one row: the summary of its signals, then what holds for it as a whole."""
    return np.concatenate([summary(signals.values), signals.extra]).astype(np.float32)


def clip_feature_names(signals: Signals) -> list[str]:
    """Names of `clip_features`."""
    return [*summary_names(signals.names), *signals.extra_names]


def measured_signals(signal: np.ndarray, channels: Sequence[str], rate_hz: float = 1.0) -> Signals:
    """Signals of a measured clip (samples, channels): its channels, their length as a vector, and slow and fast parts.

    The slow part of an accelerometer's axes is posture (gravity), the fast part is movement.
    """
    values = filled(np.asarray(signal, dtype=np.float64))
    names = list(channels)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    fast = values - moving_mean(values, max(3, len(values) // 4))
    columns = np.concatenate([values, length, np.abs(fast), np.linalg.norm(fast, axis=1, keepdims=True)], axis=1)
    names += ["length", *(f"fast {c}" for c in channels), "fast length"]
    pairs = [(i, j) for i in range(len(channels)) for j in range(i + 1, len(channels))]
    extra = np.array([correlation(values[:, i], values[:, j]) for i, j in pairs])
    said = [f"{channels[i]} with {channels[j]}" for i, j in pairs]
    return Signals(columns.astype(np.float32), names, extra.astype(np.float32), said)


def filled(values: np.ndarray) -> np.ndarray:
    """Columns (instants, signals) with their gaps filled: a line between neighbours, the nearest value at the ends, 0
    where nothing was measured."""
    values = np.array(values, dtype=np.float64)
    time = np.arange(len(values))
    for column in values.T:
        known = np.isfinite(column)
        if not known.all():
            column[~known] = np.interp(time[~known], time[known], column[known]) if known.any() else 0.0
    return values


def moving_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over `width` instants around each, along the first axis; ends are reflected."""
    from scipy.ndimage import uniform_filter1d

    return uniform_filter1d(np.asarray(values, dtype=np.float64), max(1, width), axis=0, mode="reflect")


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; 0 where one of both does not vary."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 1e-12 else 0.0
