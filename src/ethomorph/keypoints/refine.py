"""The refinement stage: each landmark again, in a patch of full resolution around where the coarse stage put it.

Patches are cut in the specimen's own frame (turned and sized to the mean shape), so the network sees each landmark the
same way up; a second channel shows the surroundings at a third of the resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ethomorph.keypoints import augment, decode
from ethomorph.keypoints.augment import Geometry, Intensity
from ethomorph.keypoints.networks import Encoder, UNet
from ethomorph.keypoints.template import robust_similarity

GEOMETRY = Geometry(rotation_deg=10, scale=0.1, stretch=0.05, elastic=0.7, elastic_reach=24)
INTENSITY = Intensity()


@dataclass(frozen=True)
class RefineSettings:
    """Settings of the refinement stage. A working pixel is one of the picture after `specimen_px` was applied.

    Parameters
    ----------
    specimen_px : size of a specimen (diagonal of its mean shape's box) that patches are cut at; larger ones are shrunk
        to it, smaller ones are never enlarged.
    patch_px : side of a patch in working pixels.
    context : how many times wider the second channel looks.
    filters, filters_rate, stem_stride, max_stride, output_stride, encoder : of the `UNet`.
    sigma_cells : width of the target Gaussians in cells of the output map.
    distance_weight : weight of the mean distance (in cells) between truth and the map's mean, beside the cross-entropy.
    jitter_px : standard deviation of a training patch's centre about the landmark; a third of the patches are off by
        up to twice as much evenly.
    trust_px : standard deviation of the belief that the landmark lies where the patch was centred; maps are weighed
        with it, so that a look-alike at the patch's rim does not win.
    geometry, intensity : augmentation, on top of the errors of the coarse stage.
    passes : how often the patches are cut again around the last result.
    views : turned and resized views of the last pass whose results are averaged.
    """

    specimen_px: int = 1000
    patch_px: int = 64
    context: int = 3
    filters: int = 24
    filters_rate: float = 2.0
    stem_stride: int = 2
    max_stride: int = 16
    output_stride: int = 2
    encoder: Encoder = "plain"
    sigma_cells: float = 1.0
    distance_weight: float = 0.0
    jitter_px: float = 5.0
    trust_px: float = 8.0
    geometry: Geometry = GEOMETRY
    intensity: Intensity = INTENSITY
    passes: int = 2
    views: int = 3


@dataclass
class Sheet:
    """A picture at working resolution.

    Attributes
    ----------
    pixels : (y, x) uint16.
    wide : the same, shrunk by `RefineSettings.context`.
    matrix : 3x3, full-resolution pixels to working ones.
    points : (specimens, landmarks, 2) in working pixels; NaN where missing.
    """

    pixels: np.ndarray
    wide: np.ndarray
    matrix: np.ndarray
    points: np.ndarray


def sheet(picture: np.ndarray, factor: float, context: int, points: np.ndarray | None = None) -> Sheet:
    """`picture` (y, x) float32 in 0..1 shrunk by `factor` <= 1, with its wide companion."""
    small = augment.shrink(picture, factor)
    pixels = np.round(small * 65535).astype(np.uint16)
    matrix = augment.shrink_matrix(picture.shape, small.shape)
    moved = np.empty((0, 0, 2)) if points is None else augment.move(points, matrix)
    return Sheet(pixels, augment.shrink(pixels, 1 / context), matrix, moved)


def patch_matrix(to_mean: np.ndarray, centre: np.ndarray, patch_px: int, change: np.ndarray) -> np.ndarray:
    """3x3 matrix from working pixels to a patch about `centre`, turned and sized as `to_mean` and `change` say."""
    linear = to_mean.copy()
    linear[:2, 2] = 0
    half = (patch_px - 1) / 2
    return augment.translation(half, half) @ change @ linear @ augment.translation(*-centre)


def cut(
    page: Sheet, matrix: np.ndarray, settings: RefineSettings, displacement: np.ndarray | None = None
) -> list[np.ndarray]:
    """Fine and wide view (y, x), float32 in 0..1."""
    side = settings.patch_px
    half = (side - 1) / 2
    narrow = augment.rotation(0, 1 / settings.context)
    wider = augment.translation(half, half) @ narrow @ augment.translation(-half, -half)
    wide_from_full = augment.shrink_matrix(page.pixels.shape, page.wide.shape)
    fine = augment.warp(page.pixels, matrix, (side, side), displacement=displacement)
    wide = augment.warp(page.wide, wider @ matrix @ np.linalg.inv(wide_from_full), (side, side))
    return [view.astype(np.float32) / 65535 for view in (fine, wide)]


def training_patches(
    rng: np.random.Generator, sheets: Sequence[Sheet], mean: np.ndarray, which: np.ndarray, settings: RefineSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Random patches (n, 2, y, x) and where the landmark lies in each (n, 2).

    Parameters
    ----------
    mean : (landmarks, 2) mean shape in working pixels.
    which : (n, 4) integers: sheet, specimen, landmark (which must be visible) and level. A patch of level l shows a
        region 2^l times as wide as one of level 0.
    """
    side = settings.patch_px
    patches = np.empty((len(which), 2, side, side), np.float32)
    places = np.empty((len(which), 2))
    for row, (index, specimen, landmark, level) in enumerate(which):
        page, jitter = sheets[index], settings.jitter_px * 2**level
        truth = page.points[specimen]
        to_mean = robust_similarity(truth + rng.normal(0, jitter, truth.shape), mean)
        off = rng.uniform(-2, 2, 2) if rng.random() < 1 / 3 else rng.normal(0, 1, 2)
        change = augment.random_matrix(rng, settings.geometry) @ augment.rotation(0, 0.5**level)
        matrix = patch_matrix(to_mean, truth[landmark] + off * jitter, side, change)
        field = augment.smooth_displacement(rng, (side, side), settings.geometry)
        views = cut(page, matrix, settings, field)
        augment.blots(rng, views, [1.0, 1 / settings.context], settings.intensity)
        patches[row] = augment.standardize(np.stack(views))
        places[row] = augment.displaced(augment.move(truth[landmark : landmark + 1], matrix), field)[0]
    return augment.vary_intensity(rng, patches, settings.intensity), places


class RefineNetwork(nn.Module):
    """A U-Net shared by all landmarks and levels, with a map for each; a patch is asked for its own map only.

    Map ``level * landmarks + landmark`` is that of a landmark in a patch of a level.
    """

    def __init__(self, landmarks: int, settings: RefineSettings, *, levels: int = 1, pretrained: bool = True) -> None:
        super().__init__()
        self.settings = settings
        self.net = UNet(
            2, landmarks * levels, filters=settings.filters, filters_rate=settings.filters_rate,
            stem_stride=settings.stem_stride, max_stride=settings.max_stride, output_stride=settings.output_stride,
            encoder=settings.encoder, pretrained=pretrained,
        )  # fmt: skip

    def forward(self, patches: Tensor, maps: Tensor) -> Tensor:
        """Logits (n, h, w) of map ``maps[i]`` in patch i."""
        features = self.net.features(patches)
        head = self.net.head
        assert head.bias is not None
        weight = head.weight[maps, :, 0, 0]
        return torch.einsum("nchw,nc->nhw", features, weight) + head.bias[maps][:, None, None]

    def loss(self, patches: Tensor, maps: Tensor, places: Tensor) -> dict[str, Tensor]:
        """Loss terms: `patches`, the mean cross-entropy of the maps, and `distance` in cells where it is asked for."""
        logits = self(patches, maps)
        cells = decode.to_cells(places, self.settings.output_stride)
        targets = decode.gaussians(cells, logits.shape[-2:], self.settings.sigma_cells)
        each, mask = decode.map_cross_entropy(logits, targets)
        terms = {"patches": each.sum() / mask.sum().clamp(min=1)}
        if self.settings.distance_weight:
            share = decode.probabilities(logits)
            y, x = torch.arange(share.shape[-2]).to(share), torch.arange(share.shape[-1]).to(share)
            mean = torch.stack([(share.sum(-2) * x).sum(-1), (share.sum(-1) * y).sum(-1)], dim=-1)
            distance = torch.sqrt(((mean - cells) ** 2).sum(-1) + 1e-4)
            terms["distance"] = self.settings.distance_weight * (distance * mask).sum() / mask.sum().clamp(min=1)
        return terms
