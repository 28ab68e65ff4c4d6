"""Exact truncation and bit conversion among three parties, from one secret carry.

Both are the same small protocol. Of the three parts, the *dealer* (party r) knows two, its
neighbours *next* (r+1) and *previous* (r+2) both know the third, so that

    x = A + B + c u v,    A and u known to the dealer, B and v to both others, u and v bits,

is shared by passing u through in two masked pieces. For a truncation, u v says whether the sum of
A's and B's sources wrapped around the ring; for a bit, u v is what XOR takes away from a sum.

Party numbers are relative to the dealer. The dealer rotates over thirds of a long vector, so that
the parties send equally much.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Buffer, PartyId, Protocol, Round, in_parallel
from workers.mpc.randomness import word_bytes
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.words import IntegersModuloPowerOfTwo
from workers.mpc.secret import Parts

if TYPE_CHECKING:
    from workers.mpc.profiles.replicated import Replicated

ROTATE_FROM = 1024
"""From this many elements on, thirds of a vector have different dealers."""


def check_fits(engine: Replicated, declared: Range, ring: Ring) -> None:
    """*Raises* LocalProtocolError if a value may reach a quarter of the ring."""
    quarter = (ring.highest + 1) // 2
    if declared.bound >= quarter:
        raise LocalProtocolError(
            f"{engine.where}a value could reach {declared}; a truncation in {ring} is exact below "
            f"2^{quarter.bit_length() - 1} only: declare narrower ranges or keep fewer bits"
        )


def truncate_parts(engine: Replicated, parts: Parts, bits: int, ring: Ring) -> Protocol[Parts]:
    """Return the parts of x / 2^bits, rounded up or down at random, never more than one off.

    *Cost*: 2 rounds; for each element, k + 3 w bytes over the three parties together, with k
    bytes a ring element and w the 1, 2, 4 or 8 bytes that hold ``bits`` bits.
    *Security*: perfect given the keys; the rounding depends on the masks: up with probability
    (x mod 2^bits) / 2^bits, so the mean is exact.
    *See* [EGK+20] for the wrap of two shares; the carry's two-piece transfer is this module's.
    """

    def third(dealer: int, block: slice) -> Protocol[Parts]:
        own, following = (part[block] for part in flat)
        role = (engine.index - dealer) % 3
        if role == 0:
            return _truncate(engine, dealer, ring.add(own, following), bits, ring)
        known = following if role == 1 else own
        return _truncate(engine, dealer, known, bits, ring)

    flat = [part.reshape(-1, *ring.limbs) for part in parts]
    return (yield from _in_thirds(third, len(flat[0]), parts[0].shape))


def truncate_sum(engine: Replicated, local: Elements, bits: int, ring: Ring) -> Protocol[Parts]:
    """Return the parts of z / 2^bits, z the sum of what each of the three parties holds.

    The step between a product's local terms and its truncation: the dealer needs one neighbour's
    term, the other two parties exchange none but the third's.

    *Cost*: 3 rounds; for each element, 3 k + 3 w bytes over the three parties together.
    *Security*: as :func:`truncate_parts`; the terms are masked by a share of zero.
    """

    def third(dealer: int, block: slice) -> Protocol[Parts]:
        own = flat[block]
        role = (engine.index - dealer) % 3
        encoded = ring.to_bytes(own)
        # next's term goes to the dealer, previous's to next: the dealer's stays where it is.
        send: dict[PartyId, Buffer] = {} if role == 0 else {engine.previous: encoded}
        expect = {} if role == 2 else {engine.next: own.nbytes}
        arrived = yield from engine.exchange(Round(send, expect))
        if role == 2:
            known = own
        else:
            other = engine.received(ring, arrived[engine.next], (len(own),), engine.next)
            known = other if role == 1 else ring.add(own, other)
        return (yield from _truncate(engine, dealer, known, bits, ring))

    flat = local.reshape(-1, *ring.limbs)
    return (yield from _in_thirds(third, len(flat), local.shape))


def bit_parts(engine: Replicated, parts: Parts, ring: Ring) -> Protocol[Parts]:
    """Return the parts in another ring of bits that are shared by XOR: u + v - 2 u v.

    *Cost*: 2 rounds; for each element 4 k bytes over the three parties together.
    *Security*: perfect given the keys.
    """

    def third(dealer: int, block: slice) -> Protocol[Parts]:
        own, following = (part[block] for part in flat)
        role = (engine.index - dealer) % 3
        bit = own ^ following if role == 0 else following if role == 1 else own
        dealt = _Dealt(ring.from_words(bit), ring.from_words(bit))
        return _joined(engine, dealer, dealt, ring, ring, minus_twice)

    def minus_twice(carry: Elements) -> Elements:
        return ring.negate(ring.add(carry, carry))

    flat = [part.reshape(-1) for part in parts]
    return (yield from _in_thirds(third, flat[0].size, (*parts[0].shape, *ring.limbs)))


@dataclass(frozen=True)
class _Dealt:
    """What a party puts in: its summand (A or B) and its bit (u or v), in the carry's ring."""

    summand: Elements = field(repr=False)
    bit: Elements = field(repr=False)


