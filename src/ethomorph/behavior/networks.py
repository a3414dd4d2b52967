"""The networks: a dilated temporal net on signals, and three that look at pixels.

Input is (batch, channels, time) for `TemporalNet`, (batch, channels, time, height, width) in 0..1 for the others; all
give (batch, classes). Nothing here knows of files or training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

GREY = 0.45  # pixels are centred here and divided by `SPREAD`, whatever the arena: what kinetics-trained nets expect
SPREAD = 0.225


class TemporalNet(nn.Module):
    """Dilated temporal convolutions with residual links (as MS-TCN's stages, Farha & Gall 2019).

    Parameters
    ----------
    signals, classes : channels in, classes out.
    width, depth : channels inside; layers, of which layer i looks 2**i instants far.
    pooled : one answer a clip (batch, classes), else one an instant (batch, classes, time).
    """

    def __init__(
        self, signals: int, classes: int, *, width: int = 48, depth: int = 6, dropout: float = 0.2, pooled: bool = True
    ) -> None:
        super().__init__()
        self.pooled = pooled
        self.into = nn.Sequential(nn.Dropout(dropout / 2), nn.Conv1d(signals, width, 1))
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, width, 3, padding=2**i, dilation=2**i), nn.BatchNorm1d(width), nn.ReLU(),
                nn.Dropout(dropout), nn.Conv1d(width, width, 1),
            )
            for i in range(depth)
        )  # fmt: skip
        self.out = nn.Conv1d(2 * width if pooled else width, classes, 1)

    def forward(self, signals: Tensor) -> Tensor:
        found = self.into(signals)
        for layer in self.layers:
            found = found + layer(found)
        if not self.pooled:
            return self.out(found)
        both = torch.cat([found.mean(2), found.amax(2)], dim=1)
        return self.out(both[..., None])[..., 0]


class Centred(nn.Module):
    """Pixels in 0..1 brought to mean 0 and spread 1 of natural pictures."""

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels - GREY) / SPREAD


class ConvLSTM(nn.Module):
    """A small encoder for each frame and a convolutional LSTM over them (Shi et al. 2015).

    Gates are sigmoid and tanh; nothing in the recurrence is unbounded.
    """

    def __init__(self, channels: int, classes: int, *, width: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        inner = max(8, round(24 * width))
        self.encode = nn.Sequential(
            Centred(), nn.Conv2d(channels, inner, 5, 2, 2, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, 2, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, 2, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
        )  # fmt: skip
        self.gates = nn.Conv2d(3 * inner, 4 * inner, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(2 * inner, classes)
        self.inner = inner

    def forward(self, clips: Tensor) -> Tensor:
        batch, _, time = clips.shape[:3]
        frames = self.encode(clips.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, time))
        state = cell = torch.zeros_like(frames[:, 0])
        tops = []
        before = frames[:, 0]
        for step in range(time):
            seen = torch.cat([frames[:, step], frames[:, step] - before, state], dim=1)
            forget, keep, out, new = self.gates(seen).chunk(4, dim=1)
            cell = torch.sigmoid(forget + 1) * cell + torch.sigmoid(keep) * torch.tanh(new)
            state = torch.sigmoid(out) * torch.tanh(cell)
            tops.append(state.amax((2, 3)))
            before = frames[:, step]
        whole = torch.stack(tops)
        return self.out(self.dropout(torch.cat([whole.mean(0), whole.amax(0)], dim=1)))


class Block3D(nn.Module):
    """The basic block of a 3-D ResNet; its two ReLUs are two modules, so that each can be watched."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(outside)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv3d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(outside)
        self.relu2 = nn.ReLU()
        self.downsample: nn.Module | None = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(nn.Conv3d(inside, outside, 1, stride, bias=False), nn.BatchNorm3d(outside))

    def forward(self, x: Tensor) -> Tensor:
        found = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(found + (x if self.downsample is None else self.downsample(x)))


class R3D(nn.Module):
    """3-D ResNet-18 with shortcut B (Hara et al. 2018), as used for cichlid clips by Long et al. (2020).

    Parameter names follow the published PyTorch code, so that its weights load.
    """

    def __init__(self, channels: int, classes: int, *, width: float = 1.0, dropout: float = 0.0) -> None:
        super().__init__()
        wide = [max(4, round(w * width)) for w in (64, 128, 256, 512)]
        self.centre = Centred()
        self.conv1 = nn.Conv3d(channels, wide[0], 7, (1, 2, 2), 3, bias=False)
        self.bn1 = nn.BatchNorm3d(wide[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool3d(3, 2, 1)
        before, stages = wide[0], []
        for i, w in enumerate(wide):
            stages.append(nn.Sequential(Block3D(before, w, 1 if i == 0 else 2), Block3D(w, w, 1)))
            before = w
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(wide[3], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, clips: Tensor) -> Tensor:
        found = self.maxpool(self.relu(self.bn1(self.conv1(self.centre(clips)))))
        found = self.layer4(self.layer3(self.layer2(self.layer1(found))))
        return self.fc(self.dropout(found.mean((2, 3, 4))))


class Squeeze(nn.Module):
    """Squeeze and excitation over time and space (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(8, channels // 16)
        self.down, self.up = nn.Conv3d(channels, inner, 1), nn.Conv3d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.up(functional.relu(self.down(x.mean((2, 3, 4), keepdim=True))))
        return x * torch.sigmoid(gate)


class Bottleneck3D(nn.Module):
    """X3D's inverted bottleneck: 1x1x1, a 3x3x3 convolution of each channel by itself, 1x1x1."""

    def __init__(self, inside: int, inner: int, outside: int, stride: int, squeeze: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(inside, inner, 1, bias=False), nn.BatchNorm3d(inner), nn.ReLU(),
            nn.Conv3d(inner, inner, 3, (1, stride, stride), 1, groups=inner, bias=False), nn.BatchNorm3d(inner),
            Squeeze(inner) if squeeze else nn.Identity(), nn.SiLU(),
            nn.Conv3d(inner, outside, 1, bias=False), nn.BatchNorm3d(outside),
        )  # fmt: skip
        same = stride == 1 and inside == outside
        self.short: nn.Module = nn.Identity()
        if not same:
            self.short = nn.Sequential(
                nn.Conv3d(inside, outside, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(outside)
            )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.short(x))


class X3D(nn.Module):
    """A light 3-D network of X3D-XS's plan (Feichtenhofer 2020): stages of 3, 5, 11 and 7 inverted bottlenecks.

    `depth` scales the stages; 0.34 gives 1, 2, 4 and 2 blocks, which trains on a CPU.
    """

    def __init__(
        self, channels: int, classes: int, *, width: float = 1.0, depth: float = 0.34, dropout: float = 0.2
    ) -> None:
        super().__init__()
        wide = [max(8, 8 * round(w * width / 8)) for w in (24, 48, 96, 192)]
        blocks = [max(1, round(n * depth)) for n in (3, 5, 11, 7)]
        self.stem = nn.Sequential(
            Centred(), nn.Conv3d(channels, wide[0], (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            nn.Conv3d(wide[0], wide[0], (5, 1, 1), 1, (2, 0, 0), groups=wide[0], bias=False), nn.BatchNorm3d(wide[0]),
            nn.ReLU(),
        )  # fmt: skip
        before, layers = wide[0], []
        for w, count in zip(wide, blocks, strict=True):
            for i in range(count):
                layers.append(Bottleneck3D(before, round(2.25 * w), w, 2 if i == 0 else 1, squeeze=i % 2 == 0))
                before = w
        self.layers = nn.Sequential(*layers)
        head = round(2.25 * wide[3])
        self.head = nn.Sequential(nn.Conv3d(wide[3], head, 1, bias=False), nn.BatchNorm3d(head), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(2 * head, classes)

    def forward(self, clips: Tensor) -> Tensor:
        found = self.head(self.layers(self.stem(clips))).mean((3, 4))
        return self.out(self.dropout(torch.cat([found.mean(2), found.amax(2)], dim=1)))


def make_network(
    method: str, channels: int, classes: int, *, width: float = 1.0, dropout: float = 0.2, pooled: bool = True
) -> nn.Module:
    """The network of a method."""
    if method == "tcn":
        return TemporalNet(channels, classes, width=max(8, round(48 * width)), dropout=dropout, pooled=pooled)
    kinds: dict[str, type[nn.Module]] = {"convlstm": ConvLSTM, "r3d": R3D, "x3d": X3D}
    return kinds[method](channels, classes, width=width, dropout=dropout)


def load_weights(network: nn.Module, path: str) -> list[str]:
    """Load what fits of a file of weights; returns the names that did not fit or were not there.

    Raises
    ------
    FormatError : no such file, or no weights in it that fit.
    """
    from pathlib import Path

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from ethomorph.core.errors import FormatError

    try:
        if Path(path).suffix == ".safetensors":
            given = load_file(path)
        else:
            document = torch.load(path, map_location="cpu", weights_only=True)
            given = document.get("state_dict", document)
    except (OSError, SafetensorError, RuntimeError, AttributeError, ValueError, EOFError) as error:
        raise FormatError(f"no weights can be read ({' '.join(str(error).split())[:150]})", place=path) from None
    except Exception as error:  # a pickle that holds more than tensors is refused by torch with an error of its own
        raise FormatError(f"holds more than weights ({type(error).__name__})", place=path,
                          fix="save the state_dict as .safetensors") from None  # fmt: skip
    own = network.state_dict()
    given = {k.removeprefix("module."): v for k, v in given.items()}
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise FormatError(f"none of its {len(given)} arrays fits this network", place=path)
    network.load_state_dict(fitting, strict=False)
    return sorted(k for k in own if k not in fitting)
