"""Exact matrix products of unsigned machine words, modulo the word, at the speed of BLAS.

numpy multiplies integer matrices without BLAS. So the words are cut into digits of 22 bits, small
enough that products of digits, and sums of up to 512 of them, are exact in float64: six products
of matrices of digits make one of words, because the higher ones vanish modulo 2^64.
"""

from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float64]

DIGIT_BITS = 22
MOST_TERMS = 512
"""Digits are at most 2^21 in absolute value, so 3 * 512 products of two stay below 2^53."""

BLAS_FROM = 2**18
"""From this many products on, and no side shorter than 8, the digits are worth their making."""


def matmul_words(left: Words, right: Words) -> Words:
    """Return the product modulo 2^w of unsigned w-bit words, exactly.

    *Shapes*: as ``numpy.matmul``, for one or two dimensions each.
    *Cost*: six float64 products of the same shape where BLAS pays. Temporary memory: 24 bytes a
    word of the operands, 8 of the result.
    """
    if left.ndim != 2 or right.ndim != 2:
        return cast(Words, np.matmul(left, right))
    rows, terms = left.shape
    columns = right.shape[1]
    if min(rows, terms, columns) < 8 or rows * terms * columns < BLAS_FROM:
        return cast(Words, np.matmul(left, right))
    total = np.zeros((rows, columns), dtype=np.uint64)
    for start in range(0, terms, MOST_TERMS):
        block = slice(start, start + MOST_TERMS)
        total += _product(left[:, block].astype(np.uint64), right[block].astype(np.uint64))
    return total.astype(left.dtype)


def _product(left: Words, right: Words) -> Words:
    a0, a1, a2 = _digits(left)
    b0, b1, b2 = _digits(right)
    low = _words(a0 @ b0)
    middle = _words(a0 @ b1 + a1 @ b0)
    high = _words(a0 @ b2 + a1 @ b1 + a2 @ b0)
    kind = np.uint64
    return cast(Words, low + (middle << kind(DIGIT_BITS)) + (high << kind(2 * DIGIT_BITS)))


def _digits(words: Words) -> tuple[Floats, Floats, Floats]:
    """Return d0, d1, d2 with words = d0 + d1 2^22 + d2 2^44 modulo 2^64, around zero.

    Half a digit is added first and taken off each digit afterwards, so no carry is looked at.
    """
    half, mask = np.int64(2 ** (DIGIT_BITS - 1)), np.uint64(2**DIGIT_BITS - 1)
    lifted = words + np.uint64(2 ** (DIGIT_BITS - 1) + 2 ** (2 * DIGIT_BITS - 1))
    low = (lifted & mask).view(np.int64) - half
    middle = ((lifted >> np.uint64(DIGIT_BITS)) & mask).view(np.int64) - half
    high = lifted.view(np.int64) >> np.int64(2 * DIGIT_BITS)
    return low.astype(np.float64), middle.astype(np.float64), high.astype(np.float64)


def _words(sums: Floats) -> Words:
    return sums.astype(np.int64).view(np.uint64)
