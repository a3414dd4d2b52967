"""Maps and points are inverse to each other, to a twentieth of a cell."""

from __future__ import annotations

import math

import pytest
import torch

from ethomorph.keypoints import decode


@pytest.mark.parametrize("sigma", [0.75, 1.0, 1.5, 2.5])
def test_located_within_a_twentieth_of_a_cell(sigma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    points = 12 + 8 * torch.rand(200, 2, generator=generator)
    maps = decode.gaussians(points, (32, 34), sigma)
    maps = maps / maps.sum((-2, -1), keepdim=True)
    found, mass, variance = decode.locate(maps, 2 * sigma)
    assert float((found - points).norm(dim=-1).max()) < 0.05
    assert float(mass.min()) > 0.95
    expected = 1 / (1 / sigma**2 + 1 / (2 * sigma) ** 2)
    assert float((variance / expected - 1).abs().max()) < 0.1
    assert float((decode.unwindowed(variance, 2 * sigma).sqrt() / sigma - 1).abs().max()) < 0.15


def test_a_second_lower_peak_does_not_pull() -> None:
    points = torch.tensor([[10.3, 9.8], [25.0, 20.0]])
    maps = decode.gaussians(points, (32, 32), 1.0)
    both = (maps[0] + 0.4 * maps[1])[None]
    found, mass, _ = decode.locate(both / both.sum(), 2.0)
    assert float((found[0] - points[0]).norm()) < 0.05
    assert 0.6 < float(mass[0]) < 0.8


def test_flat_maps_have_no_mass() -> None:
    _, mass, _ = decode.locate(torch.full((1, 40, 40), 1 / 1600), 2.0)
    assert float(mass[0]) < 0.06


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_cells_and_pixels(stride: int) -> None:
    points = torch.tensor([[3.25, 7.5]])
    assert torch.allclose(decode.to_pixels(decode.to_cells(points, stride), stride), points)
    # the middle of the first cell is the middle of the pixels that it covers
    assert float(decode.to_pixels(torch.zeros(1), stride)) == (stride - 1) / 2


def test_cross_entropy_of_a_uniform_map_is_the_logarithm_of_its_cells() -> None:
    target = decode.gaussians(torch.tensor([[3.0, 4.0]]), (8, 10), 1.0)
    loss, mask = decode.map_cross_entropy(torch.zeros(1, 8, 10), target)
    assert float(loss[0]) == pytest.approx(math.log(80), abs=1e-4) and float(mask[0]) == 1


def test_missing_points_are_masked() -> None:
    logits = torch.randn(2, 8, 8, requires_grad=True)
    target = decode.gaussians(torch.tensor([[math.nan, math.nan], [3.0, 3.0]]), (8, 8), 1.0)
    loss, mask = decode.map_cross_entropy(logits, target)
    assert mask.tolist() == [0, 1] and float(loss[0].detach()) == 0
    loss.sum().backward()
    assert float(logits.grad[0].abs().max()) == 0 and float(logits.grad[1].abs().max()) > 0
