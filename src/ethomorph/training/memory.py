"""Running out of memory: telling it from other errors, and the smaller batch that answers it."""

from __future__ import annotations

SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that a device or the host had no memory left.

    >>> is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"))
    True
    >>> is_out_of_memory(RuntimeError("size mismatch"))
    False
    """
    if isinstance(error, MemoryError):
        return True
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def smaller_batch(current: int, whole: int) -> int | None:
    """The largest divisor of `whole` that is at most half of `current`, so that accumulating gives `whole` exactly.

    >>> smaller_batch(8, 8), smaller_batch(6, 12), smaller_batch(5, 5), smaller_batch(1, 8)
    (4, 3, 1, None)
    """
    return next((size for size in range(current // 2, 0, -1) if whole % size == 0), None)


def release() -> None:
    """Give cached memory back to the devices."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
