"""Truncation of a secret in any number of parts, from the count of how often they wrap.

With parts s_j in 0 .. 2^k - 1 and x + 2^(k-2) = X in 0 .. 2^(k-1), the parts add up to X + W 2^k,
so that

    X / 2^f  =  sum of (s_j >> f)  -  W 2^(k-f)  +  what the dropped low bits carry.

W follows from the top s bits t_j of each part: W = (sum of t_j + n - 1) >> s, exactly, if
2^(s-1) + n - 1 <= 2^s. It is computed under AND and XOR; it never fails.
"""

from __future__ import annotations

from workers.mpc.arithmetic import bits
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring
from workers.mpc.rings.words import BitWords, IntegersModuloPowerOfTwo
from workers.mpc.secret import Secret


def truncate(engine: Engine, x: Secret, shift: int) -> Protocol[Secret]:
    """Return x / 2^shift: never more than n / 2 off (1 for 2 or 3 parts, rounded to whole ulps).

    The n parts drop up to n - 1 carries; half of them are added back.

    *Cost*: 5 rounds and 8 bytes an element and party for 3 parts, then the conversion of
    ceil(log2 n) bits to integers.
    *Security*: that of the engine's products.
    *Raises* LocalProtocolError, naming the step, if x may reach a quarter of the ring.
    """
    ring = x.ring
    ring_bits = ring.highest.bit_length() + 1
    if shift == 0:
        return x
    if x.range.bound >= 1 << (ring_bits - 2) or not 0 < shift <= ring_bits - 2:
        raise LocalProtocolError(
            f"{engine.where}a value could reach {x.range}; a truncation in {ring} by {shift} bits "
            f"is exact below 2^{ring_bits - 2} only: declare narrower ranges or keep fewer bits"
        )
    offset = 1 << (ring_bits - 2)
    lifted = (
        x.with_parts(lambda part: part, Range(0, ring.highest) - Range(offset, offset)) + offset
    )
    wraps = yield from wraps_of(engine, lifted, ring_bits, ring)
    whole = Range(ring.lowest, ring.highest)
    shifted = engine.parts_in(lifted, ring, lambda part: ring.shift_right(part, shift), whole)
    parts = [secret.parts for secret in shifted]
    total = parts[0]
    for other in parts[1:]:
        total = tuple(ring.add(a, b) for a, b in zip(total, other, strict=True))
    carried = tuple(ring.shift_left(part, ring_bits - shift) for part in wraps.parts)
    total = tuple(ring.subtract(a, b) for a, b in zip(total, carried, strict=True))
    n = len(shifted)
    recovered = ring.encode(n // 2 - (offset >> shift))
    total = engine.plus_public(total, recovered, ring)
    low, high = x.range.low >> shift, x.range.high >> shift
    declared = Range(low - (n + 1) // 2, high + (n + 1) // 2)
    return Secret(engine, total, ring, declared, x.fraction - shift)


def wraps_of(engine: Engine, lifted: Secret, ring_bits: int, target: Ring) -> Protocol[Secret]:
    """Return W, how often the parts of a secret in 0 .. 2^(k-1) wrap around the ring of 2^k.

    *Shapes*: as the secret, in the ring ``target``. *Cost*: see :func:`truncate`.
    """
    ring = lifted.ring
    n = len(engine.compute)
    top = next(s for s in range(2, 16) if (1 << (s - 1)) + n - 1 <= 1 << s)
    highest = n * ((1 << top) - 1) + n - 1
    words = IntegersModuloPowerOfTwo(bits.word_bits(Range(0, highest // 2)))
    word_ring = BitWords(words.bits)

    def top_bits(part: Elements) -> Elements:
        return words.from_words(ring.low_words(ring.shift_right(part, ring_bits - top)))

    summands = engine.parts_in(lifted, word_ring, top_bits, Range(0, word_ring.highest))
    summands.append(engine.constant(n - 1, word_ring).broadcast_to(lifted.shape))
    total = yield from bits.sum_of_words(engine, summands)
    count = (n - 1).bit_length()
    flags = yield from engine.bit_to_arithmetic(bits.bits_of(total >> top, count), target)
    wraps = flags[0]
    for position in range(1, count):
        wraps = wraps + flags[position] * (1 << position)
    return wraps
