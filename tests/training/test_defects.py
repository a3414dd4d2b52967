"""Every defect of the pipeline that these rules were made for, as a small failing fixture that the doctor names.

"Named" means first or second among the ranked causes of `differential`.
"""

from __future__ import annotations

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from ethomorph.training import preflight
from ethomorph.training.differential import differential
from ethomorph.training.evidence import Evidence
from ethomorph.training.fit import fit
from ethomorph.training.settings import FitSettings

CLASSES = 4


class Clips(pl.LightningModule):
    """A small network on clips (time, y, x) of a few pixels; options plant defects."""

    def __init__(self, *, classes=CLASSES, optimizer="sgd", recurrent=None, one_hot=False):
        super().__init__()
        self.classes, self.optimizer, self.one_hot = classes, optimizer, one_hot
        self.frames = nn.Sequential(nn.Flatten(2), nn.Linear(36, 16), nn.ReLU())
        self.recurrent = recurrent
        self.last = nn.Linear(16, classes)

    def forward(self, clips):
        features = self.frames(clips)
        return self.last(self.recurrent(features)[0][:, -1] if self.recurrent else features.mean(1))

    def loss(self, scores, labels):
        if self.one_hot:
            return -(labels * scores.log_softmax(1)).sum(1).mean()
        return functional.cross_entropy(scores, labels)

    def training_step(self, batch, index):
        return self.loss(self(batch[0]), batch[1])

    def validation_step(self, batch, index):
        scores = self(batch[0])
        labels = batch[1].argmax(1) if self.one_hot else batch[1]
        return {"loss": self.loss(scores, batch[1]), "scores": scores, "labels": labels}

    def configure_optimizers(self):
        if self.optimizer == "sgd":
            return torch.optim.SGD(self.parameters(), lr=1.0, momentum=0.9)
        return torch.optim.Adam(self.parameters())


