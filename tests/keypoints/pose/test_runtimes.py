"""Networks run in pieces: the same maps, one shape of input, whatever the number of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ethomorph.keypoints.pose.runtimes import Pieces, piece_of


class Doubling:
    name = "doubling"

    def __init__(self):
        self.shapes = []

    def __call__(self, pictures):
        self.shapes.append(pictures.shape)
        return [torch.from_numpy(2.0 * pictures), torch.from_numpy(pictures.astype(float)).sum((2, 3))]


@pytest.mark.parametrize(
    ("count", "pieces"), [(1, [1]), (3, [4]), (4, [4]), (8, [4, 4]), (11, [4, 4, 4]), (14, [4, 4, 4, 2])]
)
def test_pieces_give_the_same_maps_by_few_shapes(count, pieces):
    pictures = np.random.default_rng(count).integers(0, 255, (count, 1, 6, 5)).astype(np.uint8)
    runner = Doubling()
    maps, sums = Pieces(runner, 4)(pictures)
    assert np.array_equal(maps.numpy(), 2.0 * pictures) and np.array_equal(sums.numpy(), pictures.sum((2, 3)))
    assert runner.shapes == [(piece, 1, 6, 5) for piece in pieces]


def test_large_pictures_go_one_by_one_on_a_cpu_and_all_together_on_a_gpu():
    assert piece_of((16, 1, 2000, 2000), "cpu") == 1
    assert piece_of((16, 1, 96, 96), "cpu") == 28
    assert piece_of((16, 1, 96, 96), "cuda:0") == 16
