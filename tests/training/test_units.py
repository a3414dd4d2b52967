"""Units are counted exactly: planted dead, constant and saturated ones, whatever the activation, however called."""

from __future__ import annotations

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from ethomorph.training.evidence import Evidence
from ethomorph.training.fit import fit
from ethomorph.training.rows import RowWatch
from ethomorph.training.settings import FitSettings
from ethomorph.training.units import UnitRecorder


def watch(net: nn.Module, x: torch.Tensor, *, batch: int = 50, groups=None):
    recorder = UnitRecorder()
    for start in range(0, len(x), batch):
        part = None if groups is None else groups[start : start + batch]
        with recorder.watching(net, part), torch.no_grad():
            net(x[start : start + batch])
    return recorder.layers()


def with_dead(layer: nn.Module, dead: int) -> nn.Module:
    """The first `dead` units of a layer can never be positive for inputs within 10."""
    with torch.no_grad():
        layer.weight[:dead] *= 0.01
        layer.bias[:dead] = -50.0
    return layer


class Functional(nn.Module):
    """The same ReLU by every road: function, method, in place, clamp."""

    def __init__(self, how):
        super().__init__()
        self.linear, self.how = with_dead(nn.Linear(5, 12), 4), how

    def forward(self, x):
        return self.how(self.linear(x))


ROADS = [
    functional.relu,
    torch.relu,
    torch.Tensor.relu,
    torch.Tensor.relu_,
    lambda x: functional.relu(x, inplace=True),
    lambda x: x.clamp(min=0),
    lambda x: torch.clamp_min(x, 0.0),
    lambda x: functional.leaky_relu(x, 0.0),
    functional.relu6,
    functional.gelu,
    functional.silu,
    functional.elu,
    functional.softplus,
    functional.hardswish,
    functional.mish,
    functional.selu,
]


@pytest.mark.parametrize("how", ROADS)
def test_planted_dead_units_by_every_road(how):
    torch.manual_seed(0)
    (layer,) = watch(Functional(how), torch.randn(200, 5))
    found = layer.dead + layer.saturated
    assert (found, layer.units, layer.samples, layer.which) == (4, 12, 200, [0, 1, 2, 3])


@pytest.mark.parametrize("how", [functional.leaky_relu, lambda x: functional.prelu(x, torch.tensor([0.1]))])
def test_a_leaky_unit_that_is_always_negative_is_alive(how):
    (layer,) = watch(Functional(how), torch.randn(200, 5))
    assert layer.dead == 0 and layer.rate == 1.0


@pytest.mark.parametrize("how", [torch.tanh, torch.sigmoid])
def test_saturated_units(how):
    (layer,) = watch(Functional(how), torch.randn(200, 5))
    assert layer.saturated == 4 and layer.dead == 0


def test_a_relu_used_twice_and_in_place_is_two_layers():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = with_dead(nn.Conv3d(2, 8, 3), 3), with_dead(nn.Conv3d(8, 6, 3), 2)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.relu(self.b(self.relu(self.a(x))))

    first, second = watch(nn.Sequential(Block()), torch.randn(10, 2, 6, 6, 6), batch=4)
    assert (first.layer, first.dead, first.units) == ("0.relu", 3, 8)
    assert (second.layer, second.dead, second.units) == ("0.relu#2", 2, 6)


def test_features_stand_last_after_a_linear_layer_and_second_after_a_convolution():
    linear = nn.Sequential(with_dead(nn.Linear(5, 12), 4), nn.ReLU())
    assert [(one.units, one.dead) for one in watch(linear, torch.randn(20, 7, 5))] == [(12, 4)]
    convolution = nn.Sequential(with_dead(nn.Conv1d(5, 9, 1), 2), nn.ReLU())
    assert [(one.units, one.dead) for one in watch(convolution, torch.randn(20, 5, 7))] == [(9, 2)]


def test_rare_is_not_dead():
    """A unit that fires once, in the last batch, is alive; nearly dead where the pass is long enough to say so."""
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.copy_(torch.tensor([0.0, -5.0]))
    x = torch.rand(4000, 1)
    x[-1] = 6.0
    (layer,) = watch(net, x, batch=100)
    assert (layer.dead, layer.nearly_dead) == (0, 1)
    (layer,) = watch(net, x[-1000:], batch=100)
    assert (layer.dead, layer.nearly_dead) == (0, 0)
    (layer,) = watch(net, x[:1000], batch=100)
    assert layer.dead == 1


def test_sparse_is_not_dead():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU())
    (layer,) = watch(net, torch.randn(100, 1, 12, 12))
    assert layer.zeros == pytest.approx(0.5, abs=0.1) and layer.dead == 0


def test_constant_units():
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.GELU())
    with torch.no_grad():
        net[1].weight[:2] = 0.0
        net[1].bias[:2] = 0.3
    (layer,) = watch(net.eval(), torch.randn(100, 1, 8, 8))
    assert layer.constant == 2 and layer.dead == 0


def test_a_unit_that_fires_for_one_group_only():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
        net[0].bias.copy_(torch.tensor([0.0, -0.5, 0.1]))
    groups = ["tank A"] * 60 + ["tank B"] * 60
    x = torch.rand(120, 2)
    x[:60, 1], x[60:, 1] = 0.2, 0.9
    (layer,) = watch(net, x, groups=groups)
    assert layer.one_group == 1


