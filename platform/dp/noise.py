"""Exact noise shares whose sum is discrete Laplace noise that no party knows.

A discrete Laplace variable of scale s is infinitely divisible: with a = exp(-1 / s) it is the sum
of h independent differences of two negative binomial (Polya) variables of shape 1 / h and ratio a
[GX17], [BBGN20], [BKMGBEG22], [HM25]. Each party draws one such difference, and any h
of them already are the whole noise; more only add to it, which costs no privacy.

The draw is exact: P(X <= k) is enclosed between integers at 320 bits, a uniform number is revealed
bit by bit from the random bytes, and X is decided only when the revealed bits lie strictly on one
side of every enclosure. No float, and no rounding, decides anything; the idea of computing with
exact rationals is that of [CKS20], against the attack of [M12]. gmpy2 serves for integers only:
its floating-point numbers would round to the precision of a global context, unnoticed.

Time would tell the value of a sampler that tries until it succeeds. Here every cell takes the same
steps whatever is drawn, except with a probability below 2^-30 per vector.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import count
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from gmpy2 import iroot, mpz

from dp.mechanisms import check_scale

RandomBytes: TypeAlias = Callable[[int], bytes]

PRECISION_BITS = 320
WORD_BITS = 64
_LAST_WORD = 2**WORD_BITS - 1


def noise_share(
    size: int, *, scale: Fraction, shares: int, random_bytes: RandomBytes
) -> npt.NDArray[np.int64]:
    """Return one party's noise for a vector: the sum of ``shares`` such vectors is the noise.

    ``scale`` is :func:`dp.mechanisms.scale`, ``shares`` is :func:`dp.mechanisms.shares_needed`,
    ``random_bytes`` the operating system's generator (``os.urandom``).

    *Shapes*: (size,) int64.
    *Cost*: 16 random bytes a cell; a table of about 45 ``scale`` entries, built once per process.
    *Security*: draw it before inputs are loaded; whoever sees it can subtract it.
    *Raises* ValueError for a size or number of shares below 1 or an unsupported scale.
    """
    if size < 1:
        raise ValueError(f"noise is drawn for 1 cell or more, not {size}")
    if shares < 1:
        raise ValueError(f"the noise is made of 1 share or more, not {shares}")
    words = np.frombuffer(_exactly(2 * 8 * size, random_bytes), dtype="<u8")
    drawn = _negative_binomial(words, check_scale(scale), shares, random_bytes)
    return drawn[:size] - drawn[size:]


def cumulative_bounds(scale: Fraction, shares: int, precision: int) -> Iterator[tuple[int, int]]:
    """Yield, for k = 0, 1, ..., integers low <= 2^precision P(X <= k) <= high.

    X is negative binomial of shape r = 1 / shares and ratio a = exp(-1 / scale):
    P(X = 0) = (1 - a)^r and P(X = k + 1) = P(X = k) a (k + r) / (k + 1).
    """
    one = mpz(1) << precision
    ratio_low, ratio_high = _exponential_bounds(-1 / scale, precision)
    root_shift = precision * (shares - 1)
    term_low = iroot((one - ratio_high) << root_shift, shares)[0]
    term_high = iroot((one - ratio_low) << root_shift, shares)[0] + 1
    low, high = term_low, term_high
    for k in count():
        yield low, min(high, one)
        numerator, denominator = k * shares + 1, ((k + 1) * shares) << precision
        term_low = term_low * ratio_low * numerator // denominator
        term_high = -(-term_high * ratio_high * numerator // denominator)
        low, high = low + term_low, high + term_high


def _exponential_bounds(exponent: Fraction, precision: int) -> tuple[int, int]:
    """Return integers low <= 2^precision exp(exponent) <= high, for a negative exponent.

    The alternating series of exp(-y), y = |exponent| / 2^j <= 1/2, lies between two successive
    partial sums; squaring it j times gives the result. Every step rounds outwards.
    """
    squarings = max(0, (-exponent.numerator // exponent.denominator).bit_length() + 1)
    guard = 2 * squarings + 16
    working = precision + guard
    y = -exponent / 2**squarings
    term_low = term_high = low = high = mpz(1) << working
    for k in count(1):
        term_low = term_low * y.numerator // (y.denominator * k)
        term_high = -(-term_high * y.numerator // (y.denominator * k))
        if k % 2:
            low, high = low - term_high, high - term_low
        else:
            low, high = low + term_low, high + term_high
        if term_high <= 1:
            break
    low, high = low - 1, high + 1  # what is left of the series is below its last term
    for _ in range(squarings):
        low, high = low * low >> working, -(-(high * high) >> working)
    return low >> guard, -(-high >> guard)


@lru_cache(maxsize=32)
def _table(scale: Fraction, shares: int) -> npt.NDArray[np.uint64]:
    """Return floor(2^64 P(X <= k)) for k = 0, 1, ... until it is 2^64 - 1.

    *Shapes*: (2^b,) uint64; the last entry is repeated to fill up to a power of two.
    """
    precision = PRECISION_BITS
    while (floors := _floors(scale, shares, precision)) is None:
        precision *= 2
    table = np.full(1 << (len(floors) - 1).bit_length(), _LAST_WORD, dtype=np.uint64)
    table[: len(floors)] = floors
    table.flags.writeable = False
    return table


def _floors(scale: Fraction, shares: int, precision: int) -> list[int] | None:
    shift = precision - WORD_BITS
    floors: list[int] = []
    for low, high in cumulative_bounds(scale, shares, precision):
        if low >> shift != high >> shift:
            return None  # too coarse to say
        floors.append(int(low >> shift))
        if floors[-1] == _LAST_WORD:
            break
    return floors


def _negative_binomial(
    words: npt.NDArray[np.uint64], scale: Fraction, shares: int, random_bytes: RandomBytes
) -> npt.NDArray[np.int64]:
    """Return the variables that uniform numbers starting with these 64 bits decide.

    X is the smallest k with U < P(X <= k). A word below the table's entry k leaves U below
    P(X <= k), one above it leaves U above; only a word equal to an entry needs more bits.
    """
    table = _table(scale, shares)
    drawn = _first_not_below(table, words)
    for index in np.flatnonzero(table[drawn] == words):
        drawn[index] = _reveal_more(int(words[index]), scale, shares, random_bytes)
    return drawn


def _first_not_below(
    table: npt.NDArray[np.uint64], words: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Return, for each word, the index of the first entry that is not below it.

    A binary search in which every word takes every step; ``numpy.searchsorted`` is quicker for
    some words than for others. The table has 2^b entries, the last one above or equal to any word.
    """
    index = np.zeros(words.shape, dtype=np.int64)
    step = len(table) // 2
    while step:
        index += step * (table[index + (step - 1)] < words)
        step //= 2
    return index


def _reveal_more(revealed: int, scale: Fraction, shares: int, random_bytes: RandomBytes) -> int:
    bits = WORD_BITS
    while True:
        word = int.from_bytes(_exactly(WORD_BITS // 8, random_bytes), "little")
        revealed, bits = revealed << WORD_BITS | word, bits + WORD_BITS
        value = _decide(revealed, bits, scale, shares)
        if value is not None:
            return value


def _decide(revealed: int, bits: int, scale: Fraction, shares: int) -> int | None:
    """Return X if the first bits of U decide it, None if they do not."""
    precision = max(PRECISION_BITS, 2 * bits)
    lowest = mpz(revealed) << (precision - bits)
    beyond = mpz(revealed + 1) << (precision - bits)
    for k, (low, high) in enumerate(cumulative_bounds(scale, shares, precision)):
        if beyond <= low:
            return k
        if lowest < high:
            return None
    raise AssertionError("the enclosures reach 1")


def _exactly(size_bytes: int, random_bytes: RandomBytes) -> bytes:
    drawn = random_bytes(size_bytes)
    if len(drawn) != size_bytes:
        raise ValueError(f"asked for {size_bytes} random bytes, got {len(drawn)}")
    return drawn
