"""Checks that every profile makes of what comes in and goes out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.words import BitWords
from workers.mpc.secret import Secret

if TYPE_CHECKING:
    from workers.mpc.engine import Engine


def check_same_ring(x: Secret, y: Secret) -> None:
    """*Raises* LocalProtocolError unless both factors live in one ring of one session."""
    if x.ring != y.ring or x.engine is not y.engine:
        raise LocalProtocolError(
            f"{x.engine.where}a product needs secrets of one ring and one session, not of "
            f"{x.ring} and {y.ring}"
        )


def check_input(
    engine: Engine, values: npt.NDArray[Any] | None, shape: Shape, declared: Range, ring: Ring
) -> Elements:
    """Return the ring elements of a party's own input.

    *Raises* LocalProtocolError for no values, another shape or a value outside its range. The
    message does not say which value, nor where: errors end up in journals.
    """
    if values is None:
        raise LocalProtocolError(f"{engine.where}this party is an owner and has no values")
    whole = values.dtype.kind in "iu" or (
        values.dtype == object and all(isinstance(value, int) for value in values.flat)
    )
    if values.shape != shape or not whole:
        raise LocalProtocolError(
            f"{engine.where}expected integers of shape {shape}, got {values.dtype} of shape "
            f"{values.shape}"
        )
    engine.checked(declared, ring)
    if values.size and (int(values.min()) < declared.low or int(values.max()) > declared.high):
        raise LocalProtocolError(
            f"{engine.where}an input lies outside its declared range {declared}: clip it in the "
            "local step, or declare the range that the data has"
        )
    return ring.encode(values)


def output_elements(share: bytes, shape: Shape, ring: Ring, number: int) -> Elements:
    """Return the elements of a sealed output share.

    *Raises* RemoteProtocolError, naming the party, for another length or encoding.
    """
    size_bytes = math.prod(shape) * ring.element_bytes
    if len(share) != size_bytes or not size_bytes:
        raise RemoteProtocolError(
            f"party {number} sealed {len(share)} bytes; {size_bytes} were expected", party=number
        )
    elements = ring.from_bytes(share, shape)
    if not ring.is_canonical(elements):
        raise RemoteProtocolError(
            f"party {number} sealed something that is not an element of {ring}", party=number
        )
    return elements


def bits_range(ring: Ring, declared: Range) -> Range:
    """Return the range that a secret of a ring of bits always has, else the declared one."""
    return Range(0, ring.highest) if isinstance(ring, BitWords) else declared
