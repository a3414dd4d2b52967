"""The loss of the three heads and the module that the fit loop trains."""

from __future__ import annotations

import copy
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import functional

from ethomorph.training.averaging import decayed, follow
from ethomorph.volumes.classes import IGNORED
from ethomorph.volumes.networks import UNet3d
from ethomorph.volumes.plan import Plan
from ethomorph.volumes.settings import SegmenterSettings

STEPS_AN_EPOCH = 25
DISTANCE_WEIGHT, BORDER_WEIGHT = 2.0, 0.5
PRIOR = 2.0
"""Logit by which background leads before training."""

BORDER_RARE = 3.0
"""How much more a border voxel counts than another voxel of a thing."""


class SegmenterModule(pl.LightningModule):
    """The network with its loss, and the moving average of its weights, which predicts."""

    averaged: Tensor

    def __init__(self, classes: int, plan: Plan, settings: SegmenterSettings, *, things: list[int]) -> None:
        super().__init__()
        self.plan, self.settings, self.things = plan, settings, things
        self.network = build_network(classes, plan, things=bool(things))
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.register_buffer("averaged", torch.zeros(()))
        self.classes = classes

    def inputs_of(self, batch: dict[str, Tensor]) -> Tensor:
        return batch["image"]

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs = network(batch["image"].contiguous(memory_format=torch.channels_last_3d))
        return segmentation_losses(outputs, batch, self.classes, self.things)

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        terms = self.losses(self.network, batch)
        for name, value in terms.items():
            self.log(f"train_{name}", value.detach(), on_step=False, on_epoch=True, batch_size=len(batch["image"]))
        return torch.stack(list(terms.values())).sum()

    def validation_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        terms = self.losses(self.average, batch)
        for name, value in terms.items():
            self.log(f"validation_{name}", value, on_step=False, on_epoch=True, batch_size=len(batch["image"]))
        return torch.stack(list(terms.values())).sum()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch is None:
            return
        self.averaged += 1
        follow(self.average, self.network, float(self.averaged), self.settings.averaging)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = decayed(self.network.parameters(), self.settings.weight_decay)
        return torch.optim.AdamW(groups, lr=self.settings.learning_rate)


def build_network(classes: int, plan: Plan, *, things: bool) -> UNet3d:
    """The plan's network, which at first says background everywhere: so it learns several times faster."""
    network = UNet3d(classes, plan.channels, plan.pools, plan.kernels, things=things, stem=plan.stem)
    with torch.no_grad():
        bias = network.head.bias
        assert bias is not None
        bias.zero_()
        bias[0] = PRIOR
        bias[classes:] = -PRIOR
        network.head.weight.mul_(0.5)
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def segmentation_losses(
    outputs: Tensor, batch: dict[str, Tensor], classes: int, things: list[int]
) -> dict[str, Tensor]:
    """Cross-entropy and Dice of the classes; inside things also distance (smooth L1) and border (weighted logistic)."""
    target = batch["classes"]
    counts = target != IGNORED
    logits = outputs[:, :classes]
    terms = {
        "cross_entropy": functional.cross_entropy(logits, target, ignore_index=IGNORED)
        if counts.any() else logits.sum() * 0,
        "dice": dice_loss(logits, target, counts),
    }  # fmt: skip
    if not things:
        return terms
    inside = torch.zeros_like(counts)
    for number in things:
        inside |= target == number
    near = functional.max_pool3d(inside[:, None].float(), 5, 1, 2)[:, 0]  # things and their surroundings
    near = near * counts
    weight = near / near.sum().clamp_min(1)
    depth = functional.smooth_l1_loss(torch.sigmoid(outputs[:, classes]), batch["distance"], beta=0.1, reduction="none")
    terms["distance"] = DISTANCE_WEIGHT * (depth * weight).sum()
    border = functional.binary_cross_entropy_with_logits(outputs[:, classes + 1], batch["border"], reduction="none")
    rare = (1 + (BORDER_RARE - 1) * batch["border"]) * near
    terms["border"] = BORDER_WEIGHT * (border * rare).sum() / rare.sum().clamp_min(1)
    return terms


def dice_loss(logits: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """1 - mean Dice over the foreground classes that the batch holds, in which the batch is one volume."""
    shares = torch.softmax(logits, dim=1) * counts[:, None]
    known = torch.where(counts, target, torch.zeros_like(target))
    wanted = functional.one_hot(known, logits.shape[1]).movedim(-1, 1) * counts[:, None]
    axes = (0, 2, 3, 4)
    both = (shares * wanted).sum(axes)[1:]
    total = (shares.sum(axes) + wanted.sum(axes))[1:]
    there = wanted.sum(axes)[1:] > 0
    if not there.any():
        return logits.sum() * 0
    return 1 - (2 * both / total.clamp_min(1e-6))[there].mean()
