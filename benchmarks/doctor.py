"""The training doctor on planted and on healthy runs: false alarms, dead units counted, collapse flagged, its cost.

``python -m benchmarks.doctor`` takes some ten minutes; words such as ``healthy cost`` run those parts alone, beside
what the results hold of the others.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import lightning.pytorch as pl
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.record import RESULTS, Claim, write_result
from ethomorph.core.files import write_json
from ethomorph.study.provenance import Stopwatch
from ethomorph.training import loop
from ethomorph.training.evidence import Evidence
from ethomorph.training.fit import FitSettings, fit
from ethomorph.training.health import diagnose
from ethomorph.training.monitor import HealthMonitor
from ethomorph.training.targets import TargetScaler
from ethomorph.training.unit_monitor import UnitMonitor

SEEDS = range(5)
SOUND = 0.75  # accuracy, variance explained or Dice from which a run counts as healthy
Data = tuple[torch.Tensor, torch.Tensor]


class Module(pl.LightningModule):
    """A network with a loss; what it says goes to the monitor."""

    def __init__(self, net: nn.Module, kind: str, *, classes: int | None = None, sgd: bool = False) -> None:
        super().__init__()
        self.net, self.kind, self.classes, self.sgd = net, kind, classes, sgd
        if kind == "mask":
            self.peak_threshold = 0.5
            self.expected_initial_loss = float(np.log(2))
        if kind == "values":
            self.targets_of = lambda batch: batch[1]

    def loss(self, out: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
        if self.kind == "classes":
            return functional.cross_entropy(out, goal)
        if self.kind == "mask":
            return functional.binary_cross_entropy_with_logits(out, goal)
        return functional.mse_loss(out, goal)

    def training_step(self, batch: Data, index: int) -> torch.Tensor:
        return self.loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Data, index: int) -> dict[str, torch.Tensor]:
        out = self.net(batch[0])
        said = {"loss": self.loss(out, batch[1])}
        if self.kind == "classes":
            return said | {"scores": out, "labels": batch[1]}
        if self.kind == "mask":
            return said | {"peaks": out.sigmoid().flatten(1).amax(1)}
        return said | {"predicted": out, "targets": batch[1]}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.sgd:
            return torch.optim.SGD(self.parameters(), lr=1.0, momentum=0.9)
        return torch.optim.Adam(self.parameters())


class Block(nn.Module):
    """A residual block with one in-place ReLU used twice, as the usual 3D ResNets have it."""

    def __init__(self, width: int, convolution: type = nn.Conv2d, norm: type = nn.BatchNorm2d) -> None:
        super().__init__()
        self.a, self.b = convolution(width, width, 3, padding=1), convolution(width, width, 3, padding=1)
        self.na, self.nb, self.relu = norm(width), norm(width), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.nb(self.b(self.relu(self.na(self.a(x))))) + x)


def blobs(n: int, seed: int, *, classes: int = 6, shares: tuple[float, ...] | None = None) -> Data:
    """Twelve numbers a sample, whose class lies in their mean."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=shares)
    x = np.random.default_rng(1).normal(size=(classes, 12))[labels] + 0.8 * rng.normal(size=(n, 12))
    return torch.tensor(x / x.std()).float(), torch.tensor(labels)


def images(n: int, seed: int, *, classes: int = 4, side: int = 20) -> Data:
    """Stripes in noise; the class is their direction."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    y, x = np.mgrid[:side, :side] / side
    angle = (labels + 0.2 * rng.normal(size=n)) * np.pi / classes
    phase = rng.uniform(0, 2 * np.pi, n)
    wave = 16 * (np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y) + phase[:, None, None]
    out = np.sin(wave) + 0.7 * rng.normal(size=wave.shape)
    return torch.tensor(out / out.std())[:, None].float(), torch.tensor(labels)


def spots(n: int, seed: int, *, side: int = 24) -> Data:
    """One bright spot somewhere and its mask, 2 % of the picture."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(5, side - 5, (n, 2, 1, 1))
    y, x = np.mgrid[:side, :side]
    distance = np.hypot(x - centre[:, 0], y - centre[:, 1])
    picture = 2.5 * np.exp(-((distance / 2.5) ** 2)) + 0.5 * rng.normal(size=distance.shape)
    return torch.tensor(picture)[:, None].float(), torch.tensor(distance < 2.2)[:, None].float()


