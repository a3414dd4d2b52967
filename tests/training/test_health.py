"""Planted sicknesses are named, healthy runs raise nothing, and evidence judges the same when read back."""

from __future__ import annotations

import json

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from ethomorph.core.errors import StudyError
from ethomorph.training.evidence import EpochEvidence, Evidence, InputStatistics
from ethomorph.training.fit import fit
from ethomorph.training.health import Finding, Health, diagnose
from ethomorph.training.rules import rules


def named(result) -> dict[str, str]:
    """Rule to gravest severity."""
    return {finding.rule: finding.severity for finding in reversed(result.health.findings)}


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("seed", range(5))
def test_healthy_runs_raise_nothing(make_net, parts, quick, seed, optimizer):
    rate = 0.01 if optimizer == "adam" else 0.05
    settings = quick(seed=seed, learning_rate=rate, max_epochs=10)
    result = fit(make_net(seed, optimizer=optimizer), *parts(seed=seed), settings=settings)
    assert [one.rule for one in result.health.findings if one.severity != "info"] == []
    assert result.health.verdict == "healthy"


def test_raw_pixels_with_a_huge_rate(make_net, parts, quick):
    def raw(x):
        return ((x - x.min()) / (x.max() - x.min()) * 255).round()

    result = fit(make_net(optimizer="sgd"), *parts(change=raw), settings=quick(learning_rate=0.9, gradient_clip=None))
    found = named(result)
    assert found["input_scale"] == "sick" and found["learning_rate"] == "sick"
    assert {"unlearned", "not_finite"} & set(found)
    assert found["initial_loss"] in ("warning", "sick")
    first = next(f for f in result.health.findings if f.rule == "input_scale")
    assert "255" in first.remedy and "raw pixels" in first.evidence


def test_loss_that_is_no_number(tmp_path, make_net, parts, quick):
    class Breaks(type(make_net())):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss * float("nan") if self.current_epoch == 1 and batch_idx == 3 else loss

    result = fit(Breaks(), *parts(), settings=quick(), folder=tmp_path)
    assert result.stop == "not finite" and "nan in epoch 2, step 24" in result.stop_reason
    assert named(result)["not_finite"] == "sick"
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(torch.isfinite(weight).all() for weight in last["state_dict"].values())  # the last healthy one stands
    json.loads((tmp_path / "evidence.json").read_text(), parse_constant=pytest.fail)


def test_nan_in_the_input(make_net, parts, quick):
    result = fit(make_net(), *parts(change=lambda x: x.where(x < 1.5, torch.nan)), settings=quick())
    assert named(result)["input_finite"] == "sick" and named(result)["not_finite"] == "sick"


@pytest.mark.parametrize("share, severity", [(1.0, "sick"), (0.3, "warning")])
def test_constant_images(make_net, quick, share, severity):
    images = torch.randn(64, 1, 6, 6)
    images[: round(64 * share)] = 0.5
    labels = torch.arange(64) % 3

    def load(batch_size):
        return DataLoader(TensorDataset(images, labels), batch_size, shuffle=True)

    result = fit(make_net(inputs=36), load, load, settings=quick())
    assert named(result)["input_constant"] == severity


def test_the_same_sample_every_time(make_net, parts, quick):
    result = fit(make_net(), *parts(change=lambda x: x[:1].expand_as(x)), settings=quick())
    assert named(result)["input_constant"] == "sick"


def test_empty_validation_part(make_net, parts, quick):
    def nothing(batch_size):
        return DataLoader(TensorDataset(torch.zeros(0, 4), torch.zeros(0).long()), batch_size)

    result = fit(make_net(), parts()[0], nothing, settings=quick())
    assert named(result)["split"] == "sick"
    assert result.best_epoch is not None  # judged on the training loss, and said so


def test_no_validation_part_is_said(make_net, parts, quick):
    result = fit(make_net(), parts()[0], None, settings=quick())
    assert named(result) == {"split": "info"} and result.health.verdict == "healthy"


def test_one_class_split(make_net, parts, quick):
    result = fit(make_net(), *parts(validation_labels=torch.zeros_like), settings=quick())
    finding = next(f for f in result.health.findings if f.rule == "split")
    assert finding.severity == "sick" and "all 60 samples of the validation part are of class 0" in finding.evidence


def test_class_that_only_one_part_has(make_net, parts, quick):
    result = fit(make_net(), *parts(labels=lambda y: y.clamp(max=1), validation_labels=lambda y: y), settings=quick())
    finding = next(f for f in result.health.findings if f.rule == "split")
    assert finding.severity == "sick" and "class 2" in finding.evidence


def test_rate_of_zero(make_net, parts, quick):
    found = named(fit(make_net(), *parts(), settings=quick(learning_rate=0.0)))
    assert found["learning_rate"] == found["update_size"] == found["unlearned"] == "sick"


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_rate_that_is_the_momentum(make_net, parts, quick, optimizer):
    result = fit(make_net(optimizer=optimizer), *parts(), settings=quick(learning_rate=0.9))
    finding = next(f for f in result.health.findings if f.rule == "learning_rate")
    assert finding.severity == "sick" and "momentum" in finding.evidence


