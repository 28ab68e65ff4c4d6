"""Shuffling among three parties, so that none of them knows the permutation.

Three hops: in each, two parties hold the columns as two summands, move both by a permutation that
only they know, mask them afresh, and one hands its summand to the third. Every party is left out
of one of the three permutations. *See* [LW14], [AFO+21].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Buffer, PartyId, Protocol, Round
from workers.mpc.randomness import Randomness
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.secret import Parts, Secret

if TYPE_CHECKING:
    from workers.mpc.profiles.replicated import Replicated


def shuffle(engine: Replicated, columns: Sequence[Secret]) -> Protocol[list[Secret]]:
    """Return columns of equal length, all moved by one uniform secret permutation of their rows.

    *Shapes*: the columns share their first axis; rings and further axes may differ.
    *Cost*: 3 rounds; with m the bytes of all columns, m, m and 2 m are sent, 4 m over all.
    *Security*: semi-honest, perfect given the keys, but for the order of equal 64-bit sort keys,
    which n rows have with probability n^2 2^-65.
    """
    length = columns[0].shape[0]
    if any(column.shape[0] != length for column in columns):
        raise LocalProtocolError("columns that are shuffled together have equal lengths")
    rings = [column.ring for column in columns]
    shapes = [column.shape for column in columns]
    held: list[Elements] | None = _two_summands(engine, columns)
    # The pairs (0, 1), (1, 2), (2, 0): who leaves hands its summand to who joins.
    for hop in range(3):
        first, second, third = hop, (hop + 1) % 3, (hop + 2) % 3
        if engine.index != third:
            assert held is not None
            key = engine.next_key if engine.index == first else engine.own_key
            held = _moved(key, held, rings, shapes, subtract=engine.index == second)
        if hop < 2:
            held = yield from _handed_over(engine, held, first, third, rings, shapes)
    return (yield from _shared_again(engine, held, columns))


def _two_summands(engine: Replicated, columns: Sequence[Secret]) -> list[Elements] | None:
    """Return x0 + x1 at party 0 and x2 at party 1; party 2 holds nothing."""
    if engine.index == 0:
        return [column.ring.add(*column.parts) for column in columns]
    if engine.index == 1:
        return [column.parts[1] for column in columns]
    return None


def _moved(
    key: Randomness,
    held: Sequence[Elements],
    rings: Sequence[Ring],
    shapes: Sequence[Shape],
    *,
    subtract: bool,
) -> list[Elements]:
    """Permute a summand by the pair's permutation, and mask it: one adds what the other takes."""
    order = permutation(key, shapes[0][0])
    moved = []
    for elements, ring, shape in zip(held, rings, shapes, strict=True):
        mask = ring.random(key, shape)
        permuted = elements[order]
        moved.append(ring.subtract(permuted, mask) if subtract else ring.add(permuted, mask))
    return moved


def permutation(key: Randomness, length: int) -> npt.NDArray[np.intp]:
    """Return a uniform permutation: the order of random sort keys."""
    return np.argsort(key.words((length,)), kind="stable")


def _handed_over(
    engine: Replicated,
    held: list[Elements] | None,
    leaves: int,
    joins: int,
    rings: Sequence[Ring],
    shapes: Sequence[Shape],
) -> Protocol[list[Elements] | None]:
    """Return the summands of the next pair: who leaves sends its own to who joins."""
    send: dict[PartyId, Buffer] = {}
    expect: dict[PartyId, int] = {}
    if engine.index == leaves:
        assert held is not None
        send[engine.compute[joins]] = _encoded(held, rings)
    if engine.index == joins:
        expect[engine.compute[leaves]] = _size_bytes(rings, shapes)
    arrived = yield from engine.exchange(Round(send, expect))
    if engine.index == joins:
        sender = engine.compute[leaves]
        return _decoded(engine, arrived[sender], rings, shapes, sender)
    return None if engine.index == leaves else held


def _shared_again(
    engine: Replicated, held: list[Elements] | None, columns: Sequence[Secret]
) -> Protocol[list[Secret]]:
    """Return the columns in three parts again, from summands A at party 2 and B at party 0.

    Part 0 is a keystream that parties 0 and 2 share, part 1 = B - u at party 0 and 1, and part 2
    = A - (part 0 - u), for a second keystream u of theirs.
    """
    rings = [column.ring for column in columns]
    shapes = [column.shape for column in columns]
    send: dict[PartyId, Buffer] = {}
    expect: dict[PartyId, int] = {}
    zero, own = [], []
    if engine.index != 1:
        key = engine.own_key if engine.index == 0 else engine.next_key
        assert held is not None
        for ring, shape, elements in zip(rings, shapes, held, strict=True):
            part, mask = ring.random(key, shape), ring.random(key, shape)
            zero.append(part)
            if engine.index == 0:
                own.append(ring.subtract(elements, mask))
            else:
                own.append(ring.subtract(elements, ring.subtract(part, mask)))
        send[engine.compute[1]] = _encoded(own, rings)
    else:
        size_bytes = _size_bytes(rings, shapes)
        expect = {engine.compute[0]: size_bytes, engine.compute[2]: size_bytes}
    arrived = yield from engine.exchange(Round(send, expect))
    both: list[Parts]
    if engine.index == 1:
        first, third = engine.compute[0], engine.compute[2]
        ones = _decoded(engine, arrived[first], rings, shapes, first)
        twos = _decoded(engine, arrived[third], rings, shapes, third)
        both = list(zip(ones, twos, strict=True))
    elif engine.index == 0:
        both = list(zip(zero, own, strict=True))
    else:
        both = list(zip(own, zero, strict=True))
    return [
        Secret(engine, parts, column.ring, column.range, column.fraction)
        for parts, column in zip(both, columns, strict=True)
    ]


def _encoded(elements: Sequence[Elements], rings: Sequence[Ring]) -> bytes:
    return b"".join(ring.to_bytes(one) for ring, one in zip(rings, elements, strict=True))


def _size_bytes(rings: Sequence[Ring], shapes: Sequence[Shape]) -> int:
    return sum(ring.zeros(shape).nbytes for ring, shape in zip(rings, shapes, strict=True))


def _decoded(
    engine: Replicated,
    message: Buffer,
    rings: Sequence[Ring],
    shapes: Sequence[Shape],
    sender: PartyId,
) -> list[Elements]:
    unread = memoryview(message)
    elements = []
    for ring, shape in zip(rings, shapes, strict=True):
        size_bytes = ring.zeros(shape).nbytes
        elements.append(engine.received(ring, unread[:size_bytes], shape, sender))
        unread = unread[size_bytes:]
    return elements
