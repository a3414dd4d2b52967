"""What a pose tells at each frame: distances, posture, speeds and turning, other animals; and the same over windows.

Lengths are in body lengths of the recording and rates in per second, so that magnification and frame rate do not
matter. Points of low confidence and gaps are filled from their neighbours in time first.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ethomorph.behavior.signals import Signals, filled, moving_mean
from ethomorph.core.recordings import Recording

LOW_CONFIDENCE = 0.5
ALL_PAIRS = 9  # nodes up to which every distance is taken; beyond, those to the centre only
SMOOTH_S = 0.06  # smoothing of positions before they are differentiated
LEAST_RATE = 0.01  # body lengths (or radians) a second; slower is noise, and logarithms begin here
MOVEMENT_WINDOWS_S = (0.1, 0.3, 0.6, 1.0, 2.0)
POSTURE_WINDOWS_S = (0.5, 2.0)
SIDE_WINDOWS_S = (0.2, 0.5, 1.0)  # before and after the frame: where something begins or ends, the two differ


def pose_signals(recording: Recording) -> Signals:
    """Signals of a recording, an instant a frame; the first animal is the one whose behaviour is meant."""
    points = cleaned(recording)
    smooth = moving_mean(points, max(1, round(SMOOTH_S * recording.fps)))
    length = body_length(points[:, 0])
    own, names = animal_signals(smooth[:, 0] / length, recording.fps, recording.nodes)
    if points.shape[1] > 1:
        others = [smooth[:, i] / length for i in range(1, points.shape[1])]
        more, said = nearest_signals(smooth[:, 0] / length, others, recording.fps)
        own, names = [*own, *more], [*names, *(f"nearest other: {s}" for s in said)]
    if recording.confidence is not None:
        own, names = [*own, np.nanmean(recording.confidence[:, 0], axis=1)], [*names, "confidence"]
    values = filled(np.column_stack(own))
    return Signals(values.astype(np.float32), names, np.zeros(0, np.float32), [])


def frame_features(recording: Recording) -> tuple[np.ndarray, list[str]]:
    """(frames, features) float32: the signals, and their mean, spread and range over windows around each frame."""
    signals = pose_signals(recording)
    columns, names = [signals.values], list(signals.names)
    fast = np.array([is_movement(name) for name in signals.names])
    plan = [(fast, MOVEMENT_WINDOWS_S, ("mean", "high")), (~fast, POSTURE_WINDOWS_S, ("mean", "sd"))]
    for chosen, windows, kinds in plan:
        values = signals.values[:, chosen]
        where = [n for n, c in zip(signals.names, chosen, strict=True) if c]
        for seconds in windows:
            width = max(3, round(seconds * recording.fps))
            for kind in kinds:
                columns.append(windowed(values, width, kind))
                names += [f"{n}, {kind} of {seconds:g} s" for n in where]
    movement = signals.values[:, fast]
    where = [n for n, c in zip(signals.names, fast, strict=True) if c]
    for seconds in SIDE_WINDOWS_S:
        width = max(3, round(seconds * recording.fps) | 1)
        for side, word in ((-1, "before"), (1, "after")):
            for kind in ("mean", "high"):
                columns.append(windowed(movement, width, kind, side=side))
                names += [f"{n}, {kind} of {seconds:g} s {word}" for n in where]
    return np.concatenate(columns, axis=1).astype(np.float32), names


def is_movement(name: str) -> bool:
    """Whether a signal is the logarithm of a rate, whose extremes matter too."""
    return name.startswith("log ")


def cleaned(recording: Recording) -> np.ndarray:
    """(frames, animals, nodes, 2) without gaps: points of low confidence are taken as not seen, then filled in time."""
    points = recording.points.copy()
    if recording.confidence is not None:
        points[recording.confidence < LOW_CONFIDENCE] = np.nan
    shape = points.shape
    return filled(points.reshape(shape[0], -1)).reshape(shape)


def body_length(points: np.ndarray) -> float:
    """Median over frames of the largest distance between two nodes of (frames, nodes, 2); 1 where there is none."""
    sample = points[:: max(1, len(points) // 500)]
    gaps = np.linalg.norm(sample[:, :, None] - sample[:, None], axis=3)
    length = float(np.median(gaps.max((1, 2))))
    return length if length > 0 else 1.0


def animal_signals(points: np.ndarray, fps: float, nodes: list[str]) -> tuple[list[np.ndarray], list[str]]:
    """Distances, posture in the body's own frame, speeds and turning of (frames, nodes, 2) in body lengths."""
    centre = points.mean(1)
    axis = points[:, 0] - centre  # towards the first node, which trackers give the nose or head
    heading = np.unwrap(np.arctan2(axis[:, 1], axis[:, 0]))
    turned = rotated(points - centre[:, None], -heading)
    velocity = np.gradient(points, axis=0) * fps
    speeds = np.linalg.norm(velocity, axis=2)
    whole = np.gradient(centre, axis=0) * fps
    forward = whole[:, 0] * np.cos(heading) + whole[:, 1] * np.sin(heading)
    sideways = -whole[:, 0] * np.sin(heading) + whole[:, 1] * np.cos(heading)
    relative = rotated(velocity - whole[:, None], -heading)
    rates = [np.linalg.norm(whole, axis=1), np.abs(sideways), np.abs(np.gradient(heading)) * fps]
    rates += [speeds.max(1), speeds.mean(1), speeds.min(1), np.linalg.norm(relative, axis=2).mean(1), *speeds.T]
    names = ["speed", "sideways speed", "turning", "highest speed", "mean speed", "lowest speed", "speed of parts"]
    names = [f"log {name}" for name in [*names, *(f"speed of {node}" for node in nodes)]]
    signals = [logarithm(rate) for rate in rates] + [forward]
    names.append("forward")
    for i, node in enumerate(nodes):
        signals += [turned[:, i, 0], turned[:, i, 1]]
        names += [f"{node} forward", f"{node} sideways"]
    pairs = list(combinations(range(len(nodes)), 2)) if len(nodes) <= ALL_PAIRS else []
    for a, b in pairs:
        signals.append(np.linalg.norm(points[:, a] - points[:, b], axis=1))
        names.append(f"{nodes[a]} to {nodes[b]}")
    if not pairs:
        signals += list(np.linalg.norm(points - centre[:, None], axis=2).T)
        names += [f"{node} to centre" for node in nodes]
    return signals, names