def lengths(n: int, seed: int) -> Data:
    """A smooth function of eight numbers in millimetres, scaled as targets should be."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8))
    y = 40 + 0.02 * np.stack([np.sin(x[:, :4].sum(1)), x[:, 0] * x[:, 1]], 1)
    scaler = TargetScaler.fit(np.array([[39.98, 40.0 - 0.02], [40.02, 40.0 + 0.02]]))
    return torch.tensor(x).float(), torch.tensor(scaler.transform(y)).float()


def healthy_runs() -> dict[str, Callable[[int], tuple[Module, Data, Data, dict[str, Any]]]]:
    """Four kinds of sound training."""

    def table(seed: int) -> tuple[Module, Data, Data, dict[str, Any]]:
        shares = (0.4, 0.2, 0.16, 0.12, 0.08, 0.04)  # ten to one
        net = nn.Sequential(
            nn.Linear(12, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 6)
        )
        module = Module(net, "classes", classes=6)
        return module, blobs(1200, seed, shares=shares), blobs(600, seed + 99, shares=shares), {"learning_rate": 3e-3}

    def pictures(seed: int) -> tuple[Module, Data, Data, dict[str, Any]]:
        net = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1), Block(12), Block(12), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
            nn.Linear(192, 4),
        )  # fmt: skip
        module = Module(net, "classes", classes=4, sgd=True)
        return module, images(480, seed), images(240, seed + 99), {"learning_rate": 0.02}

    def values(seed: int) -> tuple[Module, Data, Data, dict[str, Any]]:
        net = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 64), nn.LeakyReLU(), nn.Linear(64, 2))
        return Module(net, "values"), lengths(1500, seed), lengths(500, seed + 99), {"learning_rate": 3e-3}

    def masks(seed: int) -> tuple[Module, Data, Data, dict[str, Any]]:
        net = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1),
            nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 1, 3, padding=1),
        )  # fmt: skip
        return Module(net, "mask"), spots(400, seed), spots(150, seed + 99), {"learning_rate": 4e-3, "max_epochs": 16}

    return {"classes of a table, 10:1": table, "classes of pictures": pictures, "lengths": values, "masks": masks}


def trained(module: Module, train: Data, validation: Data, seed: int, **options: Any) -> Evidence:
    """The evidence of one run."""
    settings = {"max_epochs": 12, "batch_size": 16, "device": "cpu", "seed": seed, "gradient_clip": None}
    with tempfile.TemporaryDirectory() as folder:
        fit(
            module,
            lambda n: DataLoader(TensorDataset(*train), n, shuffle=True),
            lambda n: DataLoader(TensorDataset(*validation), n),
            settings=FitSettings(**settings | options),
            folder=folder,
            progress=False,
        )
        return Evidence.read(Path(folder))


@torch.no_grad()
def quality(module: Module, data: Data) -> float:
    """Whether a run is sound, by a measure that the doctor does not use: right answers, variance explained, or Dice."""
    out, goal = module.eval().net(data[0]), data[1]
    if module.kind == "classes":
        return float((out.argmax(1) == goal).float().mean())
    if module.kind == "mask":
        found = out > 0
        return float(2 * (found & (goal > 0.5)).sum() / (found.sum() + goal.sum()))
    return float(1 - (out - goal).square().mean() / goal.var(0).mean())


def healthy() -> list[dict[str, Any]]:
    """Findings that are no mere mention, of each sound run."""
    rows = []
    for name, make in healthy_runs().items():
        for seed in SEEDS:
            torch.manual_seed(seed)
            module, train, validation, options = make(seed)
            seen = trained(module, train, validation, seed, **options)
            alarms = [f"{one.rule}: {one.evidence}" for one in diagnose(seen).findings if one.severity != "info"]
            rows.append({"run": name, "seed": seed, "alarms": alarms, "quality": round(quality(module, validation), 3)})
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


class Roads(nn.Module):
    """Activations as a module reused in place, as function and as method, with units planted dead in each layer."""

    def __init__(self, dead: list[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(12, 32), nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)])
        self.relu, self.last = nn.ReLU(inplace=True), nn.Linear(32, 6)
        for layer, count in zip(self.layers, dead, strict=True):
            nn.init.constant_(layer.bias, 2.0)  # so that none is dead but those that were planted
            with torch.no_grad():
                layer.weight *= 0.3
                layer.weight[:count] *= 0.01
                layer.bias[:count] = -60.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.layers[1](self.relu(self.layers[0](x))))
        return self.last(functional.gelu(self.layers[3](self.layers[2](x).clamp(min=0))))


def planted() -> list[dict[str, Any]]:
    """Dead units planted and counted, and weight rows without gradient, over seeds."""
    rows = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        dead = np.random.default_rng(seed).integers(0, 30, 4).tolist()
        module = Module(Roads(dead), "classes", classes=6)
        seen = trained(module, blobs(600, seed), blobs(600, seed + 99), seed, max_epochs=2, learning_rate=1e-4)
        last = seen.last
        counted = [layer.dead for layer in last.layers] if last else []
        silent = [last.untrainable.get(f"net.layers.{i}.weight", [0])[0] for i in range(4)] if last else []
        rows.append({"seed": seed, "planted": dead, "dead": counted, "without gradient": silent})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def collapsed() -> list[dict[str, Any]]:
    """Epoch in which a network that says the same for every sample is flagged."""

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(12, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x * 0.0)

    rows = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        module = Module(Constant(), "classes", classes=6)
        seen = trained(module, blobs(300, seed), blobs(200, seed + 99), seed, max_epochs=4)
        flagged = None
        for epochs in range(1, len(seen.epochs) + 1):
            early = Evidence.from_dict(seen.to_dict() | {"epochs": seen.to_dict()["epochs"][:epochs], "stop": ""})
            if any(one.rule == "collapse" and one.severity == "sick" for one in diagnose(early).findings):
                flagged = epochs
                break
        rows.append({"seed": seed, "flagged after epoch": flagged})
    return rows


@contextlib.contextmanager
def without_monitor() -> Iterator[None]:
    """Both monitors' hooks taken out, and the look before the first step."""
    kept = []
    for watched in (HealthMonitor, UnitMonitor):
        for name in [name for name in vars(watched) if name.startswith("on_")]:
            kept.append((watched, name, vars(watched)[name]))
            delattr(watched, name)
    start, loop.start_batches = loop.start_batches, lambda *_: 0
    try:
        yield
    finally:
        for watched, name, hook in kept:
            setattr(watched, name, hook)
        loop.start_batches = start


