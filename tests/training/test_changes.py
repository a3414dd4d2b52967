"""Each change of an experiment changes what it says, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from ethomorph.training.changes import CHANGES, NothingToChange
from ethomorph.training.differential import Experiment, differential, tried, wanted_experiments
from ethomorph.training.evidence import EpochEvidence, Evidence
from ethomorph.training.fit import fit
from ethomorph.training.settings import FitSettings
from ethomorph.training.supervision import Supervision, current, supervised

RAW = torch.rand(64, 4) * 255
LABELS = torch.arange(64) % 3


def applied(name, make_net, x=RAW, **options):
    module = make_net(**options)
    make = lambda n: DataLoader(TensorDataset(x, LABELS), n)  # noqa: E731
    settings, (train, validation) = CHANGES[name].apply(module, FitSettings(learning_rate=0.1), (make, make))
    return module, settings, list(train(8)), None if validation is None else list(validation(8))


@pytest.mark.parametrize("name, rate", [("lower_rate", 0.01), ("much_lower_rate", 0.001), ("higher_rate", 1.0)])
def test_rates(make_net, name, rate):
    _, settings, train, _ = applied(name, make_net)
    assert settings.learning_rate == pytest.approx(rate) and torch.equal(train[0][0], RAW[:8])


def test_scaled_input_in_both_parts(make_net):
    _, _, train, validation = applied("scaled_input", make_net)
    for part in (train, validation):
        x = torch.cat([batch[0] for batch in part])
        assert float(x.mean()) == pytest.approx(0, abs=0.05) and float(x.std()) == pytest.approx(1, abs=0.05)
    assert torch.equal(train[0][1], LABELS[:8])
    with pytest.raises(NothingToChange, match="as it is"):
        applied("scaled_input", make_net, x=torch.randn(64, 4))


def test_shuffled_labels_leave_validation_and_frequencies_alone(make_net):
    torch.manual_seed(0)
    _, _, train, validation = applied("shuffled_labels", make_net)
    assert any(not torch.equal(batch[1], LABELS[8 * i : 8 * i + 8]) for i, batch in enumerate(train))
    assert all(
        torch.equal(batch[1].sort().values, LABELS[8 * i : 8 * i + 8].sort().values) for i, batch in enumerate(train)
    )
    assert torch.equal(torch.cat([batch[1] for batch in validation]), LABELS)


def test_zero_input_and_one_batch(make_net):
    _, _, train, validation = applied("zero_input", make_net)
    assert all(not batch[0].any() for batch in [*train, *validation])
    _, _, train, validation = applied("one_batch", make_net)
    assert len(train) == 8 and all(torch.equal(batch[0], RAW[:8]) for batch in train) and validation is None


def test_leaky_and_no_momentum(make_net):
    module, *_ = applied("other_activation", make_net)
    assert [type(one).__name__ for one in module.net].count("LeakyReLU") == 1
    module, *_ = applied("no_momentum", make_net, optimizer="sgd")
    assert module.configure_optimizers().param_groups[0]["momentum"] == 0
    module, *_ = applied("no_momentum", make_net)
    assert module.configure_optimizers().param_groups[0]["betas"] == (0.0, 0.999)


def test_supervision_bounds_watches_and_ends(make_net, parts, quick):
    rows = []

    def enough(row):
        rows.append(row)
        return "seen enough" if row["epoch"] == 2 else None

    with supervised(Supervision(on_epoch=enough)) as watching:
        result = fit(make_net(), *parts(), settings=quick(max_epochs=6))
    assert result.stop == "pruned" and result.stop_reason == "seen enough" and len(rows) == 2
    assert len(watching.evidence) == 1 and current() is None
    with supervised(Supervision(max_steps=5, change=CHANGES["lower_rate"])) as watching:
        result = fit(make_net(), *parts(), settings=quick())
    assert result.steps == 5
    with supervised(Supervision(max_steps=50, change=CHANGES["lower_rate"])) as watching:
        result = fit(make_net(), *parts(), settings=quick(max_epochs=1))
    assert result.steps == 50  # a run of one epoch is tried for as long as any
    assert watching.evidence[0].learning_rate == pytest.approx(0.001)


def made(**gains):
    return [Experiment(name, name, gain) for name, gain in gains.items()]


def test_what_an_experiment_says():
    cause = {one.cause.name: one.cause for one in differential(collapsed()).suspects}["rate_high"]
    assert tried(cause, made(as_it_was=0.1, lower_rate=0.6))[0] is True
    assert tried(cause, made(as_it_was=0.1, lower_rate=0.12))[0] is False
    assert tried(cause, made(as_it_was=0.0, lower_rate=0.3, scaled_input=0.9))[0] is False  # something else did it
    assert tried(cause, made(lower_rate=0.6))[0] is None


def test_a_batch_that_had_no_time_to_be_learned_says_nothing():
    cause = {one.cause.name: one.cause for one in differential(collapsed()).suspects}["disconnected"]
    few, many = (
        [Experiment("as_it_was", "", 0.0), Experiment("one_batch", "one batch", 0.04, steps=steps)]
        for steps in (12, 200)
    )
    assert tried(cause, few)[0] is None and tried(cause, many)[0] is True


def test_experiments_turn_the_order():
    before = [one.cause.name for one in differential(collapsed()).suspects]
    assert before.index("rate_high") < before.index("input_scale")
    after = differential(collapsed(), made(as_it_was=0.0, lower_rate=0.0, scaled_input=0.8)).suspects
    assert after[0].cause.name == "input_scale" and after[0].standing == "confirmed"
    assert {one.cause.name: one.standing for one in after}["rate_high"] == "unlikely"


def test_controls_that_learn_are_a_leak():
    found = differential(Evidence(validation_samples=9), made(as_it_was=0.6, zero_input=0.58, shuffled_labels=0.02))
    assert found.suspects[0].cause.name == "leak" and found.health.verdict == "sick"
    found = differential(Evidence(validation_samples=9), made(as_it_was=0.6, zero_input=0.01, shuffled_labels=0.57))
    assert found.suspects[0].cause.name == "labels_unrelated"
    assert differential(Evidence(validation_samples=9), made(as_it_was=0.6, zero_input=0.0)).suspects == []


def test_experiments_that_are_wanted():
    wanted = wanted_experiments(differential(collapsed()))
    assert wanted[0] == "as_it_was" and {"lower_rate", "scaled_input", "one_batch", "shuffled_labels"} <= set(wanted)
    assert len(wanted) == len(set(wanted)) <= 10


def collapsed() -> Evidence:
    said = {"predicted_classes": 1.0, "true_classes": 3.0}
    epochs = [EpochEvidence(i, train_loss=1.1, validation_loss=1.1, predictions=said) for i in (1, 2, 3)]
    return Evidence(validation_samples=90, initial_loss=1.1, epochs=epochs, stop="epochs", learning_rate=0.01)