def test_rows_without_gradient_over_a_pass():
    torch.manual_seed(0)
    net = nn.Sequential(with_dead(nn.Linear(5, 12), 4), nn.ReLU(), nn.Linear(12, 3))
    rows = RowWatch(net)
    for _ in range(6):
        net.zero_grad()
        net(torch.randn(20, 5))[:, :2].square().sum().backward()
        rows.look()
    assert rows.silent() == {"0.weight": [4, 12], "2.weight": [1, 3]}
    gelu = nn.Sequential(with_dead(nn.Linear(5, 12), 4), nn.GELU(), nn.Linear(12, 3))
    watched = RowWatch(gelu)
    gelu(torch.randn(20, 5)).sum().backward()
    watched.look()
    assert watched.silent() == {"0.weight": [4, 12]}


def test_transposed_convolutions_have_their_units_on_the_second_axis():
    net = nn.ConvTranspose2d(3, 7, 2)
    rows = RowWatch(net)
    net(torch.randn(2, 3, 4, 4))[:, :5].sum().backward()
    rows.look()
    assert rows.silent() == {"weight": [2, 7]}


class Planted(pl.LightningModule):
    """A network with a shared in-place ReLU, some of whose units are born dead."""

    def __init__(self, dead: int = 5, *, kills_at: int | None = None, norm: bool = False):
        super().__init__()
        self.first, self.second = with_dead(nn.Linear(4, 16), dead), nn.Linear(16, 16)
        self.norm = nn.BatchNorm1d(16) if norm else nn.Identity()
        self.relu, self.last = nn.ReLU(inplace=True), nn.Linear(16, 3)
        nn.init.constant_(self.second.bias, 1.0)  # so that none is dead but those that were planted
        self.kills_at, self.classes = kills_at, 3

    def forward(self, x):
        return self.last(self.relu(self.norm(self.second(self.relu(self.first(x))))))

    def training_step(self, batch, index):
        return functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, index):
        scores = self(batch[0])
        return {"loss": functional.cross_entropy(scores, batch[1]), "scores": scores, "labels": batch[1]}

    def on_train_epoch_start(self):
        if self.current_epoch == self.kills_at:
            with_dead(self.second, 10)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def data(n: int = 400, *, shuffle: bool = True):
    labels = torch.arange(n) % 3
    x = torch.eye(3, 4)[labels] + 0.3 * torch.randn(n, 4)
    return lambda size: DataLoader(TensorDataset(x, labels), size, shuffle=shuffle)


def run(tmp_path, module, **options) -> Evidence:
    settings = FitSettings(**{"max_epochs": 4, "learning_rate": 0.01, "batch_size": 10, "device": "cpu"} | options)
    fit(module, data(), data(shuffle=False), settings=settings, folder=tmp_path)
    return Evidence.read(tmp_path)


def test_born_dead_and_died_are_told_apart(tmp_path):
    torch.manual_seed(0)
    seen = run(tmp_path, Planted(kills_at=2))
    start = {one.layer: one.dead for one in seen.start}
    assert start == {"relu": 5, "relu#2": 0}
    early, late = seen.epochs[0].layers, seen.epochs[-1].layers
    assert [(one.dead, one.at_start, one.died) for one in early] == [(5, 5, 0), (0, 0, 0)]
    assert [(one.dead, one.at_start, one.died) for one in late] == [(5, 5, 0), (10, 0, 10)]
    assert late[0].samples == 400 and late[1].which == list(range(10))
    assert seen.epochs[-1].untrainable["first.weight"] == [5, 16]
    assert seen.epochs[-1].untrainable["second.weight"] == [10, 16]


def test_revived(tmp_path):
    class Wakes(Planted):
        def on_train_epoch_start(self):
            if self.current_epoch == 1:
                with torch.no_grad():
                    self.first.bias[:5] = 1.0

    seen = run(tmp_path, Wakes(), max_epochs=2)
    assert (seen.epochs[-1].layers[0].dead, seen.epochs[-1].layers[0].revived) == (0, 5)


def test_without_validation_the_training_pass_is_watched(tmp_path):
    settings = FitSettings(max_epochs=1, batch_size=10, device="cpu")
    fit(Planted(), data(), None, settings=settings, folder=tmp_path)
    (first, _) = Evidence.read(tmp_path).epochs[0].layers
    assert (first.part, first.dead, first.samples) == ("train", 5, 400)


def test_batch_norm_that_judges_otherwise_than_it_trains(tmp_path):
    class Stale(Planted):
        def on_train_batch_start(self, batch, index):
            self.norm.running_mean.fill_(80.0)  # of other data than this

    torch.manual_seed(0)
    seen = run(tmp_path, Stale(0, norm=True), learning_rate=0.1)
    training, evaluation = seen.epochs[-1].mode_losses
    assert evaluation > 2 * training
    from ethomorph.training.health import diagnose

    found = {one.rule: one.severity for one in diagnose(seen).findings}
    assert found["mode_gap"] == "sick"
    healthy = run(tmp_path, Planted(0, norm=True), learning_rate=0.1)
    assert not [one for one in diagnose(healthy).findings if one.rule == "mode_gap"]


def test_watching_changes_nothing(tmp_path):
    """With and without the monitors' looks the weights come out the same to the last bit."""
    from ethomorph.training import unit_monitor

    states = []
    for looks in (True, False):
        torch.manual_seed(3)
        module = Planted(norm=True)
        watched = unit_monitor.UnitMonitor
        with pytest.MonkeyPatch.context() as patch:
            if not looks:
                for hook in [name for name in vars(watched) if name.startswith("on_")]:
                    patch.delattr(watched, hook)
            torch.manual_seed(4)
            settings = FitSettings(max_epochs=2, batch_size=10, device="cpu", seed=1)
            fit(module, data(), data(), settings=settings)
        states.append(module.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
