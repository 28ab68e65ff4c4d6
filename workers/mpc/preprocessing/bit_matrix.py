"""Matrices of bits, held in 64-bit words and transposed in place.

Bit r of a word is its bit of value 2^r. A matrix of 64 rows has shape (64, w): column 64 j + i is
bit i of the words ``[:, j]``.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

WORD = np.dtype("<u8")
WORD_BITS = 64

Words: TypeAlias = npt.NDArray[np.uint64]

_LOW_HALVES = {
    32: 0x00000000FFFFFFFF,
    16: 0x0000FFFF0000FFFF,
    8: 0x00FF00FF00FF00FF,
    4: 0x0F0F0F0F0F0F0F0F,
    2: 0x3333333333333333,
    1: 0x5555555555555555,
}


def transpose_in_place(rows: Words) -> None:
    """Exchange bit j of ``rows[..., i, w]`` with bit i of ``rows[..., j, w]`` for all i, j, w.

    *Shapes*: (..., 64, w), contiguous. *Cost*: six passes; each exchanges the off-diagonal
    quarters of blocks half as large as the last, in all blocks at once.
    *See* [W12] section 7-3.
    """
    lead, width = rows.shape[:-2], rows.shape[-1]
    scratch = np.empty((*lead, WORD_BITS // 2, width), dtype=WORD)
    for size, mask in _LOW_HALVES.items():
        blocks = rows.reshape(*lead, WORD_BITS // (2 * size), 2, size, width)
        upper, lower = blocks[..., 0, :, :], blocks[..., 1, :, :]
        difference = scratch.reshape(lower.shape)
        np.right_shift(upper, WORD.type(size), out=difference)
        np.bitwise_xor(difference, lower, out=difference)
        np.bitwise_and(difference, WORD.type(mask), out=difference)
        np.bitwise_xor(lower, difference, out=lower)
        np.left_shift(difference, WORD.type(size), out=difference)
        np.bitwise_xor(upper, difference, out=upper)


def bit_planes(elements: npt.NDArray[Any], bits: int) -> Words:
    """Return the lowest bits of unsigned elements, one plane for each bit.

    *Shapes*: (64 w,) to (bits, w). Element r w + j has its bit i in bit r of word ``[i, j]``.
    """
    rows = elements.astype(WORD).reshape(WORD_BITS, -1)
    transpose_in_place(rows)
    return rows[:bits]


def pack_lowest_bits(numbers: npt.NDArray[Any]) -> Words:
    """Return the lowest bit of each number, packed.

    *Shapes*: (64 w,) to (w,). Number r w + j goes to bit r of word j, as in :func:`bit_planes`.
    """
    rows = numbers.reshape(WORD_BITS, -1)
    packed = np.zeros(rows.shape[1], dtype=WORD)
    bit = np.empty_like(packed)
    for position in range(WORD_BITS):
        np.bitwise_and(rows[position], rows.dtype.type(1), out=bit, casting="unsafe")
        np.left_shift(bit, WORD.type(position), out=bit)
        np.bitwise_or(packed, bit, out=packed)
    return packed


def unpack_bits(packed: Words) -> npt.NDArray[np.uint8]:
    """Return the bits that :func:`pack_lowest_bits` packed: (w,) to (64 w,) zeros and ones."""
    positions = np.arange(WORD_BITS, dtype=WORD)[:, np.newaxis]
    return ((packed >> positions) & WORD.type(1)).astype(np.uint8).reshape(-1)
