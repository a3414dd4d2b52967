"""Memory given back to the machine between two pieces of work; what holds the memory is not known here."""

from __future__ import annotations

import ctypes
import gc


def give_back_memory() -> None:
    """Collect what nothing refers to any more, and return freed memory to the machine where the C library keeps it.

    glibc keeps freed blocks for later; after a training these are hundreds of megabytes that the next piece of work
    would come on top of. Elsewhere, only the collection happens.
    """
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(0)
