"""A small 3-D U-Net with three heads: class, distance to a thing's edge, and border between touching things.

It knows patches only. What it costs in memory can be asked before it is built. On a processor the finest level costs
most and has the fewest features, so there a stem may fold neighbouring voxels into features first, and the head unfolds
them again: a third of the time for twice the weights. A voxel's own brightness then takes a short way to the outputs,
past every normalisation, so that edges stay sharp and flesh is not taken for bone where a patch holds no bone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Pool = tuple[int, int, int]

DETAIL = 8
"""Features of the short way from brightness to outputs."""

OUTPUT_BYTES = 240
"""Of a voxel's outputs where the levels are coarser than the voxels."""


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
    stem : (z, y, x) voxels that are folded into the features of the finest level; (1, 1, 1) folds none.
    things : whether there are the heads for distance and border.
    """

    def __init__(
        self, classes: int, channels: Sequence[int], pools: Sequence[Pool], kernels: Sequence[Pool], *, things: bool,
        stem: Pool = (1, 1, 1),
    ) -> None:  # fmt: skip
        super().__init__()
        self.classes, self.things = classes, things
        self.pools = [tuple(p) for p in pools]
        folded = tuple(stem) != (1, 1, 1)
        self.stem = nn.Conv3d(1, channels[0], stem, stride=stem) if folded else nn.Identity()
        inputs = [channels[0] if folded else 1, *channels[:-1]]
        self.down = nn.ModuleList(Block(a, b, k) for a, b, k in zip(inputs, channels, kernels, strict=True))
        self.rise = nn.ModuleList(
            nn.ConvTranspose3d(channels[i + 1], channels[i], pools[i], stride=pools[i]) for i in range(len(pools))
        )
        self.up = nn.ModuleList(Block(2 * channels[i], channels[i], kernels[i]) for i in range(len(pools)))
        outputs = classes + (2 if things else 0)
        self.head: nn.Conv3d | nn.ConvTranspose3d = nn.Conv3d(channels[0], outputs, 1)
        self.detail: nn.Module | None = None
        if folded:
            self.head = nn.ConvTranspose3d(channels[0], outputs, stem, stride=stem)
            near = (3 if stem[0] > 1 else 1, 3 if stem[1] > 1 else 1, 3 if stem[2] > 1 else 1)
            self.detail = nn.Sequential(
                nn.Conv3d(1, DETAIL, near, padding="same"), nn.LeakyReLU(0.01), nn.Conv3d(DETAIL, outputs, 1)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, classes [+ distance, border], z, y, x) logits of (n, 1, z, y, x); sizes are multiples of all pools."""
        image, x = x, self.stem(x)
        kept = []
        for level, block in enumerate(self.down):
            x = block(x)
            if level < len(self.pools):
                kept.append(x)
                x = nn.functional.max_pool3d(x, self.pools[level])
        for level in reversed(range(len(self.pools))):
            x = self.up[level](torch.cat([self.rise[level](x), kept[level]], dim=1))
        x = self.head(x)
        return x if self.detail is None else x + self.detail(image)


def activation_bytes(
    patch: Sequence[int], channels: Sequence[int], pools: Sequence[Pool], *, training: bool, stem: Pool = (1, 1, 1)
) -> int:
    """Estimated bytes of feature maps for one patch: what a level keeps, times the layers that keep it."""
    voxels = float(patch[0] * patch[1] * patch[2])
    total = OUTPUT_BYTES * voxels if tuple(stem) != (1, 1, 1) else 0.0
    voxels /= stem[0] * stem[1] * stem[2]
    for level, width in enumerate(channels):
        layers = (14 if level < len(channels) - 1 else 7) if training else 4
        total += 4 * voxels * width * layers
        if level < len(pools):
            voxels /= pools[level][0] * pools[level][1] * pools[level][2]
    return int(total)
