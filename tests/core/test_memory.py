"""Freed memory goes back to the machine."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ethomorph.core.memory import give_back_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_blocks_that_were_freed_are_given_back():
    def held_mb() -> float:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096 / 2**20

    blocks = [np.ones(12_000) for _ in range(1000)]  # 92 MB in blocks that the C library keeps for later
    last = np.ones(12_000)  # on top of them, so that nothing is given back by itself
    before = held_mb()
    del blocks
    give_back_memory()
    assert before - held_mb() > 60
    assert last.sum() == 12_000
