"""Tiny networks and data for the fit loop: everything trains in a second or two."""

from __future__ import annotations

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from ethomorph.training.settings import FitSettings


class Net(pl.LightningModule):
    """A classifier of four numbers (or small images) into `classes`, with drop-out so that random streams matter."""

    def __init__(self, *, classes: int = 3, width: int = 16, inputs: int = 4, optimizer: str = "adam") -> None:
        super().__init__()
        self.classes, self.optimizer = classes, optimizer
        self.net = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(inputs, width),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.1),
            torch.nn.Linear(width, classes),
        )

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        scores = self.net(batch[0])
        self.log("accuracy", (scores.argmax(1) == batch[1]).float().mean())
        self.seen.append(scores.argmax(1))
        return {"loss": torch.nn.functional.cross_entropy(scores, batch[1])}

    def on_validation_epoch_start(self):
        self.seen = []

    def prediction_statistics(self):
        return {"predicted_classes": len(torch.cat(self.seen).unique()), "true_classes": self.classes}

    def configure_optimizers(self):
        if self.optimizer == "sgd":
            return torch.optim.SGD(self.parameters(), lr=1.0, momentum=0.9)
        return torch.optim.Adam(self.parameters())


def blobs(n: int = 160, *, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (n, 4) around `classes` centres, unit spread overall, and their class."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = np.random.default_rng(99).normal(size=(classes, 4))
    points = centres[labels] + 0.6 * random.normal(size=(n, 4))
    return torch.tensor(points / points.std(), dtype=torch.float32), torch.tensor(labels)


def factory(x: torch.Tensor, y: torch.Tensor, *, shuffle: bool = True):
    return lambda batch_size: DataLoader(TensorDataset(x, y), batch_size, shuffle=shuffle)


@pytest.fixture
def make_net():
    def make(seed: int = 0, **options) -> Net:
        torch.manual_seed(seed)
        return Net(**options)

    return make


@pytest.fixture
def parts():
    """Training and validation loader factories; options change the data before they are loaded."""

    def make(*, change=lambda x: x, labels=lambda y: y, validation_labels=None, seed: int = 0, n: int = 160):
        x, y = blobs(n, seed=seed)
        vx, vy = blobs(60, seed=seed + 1000)
        return factory(change(x), labels(y)), factory(change(vx), (validation_labels or labels)(vy), shuffle=False)

    return make


@pytest.fixture
def quick():
    """Settings for a run of seconds."""

    def make(**options) -> FitSettings:
        return FitSettings(**{"max_epochs": 6, "learning_rate": 0.01, "device": "cpu"} | options)

    return make


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
