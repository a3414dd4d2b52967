"""Backbones that offer features by stride, and the network that binds heads to them.

SLEAP's U-Net is built parameter for parameter; the two others come from the landmark system. What a head's channels
mean is not known here. The input is uint8 or float of 0..255; scaling it is the network's first step, so that an
exported model needs no other preparation than cutting pictures to size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ethomorph.core.errors import StudyError
from ethomorph.keypoints.networks import UNet
from ethomorph.keypoints.pose.settings import Model


@dataclass(frozen=True)
class HeadShape:
    """What a network has to know of a head: its channels, the stride it is read at, and its first bias."""

    channels: int
    stride: int
    bias: float = 0.0


class SleapUNet(nn.Module):
    """SLEAP's U-Net: blocks of biased convolutions and ReLU, pooling between them, a middle block, and up again.

    Parameters
    ----------
    channels_in : 1 or 3.
    output_stride : of the finest features.

    Attributes
    ----------
    channels : stride to channels of the features that `forward` gives.
    """

    def __init__(self, channels_in: int, model: Model, output_stride: int) -> None:
        super().__init__()
        depth = int(math.log2(model.max_stride))
        widths = [round(model.filters * model.filters_rate**level) for level in range(depth + 1)]
        self.interpolate = model.up_interpolate
        self.down = nn.ModuleList(
            block(before, after, model) for before, after in zip([channels_in, *widths], widths[:depth], strict=False)
        )
        self.middle = block(widths[depth - 1], widths[depth], model) if model.middle_block else nn.Identity()
        hidden = widths[depth] if model.middle_block else widths[depth - 1]
        self.channels = {model.max_stride: hidden}
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level in range(depth - 1, int(math.log2(output_stride)) - 1, -1):
            grown = hidden
            if not model.up_interpolate:
                grown = widths[level]
                self.grow.append(nn.ConvTranspose2d(hidden, grown, model.kernel_size, 2, model.kernel_size // 2, 1))
            self.up.append(block(grown + widths[level], widths[level], model))
            hidden = widths[level]
            self.channels[2**level] = hidden

    def forward(self, picture: Tensor) -> dict[int, Tensor]:
        skips = []
        for layer in self.down:
            picture = layer(picture)
            skips.append(picture)
            picture = functional.max_pool2d(picture, 2)
        picture = self.middle(picture)
        stride = 2 ** len(self.down)
        found = {stride: picture}
        for index, layer in enumerate(self.up):
            if self.interpolate:
                picture = functional.interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False)
            else:
                picture = functional.relu(self.grow[index](picture))
            stride //= 2
            picture = layer(torch.cat([picture, skips[int(math.log2(stride))]], dim=1))
            found[stride] = picture
        return found


def block(channels_in: int, channels_out: int, model: Model) -> nn.Sequential:
    """Convolutions with bias, each followed by ReLU; weights by He et al. (2015), which torch's default is half of."""
    layers: list[nn.Module] = []
    for index in range(model.convs_per_block):
        before = channels_in if index == 0 else channels_out
        layer = nn.Conv2d(before, channels_out, model.kernel_size, padding=model.kernel_size // 2)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        layers += [layer, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class LandmarkUNet(nn.Module):
    """The landmark system's U-Net with features at every stride of its decoder."""

    def __init__(self, channels_in: int, model: Model, output_stride: int, *, pretrained: bool) -> None:
        super().__init__()
        self.unet = UNet(
            channels_in, 1, filters=model.filters, filters_rate=model.filters_rate, stem_stride=model.stem_stride,
            max_stride=model.max_stride, output_stride=output_stride, pretrained=pretrained,
            encoder="efficientnet-lite0" if model.backbone == "efficientnet-lite0" else "plain",
        )  # fmt: skip
        self.unet.head = nn.Identity()  # type: ignore[assignment]
        strides = [self.unet.max_stride // 2**level for level in range(len(self.unet.decoder) + 1)]
        with torch.no_grad():
            side = 2 * self.unet.max_stride
            self.channels = {s: f.shape[1] for s, f in self.eval()(torch.zeros(1, channels_in, side, side)).items()}
        assert list(self.channels) == strides
        self.train()

    def forward(self, picture: Tensor) -> dict[int, Tensor]:
        levels = self.unet.encoder(picture)
        hidden, stride = levels[-1], self.unet.max_stride
        found = {stride: hidden}
        for layer, skip in zip(self.unet.decoder, reversed(levels[self.unet.first : -1]), strict=True):
            hidden = functional.interpolate(hidden, size=skip.shape[-2:], mode="nearest")
            hidden = layer(torch.cat([hidden, skip], dim=1))
            stride //= 2
            found[stride] = hidden
        return found


class PoseNetwork(nn.Module):
    """A backbone with heads: a picture in, a map a head out, in the order of the heads.

    Parameters
    ----------
    channels_in : 1 or 3.
    heads : each is a 1x1 convolution on the features of its stride.
    mean, std : of the training pictures' pixels in 0..255, taken off and divided by.

    Examples
    --------
    >>> net = PoseNetwork(1, Model(filters=8), {"maps": HeadShape(3, 2)})
    >>> parameters(net), [tuple(m.shape) for m in net(torch.zeros(1, 1, 32, 48))]
    (488715, [(1, 3, 16, 24)])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, channels_in: int, model: Model, heads: dict[str, HeadShape], *, mean: float = 0.0, std: float = 255.0,
        pretrained: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        finest = min(head.stride for head in heads.values())
        if model.backbone == "unet":
            self.backbone: nn.Module = SleapUNet(channels_in, model, finest)
        else:
            self.backbone = LandmarkUNet(channels_in, model, finest, pretrained=pretrained)
        channels: dict[int, int] = self.backbone.channels  # type: ignore[assignment]
        self.names = list(heads)
        self.strides = [head.stride for head in heads.values()]
        self.max_stride = max(channels)
        self.heads = nn.ModuleList()
        for name, head in heads.items():
            refuse_stride(name, head.stride, channels)
            layer = nn.Conv2d(channels[head.stride], head.channels, 1)
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, head.bias)  # type: ignore[arg-type]
            self.heads.append(layer)
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

    def scaled(self, picture: Tensor) -> Tensor:
        """Pixels as the backbone sees them."""
        return (picture.float() - self.mean) / self.std

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        features = self.backbone(self.scaled(picture))
        return tuple(head(features[stride]) for head, stride in zip(self.heads, self.strides, strict=True))


def parameters(network: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(p.numel() for p in network.parameters())


def receptive_field(model: Model) -> int:
    """Side of the square of input pixels that a value of the coarsest block depends on, in px.

    A convolution of kernel k at stride s adds (k - 1) s, a pooling by 2 adds s (the closed form for a chain of layers).
    """
    if model.backbone == "efficientnet-lite0":
        return _chain([(3, 2), (3, 1), (3, 2), (3, 1), (5, 2), (5, 1), (3, 2), *[(3, 1)] * 2, *[(5, 1)] * 3])
    kernel = model.kernel_size if model.backbone == "unet" else 3
    convolutions = model.convs_per_block if model.backbone == "unet" else 2
    layers: list[tuple[int, int]] = []
    stride = 1
    if model.backbone != "unet" and model.stem_stride > 1:
        layers, stride = [(3, model.stem_stride), (3, 1)], model.stem_stride
    else:
        layers = [(kernel, 1)] * convolutions
    while stride < model.max_stride:
        stride *= 2
        last = stride == model.max_stride and not model.middle_block and model.backbone == "unet"
        layers += [(2, 2), *([] if last else [(kernel, 1)] * convolutions)]
    return _chain(layers)


def _chain(layers: list[tuple[int, int]]) -> int:
    field, jump = 1, 1
    for kernel, stride in layers:
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


def refuse_stride(name: str, stride: int, channels: dict[int, int]) -> None:
    """Raise StudyError for a head at a stride that the backbone does not offer."""
    if stride not in channels:
        raise StudyError(
            f"{name} is read at stride {stride}", place="settings.heads",
            fix=f"use one of {', '.join(map(str, sorted(channels)))}, the strides of this backbone",
        )  # fmt: skip
