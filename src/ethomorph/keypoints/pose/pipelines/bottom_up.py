"""Several animals, from the bottom up: maps of all nodes of all animals, and fields that say which belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ethomorph.keypoints.pose.augment import draw_about, vary_brightness, view
from ethomorph.keypoints.pose.data import centre_of, channels_first
from ethomorph.keypoints.pose.decode import FoundPose, many_peaks
from ethomorph.keypoints.pose.grouping import group
from ethomorph.keypoints.pose.heads import Fields, Head
from ethomorph.keypoints.pose.pipelines.base import Pipeline, Run, View, batch_of
from ethomorph.keypoints.pose.pipelines.single_instance import whole_view
from ethomorph.keypoints.pose.settings import Augmentation

NETWORK = "bottom_up"
ASIDE = 0.35
"""How far an animal stands beside the middle of a training window at most, as a share of its side."""
ELSEWHERE = 0.1
"""Share of training windows at any place of the frame: what is no animal is learned there."""


class BottomUp(Pipeline):
    """SLEAP's ``bottomup``."""

    keypoints = NETWORK

    def make_heads(self) -> dict[str, dict[str, Head]]:
        heads = self.settings.heads
        made: dict[str, Head] = {"maps": self.keypoint_maps(self.scheme.names, one=False)}
        if edges := self.scheme.tree():
            made["fields"] = Fields(edges, heads.field_stride, heads.field_sigma_px, heads.field_weight)
        return {NETWORK: made}

    def view(self, rng: np.random.Generator, picture: np.ndarray, points: np.ndarray, vary: Augmentation) -> View:
        if not self.settings.data.window_px or vary == Augmentation.none():
            return {NETWORK: whole_view(self, rng, picture, points, vary, self.canvas())}
        return {NETWORK: self.window_view(rng, picture, points, vary, self.settings.data.window_px)}

    def window_view(
        self, rng: np.random.Generator, picture: np.ndarray, points: np.ndarray, vary: Augmentation, side: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A square near one of the animals, with all that it holds; some squares lie anywhere."""
        middle = rng.uniform(0, 1, 2) * picture.shape[1::-1]
        if len(points) and rng.random() >= ELSEWHERE:
            middle = centre_of(points[rng.integers(len(points))], self.anchor) + rng.uniform(-ASIDE, ASIDE, 2) * side
        matrix, flips = draw_about(rng, vary, (middle[0], middle[1]), ((side - 1) / 2, (side - 1) / 2))
        shown, moved = view(picture, points, matrix, flips, (side, side), self.scheme)
        return channels_first(vary_brightness(rng, shown, vary)), moved

    def find(self, run: Run, pictures: Sequence[np.ndarray]) -> list[list[FoundPose]]:
        maps, *fields = run(NETWORK, batch_of(pictures, self.settings.model.max_stride))
        heads = self.settings.heads
        self.highest = max(self.highest, float(self.heads[NETWORK]["maps"].maps(maps).max()))
        peaks = many_peaks(self.heads[NETWORK]["maps"], maps, threshold=heads.peak_threshold)  # type: ignore[arg-type]
        edges = self.scheme.tree()
        empty = np.zeros((0, 1, 1), np.float32)
        return [
            group(
                found, fields[0][i].numpy(force=True) if fields else empty, edges, len(self.scheme),
                stride=heads.field_stride, how=heads.grouping, most=self.facts.instances,
            )
            for i, found in enumerate(peaks)
        ]  # fmt: skip
