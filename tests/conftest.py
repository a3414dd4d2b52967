"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "2")

settings.register_profile("repeatable", derandomize=True, deadline=None)  # machines differ in speed
settings.load_profile("repeatable")

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout; users do not have it, so tests that need it skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real data sets are not beside this checkout")
    return SHARED_DATA
