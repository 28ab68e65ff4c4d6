"""Integers and their bits: adding the parts of a secret in words of bits, and back.

Every part of a shared integer is known to some party, so it is a secret word of bits without any
communication. What is left is to add these words under AND and XOR: carry-save adders reduce any
number of words to two, and a prefix tree finds the carries of those two ([KS73], [BK82]).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring
from workers.mpc.rings.words import BitWords, IntegersModuloPowerOfTwo
from workers.mpc.secret import Secret, stack

BIT = BitWords(1)


def word_bits(declared: Range) -> int:
    """Return 8, 16, 32 or 64: the narrowest machine word that holds every value of a range."""
    for bits in (8, 16, 32, 64):
        if declared.bits <= bits:
            return bits
    raise LocalProtocolError(f"no machine word holds {declared}")


def two_summands(engine: Engine, x: Secret, bits: int) -> Protocol[tuple[Secret, Secret]]:
    """Return two words of bits whose sum modulo 2^bits is the secret.

    *Shapes*: both of x's shape, in GF(2)^bits.
    *Cost*: 1 round and one word a party for 3 parts; none for 2; one round for every level that
    carry-save adders take to reduce n parts to 2.
    """
    ring = BitWords(bits)
    words = IntegersModuloPowerOfTwo(bits)

    def low_bits(part: Elements) -> Elements:
        return words.from_words(x.ring.low_words(part))

    summands = engine.parts_in(x, ring, low_bits, Range(0, ring.highest))
    return (yield from _two(engine, summands))


def _two(engine: Engine, summands: list[Secret]) -> Protocol[tuple[Secret, Secret]]:
    while len(summands) > 2:
        summands = yield from _carry_save(engine, summands)
    return summands[0], summands[1]


def _carry_save(engine: Engine, summands: Sequence[Secret]) -> Protocol[list[Secret]]:
    """Return two words for every three, with the same sum; one or two left over stay."""
    triples = len(summands) // 3
    first, second, third = (stack(summands[start : 3 * triples : 3]) for start in range(3))
    majority = (yield from engine.multiply(first ^ third, second ^ third)) ^ third
    sums, carries = first ^ second ^ third, majority << 1
    reduced = [part[index] for index in range(triples) for part in (sums, carries)]
    return [*reduced, *summands[3 * triples :]]


def carry_out(engine: Engine, left: Secret, right: Secret) -> Protocol[Secret]:
    """Return the carry into the top bit of left + right, as GF(2)^1.

    *Cost*: for words of k bits, 1 + log2(k) rounds; bytes an element and party: k/8 for the first,
    then twice the bytes of half a word, of a quarter, ..., at least 1, and 1 for the last.
    """
    generate = yield from engine.multiply(left << 1, right << 1)
    carried, _ = yield from prefix_group(engine, generate, (left ^ right) << 1, whole=False)
    return carried


def prefix_group(
    engine: Engine, generate: Secret, propagate: Secret, *, whole: bool
) -> Protocol[tuple[Secret, Secret]]:
    """Return whether words generate a carry, and (if ``whole``) whether they propagate one.

    The words are put into an order in which neighbours of the prefix tree lie half a word apart,
    so that every level works on words half as wide. *See* [BK82].

    *Cost*: log2(k) rounds for words of k bits.
    """
    generate, propagate = _unshuffled(generate), _unshuffled(propagate)
    width = generate.ring.highest.bit_length()
    while width > 1:
        width //= 2
        low_generate, high_generate = halves(generate, width)
        low_propagate, high_propagate = halves(propagate, width)
        if width == 1 and not whole:
            carried = yield from engine.multiply(high_propagate, low_generate)
            return high_generate ^ carried, high_propagate
        both = yield from engine.multiply(
            stack([high_propagate, high_propagate]), stack([low_generate, low_propagate])
        )
        generate, propagate = high_generate ^ both[0], both[1]
    return generate, propagate


def halves(word: Secret, width: int) -> tuple[Secret, Secret]:
    """Return the low and the high half of words of 2 width bits."""
    ring = BitWords(width)
    if width >= 8:

        def low(part: Elements) -> Elements:
            return np.ascontiguousarray(part).view(ring.dtype)[..., 0::2].reshape(part.shape)

        def high(part: Elements) -> Elements:
            return np.ascontiguousarray(part).view(ring.dtype)[..., 1::2].reshape(part.shape)

    else:
        mask = np.uint8(ring.highest)

        def low(part: Elements) -> Elements:
            return part & mask

        def high(part: Elements) -> Elements:
            return part >> np.uint8(width)

    return word.in_ring(ring, low), word.in_ring(ring, high)


_SWAPS = {
    64: ((31, 0x00000000AAAAAAAA), (14, 0x0000CCCC0000CCCC), (4, 0x00F000F000F000F0)),
    32: ((15, 0x0000AAAA), (6, 0x00CC00CC)),
    16: ((7, 0x00AA), (2, 0x0C0C)),
    8: ((3, 0x0A),),
}
"""Exchanges of bits that reverse the digits of every bit's number: distance, and lower partners."""