def clips(n: int, seed: int = 0, frames: int = 6, classes: int = CLASSES):
    """Clips of mean 0 and spread 1, whose class shows in the pattern, and their classes."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    patterns = np.random.default_rng(5).normal(size=(classes, 1, 6, 6))
    x = patterns[labels] + 0.7 * random.normal(size=(n, frames, 6, 6))
    return torch.tensor(x / x.std(), dtype=torch.float32), torch.tensor(labels)


def raw(x):
    return ((x - x.min()) / (x.max() - x.min()) * 255).round()


def loaders(train, validation=None, shuffle=True):
    return (
        lambda n: DataLoader(TensorDataset(*train), n, shuffle=shuffle),
        (lambda n: DataLoader(TensorDataset(*validation), n)) if validation is not None else None,
    )


def trained(tmp_path, module=None, train=None, validation=None, **options) -> Evidence:
    torch.manual_seed(0)
    settings = {"max_epochs": 5, "learning_rate": 0.02, "batch_size": 16, "device": "cpu", "gradient_clip": None}
    make = loaders(train or clips(160), validation or clips(80, seed=1))
    fit(module or Clips(), *make, settings=FitSettings(**settings | options), folder=tmp_path)
    return Evidence.read(tmp_path)


def named(evidence: Evidence) -> list[str]:
    return [one.cause.name for one in differential(evidence).suspects[:2]]


def test_the_healthy_pipeline_raises_nothing(tmp_path):
    found = differential(trained(tmp_path))
    assert found.health.verdict == "healthy" and not found.suspects


@pytest.mark.parametrize("rate", [0.02, 0.9])
def test_pixels_that_were_not_divided(tmp_path, rate):
    x, y = clips(160)
    assert "input_scale" in named(trained(tmp_path, train=(raw(x), y), validation=(raw(x), y), learning_rate=rate))


def test_pixels_that_were_divided_twice(tmp_path):
    x, y = clips(160)
    twice = raw(x) / 255 / 255
    assert "input_scale" in named(trained(tmp_path, train=(twice, y), validation=(twice, y)))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_rate_that_is_the_momentum(tmp_path, optimizer):
    assert "rate_high" in named(trained(tmp_path, Clips(optimizer=optimizer), learning_rate=0.9))


def test_labels_from_one_that_crash(tmp_path):
    x, y = clips(160)
    with pytest.raises(IndexError):
        trained(tmp_path, train=(x, y + 1))
    found = differential(Evidence.read(tmp_path))
    assert found.suspects[0].cause.name == "labels" and found.health.verdict == "sick"
    assert "label 4 in a network of 4 classes" in " ".join(found.suspects[0].because)


def test_labels_from_one_as_one_hot(tmp_path):
    """The last class becomes a target of zeros, and output 0 is never used."""
    x, y = clips(160)

    def one_hot(labels):
        return functional.one_hot(labels + 1, CLASSES + 1)[:, :CLASSES].float()

    seen = trained(tmp_path, Clips(one_hot=True), train=(x, one_hot(y)), validation=(x, one_hot(y)))
    assert named(seen)[0] == "labels" and seen.empty_targets == pytest.approx(0.25, abs=0.1)


def test_take_and_skip_in_batches_leave_the_test_part_empty(tmp_path):
    """160 samples in 10 batches: take(128) takes everything, skip(128) leaves nothing."""
    batches = list(DataLoader(TensorDataset(*clips(160)), 16))
    train, validation = batches[:128], batches[128:]
    torch.manual_seed(0)
    fit(Clips(), lambda n: train, lambda n: validation,
        settings=FitSettings(max_epochs=2, device="cpu"), folder=tmp_path)  # fmt: skip
    assert named(Evidence.read(tmp_path))[0] == "split"
    facts = preflight.parts({"train": range(len(train)), "validation": range(len(validation))})
    assert [one.rule for one in preflight.judge(facts).findings] == ["overlap"]


def test_a_class_missing_from_the_training_part(tmp_path):
    x, y = clips(160)
    assert named(trained(tmp_path, train=(x[y > 0], y[y > 0])))[0] == "split"


def test_samples_on_both_sides():
    facts = preflight.parts({"train": ["a", "b"], "validation": ["b", "c"]})
    assert named(Evidence(facts=facts, validation_samples=9))[0] == "split"


def test_files_matched_by_a_part_of_their_name():
    """The last match wins: stubs of the operating system and overlays are chosen in place of clips."""
    wanted = [f"MC6_5__0001_vid__{lid}" for lid in (12, 13, 14, 15)]
    disk = {f"{name}.mp4": 90_000 for name in wanted[:3]}
    disk |= {f"._{name}.mp4": 4096 for name in wanted[:2]}
    disk[f"{wanted[0]}_ManualLabel.mp4"] = 95_000
    facts = preflight.match_files(wanted, disk, sizes=disk, whole=False)
    seen = facts["files"]
    assert (seen["unmatched"], seen["twice"], seen["stubs"], seen["overlays"]) == (1, 2, 2, 1)
    assert named(Evidence(facts=facts, validation_samples=9))[0] == "files"
    clean = {name: size for name, size in disk.items() if name.startswith("M") and "Label" not in name}
    whole = preflight.match_files(wanted[:3], clean, sizes=clean)
    assert preflight.judge(whole).findings == []


def test_only_the_first_frames_are_read():
    for read in (range(10), range(55)):
        facts = preflight.clip_reading(read, 120)
        assert named(Evidence(facts=facts, validation_samples=9))[0] == "clip_reading"
    for read in (range(120), range(0, 120, 8), np.linspace(4, 115, 16).round().astype(int)):
        assert (
            preflight.judge(preflight.clip_reading(read.tolist() if hasattr(read, "tolist") else read, 120)).findings
            == []
        )


def test_facts_of_a_data_set_reach_the_health(tmp_path):
    class Short(TensorDataset):
        def facts(self):
            return preflight.clip_reading(range(10), 120)

    torch.manual_seed(0)
    data = Short(*clips(160))
    fit(Clips(), lambda n: DataLoader(data, n, shuffle=True), loaders(clips(80, 1))[0],
        settings=FitSettings(max_epochs=4, learning_rate=0.02, device="cpu"), folder=tmp_path)  # fmt: skip
    assert named(Evidence.read(tmp_path)) == ["clip_reading"]


def test_augmentation_drawn_for_every_frame():
    random = np.random.default_rng(0)

    def each_frame(clip):
        return np.stack([frame[:, ::-1] if random.random() < 0.5 else frame for frame in clip])

    def whole_clip(clip):
        return clip[:, :, ::-1] * random.uniform(0.8, 1.2)

    assert named(Evidence(facts=preflight.still_clip(each_frame), validation_samples=9))[0] == "frame_augmentation"
    assert preflight.judge(preflight.still_clip(whole_clip)).findings == []


def test_constant_prediction_with_a_frozen_accuracy(tmp_path):
    """3 of 16 right for ten epochs, to the last digit."""

    class Constant(Clips):
        def forward(self, clips):
            return super().forward(clips * 0.0)

    seen = trained(tmp_path, Constant(), validation=clips(16, 3), max_epochs=10)
    rules = {one.rule: one.severity for one in differential(seen).health.findings}
    assert rules["collapse"] == "sick" and rules["frozen"] == "warning" and rules["small_validation"] == "info"
    assert rules["chance"] == "sick"


def test_a_recurrent_layer_with_relu(tmp_path):
    torch.manual_seed(0)
    layer = nn.RNN(16, 16, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        layer.weight_hh_l0.mul_(6.0)
    long = clips(96, frames=60)
    assert "recurrent_relu" in named(trained(tmp_path, Clips(recurrent=layer), train=long, validation=long))


def test_two_hundred_updates_in_all(tmp_path):
    """Batches of 500 make epochs of 8 steps; 25 of them, at a rate that would need thousands of steps."""
    seen = trained(tmp_path, train=clips(160), batch_size=80, max_epochs=20, learning_rate=3e-5, patience=0)
    assert seen.steps == 40 and "too_short" in named(seen)


def test_confidences_compared_as_text():
    rows = [{"c": "9.5", "f": "10.2"}, {"c": "0.3", "f": "0.7"}, {"c": "1e-05", "f": "0.4"}]
    facts = preflight.numbers_as_text(rows)
    assert facts["text_numbers"] == {"columns": ["c", "f"], "wrong": 2, "rows": 3}
    assert named(Evidence(facts=facts, validation_samples=9))[0] == "answers"


def test_every_clip_is_given_the_first_label():
    facts = preflight.answers(["b"] * 50, "bcdfmopstx")
    assert named(Evidence(facts=facts, validation_samples=9))[0] == "answers"
    assert preflight.judge(preflight.answers(list("bcdfb") * 10, "bcdf")).findings == []


def test_a_training_that_cannot_run_says_what_it_died_of(tmp_path):
    """Tensors of unequal channels: the first batch ends it."""

    class Broken(Clips):
        def forward(self, clips):
            return super().forward(torch.cat([clips, clips], dim=3))

    with pytest.raises(RuntimeError):
        trained(tmp_path, Broken())
    found = differential(Evidence.read(tmp_path))
    assert found.health.findings[0].rule == "crash" and "shape" in found.health.findings[0].causes[0]


def test_every_weight_the_same(tmp_path):
    module = Clips()
    for weight in module.parameters():
        nn.init.constant_(weight, 0.1)
    assert named(trained(tmp_path, module))[0] == "initial_weights"


def test_targets_in_a_unit_of_their_own(tmp_path):
    class Lengths(Clips):
        def loss(self, scores, targets):
            return functional.mse_loss(scores, targets)

        def validation_step(self, batch, index):
            return self.training_step(batch, index)

        def targets_of(self, batch):
            return batch[1]

    def module():
        made = Lengths(optimizer="adam")
        made.classes = None
        return made

    x, y = clips(160)
    metres = functional.one_hot(y).float() * 1e-3
    far = trained(tmp_path / "far", module(), train=(x, metres), validation=(x, metres), learning_rate=0.003)
    assert named(far)[0] == "target_scale"
    from ethomorph.training.targets import TargetScaler

    scaled = TargetScaler.fit(metres.numpy()).transform(metres)
    near = trained(tmp_path / "near", module(), train=(x, scaled), validation=(x, scaled), learning_rate=0.003)
    assert "target_scale" not in [one.rule for one in differential(near).health.findings]
