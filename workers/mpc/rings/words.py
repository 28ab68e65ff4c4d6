"""Rings of machine words: the integers modulo 2^k, and words of k bits under XOR and AND."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from workers.mpc.randomness import Randomness, word_bytes
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.matrix import matmul_words


@dataclass(frozen=True, repr=False)
class _WordRing(Ring):
    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ValueError(f"a word ring has 1 to 64 bits, not {self.bits}")

    @cached_property
    def dtype(self) -> np.dtype[Any]:  # type: ignore[override]
        return np.dtype(f"u{word_bytes(self.bits)}")

    @cached_property
    def _mask(self) -> Any:
        """What clears the bits beyond the ring; None where the machine word is the ring."""
        whole = self.bits == 8 * self.dtype.itemsize
        return None if whole else self.dtype.type(2**self.bits - 1)

    def _reduce(self, elements: Elements) -> Elements:
        return elements if self._mask is None else cast(Elements, elements & self._mask)

    def random(self, randomness: Randomness, shape: Shape) -> Elements:
        return randomness.words(shape, self.bits)

    def shift_right(self, elements: Elements, bits: int) -> Elements:
        return cast(Elements, elements >> self.dtype.type(bits))

    def shift_left(self, elements: Elements, bits: int) -> Elements:
        return self._reduce(elements << self.dtype.type(bits))

    def from_words(self, words: Elements) -> Elements:
        return self._reduce(words.astype(self.dtype))

    def low_words(self, elements: Elements) -> Elements:
        return elements.astype(np.uint64)

    def is_canonical(self, elements: Elements) -> bool:
        return self._mask is None or bool((elements <= self._mask).all())


@dataclass(frozen=True, repr=False)
class IntegersModuloPowerOfTwo(_WordRing):
    """Z/2^k, 1 <= k <= 64, in the narrowest machine word. Signed: -2^(k-1) .. 2^(k-1) - 1."""

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"Z/2^{self.bits}"

    @property
    def lowest(self) -> int:  # type: ignore[override]
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:  # type: ignore[override]
        return (1 << (self.bits - 1)) - 1

    def encode(self, integers: npt.ArrayLike) -> Elements:
        array = np.asarray(integers)
        if array.dtype == object:
            array = (array & (2**64 - 1)).astype(np.uint64)
        return self._reduce(array.astype(self.dtype))

    def decode(self, elements: Elements) -> npt.NDArray[Any]:
        spare = 8 * self.dtype.itemsize - self.bits
        signed = np.dtype(f"i{self.dtype.itemsize}")
        signs = (elements << self.dtype.type(spare)).view(signed).astype(np.int64)
        return cast(Elements, signs >> spare)

    def add(self, left: Elements, right: Elements) -> Elements:
        return self._reduce(_wrapped(np.add, left, right))

    def subtract(self, left: Elements, right: Elements) -> Elements:
        return self._reduce(_wrapped(np.subtract, left, right))

    def multiply(self, left: Elements, right: Elements) -> Elements:
        return self._reduce(_wrapped(np.multiply, left, right))

    def matmul(self, left: Elements, right: Elements) -> Elements:
        return self._reduce(matmul_words(left, right))

    def sum(self, elements: Elements, axis: int) -> Elements:
        return self._reduce(np.add.reduce(elements, axis=axis, dtype=self.dtype))


@dataclass(frozen=True, repr=False)
class BitWords(_WordRing):
    """GF(2)^k: words of k independent bits, 1 <= k <= 64. Addition is XOR, product is AND.

    A word stands for its unsigned value; what a "bit" is, its protocol says.
    """

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"GF(2)^{self.bits}"

    lowest = 0

    @property
    def highest(self) -> int:  # type: ignore[override]
        return int(2**self.bits) - 1

    def encode(self, integers: npt.ArrayLike) -> Elements:
        return self._reduce(np.asarray(integers).astype(self.dtype))

    def decode(self, elements: Elements) -> npt.NDArray[Any]:
        return elements.astype(object) if self.bits == 64 else elements.astype(np.int64)

    def add(self, left: Elements, right: Elements) -> Elements:
        return cast(Elements, left ^ right)

    def subtract(self, left: Elements, right: Elements) -> Elements:
        return cast(Elements, left ^ right)

    def multiply(self, left: Elements, right: Elements) -> Elements:
        return cast(Elements, left & right)

    def matmul(self, left: Elements, right: Elements) -> Elements:
        raise NotImplementedError("words of bits have no matrix product: multiply and sum")

    def sum(self, elements: Elements, axis: int) -> Elements:
        return cast(Elements, np.bitwise_xor.reduce(elements, axis=axis))


def _wrapped(operation: np.ufunc, left: Elements, right: Elements) -> Elements:
    """Apply an operation that wraps; numpy would warn of it where both operands have no axis."""
    if np.ndim(left) == 0 and np.ndim(right) == 0:
        return cast(Elements, operation(np.reshape(left, 1), np.reshape(right, 1)).reshape(()))
    return cast(Elements, operation(left, right))


Z64 = IntegersModuloPowerOfTwo(64)
Z32 = IntegersModuloPowerOfTwo(32)
Z16 = IntegersModuloPowerOfTwo(16)
Z8 = IntegersModuloPowerOfTwo(8)
BITS64 = BitWords(64)
BITS32 = BitWords(32)
BITS16 = BitWords(16)
BITS8 = BitWords(8)
BIT1 = BitWords(1)
