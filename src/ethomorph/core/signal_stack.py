"""Keeps a thread's signal stack while a library works that replaces it and frees it too early.

OpenVINO sets a stack of its own when it compiles and frees it with the model, from any thread; the next signal that
Python handles would then end the process, Ctrl-C among them. Linux only; elsewhere this does nothing.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Whatever stack signals of this thread ran on before is theirs again afterwards.

    Examples
    --------
    >>> with kept_signal_stack():
    ...     pass
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before, library = _Stack(), ctypes.CDLL(None)
    library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        library.sigaltstack(ctypes.byref(before), None)
