"""dlib's `.dat` file of a shape predictor, read and written without dlib: what ml-morph, LizardMorph and dlib exchange.

The file is dlib's own serialisation, a chain of variable-length integers (a float is a mantissa and an exponent). dlib
trusts whatever lengths and indices a file claims, so a damaged one can crash a process; here every number is checked
before it is used. Other dlib objects (detectors, networks) are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ethomorph.core.errors import FormatError
from ethomorph.core.files import atomic_path
from ethomorph.keypoints.cascade import Cascade, refuse_inconsistent

MAX_BYTES = 1 << 30
FLOAT_DIGITS = 24
"""Bits in the mantissa of a 32-bit float."""
SPECIAL_EXPONENT = 32000
"""dlib writes infinities and NaN as exponents from here on."""


def read_dat(path: str | Path) -> Cascade:
    """Read a shape predictor, landmarks in the file's order; raises FormatError for any other or a damaged file."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise FormatError(f"{size / 1e9:.1f} GB is too large for a shape predictor", place=path)
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", place=path) from None
    try:
        cascade = _parse(_integers(data))
        refuse_inconsistent(cascade)
    except (ValueError, OverflowError) as error:
        raise FormatError(
            f"not a whole dlib shape predictor ({error})", place=path, fix="copy the .dat file again, or train it again"
        ) from None
    return cascade


def write_dat(cascade: Cascade, path: str | Path) -> Path:
    """Write the cascade so that `dlib.shape_predictor(path)` loads it; returns the path."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(_bytes(np.concatenate(list(_tokens(cascade)))))
    return Path(path)


def _integers(data: bytes) -> np.ndarray:
    """All integers: each a control byte (low 4 bits the count of bytes, top bit the sign), then little-endian bytes."""
    starts, position, end = [], 0, len(data)
    while position < end:
        starts.append(position)
        position += 1 + (data[position] & 0x0F)
    if position != end or not starts:
        raise ValueError("the file ends inside a number" if starts else "the file is empty")
    start = np.array(starts, dtype=np.int64)
    raw = np.frombuffer(data + bytes(8), dtype=np.uint8)
    control = raw[start]
    width = (control & 0x0F).astype(np.int64)
    if (control & 0x70).any() or not ((width >= 1) & (width <= 8)).all():
        raise ValueError("a number has an impossible length")
    value = np.zeros(len(start), dtype=np.uint64)
    for byte in range(int(width.max())):
        value |= np.where(width > byte, raw[start + 1 + byte], 0).astype(np.uint64) << np.uint64(8 * byte)
    if (value >> np.uint64(63)).any():
        raise ValueError("a number is too large")
    signed = value.astype(np.int64)
    return np.where(control & 0x80, -signed, signed)


class _Chain:
    """The integers with a position that never runs past the end."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.at = values, 0

    def take(self, count: int) -> np.ndarray:
        if count < 0 or self.at + count > len(self.values):
            raise ValueError("the file ends too early")
        self.at += count
        return self.values[self.at - count : self.at]

    def one(self) -> int:
        return int(self.take(1)[0])

    def expect(self, value: int, what: str) -> None:
        found = self.one()
        if found != value:
            raise ValueError(f"{what} is {found}, expected {value}")


