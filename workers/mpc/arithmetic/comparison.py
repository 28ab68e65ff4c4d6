"""Comparisons of secret integers; the result is a secret bit, GF(2)^1.

Only as many bits are computed with as the declared ranges need: the parts of a secret below 2^31
in absolute value are compared as words of 32 bits.
"""

from __future__ import annotations

from workers.mpc.arithmetic import bits, wide
from workers.mpc.engine import Engine
from workers.mpc.protocol import Protocol
from workers.mpc.rings.words import BitWords
from workers.mpc.secret import Public, Secret, range_of


def is_negative(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return the bit x < 0: the sign.

    *Cost*: with k the machine word that holds x's range and 3 parts, 2 + log2(k) rounds; bytes an
    element sent by each party: 35 at k = 64, 19 at 32, 11 at 16, 7 at 8. For more than 64 bits see
    :func:`wide.is_negative`.
    *Security*: that of the engine's products.
    """
    if x.range.bits > 64:
        return (yield from wide.is_negative(engine, x))
    left, right = yield from bits.two_summands(engine, x, bits.word_bits(x.range))
    carry = yield from bits.carry_out(engine, left, right)
    top = left.ring.highest.bit_length() - 1
    return bits.bit_of(left ^ right, top) ^ carry


def less(engine: Engine, x: Secret, y: Secret | Public) -> Protocol[Secret]:
    """Return the bit x < y. *Cost*: :func:`is_negative` of the difference.

    *Raises* LocalProtocolError if the range of x - y leaves the ring.
    """
    return (yield from is_negative(engine, x - y))


def at_most(engine: Engine, x: Secret, y: Secret | Public) -> Protocol[Secret]:
    """Return the bit x <= y. *Cost*: :func:`is_negative`."""
    return ~(yield from is_negative(engine, -(x - y)))


def equal(engine: Engine, x: Secret, y: Secret | Public) -> Protocol[Secret]:
    """Return the bit x == y.

    Two words add up to -1 if and only if one is the other's complement, so x - y - 1 is tested
    without any carry.

    *Cost*: with k the machine word that holds the range of x - y and 3 parts, 1 + log2(k) rounds;
    bytes an element sent by each party: 8 + 4 + 2 + 1 + 1 + 1 + 1 = 18 at k = 64, 10 at 32, 6 at
    16, 4 at 8.
    """
    difference = x - y - 1
    left, right = yield from bits.two_summands(engine, difference, bits.word_bits(difference.range))
    return (yield from all_ones(engine, left ^ right))


def is_zero(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return the bit x == 0. *Cost*: :func:`equal`."""
    return (yield from equal(engine, x, 0))


def all_ones(engine: Engine, word: Secret) -> Protocol[Secret]:
    """Return the AND of all bits of secret words. *Cost*: log2(k) rounds, half as wide each."""
    assert isinstance(word.ring, BitWords)
    width = word.ring.bits
    while width > 1:
        width //= 2
        low, high = bits.halves(word, width)
        word = yield from engine.multiply(low, high)
    return word


def select(
    engine: Engine, bit: Secret, chosen: Secret, otherwise: Secret | Public
) -> Protocol[Secret]:
    """Return ``chosen`` where the bit is 1, else ``otherwise``.

    *Cost*: the bit's conversion to an integer, then 1 multiplication.
    """
    flag = yield from engine.bit_to_arithmetic(bit, chosen.ring)
    return (yield from select_by_integer(engine, flag, chosen, otherwise))


def select_by_integer(
    engine: Engine, flag: Secret, chosen: Secret, otherwise: Secret | Public
) -> Protocol[Secret]:
    """Return ``chosen`` where the integer flag is 1, ``otherwise`` where it is 0.

    *Cost*: 1 multiplication: 1 round, 8 bytes an element and party.
    """
    difference = chosen - otherwise
    product = yield from engine.multiply(flag, difference)
    other = range_of(otherwise)
    # It is one of the two, though the sum's range does not show it.
    return product.scaled(chosen.fraction).plus(otherwise, chosen.range.union(other))