def _unshuffled(word: Secret) -> Secret:
    """Return words whose bit numbers have their binary digits reversed."""
    assert isinstance(word.ring, BitWords)
    swaps = _SWAPS[word.ring.bits]

    def reordered(part: Elements) -> Elements:
        kind = part.dtype.type
        for distance, mask in swaps:
            exchanged = ((part >> kind(distance)) ^ part) & kind(mask)
            part = part ^ exchanged ^ (exchanged << kind(distance))
        return part

    return word.in_ring(word.ring, reordered)


def bit_decomposition(engine: Engine, x: Secret, bits: int | None = None) -> Protocol[Secret]:
    """Return the low bits of a secret integer, in two's complement, as one word of bits.

    *Shapes*: x's, in GF(2)^k, k the machine word that holds ``bits`` (by default: x's range).
    *Cost*: the rounds of :func:`two_summands`, then 1 + log2(k); k/8 (1 + 2 log2 k) bytes an
    element and party beside those of the summands.
    *See* [KS73].
    """
    width = word_bits(x.range) if bits is None else word_bits(Range(0, 2 ** (bits - 1) - 1))
    left, right = yield from two_summands(engine, x, width)
    return (yield from _added(engine, left, right))


def sum_of_words(engine: Engine, summands: list[Secret]) -> Protocol[Secret]:
    """Return the sum modulo 2^k of secret words of k bits.

    *Cost*: the levels of carry-save adders that leave two words, then 1 + log2(k) rounds.
    """
    left, right = yield from _two(engine, summands)
    return (yield from _added(engine, left, right))


def _added(engine: Engine, left: Secret, right: Secret) -> Protocol[Secret]:
    width = left.ring.highest.bit_length()
    generate = yield from engine.multiply(left, right)
    propagate = left ^ right
    distance = 1
    carries, span = generate, propagate
    while distance < width:
        both = yield from engine.multiply(
            stack([span, span]), stack([carries << distance, span << distance])
        )
        carries, span = carries ^ both[0], both[1]
        distance *= 2
    return propagate ^ (carries << 1)


def bit_of(word: Secret, position: int) -> Secret:
    """Return one bit of secret words as GF(2)^1; bits count from 0, the lowest. *Cost*: none."""

    def extracted(part: Elements) -> Elements:
        shifted = part >> part.dtype.type(position)
        return cast(Elements, (shifted & part.dtype.type(1)).astype(np.uint8))

    return word.in_ring(BIT, extracted)


def bits_of(word: Secret, count: int) -> Secret:
    """Return the low bits of secret words as GF(2)^1. *Shapes*: s to (count, *s). *Cost*: none."""
    return stack([bit_of(word, position) for position in range(count)])


def xor_of_parts(engine: Engine, bit: Secret, ring: Ring) -> Protocol[Secret]:
    """Return secret bits as integers 0 or 1 of another ring: u + v - 2 u v, in a tree of parts.

    What :meth:`Engine.bit_to_arithmetic` is in a profile that has nothing better.

    *Cost*: ceil(log2 n) multiplications one after the other, n - 1 in all, for n parts.
    """
    parts = engine.parts_in(bit, ring, ring.from_words, Range(0, 1))
    while len(parts) > 1:
        pairs = list(zip(parts[0::2], parts[1::2], strict=False))
        left = stack([pair[0] for pair in pairs])
        right = stack([pair[1] for pair in pairs])
        both = yield from engine.multiply(left, right)
        joined = (left + right - both * 2).declared(Range(0, 1))
        parts = [*(joined[index] for index in range(len(pairs))), *parts[2 * len(pairs) :]]
    return parts[0]
