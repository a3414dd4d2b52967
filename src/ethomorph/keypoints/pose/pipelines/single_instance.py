"""One animal in each frame: one network on the whole frame, a map a node, the highest place of each map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ethomorph.keypoints.pose.augment import draw_about, vary_brightness, view
from ethomorph.keypoints.pose.data import channels_first
from ethomorph.keypoints.pose.decode import FoundPose
from ethomorph.keypoints.pose.heads import Head
from ethomorph.keypoints.pose.pipelines.base import Pipeline, Run, View, batch_of
from ethomorph.keypoints.pose.settings import Augmentation

NETWORK = "single_instance"


class SingleInstance(Pipeline):
    """SLEAP's ``single_instance``."""

    keypoints = NETWORK

    def make_heads(self) -> dict[str, dict[str, Head]]:
        return {NETWORK: {"maps": self.keypoint_maps(self.scheme.names, one=True)}}

    def view(self, rng: np.random.Generator, picture: np.ndarray, points: np.ndarray, vary: Augmentation) -> View:
        return {NETWORK: whole_view(self, rng, picture, points, vary, self.canvas())}

    def find(self, run: Run, pictures: Sequence[np.ndarray]) -> list[list[FoundPose]]:
        (logits,) = run(NETWORK, batch_of(pictures, self.settings.model.max_stride))
        points, scores = self.one_each(logits)
        self.highest = max(self.highest, float(scores.max()))
        threshold = self.settings.heads.peak_threshold
        return [
            one_animal(p, s, threshold) for p, s in zip(points.numpy(force=True), scores.numpy(force=True), strict=True)
        ]


def one_animal(points: np.ndarray, scores: np.ndarray, threshold: float) -> list[FoundPose]:
    """The animal with these points; none where no score reaches the threshold."""
    sure = scores >= threshold
    if not sure.any():
        return []
    return [FoundPose(np.where(sure[:, None], points, np.nan), scores, float(scores.mean()))]


def whole_view(
    pipeline: Pipeline, rng: np.random.Generator, picture: np.ndarray, points: np.ndarray, vary: Augmentation,
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A view of a whole frame on a canvas of `size`, turned about the frame's middle, which stays where it is."""
    middle = ((picture.shape[1] - 1) / 2, (picture.shape[0] - 1) / 2)
    matrix, flips = draw_about(rng, vary, middle, middle)
    shown, moved = view(picture, points, matrix, flips, size, pipeline.scheme)
    return channels_first(vary_brightness(rng, shown, vary)), moved
