"""What every ring offers: elements as numpy arrays, arithmetic on whole arrays at once.

A ring of one word per element holds a vector of shape ``s`` in an array of shape ``s``; a ring of
several words (``limbs``) in one of shape ``s + limbs``. Protocols name shapes without limbs.

Arithmetic wraps, exactly what sharing needs and exactly what a statistic must never do: a secret
therefore carries the :class:`~workers.mpc.ranges.Range` that it was declared or computed to have.
"""

import abc
import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Buffer
from workers.mpc.randomness import Randomness

Elements: TypeAlias = npt.NDArray[Any]
"""Ring elements: an array of the ring's ``dtype``, of shape ``shape + limbs``."""

Shape: TypeAlias = tuple[int, ...]


class Ring(abc.ABC):
    """A finite commutative ring. Frozen and comparable: equal rings are the same ring."""

    name: str
    dtype: np.dtype[Any]
    limbs: Shape = ()
    lowest: int
    """The lowest integer that an element stands for."""
    highest: int
    """The highest."""

    @property
    def element_bytes(self) -> int:
        """The size of one encoded element."""
        return int(self.dtype.itemsize) * math.prod(self.limbs)

    def shape_of(self, elements: Elements) -> Shape:
        """Return the shape of the vector that an array of elements holds."""
        shape = elements.shape
        return shape[: len(shape) - len(self.limbs)]

    def zeros(self, shape: Shape) -> Elements:
        """Return the zero vector."""
        return np.zeros(shape + self.limbs, dtype=self.dtype)

    @abc.abstractmethod
    def encode(self, integers: npt.ArrayLike) -> Elements:
        """Return the elements that stand for signed integers of any size within the ring.

        *Shapes*: any shape s of int64 or of Python integers (dtype object) to s + limbs.
        """

    @abc.abstractmethod
    def decode(self, elements: Elements) -> npt.NDArray[Any]:
        """Return the signed integers ``lowest .. highest``: int64 where they fit, else objects."""

    @abc.abstractmethod
    def add(self, left: Elements, right: Elements) -> Elements:
        """Return left + right; shapes broadcast as in numpy."""

    @abc.abstractmethod
    def subtract(self, left: Elements, right: Elements) -> Elements:
        """Return left - right."""

    @abc.abstractmethod
    def multiply(self, left: Elements, right: Elements) -> Elements:
        """Return the products element by element."""

    @abc.abstractmethod
    def matmul(self, left: Elements, right: Elements) -> Elements:
        """Return the matrix product, as ``numpy.matmul`` defines it for 1 or 2 dimensions."""

    @abc.abstractmethod
    def sum(self, elements: Elements, axis: int) -> Elements:
        """Return the sums along one axis of the shape (counted without limbs, from 0)."""

    @abc.abstractmethod
    def random(self, randomness: Randomness, shape: Shape) -> Elements:
        """Return uniform, independent elements."""

    def shift_right(self, elements: Elements, bits: int) -> Elements:
        """Return the unsigned elements divided by 2^bits, rounded down. Rings of 2^k elements."""
        raise NotImplementedError(f"{self.name} has no shifts")

    def shift_left(self, elements: Elements, bits: int) -> Elements:
        """Return elements * 2^bits."""
        raise NotImplementedError(f"{self.name} has no shifts")

    def from_words(self, words: Elements) -> Elements:
        """Return the elements that unsigned machine words stand for, of any width."""
        return self.encode(words)

    def low_words(self, elements: Elements) -> Elements:
        """Return the low 64 bits of every element, uint64. *Shapes*: s + limbs to s."""
        raise NotImplementedError(f"{self.name} has no words")

    def negate(self, elements: Elements) -> Elements:
        """Return -elements."""
        return self.subtract(self.zeros(()), elements)

    def to_bytes(self, elements: Elements) -> memoryview:
        """Return the encoding: elements in C order, each little-endian. Copies only if it must.

        The caller must not change ``elements`` until the round that sends them is over.
        """
        if elements.dtype != self.dtype:
            raise LocalProtocolError(
                f"{self.name} has elements of {self.dtype}, not {elements.dtype}"
            )
        flat = np.ascontiguousarray(elements, dtype=self.dtype.newbyteorder("<")).reshape(-1)
        return flat.view(np.uint8).data

    def from_bytes(self, encoded: Buffer, shape: Shape) -> Elements:
        """Return the elements that bytes encode, read-only and without a copy.

        Whoever reads a peer's message checks :meth:`is_canonical` next.

        *Raises* LocalProtocolError if the bytes have another length; a round has checked it before.
        """
        size_bytes = math.prod(shape) * self.element_bytes
        if len(encoded) != size_bytes:
            raise LocalProtocolError(
                f"expected {size_bytes} bytes for {self.name} of shape {shape}, got {len(encoded)}"
            )
        elements = np.frombuffer(encoded, dtype=self.dtype.newbyteorder("<"))
        elements = elements.astype(self.dtype, copy=False).reshape(shape + self.limbs)
        elements.flags.writeable = False
        return elements

    def is_canonical(self, elements: Elements) -> bool:
        """Whether every element is in its one representation. Rings of whole words: always."""
        return True

    def __repr__(self) -> str:
        return self.name
