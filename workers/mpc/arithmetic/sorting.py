"""Sorting secrets, stable, with columns that move along.

With a shuffle: radix sort, bit by bit from the lowest ([CHK+19]). Each bit gives every row a
secret destination; rows and destinations are shuffled together, so that the destinations may be
opened: they are then a uniform permutation. Without: Batcher's odd-even merge network ([Bat68]).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workers.mpc.arithmetic import bits, comparison
from workers.mpc.arithmetic.prefix import prefix_sum
from workers.mpc.engine import Engine
from workers.mpc.models import Capability
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Ring
from workers.mpc.rings.words import BitWords
from workers.mpc.secret import Secret, concatenate


def sort(
    engine: Engine, keys: Secret, *, payload: Sequence[Secret] = ()
) -> Protocol[tuple[Secret, list[Secret]]]:
    """Return the keys in ascending order, and the payload's rows in the same order.

    *Shapes*: keys (n,); payload columns (n, ...), of any rings.
    *Cost*: with k the bits of the keys' range and a shuffle: a bit decomposition, then for each of
    k bits 7 rounds (bit to integer 2, product 1, shuffle 3, opening 1). Without: l (l + 1) / 2
    layers for l = ceil(log2 n), each of at most n / 2 comparisons and, for every ring, a selection.
    *Security*: that of the engine; what is opened is a uniform permutation.
    *Raises* LocalProtocolError, without a shuffle, if differences of n times the keys, or of the
    payload's elements, leave their ring.
    """
    if keys.shape[0] < 2:
        return keys, list(payload)
    with engine.step("sorting"):
        if Capability.SHUFFLE in engine.model.capabilities:
            return (yield from _radix_sort(engine, keys, payload))
        return (yield from _network_sort(engine, keys, payload))


def _radix_sort(
    engine: Engine, keys: Secret, payload: Sequence[Secret]
) -> Protocol[tuple[Secret, list[Secret]]]:
    count = keys.range.bits - 1 if keys.range.low >= 0 else keys.range.bits
    word = yield from bits.bit_decomposition(engine, keys)
    if keys.range.low < 0:
        word = word ^ (1 << (count - 1))  # the sign counts the other way round
    columns = [word, keys, *payload]
    length = keys.shape[0]
    places = Range(0, length - 1)
    for position in range(count):
        flag = yield from engine.bit_to_arithmetic(bits.bit_of(columns[0], position))
        ones = prefix_sum(flag, Range(0, length))
        zeros = prefix_sum(1 - flag, Range(0, length))
        # A 0 goes behind the zeros before it, a 1 behind all zeros and the ones before it.
        behind = zeros[-1:].broadcast_to((length,)) + ones - zeros
        jump = yield from engine.multiply(flag, behind)
        destination = (zeros + jump - 1).declared(places)
        moved = yield from engine.shuffle([destination, *columns])
        order = np.argsort((yield from engine.open(moved[0])))
        columns = [column[order] for column in moved[1:]]
    return columns[1], columns[2:]


def _network_sort(
    engine: Engine, keys: Secret, payload: Sequence[Secret]
) -> Protocol[tuple[Secret, list[Secret]]]:
    length = keys.shape[0]
    # The network is not stable: the place of a key decides between equals.
    tie = engine.constant(np.arange(length), keys.ring)
    combined = keys.scaled(0) * length + tie
    columns = [combined, keys, *payload]
    for low, high in _layers(length):
        smaller = yield from comparison.less(engine, columns[0][high], columns[0][low])
        # One ring after the other: sources of triples are not for use in parallel.
        for ring in dict.fromkeys(column.ring for column in columns):
            places = [place for place, column in enumerate(columns) if column.ring == ring]
            flag = yield from _flag(engine, smaller, ring)
            own = [columns[place] for place in places]
            exchanged = yield from _exchanged(engine, own, flag, low, high)
            for place, column in zip(places, exchanged, strict=True):
                columns[place] = column
    return columns[1], columns[2:]


def _flag(engine: Engine, bit: Secret, ring: Ring) -> Protocol[Secret]:
    """Return what multiplies a row of a ring by a bit: in words of bits, the bit at every place."""
    if not isinstance(ring, BitWords):
        return (yield from engine.bit_to_arithmetic(bit, ring))
    every = ring.dtype.type(ring.highest)
    return bit.in_ring(ring, lambda part: part.astype(ring.dtype) * every)


def _exchanged(
    engine: Engine,
    columns: Sequence[Secret],
    flag: Secret,
    low: npt.NDArray[np.intp],
    high: npt.NDArray[np.intp],
) -> Protocol[list[Secret]]:
    """Return columns of one ring with the rows low and high exchanged where the flag is 1."""
    wide = [column.reshape(column.shape[0], -1).scaled(0) for column in columns]
    differences = concatenate([column[high] - column[low] for column in wide], axis=1)
    flags = flag.reshape(-1, 1).broadcast_to(differences.shape)
    changes = yield from engine.multiply(flags, differences)
    result, start = [], 0
    for column, flat in zip(columns, wide, strict=True):
        stop = start + flat.shape[1]
        change = changes[:, start:stop]
        start = stop
        # Each row is one of the two, though the sum's range does not show it.
        lower, upper = flat[low].plus(change, flat.range), flat[high].plus(-change, flat.range)
        rows = concatenate([lower, upper, flat])
        order = np.arange(flat.shape[0]) + 2 * len(low)
        order[low], order[high] = np.arange(len(low)), len(low) + np.arange(len(low))
        result.append(rows[order].reshape(*column.shape).scaled(column.fraction))
    return result


def _layers(length: int) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Return the layers of Batcher's odd-even merge sort: which rows are compared with which."""
    layers = []
    outer = 1
    while outer < length:
        inner = outer
        while inner >= 1:
            starts = np.arange(inner % outer, length - inner, 2 * inner)
            low = (starts[:, None] + np.arange(inner)[None, :]).ravel()
            low = low[low < length - inner]
            low = low[low // (2 * outer) == (low + inner) // (2 * outer)]
            if len(low):
                layers.append((low, low + inner))
            inner //= 2
        outer *= 2
    return layers