def nearest_signals(own: np.ndarray, others: list[np.ndarray], fps: float) -> tuple[list[np.ndarray], list[str]]:
    """`social_signals` of whichever other animal is nearest in each frame, so that neither their order nor their number
    matters; (frames, nodes, 2) each."""
    found = [social_signals(own, other, fps) for other in others]
    names = found[0][1]
    distance = np.stack([signals[names.index("distance")] for signals, _ in found])
    nearest, frames = distance.argmin(0), np.arange(len(own))
    columns = zip(*(signals for signals, _ in found), strict=True)
    return [np.stack(column)[nearest, frames] for column in columns], names


def social_signals(own: np.ndarray, other: np.ndarray, fps: float) -> tuple[list[np.ndarray], list[str]]:
    """Where another animal is, seen from this one, and whether both come closer; (frames, nodes, 2) each."""
    here, there = own.mean(1), other.mean(1)
    heading = np.arctan2(*(own[:, 0] - here).T[::-1])
    facing = np.arctan2(*(other[:, 0] - there).T[::-1])
    seen = rotated((there - here)[:, None], -heading)[:, 0]
    distance = np.linalg.norm(seen, axis=1)
    nearest = np.linalg.norm(own[:, :1] - other, axis=2).min(1)
    closing = -np.gradient(distance) * fps
    speed = np.linalg.norm(np.gradient(there, axis=0), axis=1) * fps
    signals = [logarithm(speed), distance, nearest, seen[:, 0], seen[:, 1], np.cos(facing - heading)]
    names = ["log its speed", "distance", "nose to nearest", "ahead", "aside", "same heading"]
    return [*signals, np.sin(facing - heading), closing], [*names, "crossed heading", "closing"]


def logarithm(rate: np.ndarray) -> np.ndarray:
    """Natural logarithm of a rate, bounded below: speeds differ by factors, not by differences."""
    return np.log(np.abs(rate) + LEAST_RATE)


def rotated(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """(frames, nodes, 2) turned by (frames,) rad."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.stack([points[..., 0] * cos - points[..., 1] * sin, points[..., 0] * sin + points[..., 1] * cos], axis=2)


def windowed(values: np.ndarray, width: int, kind: str, *, side: int = 0) -> np.ndarray:
    """Mean, spread (sd) or high of (frames, signals) over `width` frames; ends are reflected.

    `side` 0 takes the frames around each, -1 those before it, 1 those after it (`width` must be odd then).
    """
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    origin = -side * (width // 2)
    if kind == "high":
        return maximum_filter1d(values, width, axis=0, origin=origin)
    mean = uniform_filter1d(np.asarray(values, float), width, axis=0, origin=origin)
    if kind == "mean":
        return mean
    square = uniform_filter1d(np.asarray(values, float) ** 2, width, axis=0, origin=origin)
    return np.sqrt(np.maximum(square - mean**2, 0))
