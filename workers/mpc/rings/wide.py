"""The ring Z/2^128 in two 64-bit limbs, the low one first: for squares of counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.mpc.randomness import Randomness
from workers.mpc.rings.base import Elements, Ring, Shape

_LIMB = 2**64
_DIGIT_BITS = 22
_DIGITS = 6
_MOST_TERMS = 2**8


@dataclass(frozen=True, repr=False)
class WideRing(Ring):
    """Z/2^128. *Shapes*: a vector of shape s is an array of shape s + (2,), low limb first."""

    name = "Z/2^128"
    dtype = np.dtype(np.uint64)
    limbs = (2,)
    lowest = -(2**127)
    highest = 2**127 - 1

    def encode(self, integers: npt.ArrayLike) -> Elements:
        array = np.asarray(integers)
        if array.dtype == object:
            low = np.asarray(array % _LIMB, dtype=object).astype(np.uint64)
            high = np.asarray(array // _LIMB % _LIMB, dtype=object).astype(np.uint64)
        else:
            low = array.astype(np.uint64)
            high = np.where(array < 0, np.uint64(_LIMB - 1), np.uint64(0))
        return np.stack([low, high], axis=-1)

    def decode(self, elements: Elements) -> npt.NDArray[Any]:
        low = elements[..., 0].astype(object)
        high = elements[..., 1].astype(np.int64).astype(object)
        return np.asarray(high * _LIMB + low, dtype=object)

    def add(self, left: Elements, right: Elements) -> Elements:
        low = left[..., 0] + right[..., 0]
        carry = low < left[..., 0]
        return np.stack([low, left[..., 1] + right[..., 1] + carry], axis=-1)

    def subtract(self, left: Elements, right: Elements) -> Elements:
        low = left[..., 0] - right[..., 0]
        borrow = left[..., 0] < right[..., 0]
        return np.stack([low, left[..., 1] - right[..., 1] - borrow], axis=-1)

    def multiply(self, left: Elements, right: Elements) -> Elements:
        low, high = _full_product(left[..., 0], right[..., 0])
        high = high + left[..., 0] * right[..., 1] + left[..., 1] * right[..., 0]
        return np.stack([low, high], axis=-1)

    def matmul(self, left: Elements, right: Elements) -> Elements:
        terms = left.shape[-2]
        rows = left if left.ndim == 3 else left[np.newaxis]
        columns = right if right.ndim == 3 else right[:, np.newaxis]
        total = self.zeros((rows.shape[0], columns.shape[1]))
        for start in range(0, terms, _MOST_TERMS):
            block = slice(start, start + _MOST_TERMS)
            total = self.add(total, self._block_product(rows[:, block], columns[block]))
        if left.ndim == 2:
            total = total[0]
        return total[..., 0, :] if right.ndim == 2 else total

    def _block_product(self, left: Elements, right: Elements) -> Elements:
        """Return the matrix product of at most 256 terms: 21 exact ones of 22-bit digits."""
        left_digits, right_digits = self._digits(left), self._digits(right)
        total = self.zeros((left.shape[0], right.shape[1]))
        for weight in range(_DIGITS):
            exact = sum(left_digits[i] @ right_digits[weight - i] for i in range(weight + 1))
            words = self.from_words(np.asarray(exact).astype(np.uint64))
            total = self.add(total, self.shift_left(words, _DIGIT_BITS * weight))
        return total

    def _digits(self, elements: Elements) -> list[npt.NDArray[np.float64]]:
        mask = np.uint64(2**_DIGIT_BITS - 1)
        shifted = [self.shift_right(elements, _DIGIT_BITS * digit) for digit in range(_DIGITS)]
        return [(digit[..., 0] & mask).astype(np.float64) for digit in shifted]

    def sum(self, elements: Elements, axis: int) -> Elements:
        """Return the sums; the low limbs are added by halves, so that no carry is lost."""
        low, high = elements[..., 0], elements[..., 1]
        mask, half = np.uint64(2**32 - 1), np.uint64(32)
        first = np.add.reduce(low & mask, axis=axis)
        second = np.add.reduce(low >> half, axis=axis)
        tops = np.add.reduce(high, axis=axis)
        lower = self.from_words(np.asarray(first))
        middle = self.shift_left(self.from_words(np.asarray(second)), 32)
        upper = np.stack([np.zeros_like(tops), tops], axis=-1)
        return self.add(self.add(lower, middle), upper)

    def random(self, randomness: Randomness, shape: Shape) -> Elements:
        return randomness.words((*shape, 2))

    def shift_right(self, elements: Elements, bits: int) -> Elements:
        low, high = elements[..., 0], elements[..., 1]
        if bits == 0:
            return elements
        if bits >= 64:
            return np.stack([high >> np.uint64(bits - 64), np.zeros_like(high)], axis=-1)
        spilled = high << np.uint64(64 - bits)
        return np.stack([(low >> np.uint64(bits)) | spilled, high >> np.uint64(bits)], axis=-1)

    def shift_left(self, elements: Elements, bits: int) -> Elements:
        low, high = elements[..., 0], elements[..., 1]
        if bits == 0:
            return elements
        if bits >= 64:
            return np.stack([np.zeros_like(low), low << np.uint64(bits - 64)], axis=-1)
        spilled = low >> np.uint64(64 - bits)
        return np.stack([low << np.uint64(bits), (high << np.uint64(bits)) | spilled], axis=-1)

    def from_words(self, words: Elements) -> Elements:
        low = words.astype(np.uint64)
        return np.stack([low, np.zeros_like(low)], axis=-1)

    def low_words(self, elements: Elements) -> Elements:
        return elements[..., 0]


def _full_product(left: Elements, right: Elements) -> tuple[Elements, Elements]:
    """Return the low and the high 64 bits of products of words, from halves of 32 bits."""
    half, mask = np.uint64(32), np.uint64(2**32 - 1)
    left_low, left_high = left & mask, left >> half
    right_low, right_high = right & mask, right >> half
    low = left_low * right_low
    crossed = left_high * right_low + (low >> half)
    other = left_low * right_high + (crossed & mask)
    return left * right, left_high * right_high + (crossed >> half) + (other >> half)


Z128 = WideRing()
