"""Both networks of the heat-map method together, as they are trained, saved and used for prediction."""

from __future__ import annotations

from torch import nn

from ethomorph.keypoints.coarse import CoarseNetwork
from ethomorph.keypoints.heatmap_settings import HeatmapSettings
from ethomorph.keypoints.refine import RefineNetwork


class Stages(nn.Module):
    """The two networks; they share no weights."""

    def __init__(
        self, landmarks: int, settings: HeatmapSettings, *, several: bool, levels: int, pretrained: bool
    ) -> None:
        super().__init__()
        self.coarse = CoarseNetwork(landmarks, settings.coarse, several=several, pretrained=pretrained)
        self.refine = RefineNetwork(landmarks, settings.refine, levels=levels, pretrained=pretrained)
