"""Which device a fit runs on and in which precision."""

from __future__ import annotations

from ethomorph.core.errors import InputError
from ethomorph.training.ranks import ranks

FULL = "32-true"


def choose_device(wish: str = "auto") -> str:
    """Name of the device: "cpu", "mps", "cuda" or "cuda:N"; a device that is not here is refused.

    Raises
    ------
    InputError : the device does not exist on this machine, or the word is unknown.
    """
    import torch

    if wish == "auto":
        if torch.cuda.is_available():
            mine = ranks()
            return f"cuda:{mine.local % torch.cuda.device_count()}" if mine.several else "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = wish.partition(":")
    if kind == "cpu" and not index:
        return wish
    if kind == "mps" and not index and torch.backends.mps.is_available():
        return wish
    if kind == "cuda" and (not index or index.isdigit()) and int(index or 0) < torch.cuda.device_count():
        return wish
    if kind not in ("cpu", "mps", "cuda"):
        raise InputError(repr(wish), place="device", fix="use auto, cpu, cuda, cuda:N or mps")
    raise InputError(f"{wish!r} is not on this machine", place="device", fix="use auto or cpu")


def choose_precision(wish: str, device: str) -> tuple[str, str]:
    """Lightning's precision word, and a note where the wish cannot be met (empty where it can).

    Mixed precision is for CUDA only: CPUs without bf16 units are several times slower with it than without.
    """
    if not device.startswith("cuda"):
        note = "" if wish in ("auto", "32") else f"precision {wish} is for CUDA only; 32 was used on {device}"
        return FULL, note
    if wish == "32":
        return FULL, ""
    import torch

    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if wish == "bf16" and not bf16:
        return "16-mixed", "this GPU has no bf16 units; 16 was used"
    return ("16-mixed" if wish == "16" or not bf16 else "bf16-mixed"), ""


def lightning_device(device: str) -> tuple[str, list[int] | int]:
    """Accelerator and devices as Lightning's Trainer takes them.

    >>> lightning_device("cuda:1"), lightning_device("cpu")
    (('cuda', [1]), ('cpu', 1))
    """
    kind, _, index = device.partition(":")
    return kind, [int(index or 0)] if kind == "cuda" else 1
