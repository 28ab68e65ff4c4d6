"""A secret vector as one party holds it: its parts, its ring, its declared range.

Everything linear is local and is written with operators; everything else is a protocol of
:mod:`workers.mpc.arithmetic` or of the engine. A secret resists misuse: no truth value, no
equality, no printable content, no pickle, no silent conversion to an array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.words import BitWords

if TYPE_CHECKING:
    from workers.mpc.engine import Engine

Parts: TypeAlias = tuple[Elements, ...]
Public: TypeAlias = int | np.integer[Any] | npt.NDArray[Any]
"""Public integers: one, or an array of int64 or of Python integers."""


class Secret:
    """One party's parts of a secret vector of integers, fixed point if ``fraction`` is not 0.

    A fixed-point number v is held as the integer v * 2^fraction; ``range`` is that integer's.

    *Raises* LocalProtocolError, naming the engine's current step, if the range leaves the ring:
    that is how a plan that could wrap is refused.
    """

    __slots__ = ("_parts", "engine", "fraction", "range", "ring")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, engine: Engine, parts: Parts, ring: Ring, declared: Range, fraction: int = 0
    ) -> None:
        self.range = engine.checked(declared, ring)
        self.engine = engine
        self.ring = ring
        self.fraction = fraction
        self._parts = parts

    @property
    def parts(self) -> Parts:
        """This party's parts. What reads them handles a secret."""
        return self._parts

    @property
    def shape(self) -> Shape:
        """The shape of the secret vector, without limbs."""
        return self.ring.shape_of(self._parts[0])

    @property
    def size(self) -> int:
        """How many elements the secret has."""
        return math.prod(self.shape)

    def with_parts(self, function: Callable[[Elements], Elements], declared: Range) -> Secret:
        """Return the image under a linear map that is applied to every part alike."""
        parts = tuple(function(part) for part in self._parts)
        return Secret(self.engine, parts, self.ring, declared, self.fraction)

    def declared(self, declared: Range) -> Secret:
        """Return the same secret with a range that the caller knows to hold; it must be narrower.

        For what the arithmetic of ranges cannot see, such as x * x >= 0 after a truncation.
        """
        narrowed = Range(max(declared.low, self.range.low), min(declared.high, self.range.high))
        return Secret(self.engine, self._parts, self.ring, narrowed, self.fraction)

    def scaled(self, fraction: int) -> Secret:
        """Return the same integers read with another number of fractional bits: x * 2^k, free."""
        return Secret(self.engine, self._parts, self.ring, self.range, fraction)

    # Linear arithmetic. Cost: none, it is local.

    def __add__(self, other: Secret | Public) -> Secret:
        return self.plus(other, self.range + range_of(other))

    def plus(self, other: Secret | Public, declared: Range) -> Secret:
        """Return the sum, in a range that the caller knows though the summands' do not imply it."""
        if not isinstance(other, Secret):
            array = np.asarray(other)
            parts = self.engine.plus_public(self._parts, self.ring.encode(array), self.ring)
            return self._like(parts, declared)
        self._check_compatible(other)
        pairs = zip(self._parts, other._parts, strict=True)
        return self._like(tuple(self.ring.add(a, b) for a, b in pairs), declared)

    def __sub__(self, other: Secret | Public) -> Secret:
        if not isinstance(other, Secret):
            return self + np.asarray(-np.asarray(other))
        self._check_compatible(other)
        pairs = zip(self._parts, other._parts, strict=True)
        parts = tuple(self.ring.subtract(left, right) for left, right in pairs)
        return self._like(parts, self.range - other.range)

    def __neg__(self) -> Secret:
        return self._like(tuple(self.ring.negate(part) for part in self._parts), -self.range)

    def __rsub__(self, other: Public) -> Secret:  # type: ignore[misc]
        return -self + other

    __radd__ = __add__

    def __mul__(self, factor: Public) -> Secret:
        """Return the product with public integers, element by element."""
        if isinstance(factor, Secret):
            raise TypeError("a product of two secrets is a protocol: engine.multiply(x, y)")
        integers = np.asarray(factor)
        elements = self.ring.encode(integers)
        parts = tuple(self.ring.multiply(part, elements) for part in self._parts)
        return self._like(parts, self.range * range_of(factor))

    __rmul__ = __mul__

    def sum(self, axis: int = -1) -> Secret:
        """Return the sums along one axis."""
        axis = axis % len(self.shape)
        parts = tuple(self.ring.sum(part, axis) for part in self._parts)
        return self._like(parts, self.range.times(self.shape[axis]))

    # Words of bits: XOR is addition, AND with a public mask is multiplication.

    def __xor__(self, other: Secret | Public) -> Secret:
        self._check_bits()
        return self + other

    def __invert__(self) -> Secret:
        self._check_bits()
        return self + self.ring.highest

    def __lshift__(self, bits: int) -> Secret:
        self._check_bits()
        return self.with_parts(
            lambda part: self._cleared(part << part.dtype.type(bits)), self.range
        )

    def __rshift__(self, bits: int) -> Secret:
        self._check_bits()
        return self.with_parts(lambda part: part >> part.dtype.type(bits), self.range)

    def __and__(self, mask: Public) -> Secret:
        self._check_bits()
        return self.in_ring(self.ring, lambda part: part & self.ring.encode(mask))

    def in_ring(self, ring: Ring, convert: Callable[[Elements], Elements]) -> Secret:
        """Return the image in another ring of words of bits under a map linear over XOR."""
        self._check_bits()
        parts = tuple(convert(part) for part in self._parts)
        return Secret(self.engine, parts, ring, Range(ring.lowest, ring.highest))

    # Shapes.

    def __getitem__(self, index: Any) -> Secret:
        limbs = (slice(None),) * len(self.ring.limbs)
        whole = index if isinstance(index, tuple) else (index,)
        if limbs and not any(item is Ellipsis for item in whole):
            whole = (*whole, Ellipsis)
        return self.with_parts(lambda part: part[(*whole, *limbs)], self.range)

    def reshape(self, *shape: int) -> Secret:
        """Return the secret in another shape; one length may be -1."""
        limbs = self.ring.limbs
        return self.with_parts(lambda part: part.reshape(shape + limbs), self.range)

    def broadcast_to(self, shape: Shape) -> Secret:
        """Return the secret repeated as numpy broadcasts it, without a copy."""
        whole = shape + self.ring.limbs
        return self.with_parts(lambda part: np.broadcast_to(part, whole), self.range)

    @property
    def transposed(self) -> Secret:
        """The matrix with its two axes swapped."""
        return self.with_parts(lambda part: np.swapaxes(part, 0, 1), self.range)

    def _like(self, parts: Parts, declared: Range) -> Secret:
        if isinstance(self.ring, BitWords):
            declared = Range(0, self.ring.highest)
        return Secret(self.engine, parts, self.ring, declared, self.fraction)

    def _cleared(self, elements: Elements) -> Elements:
        return cast(Elements, elements & elements.dtype.type(self.ring.highest))

    def _check_compatible(self, other: Secret) -> None:
        if self.ring != other.ring or self.fraction != other.fraction:
            raise LocalProtocolError(
                f"{self.engine.where}secrets of {self.ring} with {self.fraction} fractional bits "
                f"and of {other.ring} with {other.fraction} do not add up: convert one first"
            )
        if self.engine is not other.engine:
            raise LocalProtocolError("these secrets belong to two sessions")

    def _check_bits(self) -> None:
        if not isinstance(self.ring, BitWords):
            raise TypeError(f"a secret of {self.ring} is not a word of bits")

    def __repr__(self) -> str:
        return f"<Secret of {self.ring}, shape {self.shape}>"

    def __bool__(self) -> NoReturn:
        raise TypeError("a secret has no truth value: open it first, or compare it in the engine")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are compared by a protocol: arithmetic.comparison.equal(x, y)")

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a secret does not become an array unasked: open it")

    __array_ufunc__ = None  # numpy must not take part in public + secret

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")


def range_of(numbers: Secret | Public) -> Range:
    """Return the range of a secret, or the smallest one of public integers."""
    if isinstance(numbers, Secret):
        return numbers.range
    return Range.of(np.atleast_1d(np.asarray(numbers)))


def concatenate(secrets: Sequence[Secret], axis: int = 0) -> Secret:
    """Return secrets of one ring and fraction, one after the other along an axis."""
    first = secrets[0]
    declared = first.range
    for other in secrets[1:]:
        first._check_compatible(other)
        declared = declared.union(other.range)
    columns = zip(*(secret.parts for secret in secrets), strict=True)
    axis = axis % len(first.shape)
    parts = tuple(np.concatenate(column, axis=axis) for column in columns)
    return Secret(first.engine, parts, first.ring, declared, first.fraction)


def stack(secrets: Sequence[Secret]) -> Secret:
    """Return secrets of one shape along a new first axis."""
    return concatenate([secret.reshape(1, *secret.shape) for secret in secrets])
