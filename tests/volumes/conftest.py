"""A few coarse heads, made once."""

import numpy as np
import pytest

from ethomorph.phantoms.head import simulate_head
from ethomorph.volumes.classes import ClassMap
from ethomorph.volumes.data import Case

TABLE = {
    "jaw": ["LowerJaw*", "Replacement_lower*"],
    "tooth": {"match": "Tooth_*", "instances": True},
    "bone": ["OtherBone", "Replacement_upper*"],
}


@pytest.fixture(scope="session")
def classes() -> ClassMap:
    return ClassMap.of(TABLE)


@pytest.fixture(scope="session")
def head_cases() -> list[Case]:
    heads = [simulate_head(seed=s, spacing=0.45 + 0.02 * (s % 3), teeth=20) for s in range(3)]
    return [Case(h.name, h.image, h.labels) for h in heads]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
