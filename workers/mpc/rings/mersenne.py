"""Prime fields: GF(2^61 - 1) for sums and products of counts, and small ones for proofs.

Modulo p = 2^61 - 1, 2^61 is 1: reducing is adding the high bits to the low ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError
from workers.mpc.randomness import Randomness
from workers.mpc.rings.base import Elements, Ring, Shape

_BITS = 61
_P = 2**_BITS - 1
_LIMB_BITS = 21
_MOST_TERMS = 2**10


@dataclass(frozen=True, repr=False)
class PrimeField(Ring):
    """GF(p) for p = 2^61 - 1, or for a prime below 2^16; elements are uint64 below p.

    An element stands for the signed integer of smallest absolute value.
    """

    modulus: int

    dtype = np.dtype(np.uint64)

    def __post_init__(self) -> None:
        if self.modulus != _P and not (2 < self.modulus < 2**16 and _is_prime(self.modulus)):
            raise ValueError(f"{self.modulus} is neither 2^61 - 1 nor an odd prime below 2^16")

    @property
    def name(self) -> str:  # type: ignore[override]
        return "GF(2^61 - 1)" if self.modulus == _P else f"GF({self.modulus})"

    @property
    def lowest(self) -> int:  # type: ignore[override]
        return -(self.modulus // 2)

    @property
    def highest(self) -> int:  # type: ignore[override]
        return self.modulus // 2

    def encode(self, integers: npt.ArrayLike) -> Elements:
        array = np.asarray(integers)
        if array.dtype.kind not in "iu":
            return np.asarray(array % self.modulus, dtype=np.uint64)
        return np.asarray(np.mod(array, array.dtype.type(self.modulus)), dtype=np.uint64)

    def decode(self, elements: Elements) -> npt.NDArray[Any]:
        signed = elements.astype(np.int64)
        return np.where(signed > self.highest, signed - self.modulus, signed)

    def add(self, left: Elements, right: Elements) -> Elements:
        return self._below(left + right)

    def subtract(self, left: Elements, right: Elements) -> Elements:
        return self._below(left + (np.uint64(self.modulus) - right))

    def multiply(self, left: Elements, right: Elements) -> Elements:
        if self.modulus != _P:
            return left * right % np.uint64(self.modulus)
        return _reduced(_product(left, right))

    def matmul(self, left: Elements, right: Elements) -> Elements:
        if self.modulus != _P:
            return cast(Elements, np.matmul(left, right) % np.uint64(self.modulus))
        terms = left.shape[-1]
        total: Elements | None = None
        for start in range(0, terms, _MOST_TERMS):
            block = slice(start, start + _MOST_TERMS)
            product = _block_product(left[..., block], right[block])
            total = product if total is None else self.add(total, product)
        assert total is not None  # a product of no terms has no shape here
        return total

    def sum(self, elements: Elements, axis: int) -> Elements:
        low = np.add.reduce(elements & np.uint64(2**32 - 1), axis=axis)
        high = np.add.reduce(elements >> np.uint64(32), axis=axis)
        if self.modulus != _P:
            return cast(Elements, low % np.uint64(self.modulus))
        return self.add(_reduced(np.asarray(low)), _times_power(_reduced(np.asarray(high)), 32))

    def random(self, randomness: Randomness, shape: Shape) -> Elements:
        return randomness.below(self.modulus, shape)

    def inverse(self, elements: Elements) -> Elements:
        """Return 1 / x for every element, and 0 for 0: x^(p - 2). *Cost*: 2 log2 p products."""
        power = np.ones_like(elements)
        for digit in bin(self.modulus - 2)[2:]:
            power = self.multiply(power, power)
            if digit == "1":
                power = self.multiply(power, elements)
        return power

    def is_canonical(self, elements: Elements) -> bool:
        return bool((elements < np.uint64(self.modulus)).all())

    def _below(self, elements: Elements) -> Elements:
        """Return elements below 2 p, reduced. Where there is no p to take off, it wraps upwards."""
        with np.errstate(over="ignore"):  # numpy warns where there is no axis
            return np.minimum(elements, elements - np.uint64(self.modulus))


def lagrange_at_zero(field: PrimeField, points: Sequence[int]) -> list[int]:
    """Return the weights that make f(0) of the values of f at the points, deg f < len(points).

    *Raises* LocalProtocolError for a point that is no integer, is 0 or equals another, modulo p.
    """
    p = field.modulus
    if any(isinstance(point, bool) or not isinstance(point, int) for point in points):
        raise LocalProtocolError("an evaluation point is an integer")
    reduced = [point % p for point in points]
    if 0 in reduced:
        raise LocalProtocolError(f"an evaluation point is 0 modulo {p}: that is the secret itself")
    if len(set(reduced)) != len(reduced):
        raise LocalProtocolError(f"two evaluation points are equal modulo {p}")
    weights = []
    for point in reduced:
        numerator, denominator = 1, 1
        for other in reduced:
            if other != point:
                numerator = numerator * other % p
                denominator = denominator * (other - point) % p
        weights.append(numerator * pow(denominator, -1, p) % p)
    return weights


def _product(left: Elements, right: Elements) -> Elements:
    """Return a number below 2^64 that equals left * right modulo p, from halves of 31 bits."""
    kind = np.uint64
    low_mask = kind(2**31 - 1)
    left_low, left_high = left & low_mask, left >> kind(31)
    right_low, right_high = right & low_mask, right >> kind(31)
    middle = left_low * right_high + left_high * right_low
    # left_high * right_high weighs 2^62, which is 2; the middle weighs 2^31.
    total = (left_high * right_high) << kind(1)
    total = total + (middle >> kind(30)) + ((middle & kind(2**30 - 1)) << kind(31))
    return cast(Elements, total + left_low * right_low)


def _reduced(numbers: Elements) -> Elements:
    """Return numbers below 2^64 modulo p."""
    folded = (numbers & np.uint64(_P)) + (numbers >> np.uint64(_BITS))
    with np.errstate(over="ignore"):
        return np.minimum(folded, folded - np.uint64(_P))


def _times_power(elements: Elements, bits: int) -> Elements:
    """Return elements * 2^bits: a rotation of their 61 bits."""
    bits %= _BITS
    rotated = (elements << np.uint64(bits)) & np.uint64(_P)
    return rotated | (elements >> np.uint64(_BITS - bits))


def _block_product(left: Elements, right: Elements) -> Elements:
    """Return the matrix product of at most 1,024 terms: nine exact ones of 21-bit digits."""
    total: Elements | None = None
    left_digits, right_digits = _digits(left), _digits(right)
    for i, one in enumerate(left_digits):
        for j, other in enumerate(right_digits):
            words = np.asarray(np.matmul(one, other)).astype(np.uint64)
            term = _times_power(_reduced(words), _LIMB_BITS * (i + j))
            total = term if total is None else _reduced(total + term)
    assert total is not None
    return total


def _digits(elements: Elements) -> list[npt.NDArray[np.float64]]:
    mask = np.uint64(2**_LIMB_BITS - 1)
    return [
        ((elements >> np.uint64(_LIMB_BITS * digit)) & mask).astype(np.float64)
        for digit in range(3)
    ]


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))


MERSENNE61 = PrimeField(_P)
