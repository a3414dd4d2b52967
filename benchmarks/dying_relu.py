"""What learning rate, target scale and momentum do to dead units and error in regression: depth 1 and 4, SGD, Adam.

``python -m benchmarks.dying_relu`` trains some hundred settings, eight seeds each and all seeds at once, and draws
docs/images/dying_relu.png. Momentum is dampened, so that every setting has the same effective step.
"""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import RESULTS, Claim, write_result
from ethomorph.core.files import write_json
from ethomorph.report.style import PALETTE, figure, save
from ethomorph.study.provenance import Stopwatch
from ethomorph.training.targets import TargetScaler

FIGURE = Path(__file__).parents[1] / "docs" / "images" / "dying_relu.png"
SEEDS, INPUTS, WIDTH, SAMPLES, BATCH, STEPS = 8, 8, 64, 1024, 64, 1500
DEPTHS, OPTIMIZERS = (1, 4), ("Adam", "SGD")
RATES, SCALES, MOMENTA = (0.001, 0.003, 0.01, 0.03, 0.1), (100.0, 1.0, 0.1, 0.01, 0.001, 0.0001), (0.0, 0.5, 0.9, 0.99)
RATE, SCALE, MOMENTUM = 0.01, 1.0, 0.9


@dataclass(frozen=True)
class Setting:
    """One cell of the grid; `normalised` targets are scaled before training and inverted after."""

    depth: int
    optimizer: str
    rate: float = RATE
    scale: float = SCALE
    momentum: float = MOMENTUM
    normalised: bool = False


def settings() -> list[Setting]:
    """Each factor alone, around the middle setting, and target scale once more with normalisation and less momentum."""
    found: list[Setting] = []
    for depth, optimizer in itertools.product(DEPTHS, OPTIMIZERS):
        found += [Setting(depth, optimizer, rate=rate) for rate in RATES]
        found += [Setting(depth, optimizer, scale=scale) for scale in SCALES]
        found += [Setting(depth, optimizer, scale=scale, momentum=0.0) for scale in SCALES]
        found += [Setting(depth, optimizer, scale=scale, normalised=True) for scale in SCALES]
        found += [Setting(depth, optimizer, momentum=momentum) for momentum in MOMENTA]
        found += [Setting(depth, optimizer, scale=0.01, momentum=momentum) for momentum in MOMENTA]
    return list(dict.fromkeys(found))


