"""The two files of a saved model: readable facts in TOML, arrays in safetensors; a damaged one is refused by name.

Neither can carry code. What the facts and arrays mean is for the model that reads them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.files import atomic_path, write_text

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError)
FIX = "train it again, or take an undamaged copy"


def read_facts(path: str | Path) -> dict[str, Any]:
    """A model's TOML; raises FormatError, naming the file, where it is missing or damaged."""
    with damage_named(path):
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))


def write_facts(path: str | Path, facts: Mapping[str, Any]) -> None:
    """Write a model's TOML atomically."""
    import tomli_w

    write_text(Path(path), tomli_w.dumps(dict(facts)))


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """A model's arrays by name; raises FormatError, naming the file, where it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    with damage_named(path, SafetensorError):
        arrays: dict[str, np.ndarray] = load_file(path)
        return arrays


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as safetensors, atomically."""
    from safetensors.numpy import save_file

    with atomic_path(Path(path)) as temporary:
        save_file({name: np.array(array, order="C") for name, array in arrays.items()}, temporary)


@contextmanager
def damage_named(path: str | Path, *more: type[Exception]) -> Iterator[None]:
    """Whatever goes wrong inside is a FormatError about this file; one that names a file already passes through."""
    told: tuple[type[Exception], ...] = (*DAMAGE, *more)
    try:
        yield
    except told as error:
        if isinstance(error, FormatError):
            raise
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise FormatError(f"not a whole model file ({said})", place=path, fix=FIX) from None
