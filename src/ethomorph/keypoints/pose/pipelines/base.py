"""What every pipeline offers to training and prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ethomorph.keypoints.pose.data import LabelledFrame, Scheme, channels_first, padded, resized, scaled
from ethomorph.keypoints.pose.decode import FoundPose, single_peaks
from ethomorph.keypoints.pose.heads import Head, ManyPeaks, OnePeak, PlainMaps
from ethomorph.keypoints.pose.networks import PoseNetwork
from ethomorph.keypoints.pose.partners import partnered
from ethomorph.keypoints.pose.settings import Augmentation, PoseSettings

Run = Callable[[str, np.ndarray], list[torch.Tensor]]
"""Runs a network by name on (batch, channels, height, width) uint8; a map a head."""
View = dict[str, tuple[np.ndarray, np.ndarray]]
"""Network name to (channels, height, width) uint8 and points (animals, nodes, 2) in its px; or to several of both."""


@dataclass(frozen=True)
class Facts:
    """What the data say that the settings leave open.

    Attributes
    ----------
    channels : 1 or 3.
    canvas : (height, width) of the largest labelled frame after `Data.input_scale`, px.
    crop_px : side of a top-down crop after scaling.
    instances : animals in a frame at most.
    mean, std : of the training pixels, 0..255.
    shape : (nodes, 2) mean shape of the labelled animals; see `ethomorph.keypoints.pose.partners`. Empty in models
        from before it was kept.
    """

    channels: int
    canvas: tuple[int, int]
    crop_px: int
    instances: int
    mean: float
    std: float
    shape: tuple[tuple[float, float], ...] = ()


class Pipeline(ABC):
    """Networks with their heads, views to train them on, and a way from frames to animals.

    Pictures handed to `view` and `find` are already resized by `Data.input_scale`; points that `find` gives are in px
    of these.

    Attributes
    ----------
    highest : the highest confidence that `find` has met, also under the threshold.
    """

    keypoints: str
    """The network that places nodes, and so the one whose peaks tell whether anything was learned."""

    def __init__(self, scheme: Scheme, settings: PoseSettings, facts: Facts) -> None:
        self.scheme, self.settings, self.facts = scheme, settings, facts
        self.anchor = scheme.names.index(settings.heads.anchor) if settings.heads.anchor in scheme.names else None
        self.heads: dict[str, dict[str, Head]] = self.make_heads()
        self.highest = 0.0

    @abstractmethod
    def make_heads(self) -> dict[str, dict[str, Head]]:
        """Network name to its heads by name."""

    @abstractmethod
    def view(self, rng: np.random.Generator, picture: np.ndarray, points: np.ndarray, vary: Augmentation) -> View:
        """One random view of a frame for each network."""

    @abstractmethod
    def find(self, run: Run, pictures: Sequence[np.ndarray]) -> list[list[FoundPose]]:
        """The animals in each of several frames of one size."""

    def networks(self, *, pretrained: bool) -> dict[str, PoseNetwork]:
        """Fresh networks."""
        return {
            name: PoseNetwork(
                self.facts.channels, self.settings.model, {key: head.shape for key, head in heads.items()},
                mean=self.facts.mean, std=self.facts.std, pretrained=pretrained,
            )
            for name, heads in self.heads.items()
        }  # fmt: skip

    def input_sizes(self) -> dict[str, tuple[int, int]]:
        """(height, width) of each network's input, as in training."""
        return {name: self.canvas() for name in self.heads}

    def canvas(self, scale: float = 1.0) -> tuple[int, int]:
        """(height, width) of whole frames, resized and filled up to the coarsest stride."""
        stride = self.settings.model.max_stride
        height, width = (-(-max(1, round(side * scale)) // stride) * stride for side in self.facts.canvas)
        return height, width

    def one_each(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (animals, nodes, 2) and scores of keypoint maps of one animal each, left and right told apart."""
        head = self.heads[self.keypoints]["maps"]
        points, scores = single_peaks(head, logits)  # type: ignore[arg-type]
        if isinstance(head, OnePeak) and self.facts.shape:
            shape = np.array(self.facts.shape)
            points, scores = partnered(head, logits, points, scores, self.scheme.symmetry, shape)
        return points, scores

    def keypoint_maps(self, names: tuple[str, ...], *, one: bool) -> Head:
        """The confidence maps of the settings' loss."""
        heads = self.settings.heads
        return maps_head(names, heads.output_stride, heads.sigma_px, heads.loss, one=one)


def maps_head(names: tuple[str, ...], stride: int, sigma: float, loss: str, *, one: bool) -> Head:
    """Confidence maps by the loss's name; ``auto`` is softmax for maps of one peak and balanced for others."""
    if loss == "mse":
        return PlainMaps(names, stride, sigma)
    return OnePeak(names, stride, sigma) if one and loss != "balanced" else ManyPeaks(names, stride, sigma)


def batch_of(pictures: Sequence[np.ndarray], multiple: int) -> np.ndarray:
    """Pictures of one size, filled up to a multiple of the coarsest stride, as (batch, channels, height, width)."""
    return np.stack([channels_first(padded(picture, multiple)) for picture in pictures])


def shrunk(picture: np.ndarray, points: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Picture and points resized together."""
    return resized(picture, scale), scaled(points, scale)


def most_animals(frames: Sequence[LabelledFrame]) -> int:
    """The most animals that one frame holds, at least 1."""
    return max([1, *(len(frame.points) for frame in frames)])
