"""A task of seconds: a table of clips' features with a class each, learned by a small network through the fit loop."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from ethomorph.core.files import write_json
from ethomorph.study.task import ROOMS, Task
from ethomorph.training.fit import fit
from ethomorph.training.settings import FitSettings

DEFAULTS = {"learning_rate": 0.02, "scaled": True, "momentum": 0.9, "max_epochs": 12, "width": 16, "patience": 0}


def network_class():
    import lightning.pytorch as pl

    class Net(pl.LightningModule):
        def __init__(self, settings, inputs, classes):
            super().__init__()
            self.settings, self.classes = settings, classes
            width = settings["width"]
            self.net = torch.nn.Sequential(
                torch.nn.Linear(inputs, width), torch.nn.ReLU(), torch.nn.Linear(width, width), torch.nn.ReLU(),
                torch.nn.Linear(width, classes),
            )  # fmt: skip

        def training_step(self, batch, index):
            return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch, index):
            scores = self.net(batch[0])
            return {"loss": torch.nn.functional.cross_entropy(scores, batch[1]), "scores": scores, "labels": batch[1]}

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1.0, momentum=self.settings["momentum"])

    return Net


class ToyTask(Task):
    main_metric = "accuracy"
    higher_is_better = True

    def load(self):
        table = pd.read_csv(self.study.path(self.section.labels))
        self.x = torch.tensor(table.filter(like="x").to_numpy(), dtype=torch.float32)
        self.y = torch.tensor(table["label"].to_numpy())
        self.samples = table[["sample", "group"]]
        self.inputs.append(self.study.path(self.section.labels))

    @property
    def settings(self):
        return DEFAULTS | self.section.settings

    def refuse_unfit(self, parts):
        pass

    def audit(self, parts, *, progress):
        return None

    def resolved(self):
        return {"method": "toy", "settings": self.settings}

    def remedies(self):
        return super().remedies() | {"scaled_input": {"settings.scaled": True}}

    def part(self, parts, wanted):
        rows = torch.tensor([part == wanted for part in parts])
        x = self.x[rows]
        if self.settings["scaled"]:
            training = self.x[torch.tensor([part == "train" for part in parts])]
            x = (x - training.mean(0)) / training.std(0)
        return x, self.y[rows]

    def network(self):
        return network_class()(self.settings, self.x.shape[1], int(self.y.max()) + 1)

    def fit(self, parts, run, *, max_minutes, resume, progress):
        settings = self.settings
        torch.manual_seed(0)
        module = self.network()
        data = {name: TensorDataset(*self.part(parts, name)) for name in ("train", "validation")}
        fit(
            module,
            lambda n: DataLoader(data["train"], n, shuffle=True),
            lambda n: DataLoader(data["validation"], n),
            settings=FitSettings(
                learning_rate=settings["learning_rate"], max_epochs=settings["max_epochs"], batch_size=16,
                patience=settings["patience"], max_minutes=max_minutes, device="cpu", gradient_clip=None,
                schedule="constant",
            ),
            folder=run.folder, resume=resume, progress=progress,
        )  # fmt: skip
        run.model.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), run.model / "model.pt")

    def score(self, parts, run, *, part, progress):
        module = self.network()
        module.load_state_dict(torch.load(run.model / "model.pt", weights_only=True))
        x, y = self.part(parts, part)
        right = float((module.net(x).argmax(1) == y).float().mean())
        write_json(run.folder / f"seen_{part}.json", {"samples": len(y)})
        metric = {"value": right, "low": None, "high": None, "unit": "", "n": len(y)}
        return {"metrics": {"accuracy": metric}, "baselines": {}, "by_group": [], "warnings": []}

    def score_other(self, run, labels, images, *, progress):
        return {}

    def chapters(self, parts, run, folder):
        return []


TASK = ToyTask


def write_study(folder: Path, *, samples: int = 400, settings: str = "") -> Path:
    """A study of eleven groups and four classes, pixels from 0 to 255."""
    rng = np.random.default_rng(0)
    label = np.arange(samples) % 4
    centres = rng.normal(size=(4, 6))
    x = centres[label] + 0.5 * rng.normal(size=(samples, 6))
    pixels = np.clip(np.round(127 + 45 * x), 0, 255)
    table = pd.DataFrame(pixels, columns=[f"x{i}" for i in range(6)])
    table = table.assign(
        label=label, sample=[f"clip{i}" for i in range(samples)], group=[f"g{i // 4 % 11}" for i in range(samples)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "clips.csv", index=False)
    (folder / "study.toml").write_text(
        '[study]\nname = "toy"\n[split]\nby = "sample"\n[task.toy]\nkind = "behavior"\nlabels = "clips.csv"\n'
        f"[task.toy.settings]\n{settings}\n"
    )
    return folder


@pytest.fixture
def toy_study(tmp_path, monkeypatch):
    """A function that writes the study; the toy task stands in for behaviour."""
    module = types.ModuleType("ethomorph_toy_task")
    module.TASK = ToyTask
    monkeypatch.setitem(sys.modules, "ethomorph_toy_task", module)
    monkeypatch.setitem(ROOMS, "behavior", "ethomorph_toy_task")
    return lambda settings="": write_study(tmp_path / "study", settings=settings)