def _parse(values: np.ndarray) -> Cascade:
    chain = _Chain(values)
    chain.expect(1, "the version")
    length, columns = -chain.one(), -chain.one()  # dlib marks the sizes of a matrix by their negative
    if columns != 1 or length < 2 or length % 2:
        raise ValueError(f"the mean shape has {length} x {columns} numbers")
    initial = _floats(chain.take(2 * length)).reshape(-1, 2)
    levels = chain.one()
    if not 1 <= levels <= len(values):
        raise ValueError(f"{levels} cascade levels")
    trees = int(chain.values[chain.at]) if chain.at < len(values) else 0
    nodes = int(chain.values[chain.at + 1]) if chain.at + 1 < len(values) else 0
    if trees < 1 or nodes < 1:
        raise ValueError(f"{trees} trees with {nodes} nodes")
    # All trees of a trained predictor are full and equally deep, so a tree is a block of known length.
    per_leaf = 2 + 2 * length
    block = 1 + 4 * nodes + 1 + (nodes + 1) * per_leaf
    first, second, thresholds, leaves = [], [], [], []
    for _ in range(levels):
        chain.expect(trees, "the number of trees")
        tree = chain.take(trees * block).reshape(trees, block)
        split = tree[:, 1 : 1 + 4 * nodes].reshape(trees, nodes, 4)
        leaf = tree[:, 2 + 4 * nodes :].reshape(trees, nodes + 1, per_leaf)
        if (tree[:, 0] != nodes).any() or (tree[:, 1 + 4 * nodes] != nodes + 1).any():
            raise ValueError("trees of different depth")
        if (leaf[..., 0] != -length).any() or (leaf[..., 1] != -1).any():
            raise ValueError("a leaf has another number of landmarks than the mean shape")
        first.append(split[..., 0].astype(np.int32))
        second.append(split[..., 1].astype(np.int32))
        thresholds.append(_floats(split[..., 2:])[..., 0])
        leaves.append(_floats(leaf[..., 2:]).reshape(trees, nodes + 1, length // 2, 2))
    anchors = [chain.take(count) for count in _lists(chain, levels)]
    offsets = [_floats(chain.take(4 * count)).reshape(-1, 2) for count in _lists(chain, levels)]
    if chain.at != len(values):
        raise ValueError("there is more in the file than the predictor")
    return Cascade(
        initial, np.stack(anchors).astype(np.int32), np.stack(offsets), np.stack(first), np.stack(second),
        np.stack(thresholds), np.stack(leaves),
    )


def _lists(chain: _Chain, levels: int) -> Iterator[int]:
    """The length of each of `levels` lists, read one by one."""
    chain.expect(levels, "the number of cascade levels")
    for _ in range(levels):
        yield chain.one()


def _floats(pairs: np.ndarray) -> np.ndarray:
    """float32 from (…, 2n) mantissas and exponents, one after the other."""
    mantissa, exponent = pairs[..., 0::2], pairs[..., 1::2]
    if (exponent >= SPECIAL_EXPONENT).any() or (np.abs(exponent) > SPECIAL_EXPONENT).any():
        raise ValueError("a value is not finite")
    values = np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32))
    if (np.abs(values) > np.finfo(np.float32).max).any():
        raise ValueError("a value is too large")
    return values.astype(np.float32)


def _tokens(cascade: Cascade) -> Iterator[np.ndarray]:
    levels, trees, nodes = cascade.first.shape
    length = 2 * cascade.landmarks

    def numbers(*values: int) -> np.ndarray:
        return np.array(values, dtype=np.int64)

    yield numbers(1, -length, -1)
    yield _pairs(cascade.initial.ravel())
    yield numbers(levels)
    for level in range(levels):
        yield numbers(trees)
        splits = np.concatenate(
            [
                np.stack([cascade.first[level], cascade.second[level]], axis=-1).astype(np.int64),
                _pairs(cascade.thresholds[level]).reshape(trees, nodes, 2),
            ],
            axis=-1,
        ).reshape(trees, -1)
        sizes = np.broadcast_to(numbers(-length, -1), (trees, nodes + 1, 2))
        steps = _pairs(cascade.leaves[level].reshape(trees, nodes + 1, length))
        leaves = np.concatenate([sizes, steps], axis=-1).reshape(trees, -1)
        count = np.ones((trees, 1), dtype=np.int64)
        yield np.concatenate([count * nodes, splits, count * (nodes + 1), leaves], axis=1).ravel()
    yield numbers(levels)
    for anchors in cascade.anchors:
        yield np.concatenate([numbers(len(anchors)), anchors])
    yield numbers(levels)
    for offsets in cascade.offsets:
        yield np.concatenate([numbers(len(offsets)), _pairs(offsets.ravel())])


def _pairs(values: np.ndarray) -> np.ndarray:
    """Mantissas and exponents (…, 2n) of float32 (…, n); a mantissa's low zero bytes go to its exponent, as in dlib."""
    fraction, exponent = np.frexp(values.astype(np.float64))
    mantissa = np.ldexp(fraction, FLOAT_DIGITS).astype(np.int64)
    exponent = exponent.astype(np.int64) - FLOAT_DIGITS
    for _ in range(8):
        empty = (mantissa & 0xFF) == 0
        mantissa, exponent = np.where(empty, mantissa >> 8, mantissa), np.where(empty, exponent + 8, exponent)
    return np.stack([mantissa, exponent], axis=-1).reshape(*values.shape[:-1], -1)


def _bytes(values: np.ndarray) -> bytes:
    """The chain of variable-length integers, the inverse of `_integers`."""
    size = np.abs(values).astype(np.uint64)
    width = np.ones(len(values), dtype=np.int64)
    for byte in range(1, 8):
        width += size >= np.uint64(1) << np.uint64(8 * byte)
    start = np.concatenate([[0], np.cumsum(width + 1)])
    out = np.zeros(start[-1], dtype=np.uint8)
    out[start[:-1]] = width | np.where(values < 0, 0x80, 0)
    for byte in range(int(width.max())):
        has = width > byte
        out[start[:-1][has] + 1 + byte] = (size[has] >> np.uint64(8 * byte)) & np.uint64(0xFF)
    return out.tobytes()