def cost() -> list[dict[str, Any]]:
    """Processor seconds of the same training with and without the monitor, in turn; the least of several tries each."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    movies = torch.tensor(rng.normal(size=(192, 3, 8, 32, 32))).float(), torch.tensor(rng.integers(4, size=192))
    stills = (
        torch.tensor(rng.normal(size=(128, 1, 64, 64))).float(),
        torch.tensor(rng.random((128, 1, 64, 64)) < 0.1).float(),
    )
    rows = []

    def clips() -> Module:
        net = nn.Sequential(
            nn.Conv3d(3, 16, 3, stride=(1, 2, 2), padding=1), Block(16, nn.Conv3d, nn.BatchNorm3d),
            Block(16, nn.Conv3d, nn.BatchNorm3d), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 4),
        )  # fmt: skip
        return Module(net, "classes", classes=4, sgd=True)

    def maps() -> Module:
        net = nn.Sequential(nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), Block(24), Block(24), nn.Conv2d(24, 1, 1))
        return Module(net, "mask")

    for name, make, (x, y) in (
        ("3D residual network on clips", clips, movies),
        ("network on 64 px maps", maps, stills),
    ):
        seconds: dict[bool, list[float]] = {True: [], False: []}
        own = []
        for _ in range(4):
            for watched in (True, False):
                torch.manual_seed(0)
                module = make()
                with contextlib.nullcontext() if watched else without_monitor():
                    began = time.process_time()
                    seen = trained(module, (x, y), (x[:64], y[:64]), 0, max_epochs=4, batch_size=8, learning_rate=1e-3)
                    seconds[watched].append(time.process_time() - began)
                    if watched:
                        own.append(seen.monitor_seconds / seen.seconds)
        share = min(seconds[True]) / min(seconds[False]) - 1
        rows.append(
            {"network": name, "watched_s": seconds[True], "unwatched_s": seconds[False], "share": share, "own": own}
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def defects() -> list[dict[str, Any]]:
    """The planted defects of a whole pipeline, as the tests plant them."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "tests/training/test_defects.py", "-q", f"--junitxml={table}"]
        subprocess.run(command, capture_output=True, cwd=RESULTS.parents[1], check=False)
        cases = ElementTree.parse(table).iter("testcase")
        return [
            {"defect": case.get("name", "").removeprefix("test_").replace("_", " "), "named": not len(case)}
            for case in cases
        ]


PARTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "healthy": healthy,
    "planted": planted,
    "collapsed": collapsed,
    "cost": cost,
    "defects": defects,
}


def main() -> None:
    watch = Stopwatch()
    torch.set_num_threads(1)
    path = RESULTS / "doctor.json"
    block = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    parts = {name: block[name] for name in PARTS if name in block}
    for name in sys.argv[1:] or PARTS:
        parts[name] = PARTS[name]()
    if len(parts) < len(PARTS):
        write_json(path, parts)
        return
    write_result("doctor", claims(parts), seed=list(SEEDS), watch=watch, **parts)


def claims(parts: dict[str, Any]) -> list[Claim]:
    """What the figures say, one sentence each."""
    sound = [row for row in parts["healthy"] if row["quality"] >= SOUND]
    alarms = sum(bool(row["alarms"]) for row in sound)
    exact = sum(row["planted"] == row["dead"] == row["without gradient"] for row in parts["planted"])
    epochs = [row["flagged after epoch"] for row in parts["collapsed"]]
    worst = max(row["share"] for row in parts["cost"])
    named = sum(row["named"] for row in parts["defects"])
    worst_run = min(row["quality"] for row in parts["healthy"])
    units = sum(sum(row["planted"]) for row in parts["planted"])
    shares = ", ".join(f"{row['share']:.1%} {row['network']}" for row in parts["cost"])
    return [
        Claim(
            "False alarms (warning or sick) on healthy runs of four kinds, five seeds each; what each gets right by a "
            "measure of its own: accuracy, variance explained or Dice",
            f"{alarms} of {len(sound)}; worst {worst_run:.0%} right", goal="0 of 20",
            met=not alarms and len(sound) == 20,
        ),
        Claim(
            "Dead units planted behind a reused ReLU, clamp and GELU are counted exactly, by firing and by gradient",
            f"{exact} of {len(parts['planted'])} networks, {units} units",
            goal="all", met=exact == len(parts["planted"]),
        ),
        Claim(
            "A constant predictor is flagged after so many epochs",
            f"{max(epoch or 99 for epoch in epochs)} at most, {len(epochs)} seeds", goal="2",
            met=all(epoch is not None and epoch <= 2 for epoch in epochs),
        ),
        Claim(
            "Processor time that watching every unit over every validation pass adds to training",
            f"{worst:.1%} at most ({shares})",
            goal="under 5 %", met=worst < 0.05,
        ),
        Claim(
            "Tests that plant a defect of a real pipeline and see it named as first or second cause",
            f"{named} of {len(parts['defects'])}", goal="all", met=named == len(parts["defects"]) > 0,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
