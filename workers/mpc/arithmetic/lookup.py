"""Public tables at secret indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workers.mpc.arithmetic import bits
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.words import Z64, BitWords
from workers.mpc.secret import Secret, concatenate


def one_hot(engine: Engine, index: Secret, length: int) -> Protocol[Secret]:
    """Return bits of which only the one at the secret index is 1. *Shapes*: s to (length, *s).

    *Cost*: :func:`bits.bit_decomposition`, then one product of bits for every bit of the index
    but the first, of 2, 4, ... bits.
    *Raises* LocalProtocolError if the index's range leaves 0 .. length - 1.
    """
    if index.range.low < 0 or index.range.high >= length:
        raise LocalProtocolError(
            f"{engine.where}an index in {index.range} may leave a table of {length}"
        )
    word = yield from bits.bit_decomposition(engine, index)
    digits = bits.bits_of(word, max(1, (length - 1).bit_length()))
    rows = concatenate([~digits[:1], digits[:1]])
    for place in range(1, digits.shape[0]):
        upper = yield from engine.multiply(rows, digits[place : place + 1])
        rows = concatenate([rows ^ upper, upper])
    return rows[:length]


def lookup(engine: Engine, table: Sequence[int], index: Secret) -> Protocol[Secret]:
    """Return the entry of a public table of integers at every secret index, in Z/2^64.

    *Cost*: :func:`one_hot`, then :func:`select_from_table`. In 64 entries of 16 bits with 3 parts:
    12 rounds, 241 bytes an element and party.
    *Raises*: as both, before anything is sent.
    """
    _lifted(engine, table)
    rows = yield from one_hot(engine, index, len(table))
    return (yield from select_from_table(engine, table, rows))


def select_from_table(engine: Engine, table: Sequence[int], rows: Secret) -> Protocol[Secret]:
    """Return the entry of a public table whose bit is 1, in Z/2^64.

    The entries are selected as words of bits, which is local, and only the bits that the table
    has are made integers.

    *Shapes*: rows (length, *s), of which one is 1 at every place, to s.
    *Cost*: the conversion of as many bits as the table's largest difference has.
    *Raises* LocalProtocolError if the table has another length or spans more than Z/2^64 holds.
    """
    entries, span = _lifted(engine, table)
    if rows.shape[0] != len(entries):
        raise LocalProtocolError(
            f"{engine.where}{rows.shape[0]} bits do not select from a table of {len(entries)}"
        )
    shape = rows.shape[1:]
    count = max(1, (span.high - span.low).bit_length())
    ring = BitWords(64)
    lifted = entries.reshape(-1, *(1,) * len(shape))

    def selected(part: np.ndarray) -> np.ndarray:
        masks = np.uint64(0) - part.astype(np.uint64)
        return np.asarray(np.bitwise_xor.reduce(masks & lifted, axis=0))

    word = rows.in_ring(ring, selected)
    flags = yield from engine.bit_to_arithmetic(bits.bits_of(word, count))
    places = np.array([1 << place for place in range(count)], dtype=np.int64)
    whole = Range(0, span.high - span.low)
    total = flags.with_parts(
        lambda part: Z64.sum(
            Z64.multiply(part, Z64.encode(places).reshape(-1, *(1,) * len(shape))), 0
        ),
        whole,
    )
    return total + span.low


def _lifted(engine: Engine, table: Sequence[int]) -> tuple[npt.NDArray[np.uint64], Range]:
    """Return the entries' distances from the lowest, and the entries' range."""
    entries = np.array(table, dtype=object)
    span = engine.checked(Range.of(entries), Z64)
    engine.checked(Range(0, span.high - span.low), Z64)
    return (entries - span.low).astype(np.uint64), span