def _truncate(
    engine: Replicated, dealer: int, known: Elements, bits: int, ring: Ring
) -> Protocol[Parts]:
    """Truncate a + b, ``known`` being a at the dealer and b at the others.

    Let b' = -b. With 0 <= x + 2^(k-2) = X < 2^(k-1), X = a - b' or a - b' + 2^k, the latter if and
    only if a's top bit is 0 and that of b' is 1: no other pair leaves X below 2^(k-1).
    """
    ring_bits = ring.highest.bit_length() + 1
    if not 0 < bits <= min(64, ring_bits - 2):
        raise LocalProtocolError(f"{engine.where}a truncation in {ring} cannot drop {bits} bits")
    # The carry weighs 2^(k - bits), so its shares matter modulo 2^bits only.
    narrow = IntegersModuloPowerOfTwo(min(8 * word_bytes(bits), ring_bits))
    offset = 1 << (ring_bits - 2)
    if (engine.index - dealer) % 3 == 0:
        a = ring.add(known, ring.encode(offset))
        summand = ring.subtract(ring.shift_right(a, bits), ring.encode(offset >> bits))
        top = ring.low_words(ring.shift_right(a, ring_bits - 1)) ^ np.uint64(1)
    else:
        b = ring.negate(known)
        summand = ring.negate(ring.shift_right(b, bits))
        top = ring.low_words(ring.shift_right(b, ring_bits - 1))

    def weighed(carry: Elements) -> Elements:
        return ring.shift_left(ring.from_words(carry), ring_bits - bits)

    dealt = _Dealt(summand, top.astype(narrow.dtype))
    return (yield from _joined(engine, dealer, dealt, ring, narrow, weighed))


def _joined(
    engine: Replicated,
    dealer: int,
    dealt: _Dealt,
    ring: Ring,
    narrow: Ring,
    weighed: Callable[[Elements], Elements],
) -> Protocol[Parts]:
    """Return the parts of A + B + c u v; ``weighed`` multiplies by c, from ``narrow`` to ``ring``.

    Round 1: the dealer sends next its masked summand and one piece of u; previous, who draws the
    other piece from the key it shares with the dealer, sends next its masked piece of u v.
    Round 2: next sends previous its own.
    """
    bit = dealt.bit
    shape = narrow.shape_of(bit)
    role = (engine.index - dealer) % 3
    if role == 0:
        summand = ring.random(engine.own_key, shape)
        piece = narrow.random(engine.own_key, shape)
        mask = narrow.random(engine.own_key, shape)
        next_mask = narrow.random(engine.next_key, shape)
        masked = ring.subtract(dealt.summand, summand)
        other_piece = narrow.subtract(bit, piece)
        message = b"".join((ring.to_bytes(masked), narrow.to_bytes(other_piece)))
        yield from engine.exchange(Round({engine.next: message}, {}))
        yield from engine.exchange(Round({}, {}))
        return ring.add(summand, weighed(mask)), ring.add(masked, weighed(next_mask))
    if role == 2:
        summand = ring.random(engine.next_key, shape)
        piece = narrow.random(engine.next_key, shape)
        mask = narrow.random(engine.next_key, shape)
        term = narrow.subtract(narrow.multiply(piece, bit), mask)
        yield from engine.exchange(Round({engine.previous: narrow.to_bytes(term)}, {}))
        arrived = yield from engine.exchange(Round({}, {engine.previous: term.nbytes}))
        other = engine.received(narrow, arrived[engine.previous], shape, engine.previous)
        common = ring.add(dealt.summand, weighed(narrow.add(term, other)))
        return common, ring.add(summand, weighed(mask))
    mask = narrow.random(engine.own_key, shape)
    sizes = {
        engine.previous: dealt.summand.nbytes + bit.nbytes,
        engine.next: bit.nbytes,
    }
    arrived = yield from engine.exchange(Round({}, sizes))
    both = memoryview(arrived[engine.previous])
    masked = engine.received(ring, both[: dealt.summand.nbytes], shape, engine.previous)
    piece = engine.received(narrow, both[dealt.summand.nbytes :], shape, engine.previous)
    other = engine.received(narrow, arrived[engine.next], shape, engine.next)
    term = narrow.subtract(narrow.multiply(piece, bit), mask)
    yield from engine.exchange(Round({engine.next: narrow.to_bytes(term)}, {}))
    common = ring.add(dealt.summand, weighed(narrow.add(term, other)))
    return ring.add(masked, weighed(mask)), common


def _in_thirds(
    third: Callable[[int, slice], Protocol[Parts]], size: int, shape: Shape
) -> Protocol[Parts]:
    """Run ``third(dealer, block)`` on thirds of a vector, or on all of a short one."""
    if size < ROTATE_FROM:
        first, second = yield from third(0, slice(0, size))
        return first.reshape(shape), second.reshape(shape)
    bounds = [0, size // 3, 2 * size // 3, size]
    blocks = [slice(low, high) for low, high in itertools.pairwise(bounds)]
    results = yield from in_parallel(*(third(dealer, block) for dealer, block in enumerate(blocks)))
    first, second = (np.concatenate(part) for part in zip(*results, strict=True))
    return first.reshape(shape), second.reshape(shape)