def test_plateau_stop_before_any_learning(make_net, parts, quick):
    settings = quick(learning_rate=1e-6, patience=2, warm_up=0, max_epochs=30)
    result = fit(make_net(), *parts(), settings=settings)
    finding = next(f for f in result.health.findings if f.rule == "unlearned")
    assert finding.severity == "sick" and finding.epoch == 3 and "early stopping" in finding.causes[0]


def test_memorising_is_a_gap(make_net, quick):
    torch.manual_seed(0)
    x, y = torch.randn(24, 40), torch.arange(24) % 3
    vx, vy = torch.randn(60, 40), torch.arange(60) % 3
    result = fit(
        make_net(inputs=40, width=128),
        lambda n: DataLoader(TensorDataset(x, y), n, shuffle=True),
        lambda n: DataLoader(TensorDataset(vx, vy), n),
        settings=quick(max_epochs=25, patience=0),
    )
    assert named(result)["gap"] == "sick"


def test_one_class_predicted(make_net, parts, quick):
    class Constant(type(make_net())):
        def training_step(self, batch, batch_idx):
            return torch.nn.functional.cross_entropy(self.net(batch[0] * 0.0), batch[1])

        def prediction_statistics(self):
            return {"predicted_classes": 1, "true_classes": 3}

    result = fit(Constant(), *parts(), settings=quick(max_epochs=2))
    assert named(result)["collapse"] == "sick"


def epochs(*losses: float, **common) -> list[EpochEvidence]:
    return [EpochEvidence(i, train_loss=loss, validation_loss=loss, **common) for i, loss in enumerate(losses, 1)]


def test_background_only_needs_two_epochs_in_a_row():
    reports = [{"background_share": share} for share in (1.0, 0.2, 1.0, 1.0)]
    run = Evidence(validation_samples=5, epochs=epochs(1.0, 0.9, 0.8, 0.7))
    for epoch, report in zip(run.epochs, reports, strict=True):
        epoch.predictions = report
    finding = next(f for f in diagnose(run).findings if f.rule == "collapse")
    assert finding.epoch == 3 and "100% of the predictions are background" in finding.evidence
    run.epochs.pop()
    assert not [f for f in diagnose(run).findings if f.rule == "collapse"]


@pytest.mark.parametrize(
    "evidence, rule",
    [
        (Evidence(epochs=epochs(2.0, gradient_norm_high=1e7)), "gradient"),
        (Evidence(validation_samples=3, initial_loss=1.0, epochs=epochs(1.0, 1.0, gradient_mean=0.0)), "gradient"),
        (Evidence(epochs=epochs(2.0, 1.9, 1.8, update_ratio=0.3)), "update_size"),
        (Evidence(initial_loss=1.0, validation_samples=3, epochs=epochs(1, 1, 1, update_ratio=1e-6)), "update_size"),
        (Evidence(initial_loss=24.5, expected_initial_loss=2.3026), "initial_loss"),
        (Evidence(inputs=InputStatistics(samples=64, low=0, high=1e-4, mean=5e-5, std=1e-5)), "input_scale"),
        (Evidence(learning_rate=0.05, optimizer="AdamW"), "learning_rate"),
        (Evidence(learning_rate=1e-9), "learning_rate"),
        (Evidence(out_of_memory=[{"from": 8, "to": 2}]), "memory"),
    ],
)
def test_rule_on_evidence(evidence, rule):
    evidence.validation_samples = evidence.validation_samples or 9
    assert [finding.rule for finding in diagnose(evidence).findings] == [rule]


def test_every_rule_is_found_and_explains_itself():
    from importlib import import_module

    assert len(rules()) >= 13
    for name, check in rules().items():
        assert check(Evidence(validation_samples=1)) == []  # nothing seen, nothing found
        assert len(import_module(f"ethomorph.training.rules.{name}").__doc__) > 80


def test_health_json_contract(tmp_path):
    finding = Finding("split", "sick", 2, "seen", ("cause",), "do this")
    health = Health([finding])
    health.write(tmp_path)
    block = json.loads((tmp_path / "health.json").read_text())
    keys = {"rule", "severity", "epoch", "evidence", "causes", "remedy"}
    assert block["verdict"] == "sick" and set(block["findings"][0]) == keys
    assert Health.from_dict(block) == health


def test_evidence_of_a_folder_judges_as_the_run_did(tmp_path, make_net, parts, quick):
    result = fit(make_net(), *parts(), settings=quick(learning_rate=0.0), folder=tmp_path)
    assert diagnose(Evidence.read(tmp_path)) == result.health
    assert Health.from_dict(json.loads((tmp_path / "health.json").read_text())) == result.health
    (tmp_path / "evidence.json").write_text("[1]")
    with pytest.raises(StudyError, match="no readable evidence"):
        Evidence.read(tmp_path)


def test_monitor_costs_little(tmp_path, quick):
    """A few per cent of a small image network's time; the bound leaves room for a busy machine."""
    import lightning.pytorch as pl

    class Conv(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Sequential(
                torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(16, 16, 3, padding=1)
            )

        def training_step(self, batch, batch_idx):
            return self.net(batch[0]).square().mean()

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())

    images = torch.rand(64, 1, 64, 64)
    fit(Conv(), lambda n: DataLoader(TensorDataset(images), n), None, settings=quick(max_epochs=4), folder=tmp_path)
    seen = Evidence.read(tmp_path)
    assert 0 < seen.monitor_seconds < 0.1 * seen.seconds
