"""A small arena that the tests of this room share: written once, never changed."""

from __future__ import annotations

import pytest

from ethomorph.formats.clip_table import read_clip_table
from ethomorph.phantoms.arena_clips import simulate_clips

EASY = {"spawn": 0.34, "no_fish": 0.2, "feed_multiple": 0.3, "fish_other": 0.16}
"""Four behaviours that differ at a glance, so that a few clips are enough to learn from."""


@pytest.fixture(scope="session")
def arena(tmp_path_factory):
    """Folder with clips/ and labels.csv: 96 clips of 8 individuals, 64 px, 16 frames."""
    folder = tmp_path_factory.mktemp("arena")
    return simulate_clips(96, individuals=8, size=64, frames=16, fps=8, shares=EASY, seed=5).write(folder)


@pytest.fixture(scope="session")
def clips(arena):
    return read_clip_table(arena / "labels.csv", videos=arena / "clips")
