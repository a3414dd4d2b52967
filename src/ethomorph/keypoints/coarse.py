"""The coarse stage: where in a whole picture, seen small, are specimens and roughly their landmarks.

It needs no box. A centre map with a "nothing here" outcome says whether and where there are specimens; one map a
landmark says where it is. The refinement to full resolution is not done here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ethomorph.keypoints import augment, decode
from ethomorph.keypoints.augment import Geometry, Intensity
from ethomorph.keypoints.networks import Encoder, UNet
from ethomorph.keypoints.template import Template

OFFSET_UNIT = 8.0  # cells an offset of 1 stands for, so that the network's outputs are of order 1


GEOMETRY = Geometry(scale=0.25, shift=0.12)
INTENSITY = Intensity(blur=0.7)


@dataclass(frozen=True)
class CoarseSettings:
    """Settings of the coarse stage.

    Parameters
    ----------
    long_side_px : the picture's longer side as this stage sees it.
    filters, max_stride, output_stride, stem_stride, encoder : of the `UNet`.
    sigma_cells : width of the target Gaussians in cells of the output map.
    negatives : share of training pictures that are turned into empty ones.
    geometry, intensity : augmentation; `geometry.shift` is a share of the canvas here.
    """

    long_side_px: int = 160
    filters: int = 16
    stem_stride: int = 2
    max_stride: int = 32
    output_stride: int = 4
    encoder: Encoder = "plain"
    sigma_cells: float = 1.0
    negatives: float = 0.2
    geometry: Geometry = GEOMETRY
    intensity: Intensity = INTENSITY


@dataclass
class Thumbnail:
    """A picture at about the coarse stage's resolution.

    Attributes
    ----------
    pixels : (y, x) float32 in 0..1.
    matrix : 3x3, full-resolution pixels to these.
    points : (specimens, landmarks, 2) in these pixels; NaN where missing.
    """

    pixels: np.ndarray
    matrix: np.ndarray
    points: np.ndarray


@dataclass
class Sighting:
    """One specimen as the coarse stage sees it: `points` (landmarks, 2) in full-resolution px, and how sure it is."""

    points: np.ndarray
    confidence: np.ndarray
    score: float


def thumbnail(picture: np.ndarray, long_side_px: int, points: np.ndarray | None = None) -> Thumbnail:
    """`picture` (y, x) shrunk by area so that its longer side is `long_side_px`; smaller ones are left as they are."""
    small = augment.shrink(picture, long_side_px / max(picture.shape))
    matrix = augment.shrink_matrix(picture.shape, small.shape)
    moved = np.empty((0, 0, 2)) if points is None else augment.move(points, matrix)
    return Thumbnail(small, matrix, moved)


def canvas_size(shapes: Sequence[tuple[int, ...]], settings: CoarseSettings) -> tuple[int, int]:
    """(height, width) that holds every picture of these shapes once its longer side is `long_side_px`."""
    scales = [settings.long_side_px / max(shape) for shape in shapes]
    sides = [max(shape[axis] * s for shape, s in zip(shapes, scales, strict=True)) for axis in (0, 1)]
    step = settings.max_stride
    return tuple(int(np.ceil(np.floor(side + 0.5) / step)) * step for side in sides)  # type: ignore[return-value]


def onto_canvas(shape: tuple[int, ...], canvas: tuple[int, int], settings: CoarseSettings) -> np.ndarray:
    """3x3 matrix that fits a thumbnail of `shape` to `long_side_px` and centres it on the canvas."""
    fit = augment.scaling(settings.long_side_px / max(shape))
    middle = augment.move(np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2]), fit)
    return augment.translation(*((np.array(canvas[::-1]) - 1) / 2 - middle)) @ fit


def training_view(
    rng: np.random.Generator, small: Thumbnail, canvas: tuple[int, int], settings: CoarseSettings
) -> tuple[np.ndarray, np.ndarray]:
    """A random view: pixels (canvas), points (specimens, landmarks, 2); those outside, and of empty views, are NaN."""
    middle = (np.array(canvas[::-1]) - 1) / 2
    base = onto_canvas(small.pixels.shape, canvas, settings)
    turned = augment.random_matrix(rng, settings.geometry)
    turned[:2, 2] *= canvas[::-1]
    matrix = augment.translation(*middle) @ turned @ augment.translation(*-middle) @ base
    field = augment.smooth_displacement(rng, canvas, settings.geometry)
    pixels = augment.warp(small.pixels, matrix, canvas, displacement=field)
    points = augment.move(small.points, matrix)
    points = augment.displaced(points.reshape(-1, 2), field).reshape(points.shape)
    if rng.random() < settings.negatives:
        return emptied(rng, pixels, points), np.full_like(points, np.nan)
    outside = ~((points >= 0) & (points <= np.array(canvas[::-1]) - 1)).all(-1)
    points[outside] = np.nan
    return pixels, points


def emptied(rng: np.random.Generator, pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The picture without a specimen: jumbled tiles, painted over, or nothing but texture."""
    height, width = pixels.shape
    kind = rng.integers(3)
    if kind == 0:
        side = int(rng.integers(8, 17))
        grid = [(y, x) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)]
        out = cv2.GaussianBlur(pixels, (0, 0), side)
        for (y, x), other in zip(grid, rng.permutation(len(grid)), strict=True):
            v, u = grid[other]
            out[y : y + side, x : x + side] = np.rot90(pixels[v : v + side, u : u + side], int(rng.integers(4)))
        return out
    if kind == 1:
        mask = np.zeros((height, width), np.uint8)
        for specimen in points:
            seen = specimen[np.isfinite(specimen).all(-1)]
            if len(seen):
                place, (wide, high), angle = cv2.minAreaRect(seen.astype(np.float32))
                corners = cv2.boxPoints((place, (wide * 1.35 + 8, high * 1.35 + 8), angle))
                cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
        keep = mask == 0
        level = np.median(pixels[keep]) if keep.any() else np.float32(rng.uniform())
        spread = float(pixels[keep].std()) if keep.any() else 0.02
        fill = level + 0.5 * spread * rng.standard_normal(pixels.shape, dtype=np.float32)
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5)
        return pixels * (1 - soft) + fill * soft
    return clouds(rng, (height, width))


