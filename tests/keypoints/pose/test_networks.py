"""SLEAP's U-Net parameter for parameter, heads by stride, and losses against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from ethomorph.core.errors import StudyError
from ethomorph.keypoints.pose.heads import Fields, ManyPeaks, OnePeak, PlainMaps, baselines
from ethomorph.keypoints.pose.networks import HeadShape, PoseNetwork, parameters, receptive_field
from ethomorph.keypoints.pose.settings import Model

POINTS = torch.tensor([[[[20.0, 30.0], [math.nan, math.nan]]]])


@pytest.mark.parametrize(
    ("model", "nodes", "stride", "count"),
    [
        (Model(filters=8), 3, 2, 488_715),
        (Model(filters=16), 3, 2, 1_953_171),
        (Model(filters=16), 13, 2, 1_953_501),
        (Model(filters=32, filters_rate=1.5, max_stride=32), 13, 4, 2_936_540),
    ],
)
def test_parameter_counts_are_those_of_sleap(model, nodes, stride, count):
    assert parameters(PoseNetwork(1, model, {"maps": HeadShape(nodes, stride)})) == count


@pytest.mark.parametrize("backbone", ["unet", "unet-bn", "efficientnet-lite0"])
def test_every_backbone_gives_maps_at_the_heads_strides(backbone):
    net = PoseNetwork(
        1, Model(backbone=backbone, filters=8), {"maps": HeadShape(3, 2), "fields": HeadShape(4, 4)}
    ).eval()
    assert [tuple(m.shape) for m in net(torch.zeros(2, 1, 32, 64, dtype=torch.uint8))] == [
        (2, 3, 16, 32),
        (2, 4, 8, 16),
    ]


def test_a_stride_that_is_not_there_is_refused_by_name():
    with pytest.raises(StudyError, match="fields is read at stride 32"):
        PoseNetwork(1, Model(filters=8), {"maps": HeadShape(3, 2), "fields": HeadShape(4, 32)})


def test_the_receptive_field_is_what_an_impulse_reaches():
    model = Model(filters=2, max_stride=8)
    net = PoseNetwork(1, model, {"maps": HeadShape(1, 8)}).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 1.0)
    side = 160
    picture = torch.ones(1, 1, side, side, requires_grad=True)
    net(picture)[0][0, 0, 10, 10].backward()
    rows = torch.nonzero(picture.grad[0, 0].abs().sum(1))[:, 0]
    assert 0 < int(rows.max() - rows.min()) + 1 <= receptive_field(model) == 68


def test_one_peak_knows_a_hidden_node_from_a_seen_one():
    head = OnePeak(("a", "b"), 2, 2.5)
    targets = head.targets(POINTS, (40, 50))
    assert targets.sum((-2, -1))[0].tolist() == pytest.approx([1.0, 0.0])
    start = head.loss(torch.zeros_like(targets), targets)[0]
    assert start.tolist() == pytest.approx([math.log(2 * 2000), math.log(2)], rel=1e-4)
    best = head.loss(head.logits_of(targets), targets)[0]
    entropy = -(targets[0, 0] * targets[0, 0].clamp(min=1e-12).log()).sum()
    assert float(best[0]) == pytest.approx(float(entropy), abs=0.01) and float(best[1]) < 1e-3


def test_all_zero_maps_lose_against_any_head_that_looks():
    for head in (OnePeak(("a", "b"), 2, 2.5), ManyPeaks(("a", "b"), 2, 2.5), PlainMaps(("a", "b"), 2, 2.5)):
        targets = head.targets(POINTS, (40, 50))
        known = baselines(head, targets, torch.zeros_like(targets[0]))
        best = float(head.loss(head.logits_of(targets), targets).mean())
        assert best < 0.6 * known["all zero"]


def test_a_thin_target_pulls_hard_where_squared_error_hardly_does():
    """Gradient at the peak's cell over the whole gradient of the background: the reason why maps collapse."""
    shares = {}
    for head in (ManyPeaks(("a",), 2, 2.5), PlainMaps(("a",), 2, 2.5)):
        targets = head.targets(POINTS[:, :, :1], (100, 200))
        start = torch.full_like(targets, head.shape.bias).requires_grad_()
        if isinstance(head, PlainMaps):
            start = torch.full_like(targets, 0.05).requires_grad_()
        head.loss(start, targets).sum().backward()
        up, down = start.grad.clamp(max=0).abs().sum(), start.grad.clamp(min=0).sum()
        shares[type(head).__name__] = float(up / (up + down))
    assert shares["ManyPeaks"] > 0.9 > 0.1 > shares["PlainMaps"]


def test_fields_point_along_their_edge():
    head = Fields(((0, 1),), 4, 8.0)
    points = torch.tensor([[[[10.0, 30.0], [70.0, 30.0]]]])
    field = head.targets(points, (16, 24))[0]
    assert float(field[0, 7, 9]) > 0.95 and abs(float(field[1, 7, 9])) < 1e-6
    assert float(field[0, 7, 23]) < 0.1 and float(field[0, 0, 9]) < 0.05
    assert float(head.loss(torch.zeros(1, 2, 16, 24), field[None])) == pytest.approx(1.0)
    hidden = torch.tensor([[[[10.0, 30.0], [math.nan, math.nan]]]])
    assert float(head.targets(hidden, (16, 24)).abs().sum()) == 0
