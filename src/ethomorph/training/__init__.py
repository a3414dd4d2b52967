"""The fit loop that every system shares, and the monitor that says when training is sick and why.

Importing this room is light: torch and Lightning are loaded by the first call that needs them.
"""

from __future__ import annotations

from typing import Any

_HOMES = {
    "FitSettings": "settings",
    "FitResult": "fit",
    "Evidence": "evidence",
    "Finding": "health",
    "Health": "health",
    "diagnose": "health",
}

__all__ = ["Evidence", "Finding", "FitResult", "FitSettings", "Health", "diagnose"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
