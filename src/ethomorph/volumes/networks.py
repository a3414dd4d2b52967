"""A small 3-D U-Net with three heads: class, distance to a thing's edge, and border between touching things.

It knows patches only. What it costs in memory can be asked before it is built.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Pool = tuple[int, int, int]


class Block(nn.Module):
    """Two convolutions with instance normalisation; kernels are flat along axes that are not pooled yet."""

    def __init__(self, inputs: int, outputs: int, kernel: Pool) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        layers: list[nn.Module] = []
        for source in (inputs, outputs):
            layers += [
                nn.Conv3d(source, outputs, kernel, padding=padding, bias=False),
                nn.InstanceNorm3d(outputs, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class UNet3d(nn.Module):
    """A U-Net.

    Parameters
    ----------
    classes : outputs of the class head, background included.
    channels : features of each level, finest first.
    pools : by which (z, y, x) factors each level is coarser than the one before; one fewer than levels.
    kernels : (z, y, x) of each level.
    things : whether there are the heads for distance and border.
    """

    def __init__(
        self, classes: int, channels: Sequence[int], pools: Sequence[Pool], kernels: Sequence[Pool], *, things: bool
    ) -> None:
        super().__init__()
        self.classes, self.things = classes, things
        self.pools = [tuple(p) for p in pools]
        inputs = [1, *channels[:-1]]
        self.down = nn.ModuleList(Block(a, b, k) for a, b, k in zip(inputs, channels, kernels, strict=True))
        self.rise = nn.ModuleList(
            nn.ConvTranspose3d(channels[i + 1], channels[i], pools[i], stride=pools[i]) for i in range(len(pools))
        )
        self.up = nn.ModuleList(Block(2 * channels[i], channels[i], kernels[i]) for i in range(len(pools)))
        self.head = nn.Conv3d(channels[0], classes + (2 if things else 0), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, classes [+ distance, border], z, y, x) logits of (n, 1, z, y, x); sizes are multiples of all pools."""
        kept = []
        for level, block in enumerate(self.down):
            x = block(x)
            if level < len(self.pools):
                kept.append(x)
                x = nn.functional.max_pool3d(x, self.pools[level])
        for level in reversed(range(len(self.pools))):
            x = self.up[level](torch.cat([self.rise[level](x), kept[level]], dim=1))
        return self.head(x)


def activation_bytes(patch: Sequence[int], channels: Sequence[int], pools: Sequence[Pool], *, training: bool) -> int:
    """Estimated bytes of feature maps for one patch: what a level keeps, times the layers that keep it."""
    voxels = float(patch[0] * patch[1] * patch[2])
    total = 0.0
    for level, width in enumerate(channels):
        layers = (14 if level < len(channels) - 1 else 7) if training else 4
        total += 4 * voxels * width * layers
        if level < len(pools):
            voxels /= pools[level][0] * pools[level][1] * pools[level][2]
    return int(total)