def data(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs and standardised targets of a smooth teacher, for every seed its own: training and test part."""
    rng = np.random.default_rng([seed, 7])
    parts = []
    frequency = rng.normal(size=(SEEDS, INPUTS, 6)) / np.sqrt(INPUTS)
    phase, weight = rng.uniform(0, 2 * np.pi, (SEEDS, 1, 6)), rng.normal(size=(SEEDS, 6, 1))
    for count in (SAMPLES, SAMPLES // 2):
        x = rng.normal(size=(SEEDS, count, INPUTS))
        parts += [x, np.sin(1.5 * x @ frequency + phase) @ weight]
    mean, std = parts[1].mean(1, keepdims=True), parts[1].std(1, keepdims=True)
    x, y, test_x, test_y = parts[0], (parts[1] - mean) / std, parts[2], (parts[3] - mean) / std
    return tuple(torch.from_numpy(part).float() for part in (x, y, test_x, test_y))  # type: ignore[return-value]


def forward(weights: list[torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Output (seeds, samples, 1) and the hidden layers before their ReLU."""
    hidden = []
    for i in range(0, len(weights) - 2, 2):
        hidden.append(torch.baddbmm(weights[i + 1], x, weights[i]))
        x = hidden[-1].relu()
    return torch.baddbmm(weights[-1], x, weights[-2]), hidden


def train(setting: Setting, seed: int = 0) -> dict[str, Any]:
    """Dead share and error over target variance of every seed."""
    x, y, test_x, test_y = data(seed)
    y, test_y = setting.scale * y, setting.scale * test_y
    scalers = [TargetScaler.fit(one) for one in y.numpy()] if setting.normalised else []
    goal = torch.stack([s.transform(one) for s, one in zip(scalers, y, strict=True)]) if scalers else y
    generator = torch.Generator().manual_seed(seed)
    sizes = [INPUTS, *[WIDTH] * setting.depth, 1]
    weights = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        he = (2 / fan_in) ** 0.5
        weights += [he * torch.randn(SEEDS, fan_in, fan_out, generator=generator), torch.zeros(SEEDS, 1, fan_out)]
    weights = [weight.requires_grad_() for weight in weights]
    beta = setting.momentum
    optimizer: torch.optim.Optimizer
    if setting.optimizer == "Adam":
        optimizer = torch.optim.Adam(weights, lr=setting.rate, betas=(beta, 0.999), foreach=True)
    else:
        optimizer = torch.optim.SGD(weights, lr=setting.rate, momentum=beta, dampening=beta, foreach=True)
    for _ in range(STEPS):
        rows = torch.randint(SAMPLES, (BATCH,), generator=generator)
        optimizer.zero_grad()
        out, _ = forward(weights, x[:, rows])
        (out - goal[:, rows]).square().mean((1, 2)).sum().backward()  # seeds share nothing, so their losses add up
        optimizer.step()
    with torch.no_grad():
        out, _ = forward(weights, test_x)
        if scalers:
            out = torch.stack([s.inverse(one) for s, one in zip(scalers, out, strict=True)])
        error = (out - test_y).square().mean((1, 2)) / test_y.var(1).mean(1)
        _, hidden = forward(weights, torch.cat([x, test_x], 1))
        dead = torch.cat([(layer <= 0).all(1) for layer in hidden], 1).float().mean(1)
    error = torch.nan_to_num(error, nan=torch.inf)
    return {"dead": dead.tolist(), "error": [float(e) if np.isfinite(e) else None for e in error.tolist()]}


def main() -> None:
    """Train every setting that the results do not hold yet; delete them to measure anew."""
    watch = Stopwatch()
    torch.set_num_threads(1)
    known = known_results()
    rows, before = known.get("rows", []), known.get("minutes", 0.0)
    done = [{name: row[name] for name in vars(Setting(1, ""))} for row in rows]
    for number, setting in enumerate(settings(), 1):
        if vars(setting) in done:
            continue
        found = train(setting)
        rows.append({**vars(setting), **found})
        minutes = round(before + watch.seconds / 60, 1)
        write_json(RESULTS / "dying_relu.json", {"rows": rows, "seeds": SEEDS, "steps": STEPS, "minutes": minutes})
        said = f"dead {np.mean(found['dead']):.1%}, error {error_of(found):.3g}"
        print(f"{number}/{len(settings())} {setting}: {said}", file=sys.stderr, flush=True)
    minutes = round(before + watch.seconds / 60, 1)
    write_result("dying_relu", claims(rows), seed=0, watch=watch, minutes=minutes, seeds=SEEDS, steps=STEPS, rows=rows)
    draw(rows, FIGURE)


def known_results() -> dict[str, Any]:
    """An earlier run with as many seeds and steps, finished or not."""
    path = RESULTS / "dying_relu.json"
    block = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return block if (block.get("seeds"), block.get("steps")) == (SEEDS, STEPS) else {}


def error_of(found: dict[str, Any]) -> float:
    """Median over seeds, infinite where most diverged."""
    return float(np.median([np.inf if e is None else e for e in found["error"]]))


def cell(rows: list[dict[str, Any]], depth: int, optimizer: str, **wanted: Any) -> dict[str, Any]:
    """The row of one setting."""
    key = vars(Setting(depth, optimizer, **wanted))
    return next(row for row in rows if all(row[name] == value for name, value in key.items()))


def dead(rows: list[dict[str, Any]], depth: int, optimizer: str, **wanted: Any) -> float:
    """Mean dead share in per cent."""
    return 100 * float(np.mean(cell(rows, depth, optimizer, **wanted)["dead"]))


def error(rows: list[dict[str, Any]], depth: int, optimizer: str, **wanted: Any) -> float:
    """Median error over target variance; infinite where training diverged."""
    return error_of(cell(rows, depth, optimizer, **wanted))


def claims(rows: list[dict[str, Any]]) -> list[Claim]:
    """What the figures say, one sentence each."""
    return [
        Claim(
            "Learning rate kills most: dead share, depth 4, Adam, at rate 0.1",
            f"{dead(rows, 4, 'Adam', rate=0.1):.0f} %",
            f"{dead(rows, 4, 'Adam', rate=0.001):.1f} % at 0.001",
        ),
        Claim(
            "Momentum comes next: dead share at momentum 0.99, depth 4, Adam, rate 0.01",
            f"{dead(rows, 4, 'Adam', momentum=0.99):.0f} %",
            f"{dead(rows, 4, 'Adam', momentum=0.0):.1f} % without",
        ),
        Claim(
            "Small targets come third: dead share at target spread 0.001, depth 4, Adam, rate 0.01, momentum 0.9",
            f"{dead(rows, 4, 'Adam', scale=0.001):.0f} %, without momentum "
            f"{dead(rows, 4, 'Adam', scale=0.001, momentum=0.0):.1f} %",
            f"{dead(rows, 4, 'Adam'):.1f} % at spread 1, without momentum {dead(rows, 4, 'Adam', momentum=0.0):.1f} %",
        ),
        Claim(
            "SGD with the same effective rate of 0.01 and targets of spread 1 or less: dead share, depth 4, at most",
            f"{max(dead(rows, 4, 'SGD', scale=s) for s in SCALES if s <= 1):.1f} %",
        ),
        Claim(
            "At depth 1 and rate 0.01 hardly any dies, whatever the spread: dead share, either optimizer, at most",
            f"{max(dead(rows, 1, o, scale=s) for o in OPTIMIZERS for s in SCALES if s <= 1):.1f} %",
        ),
        Claim(
            "A dead share is no verdict: error over target variance, depth 4, Adam, rate 0.03",
            f"{error(rows, 4, 'Adam', rate=0.03):.2f} with {dead(rows, 4, 'Adam', rate=0.03):.0f} % dead",
            f"{error(rows, 4, 'Adam', rate=0.001):.2f} with {dead(rows, 4, 'Adam', rate=0.001):.1f} % at rate 0.001",
        ),
        Claim(
            "Target spread acts on the error where nothing dies: depth 1, Adam, spread 0.0001",
            f"{error(rows, 1, 'Adam', scale=0.0001):.3g} with {dead(rows, 1, 'Adam', scale=0.0001):.1f} % dead",
            f"{error(rows, 1, 'Adam'):.2f} at spread 1",
        ),
        Claim(
            "Target normalisation gives the error of spread 1 back at any spread, 0.0001 to 100: worst, depth 4, Adam",
            f"{max(error(rows, 4, 'Adam', scale=s, normalised=True) for s in SCALES):.3f}",
            f"{error(rows, 4, 'Adam', scale=0.0001):.3g} without, at spread 0.0001",
            goal="within 0.02 of spread 1",
            met=max(error(rows, 4, "Adam", scale=s, normalised=True) for s in SCALES) < error(rows, 4, "Adam") + 0.02,
        ),
    ]


def draw(rows: list[dict[str, Any]], path: Path) -> Path:
    """Dead units above, error below; what changes from left to right is learning rate, target spread and momentum."""
    columns = (
        ("learning rate", "rate", RATES, {}),
        ("spread of the targets", "scale", SCALES, {}),
        ("momentum, at target spread 0.01", "momentum", MOMENTA, {"scale": 0.01}),
    )
    picture, axes = figure(rows=2, columns=3, width=10.2, height=5.8, sharey="row", sharex="col")
    for column, (title, name, values, common) in enumerate(columns):
        top, bottom = axes[column], axes[column + 3]
        places = np.arange(len(values))
        for (depth, optimizer), colour in zip(itertools.product((4, 1), OPTIMIZERS), PALETTE, strict=False):
            found = [cell(rows, depth, optimizer, **{name: value}, **common) for value in values]
            label = f"{optimizer}, depth {depth}"
            line = {"color": colour, "label": label, "ls": "-" if depth == 4 else "--"}
            seeds = np.array([one["dead"] for one in found]) * 100
            top.plot(places, seeds.mean(1), marker="o", ms=4, **line)
            top.fill_between(places, seeds.min(1), seeds.max(1), color=colour, alpha=0.12, lw=0)
            errors = np.array([min(error_of(one), 1e8) for one in found])
            bottom.plot(places, errors, marker="o", ms=4, **line)
        if name == "scale":
            found = [cell(rows, 4, "Adam", scale=value, normalised=True) for value in values]
            style = {"color": "#222222", "ls": ":", "marker": "s", "ms": 4, "label": "Adam, depth 4, normalised"}
            top.plot(places, [100 * np.mean(one["dead"]) for one in found], **style)
            bottom.plot(places, [error_of(one) for one in found], **style)
        bottom.axhline(1.0, color="#8a94a0", lw=1)
        bottom.set(yscale="log", xlabel=title)
        bottom.set_xticks(places, [f"{value:g}" for value in values])
    axes[0].set(ylabel="dead units (%)", ylim=(-2, 100))
    axes[3].set(ylabel="error / variance of the targets")
    axes[3].text(0, 1.15, "the mean alone", color="#5a6470", fontsize=8, va="bottom")
    handles, labels = axes[1].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False)
    return save(picture, path)


if __name__ == "__main__":
    main()
