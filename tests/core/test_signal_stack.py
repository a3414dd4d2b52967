"""A library's signal stack does not outlive the library's use of it."""

import ctypes
import sys

import pytest

from ethomorph.core.signal_stack import _Stack, kept_signal_stack


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signal stacks are kept on Linux only")
def test_the_stack_before_is_the_stack_after():
    library, memory = ctypes.CDLL(None), ctypes.create_string_buffer(65536)
    before, after = _Stack(), _Stack()
    library.sigaltstack(None, ctypes.byref(before))
    with kept_signal_stack():
        library.sigaltstack(ctypes.byref(_Stack(ctypes.addressof(memory), 0, 65536)), None)
        library.sigaltstack(None, ctypes.byref(after))
        assert after.pointer == ctypes.addressof(memory)
    library.sigaltstack(None, ctypes.byref(after))
    assert (after.pointer, after.flags, after.size) == (before.pointer, before.flags, before.size)
