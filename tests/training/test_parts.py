"""The fit loop's parts by themselves: rate, random streams, loader, samples, memory."""

from __future__ import annotations

import random
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from ethomorph.core.errors import InputError
from ethomorph.training.devices import choose_device
from ethomorph.training.loader import SeededLoader
from ethomorph.training.memory import smaller_batch
from ethomorph.training.randomness import capture, restore, seed_all
from ethomorph.training.rate import rate_factor
from ethomorph.training.samples import describe, pooled
from ethomorph.training.settings import FitSettings


def test_cosine_with_warm_up_against_its_formula():
    settings = FitSettings(schedule="cosine", rate_warm_up=10)
    assert [rate_factor(step, 111, settings) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert rate_factor(60, 111, settings) == pytest.approx(0.01 + 0.99 / 2)
    assert rate_factor(110, 111, settings) == pytest.approx(0.01)


@given(st.integers(1, 500))
def test_smaller_batches_divide_the_whole(whole):
    sizes = [whole]
    while (smaller := smaller_batch(sizes[-1], whole)) is not None:
        assert whole % smaller == 0 and smaller <= sizes[-1] // 2
        sizes.append(smaller)
    assert sizes[-1] == 1


def test_random_streams_come_back():
    def draw():
        return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002

    seed_all(3)
    state = capture()
    first = draw()
    draw()
    restore(state)
    assert draw() == first


def numbers(loader: SeededLoader) -> list:
    return [None if batch is None else batch[0].tolist() for batch in loader]


def make_loader(batch_size: int = 4, **options) -> DataLoader:
    return DataLoader(TensorDataset(torch.arange(22)), batch_size, shuffle=True, **options)


def test_order_follows_from_seed_and_epoch_alone():
    a, b = SeededLoader(make_loader(), seed=1), SeededLoader(make_loader(generator=torch.Generator()), seed=1)
    first = numbers(a)
    torch.rand(7)  # what a network draws must not matter
    assert numbers(a) == first
    a.epoch = b.epoch = 1
    assert numbers(a) != first
    assert numbers(b) == numbers(b) != first
    assert sorted(chain(*numbers(a))) == list(range(22))
    halves = SeededLoader(make_loader(2), seed=1)
    assert list(chain(*numbers(halves))) == list(chain(*first))  # a smaller batch sees the same order


def test_loading_leaves_the_outer_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    numbers(SeededLoader(make_loader(), seed=1))
    assert torch.equal(torch.rand(3), expected)


def test_skipped_batches_are_empty_once():
    loader = SeededLoader(make_loader(), seed=1)
    whole = numbers(loader)
    loader.skip = 2
    assert numbers(loader) == [None, None, *whole[2:]]
    assert numbers(loader) == whole


def test_workers_that_live_on_are_refused():
    with pytest.raises(ValueError, match="persistent_workers"):
        SeededLoader(make_loader(num_workers=1, persistent_workers=True), seed=0)


def test_statistics_pool_to_those_of_all():
    torch.manual_seed(0)
    x = 3 * torch.randn(40, 1, 5, 5) + 7
    together, whole = pooled(describe(x[:15]), describe(x[15:])), describe(x)
    assert together.samples == 40
    assert [together.mean, together.std, together.low] == pytest.approx([whole.mean, whole.std, whole.low], rel=1e-5)
    assert whole.mean == pytest.approx(float(x.mean()), rel=1e-6)


@pytest.mark.parametrize("wish", ["tpu", "cuda:99", "cpu:1", "cuda:x"])
def test_devices_that_are_not_here(wish):
    with pytest.raises(InputError, match="device"):
        choose_device(wish)


@pytest.mark.parametrize("options", [{"max_epochs": 0}, {"schedule": "step"}, {"precision": "8"}, {"min_delta": -1.0}])
def test_impossible_settings(options):
    with pytest.raises(InputError):
        FitSettings(**options)
