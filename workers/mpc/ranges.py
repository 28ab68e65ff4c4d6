"""The integers that a value may be: declared at an input, propagated by every operation.

A plan whose bounds could leave the ring is refused before any data is read, because the bounds
depend on the plan alone::

    age = Range(0, 120);  age * age = Range(0, 14400);  (age * age).times(10**6) = ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError


@dataclass(frozen=True)
class Range:
    """The integers low .. high, both included. *Raises* LocalProtocolError if there is none."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise LocalProtocolError(f"the range {self.low} .. {self.high} is empty")

    @classmethod
    def symmetric(cls, bound: int) -> Range:
        """Return -bound .. bound."""
        return cls(-bound, bound)

    @classmethod
    def of(cls, integers: npt.NDArray[np.integer] | npt.NDArray[np.object_]) -> Range:
        """Return the smallest range of public integers. An empty array has range 0 .. 0."""
        if integers.size == 0:
            return cls(0, 0)
        return cls(int(integers.min()), int(integers.max()))

    @property
    def bound(self) -> int:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))

    @property
    def bits(self) -> int:
        """The width of a two's complement word that holds every value: 1 for 0, 2 for 0 .. 1."""
        return max(self.high.bit_length(), (-self.low - 1).bit_length() if self.low < 0 else 0) + 1

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Range) -> Range:
        return Range(self.low - other.high, self.high - other.low)

    def __neg__(self) -> Range:
        return Range(-self.high, -self.low)

    def __mul__(self, other: Range) -> Range:
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Range(min(corners), max(corners))

    def squared(self) -> Range:
        """Return the range of a value times itself: never negative."""
        low = 0 if self.low <= 0 <= self.high else min(self.low**2, self.high**2)
        return Range(low, self.bound**2)

    def times(self, count: int) -> Range:
        """Return the range of a sum of ``count`` values."""
        return Range(self.low * count, self.high * count)

    def shifted(self, bits: int) -> Range:
        """Return the range after a division by 2^bits that may err by one either way."""
        return Range((self.low >> bits) - 1, (self.high >> bits) + 1)

    def union(self, other: Range) -> Range:
        """Return the smallest range that contains both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def contains(self, other: Range) -> bool:
        """Whether every value of the other range lies in this one."""
        return self.low <= other.low and other.high <= self.high

    def __str__(self) -> str:
        return f"{self.low} .. {self.high}"


BIT = Range(0, 1)
