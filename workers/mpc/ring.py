"""The ring Z/2^64: vectors of ``uint64``, and signed integers with a declared range inside it.

Arithmetic on ring vectors is numpy's own: it wraps modulo 2^64, exactly what sharing needs and
exactly what a statistic must never do. So every input declares its range, and a sum that could
leave the signed 64-bit integers is refused before anything is sent.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError

RingVector: TypeAlias = npt.NDArray[np.uint64]
SignedVector: TypeAlias = npt.NDArray[np.int64]

LOWEST = -(2**63)
HIGHEST = 2**63 - 1


@dataclass(frozen=True)
class Range:
    """The integers low .. high, both included, that a value is declared to lie in."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not LOWEST <= self.low <= self.high <= HIGHEST:
            raise LocalProtocolError(
                f"the range {self.low} .. {self.high} is empty or leaves the signed 64-bit integers"
            )


def check_sum_fits(*summands: Range) -> Range:
    """Return the range of a sum of values from these ranges; refuse it if the sum could wrap.

    *Raises* LocalProtocolError if the sum could leave the signed 64-bit integers.
    """
    low = sum(summand.low for summand in summands)
    high = sum(summand.high for summand in summands)
    if low < LOWEST or high > HIGHEST:
        raise LocalProtocolError(
            f"a sum of {len(summands)} values could reach {low} .. {high} and wrap: declare "
            "narrower ranges or sum fewer values"
        )
    return Range(low, high)


def encode(values: SignedVector, declared: Range) -> RingVector:
    """Return the ring vector of signed integers that all lie in their declared range.

    *Shapes*: (m,) int64 to (m,) uint64, m at least 1.
    *Raises* LocalProtocolError for another shape or type, or a value outside the range. The
    message does not say which value, nor where: errors end up in journals.
    """
    if values.dtype != np.int64 or values.ndim != 1 or values.size == 0:
        raise LocalProtocolError(
            f"expected a vector of int64 with one element or more, got {values.dtype} of shape "
            f"{values.shape}"
        )
    if values.min() < declared.low or values.max() > declared.high:
        raise LocalProtocolError(
            f"an input lies outside its declared range {declared.low} .. {declared.high}: clip "
            "it in the local step, or declare the range that the data has"
        )
    return values.astype(np.uint64)


def decode(elements: RingVector) -> SignedVector:
    """Return the signed integers that a ring vector stands for: -2^63 .. 2^63 - 1."""
    return elements.astype(np.int64)
