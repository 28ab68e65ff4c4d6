"""Between Z/2^64 and Z/2^128, and comparison there: for squares of counts that leave 64 bits."""

from __future__ import annotations

from workers.mpc.arithmetic import bits, truncation
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements
from workers.mpc.rings.wide import Z128
from workers.mpc.rings.words import BITS64, Z64
from workers.mpc.secret import Secret, concatenate, stack

_QUARTER = 1 << 62


def widen(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return a secret of Z/2^64 as one of Z/2^128, exactly.

    *Cost*: the wraps of a truncation (:func:`truncation.truncate`), converted to 128 bits.
    *Raises* LocalProtocolError, naming the step, if |x| may reach 2^62.
    """
    if x.ring != Z64 or x.range.bound >= _QUARTER:
        raise LocalProtocolError(
            f"{engine.where}only numbers of {Z64} below 2^62 are widened, not {x.range} of {x.ring}"
        )
    whole = Range(0, Z64.highest) - Range(_QUARTER, _QUARTER)
    lifted = x.with_parts(lambda part: part, whole) + _QUARTER
    wraps = yield from truncation.wraps_of(engine, lifted, 64, Z128)
    limits = Range(Z128.lowest, Z128.highest)
    total = engine.parts_in(lifted, Z128, Z128.from_words, limits)
    parts = total[0].parts
    for other in total[1:]:
        parts = tuple(Z128.add(a, b) for a, b in zip(parts, other.parts, strict=True))
    shifted = tuple(Z128.shift_left(part, 64) for part in wraps.parts)
    parts = tuple(Z128.subtract(a, b) for a, b in zip(parts, shifted, strict=True))
    parts = engine.plus_public(parts, Z128.encode(-_QUARTER), Z128)
    return Secret(engine, parts, Z128, x.range, x.fraction)


def narrow(x: Secret) -> Secret:
    """Return a secret of Z/2^128 whose range fits 64 bits as one of Z/2^64. *Cost*: none.

    *Raises* LocalProtocolError, naming the step, if it does not fit.
    """
    parts = tuple(Z128.low_words(part) for part in x.parts)
    return Secret(x.engine, parts, Z64, x.range, x.fraction)


def is_negative(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return the bit x < 0 of a secret of Z/2^128.

    *Cost*: for 3 parts, 9 rounds; 73 bytes an element sent by each party.
    """
    low_left, low_right, high_left, high_right = yield from _two_summands(engine, x)
    # The high words without their top bit: a propagating bit takes the place that is left.
    left = stack([low_left, high_left << 1])
    right = stack([low_right, high_right << 1])
    generate = yield from engine.multiply(left, right)
    propagate = left ^ right
    propagate = concatenate([propagate[:1], propagate[1:] ^ 1])
    carries, passes = yield from bits.prefix_group(engine, generate, propagate, whole=True)
    through = yield from engine.multiply(carries[0], passes[1])
    return bits.bit_of(high_left ^ high_right, 63) ^ carries[1] ^ through


def _two_summands(engine: Engine, x: Secret) -> Protocol[tuple[Secret, Secret, Secret, Secret]]:
    """Return low and high words of two summands of x modulo 2^128: low, low, high, high."""

    def limb(number: int) -> list[Secret]:
        def word(part: Elements) -> Elements:
            return part[..., number]

        return engine.parts_in(x, BITS64, word, Range(0, BITS64.highest))

    # *Shapes*: (2, *s), the low words first.
    summands = [stack([low, high]) for low, high in zip(limb(0), limb(1), strict=True)]
    while len(summands) > 2:
        first, second, third = summands[:3]
        majority = (yield from engine.multiply(first ^ third, second ^ third)) ^ third
        spilled = majority[:1] >> 63
        carries = majority << 1
        carries = concatenate([carries[:1], carries[1:] ^ spilled])
        summands = [first ^ second ^ third, carries, *summands[3:]]
    left, right = summands
    return left[0], right[0], left[1], right[1]
