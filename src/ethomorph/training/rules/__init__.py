"""One file a rule: a module here with ``check(evidence) -> list[Finding]`` is found by itself.

Each rule's docstring says what it measures, its thresholds and where they come from. A rule sees only `Evidence`, so it
can be run again later on the evidence.json of a run folder.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Finding

Rule = Callable[[Evidence], list[Finding]]


@cache
def rules() -> dict[str, Rule]:
    """Every rule by its file name, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}").check for name in names}
