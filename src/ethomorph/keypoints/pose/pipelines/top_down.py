"""Several animals, from the top down: one network finds their middles in the shrunken frame, a second one the nodes
of the animal in the middle of each crop of full resolution."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from ethomorph.keypoints.pose.augment import draw_about, vary_brightness, view
from ethomorph.keypoints.pose.data import centre_of, channels_first, resized, scaled, unscaled
from ethomorph.keypoints.pose.decode import FoundPose, Peaks, many_peaks
from ethomorph.keypoints.pose.heads import Head
from ethomorph.keypoints.pose.pipelines.base import Pipeline, Run, View, batch_of, maps_head
from ethomorph.keypoints.pose.pipelines.single_instance import one_animal, whole_view
from ethomorph.keypoints.pose.settings import Augmentation

CENTROID, CENTERED = "centroid", "centered_instance"
OFF_CENTRE = 0.04
"""Error of a crop's middle in training, as a share of its side: what the centroid network's errors look like."""
CROPS = 16
"""Crops that go through the network together."""


class TopDown(Pipeline):
    """SLEAP's ``centroid`` and ``centered_instance``, trained side by side."""

    keypoints = CENTERED

    def make_heads(self) -> dict[str, dict[str, Head]]:
        heads = self.settings.heads
        loss = "mse" if heads.loss == "mse" else "balanced"
        middle = maps_head(("middle",), heads.centroid_stride, heads.centroid_sigma_px, loss, one=False)
        return {
            CENTERED: {"maps": self.keypoint_maps(self.scheme.names, one=True)},
            CENTROID: {"middle": middle},
        }

    def input_sizes(self) -> dict[str, tuple[int, int]]:
        side = self.facts.crop_px
        return {CENTERED: (side, side), CENTROID: self.canvas(self.settings.heads.centroid_scale)}

    def view(self, rng: np.random.Generator, picture: np.ndarray, points: np.ndarray, vary: Augmentation) -> View:
        scale, side = self.settings.heads.centroid_scale, self.facts.crop_px
        small = resized(picture, scale)
        shown, moved = whole_view(self, rng, small, scaled(points, scale), vary, self.canvas(scale))
        middles = centre_of(moved, self.anchor)[:, None] if len(moved) else np.empty((0, 1, 2))
        count = min(self.settings.data.crops, self.facts.instances)
        chosen = np.resize(rng.permutation(len(points)), count).tolist() if len(points) else [None] * count
        crops, places = zip(*(self.crop_view(rng, picture, points, vary, side, i) for i in chosen), strict=True)
        return {CENTERED: (np.stack(crops), np.stack(places)), CENTROID: (shown, middles)}

    def crop_view(
        self, rng: np.random.Generator, picture: np.ndarray, points: np.ndarray, vary: Augmentation, side: int,
        which: int | None,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """A crop about one animal of the frame; for None about a random place, where nothing is to be found."""
        if which is not None:
            animal = points[which][None]
            middle = centre_of(animal[0], self.anchor)
        else:
            animal = np.full((1, len(self.scheme), 2), np.nan)
            middle = rng.uniform(0, 1, 2) * np.array(picture.shape[1::-1])
        still = vary == Augmentation.none()
        error = np.zeros(2) if still else rng.normal(0, OFF_CENTRE * side, 2)
        source = middle + error
        matrix, flips = draw_about(rng, vary, (source[0], source[1]), ((side - 1) / 2, (side - 1) / 2))
        shown, moved = view(picture, animal, matrix, flips, (side, side), self.scheme)
        return channels_first(vary_brightness(rng, shown, vary)), moved

    def find(self, run: Run, pictures: Sequence[np.ndarray]) -> list[list[FoundPose]]:
        scale = self.settings.heads.centroid_scale
        small = [resized(picture, scale) for picture in pictures]
        (logits,) = run(CENTROID, batch_of(small, self.settings.model.max_stride))
        head = self.heads[CENTROID]["middle"]
        self.highest = max(self.highest, float(head.maps(logits).max()))
        middles = many_peaks(head, logits, threshold=self.settings.heads.peak_threshold)  # type: ignore[arg-type]
        return self.place_nodes(run, pictures, [self.best(found, scale) for found in middles])

    def best(self, found: Peaks, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Middles in px and their scores: the best, as many as there are animals."""
        most = self.facts.instances
        return unscaled(found.points[:most].astype(float), scale), found.scores[:most]

    def place_nodes(
        self, run: Run, pictures: Sequence[np.ndarray], middles: list[tuple[np.ndarray, np.ndarray]]
    ) -> list[list[FoundPose]]:
        """Nodes of the animal around each middle; crops of all frames go through the network together."""
        crops, corners, owners = [], [], []
        for frame, (places, _) in enumerate(middles):
            for place in places:
                crop, corner = cut(pictures[frame], place, self.facts.crop_px)
                crops.append(channels_first(crop))
                corners.append(corner)
                owners.append(frame)
        found: list[list[FoundPose]] = [[] for _ in pictures]
        if not crops:
            return found
        logits = [run(CENTERED, np.stack(crops[i : i + CROPS]))[0] for i in range(0, len(crops), CROPS)]
        points, scores = self.one_each(torch.cat(logits))
        sure = np.concatenate([s for _, s in middles])
        threshold = self.settings.heads.peak_threshold
        each = zip(points.numpy(force=True), scores.numpy(force=True), corners, owners, sure, strict=True)
        for place, score, corner, owner, whole in each:
            for animal in one_animal(place.astype(float) + corner, score, threshold):
                animal.score *= float(whole)
                found[owner].append(animal)
        return [distinct(animals, self.facts.crop_px / 8) for animals in found]


def distinct(animals: list[FoundPose], near: float) -> list[FoundPose]:
    """Animals best first, without those whose nodes lie, on the median, within `near` px of a better one's."""
    kept: list[FoundPose] = []
    for animal in sorted(animals, key=lambda one: -one.score):
        away = [np.linalg.norm(animal.points - other.points, axis=1) for other in kept]
        both = [one[np.isfinite(one)] for one in away]
        if all(not len(one) or np.median(one) > near for one in both):
            kept.append(animal)
    return kept


def cut(picture: np.ndarray, middle: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A square of whole pixels about `middle`, the border repeated beyond the edge; and its corner (x, y)."""
    left, top = (int(v) for v in np.rint(middle - (side - 1) / 2))
    height, width = picture.shape[:2]
    before = (max(0, -top), max(0, -left))
    after = (max(0, top + side - height), max(0, left + side - width))
    if any((*before, *after)):
        picture = cv2.copyMakeBorder(picture, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)
    y, x = top + before[0], left + before[1]
    return picture[y : y + side, x : x + side], np.array([left, top], dtype=float)
