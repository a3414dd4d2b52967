"""From pictures to found specimens with trained stages: coarse sighting, then patches, cut again and seen in views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ethomorph.keypoints import augment, coarse, decode, refine
from ethomorph.keypoints.coarse import Sighting
from ethomorph.keypoints.data import Found
from ethomorph.keypoints.heatmap import sheet_factor
from ethomorph.keypoints.heatmap_settings import HeatmapSettings
from ethomorph.keypoints.refine import Sheet
from ethomorph.keypoints.stages import Stages
from ethomorph.keypoints.template import Template, robust_similarity
from ethomorph.training.devices import choose_device

PATCHES_AT_ONCE = 192


@dataclass
class Case:
    """One specimen under refinement: `page` it lies on and its `points` (landmarks, 2) in the page's pixels."""

    page: Sheet
    points: np.ndarray
    weights: np.ndarray


def predict_batch(
    stages: Stages, images: Sequence[np.ndarray], template: Template, settings: HeatmapSettings, *, most: int,
    spread_factor: float = 1.0, device: str = "auto",
) -> list[list[Found]]:  # fmt: skip
    """Specimens found in each picture, float32 (y, x) in 0..1."""
    where = torch.device(choose_device(device))
    stages.to(where)
    sightings = sight_all(stages, images, template, settings, most=most, device=where)
    cases, owners = [], []
    for index, (image, seen) in enumerate(zip(images, sightings, strict=True)):
        if not seen:
            continue
        page = refine.sheet(image, sheet_factor(np.array([s.points for s in seen]), template), settings.refine.context)
        for one in seen:
            cases.append(Case(page, augment.move(one.points, page.matrix), one.confidence))
            owners.append((index, one))
    found: list[list[Found]] = [[] for _ in images]
    if not cases:
        return found
    points, spread, mass = refined(stages, cases, template, settings, device=where)
    for case, (index, one), p, s, m in zip(cases, owners, points, spread, mass, strict=True):
        back = np.linalg.inv(case.page.matrix)
        size = np.sqrt(abs(np.linalg.det(back[:2, :2])))
        full = augment.move(p, back)
        confidence = np.clip(m * np.minimum(1.0, 2 * one.confidence), 0, 1)
        score = float(one.score * min(1.0, 2 * np.median(confidence)))
        if score >= settings.least_score:
            box = (*full.min(0).tolist(), *full.max(0).tolist())
            found[index].append(Found(full, confidence, s * size * spread_factor, box, score))
    return found