def clouds(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Random texture (height, width) about 0.5: noise of knots 1, 2, 4 ... 32 px apart, in random shares."""
    shares = rng.exponential(1.0, 6) ** rng.choice([1, 4])
    out = np.zeros(size, np.float32)
    for octave, share in enumerate(shares / shares.sum()):
        knots = (max(2, size[0] >> octave), max(2, size[1] >> octave))
        rough = rng.standard_normal(knots, dtype=np.float32)
        out += np.float32(share) * cv2.resize(rough, size[::-1], interpolation=cv2.INTER_CUBIC)
    return 0.5 + np.float32(rng.choice([1e-3, 0.02, 0.2])) * out


class CoarseNetwork(nn.Module):
    """A U-Net with a centre map, a map a landmark and, for several specimens, offsets from centre to landmarks."""

    def __init__(self, landmarks: int, settings: CoarseSettings, *, several: bool, pretrained: bool = True) -> None:
        super().__init__()
        self.landmarks, self.several, self.settings = landmarks, several, settings
        self.net = UNet(
            1, 1 + landmarks * (3 if several else 1), filters=settings.filters, stem_stride=settings.stem_stride,
            max_stride=settings.max_stride, output_stride=settings.output_stride, encoder=settings.encoder,
            pretrained=pretrained,
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of centre (n, h, w) and landmarks (n, p, h, w), and offsets (n, p, 2, h, w), none of them for one."""
        out = self.net(pictures)
        offsets = out[:, 1 + self.landmarks :]
        count = self.landmarks if self.several else 0
        return out[:, 0], out[:, 1 : 1 + self.landmarks], offsets.unflatten(1, (count, 2))

    def loss(self, pictures: Tensor, points: Tensor) -> dict[str, Tensor]:
        """Loss terms of views (n, 1, y, x) with points (n, specimens, landmarks, 2), NaN where missing.

        `landmarks` is the mean cross-entropy of the visible landmarks' maps; in empty pictures they should be flat, so
        that there is little confidence where there is nothing. `centre` is the cross-entropy of the centre map with its
        extra "nothing" outcome, `offsets` the mean absolute offset error near the centres.
        """
        centre, maps, offsets = self(pictures)
        size, sigma = (maps.shape[-2], maps.shape[-1]), self.settings.sigma_cells
        cells = decode.to_cells(points, self.settings.output_stride)
        targets = decode.gaussians(cells, size, sigma).sum(1)
        visible = torch.isfinite(points).all(-1)
        nothing = ~visible.flatten(1).any(1)
        targets = torch.where(nothing[:, None, None, None], torch.ones_like(targets), targets)
        each, mask = decode.map_cross_entropy(maps, targets)
        middle = torch.nanmean(cells, dim=2)
        near = decode.gaussians(middle, size, sigma)
        terms = {
            "landmarks": each.sum() / mask.sum().clamp(min=1),
            "centre": centre_cross_entropy(centre, near.sum(1)).mean(),
        }
        if self.several:
            terms["offsets"] = self.offset_loss(offsets, cells, middle, near, visible)
        return terms

    @staticmethod
    def offset_loss(offsets: Tensor, cells: Tensor, middle: Tensor, near: Tensor, visible: Tensor) -> Tensor:
        """Mean absolute error of offsets where a specimen's centre Gaussian exceeds 0.3, visible landmarks only."""
        wanted = torch.nan_to_num((cells - middle[:, :, None]) / OFFSET_UNIT)
        weight = (near > 0.3)[:, :, None] & visible[..., None, None]
        error = (offsets[:, None] - wanted[..., None, None]).abs().sum(3)
        return (error * weight).sum() / weight.sum().clamp(min=1)


def outcomes(logits: Tensor) -> Tensor:
    """Log-probabilities (n, cells + 1) of where the centre is, the last one being "nothing here".

    Nothing has as much weight as all cells of a flat map together, whatever their number.
    """
    flat = logits.flatten(1)
    nothing = torch.full_like(flat[:, :1], math.log(flat.shape[1]))
    return functional.log_softmax(torch.cat([flat, nothing], dim=1), dim=1)


def centre_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy (n,) of centre maps (n, h, w) with their `outcomes`; empty targets ask for "nothing here"."""
    log = outcomes(logits)
    total = targets.flatten(1).sum(1)
    wanted = targets.flatten(1) / total.clamp(min=1e-3)[:, None]
    return torch.where(total > 1e-3, -(wanted * log[:, :-1]).sum(1), -log[:, -1])


def centre_probabilities(logits: Tensor) -> Tensor:
    """Probability of each cell (n, h, w); what is left to 1 is "nothing here"."""
    return outcomes(logits)[:, :-1].exp().view_as(logits)


def sight(
    centre: Tensor, maps: Tensor, offsets: Tensor, *, sigma: float, most: int, template: Template,
    least_score: float = 0.5,
) -> list[tuple[Tensor, Tensor, float]]:  # fmt: skip
    """Specimens in one picture's maps: points (landmarks, 2) in cells, confidence (landmarks,), score.

    Parameters
    ----------
    centre, maps, offsets : one picture's outputs, as probabilities (h, w) and (p, h, w), and (p, 2, h, w) in cells over
        `OFFSET_UNIT`.
    sigma : width of the target Gaussians in cells.
    most : specimens at most. For one, each landmark's map is searched as a whole.
    template : chooses among a map's peaks by where the other landmarks lie.
    least_score : probability of "a specimen is here" below which the picture is empty.
    """
    present = float(centre.sum())
    if present < least_score:
        return []
    if most == 1:
        return [(*guided(maps, template, sigma), present)]
    found = []
    left, strongest = centre.clone(), 0.0
    for _ in range(most):
        at, mass, _ = decode.locate(left[None], 2 * sigma)
        weight = float(mass[0] * left.sum())
        strongest = max(strongest, weight)
        if weight < 0.3 * strongest or weight < 0.02:
            break
        column, row = at[0].round().long().tolist()
        guess = at + offsets[:, :, row, column] * OFFSET_UNIT
        reach = float((guess - at).norm(dim=-1).max())
        windowed = maps * around(guess, maps, max(2.0, reach / 4))
        share = windowed.sum((-2, -1))
        points, inside = guided(windowed / share.clamp(min=1e-9)[:, None, None], template, sigma)
        found.append((points, inside, share, weight))
        left = left * (around(at, centre[None], max(1.0, reach / 4))[0] < 0.14)  # what lies within two deviations goes
    count = len(found)
    return [
        (points, inside * (share * count).clamp(max=1), present * min(1.0, weight / strongest))
        for points, inside, share, weight in found
    ]


def guided(maps: Tensor, template: Template, sigma: float) -> tuple[Tensor, Tensor]:
    """One specimen's points (p, 2) in cells and their mass, each the peak that agrees with the other landmarks'."""
    points, mass, _ = decode.locate(maps, 2 * sigma)
    if len(maps) < 4:
        return points, mass
    for _ in range(2):
        expected, deviation = template.expected(points.double().numpy(), mass.double().numpy())
        belief = decode.gaussians(
            torch.from_numpy(expected).float(), (maps.shape[-2], maps.shape[-1]),
            torch.from_numpy(np.maximum(deviation, 1.0)).float()[:, None],
        )  # fmt: skip
        points, mass, _ = decode.locate(maps, 2 * sigma, belief=belief)
    return points, mass


def around(points: Tensor, maps: Tensor, sigma: float) -> Tensor:
    """Gaussian windows of peak 1 at points (n, 2), of the maps' size."""
    return decode.gaussians(points, (maps.shape[-2], maps.shape[-1]), sigma)
