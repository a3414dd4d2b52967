"""Toy videos for the tests of this room."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def toys() -> ModuleType:
    """The module toys.py beside this file, which importlib mode keeps off the path."""
    spec = importlib.util.spec_from_file_location("pose_toys", Path(__file__).with_name("toys.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