def sight_all(
    stages: Stages,
    images: Sequence[np.ndarray],
    template: Template,
    settings: HeatmapSettings,
    *,
    most: int,
    device: torch.device,
) -> list[list[Sighting]]:
    """What the coarse stage sees in each picture, points in full-resolution pixels; equal shapes go together."""
    own = settings.coarse
    groups: dict[tuple[int, int], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(coarse.canvas_size([image.shape], own), []).append(index)
    found: list[list[Sighting]] = [[] for _ in images]
    for canvas, members in groups.items():
        small = [coarse.thumbnail(images[i], round(1.5 * own.long_side_px)) for i in members]
        matrices = [coarse.onto_canvas(one.pixels.shape, canvas, own) for one in small]
        views = [augment.warp(one.pixels, matrix, canvas) for one, matrix in zip(small, matrices, strict=True)]
        batch = torch.from_numpy(augment.standardize(np.stack(views))[:, None]).to(device)
        with torch.inference_mode():
            centre, maps, offsets = stages.coarse(batch.contiguous(memory_format=torch.channels_last))
            centre, maps = coarse.centre_probabilities(centre).cpu(), decode.probabilities(maps).cpu()
            offsets = offsets.cpu()
        for row, index in enumerate(members):
            back = np.linalg.inv(matrices[row] @ small[row].matrix)
            seen = coarse.sight(
                centre[row], maps[row], offsets[row], sigma=own.sigma_cells, most=most, template=template,
                least_score=settings.least_score,
            )  # fmt: skip
            for cells, mass, score in seen:
                points = augment.move(decode.to_pixels(cells, own.output_stride).numpy().astype(float), back)
                found[index].append(Sighting(points, mass.numpy().astype(float), score))
    return found


def view_changes(count: int) -> list[np.ndarray]:
    """Turned and resized views: the first is plain, the others lie on a circle of 5 degrees and 5 % of size."""
    if count <= 1:
        return [np.eye(3)]
    angles = 2 * np.pi * (np.arange(count - 1) + 0.5) / (count - 1)
    return [np.eye(3)] + [augment.rotation(5 * np.sin(a), float(1 + 0.05 * np.cos(a))) for a in angles]


def refined(
    stages: Stages, cases: list[Case], template: Template, settings: HeatmapSettings, *, device: torch.device
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Points (landmarks, 2) in page pixels, spread and mass (landmarks,) of each case.

    The spread is the square root of the sum of two variances: of the maps beyond their targets', and between views.
    """
    own = settings.refine
    current = [case.points for case in cases]
    for level in [*range(template.levels - 1, 0, -1), *[0] * (own.passes - 1)]:
        seen = look(stages, cases, current, template, settings, [np.eye(3)], device, level)
        current = [view[0] for view, _, _ in seen]
    points, spread, mass = [], [], []
    for view, variance, share in look(stages, cases, current, template, settings, view_changes(own.views), device):
        weight = share[..., None] + 1e-6
        middle = (view * weight).sum(0) / weight.sum(0)
        apart = ((view - middle) ** 2).sum(-1).mean(0)
        points.append(middle)
        spread.append(np.sqrt(apart + variance.mean(0)))
        mass.append(share.mean(0))
    return points, spread, mass


def look(
    stages: Stages, cases: list[Case], current: list[np.ndarray], template: Template, settings: HeatmapSettings,
    changes: list[np.ndarray], device: torch.device, level: int = 0,
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:  # fmt: skip
    """Each case's landmarks in every view: points (views, landmarks, 2) in page pixels; variance, mass of each."""
    own, count = settings.refine, len(template.mean)
    narrow = augment.rotation(0, 0.5**level)
    jobs, patches = [], []
    for case, points in zip(cases, current, strict=True):
        to_mean = robust_similarity(points, template.mean, case.weights)
        for change in changes:
            for landmark in range(count):
                matrix = refine.patch_matrix(to_mean, points[landmark], own.patch_px, change @ narrow)
                jobs.append(np.linalg.inv(matrix))
                patches.append(augment.standardize(np.stack(refine.cut(case.page, matrix, own))))
    places, variances, masses = [], [], []
    wanted = level * count + torch.arange(count).repeat(len(cases) * len(changes))
    side = own.patch_px // own.output_stride
    trust = decode.gaussians(torch.full((2,), (side - 1) / 2), (side, side), own.trust_px / own.output_stride)
    for start in range(0, len(patches), PATCHES_AT_ONCE):
        some = slice(start, start + PATCHES_AT_ONCE)
        batch = torch.from_numpy(np.stack(patches[some])).to(device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            maps = decode.probabilities(stages.refine(batch, wanted[some].to(device))).cpu()
            cells, mass, variance = decode.locate(maps, 2 * own.sigma_cells, belief=trust)
        places.append(decode.to_pixels(cells, own.output_stride).numpy().astype(float))
        excess = decode.unwindowed(variance, 2 * own.sigma_cells) - own.sigma_cells**2
        variances.append(2 * own.output_stride**2 * excess.clamp(min=0).numpy())
        masses.append(mass.numpy())
    back = np.array(jobs)
    place = np.concatenate(places)
    on_page = np.einsum("nij,nj->ni", back[:, :2, :2], place) + back[:, :2, 2]
    area = abs(np.linalg.det(back[:, :2, :2]))
    shape = (len(cases), len(changes), count)
    points = on_page.reshape(*shape, 2)
    variance_px = (np.concatenate(variances) * area).reshape(shape)
    return list(zip(points, variance_px, np.concatenate(masses).reshape(shape), strict=True))
