"""Noise shares: each exactly distributed, together the noise, no bit of it decided by a float."""

import os
import time
from fractions import Fraction
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp import noise
from dp.events import DiscreteLaplace
from dp.mechanisms import scale, shares_needed
from dp.noise import cumulative_bounds, noise_share
from tests.dp.randomness import (
    SeededBytes,
    chi_squared,
    decimal_cumulative,
    discrete_laplace,
    share_probabilities,
    sum_probabilities,
)

SCALES = [
    Fraction(1, 64),
    Fraction(1, 2),
    Fraction(3, 2),
    Fraction(2),
    Fraction(7, 3),
    Fraction(40),
]
PLAUSIBLE = 5.0  # standard deviations of chi-squared above its mean; seeds are fixed


def draw(size, *, scale, shares, seed):
    return noise_share(size, scale=scale, shares=shares, random_bytes=SeededBytes(seed))


@pytest.mark.parametrize("shares", [1, 2, 3, 9])
@pytest.mark.parametrize("at", SCALES)
def test_the_enclosures_hold_the_truth_and_are_narrow(at, shares):
    """200 cells against an independent computation with 120 digits."""
    bits = noise.PRECISION_BITS
    bounds = list(islice(cumulative_bounds(at, shares, bits), 200))
    for k, exact in enumerate(decimal_cumulative(at, shares, 200)):
        low, high = (Fraction(int(bound)) for bound in bounds[k])
        # 120 digits leave 10^-110 of doubt about the reference, 320 bits are 10^-96.
        truth, doubt = exact * 2**bits, Fraction(2**bits, 10**110)
        assert low <= truth + doubt
        assert high >= truth - doubt
        assert high - low < 2**14
    assert all(a[0] <= b[0] for a, b in pairwise(bounds))


@settings(max_examples=100)
@given(st.fractions(Fraction(1, 64), Fraction(16384), max_denominator=10**9), st.integers(1, 10))
def test_the_enclosures_are_ordered_at_any_scale(at, shares):
    for low, high in islice(cumulative_bounds(at, shares, noise.PRECISION_BITS), 5):
        assert 0 <= low <= high <= 2**noise.PRECISION_BITS
        assert high - low < 2**14


@pytest.mark.parametrize("shares", [1, 2, 3])
@pytest.mark.parametrize("at", [Fraction(1, 2), Fraction(2), Fraction(40)])
def test_the_table_is_the_first_64_bits_of_the_truth(at, shares):
    table = noise._table(at, shares)
    exact = decimal_cumulative(at, shares, len(table))
    assert table.tolist() == [int(probability * 2**64) for probability in exact]
    assert int(table[-1]) == 2**64 - 1


def words_then(words, *more):
    """Random bytes that start with these 64-bit words (X's, then Y's)."""
    script = [b"".join(word.to_bytes(8, "little") for word in words)]
    script += [word.to_bytes(8, "little") for word in more]

    def random_bytes(size_bytes):
        assert len(script[0]) == size_bytes, "asked for more or fewer random bits than needed"
        return script.pop(0)

    return random_bytes


@pytest.mark.parametrize("k", [0, 1, 5, 30])
def test_a_word_that_decides_nothing_is_decided_exactly_by_further_bits(k):
    """U shares its first 64, then 128, bits with P(X <= k): every further bit counts."""
    at, shares = Fraction(2), 2
    exact = decimal_cumulative(at, shares, k + 1)[k]
    bits = [int(exact * 2**64), int(exact * 2**128) % 2**64, int(exact * 2**192) % 2**64]

    def drawn(*more):
        # Y's word is 0, so Y = 0 and the noise is X.
        source = words_then([bits[0], 0], *more)
        return int(noise_share(1, scale=at, shares=shares, random_bytes=source)[0])

    assert drawn(bits[1] - 1) == k
    assert drawn(bits[1] + 1) == k + 1
    assert drawn(bits[1], bits[2] - 1) == k
    assert drawn(bits[1], bits[2] + 1) == k + 1
    assert drawn(bits[1], bits[2], 0) == k
    assert drawn(bits[1], bits[2], 2**64 - 1) == k + 1


@pytest.mark.parametrize("k", [0, 7])
def test_a_coarse_enclosure_costs_further_bits_and_never_exactness(monkeypatch, k):
    """With enclosures 2^200 times too wide, two words no longer decide; the third one does."""
    at, shares = Fraction(2), 2
    exact = decimal_cumulative(at, shares, k + 1)[k]
    bits = [int(exact * 2**64), int(exact * 2**128) % 2**64]
    narrow = noise.cumulative_bounds

    def wide(scale, shares, precision):
        slack = 1 << (precision * 5 // 8)
        for low, high in narrow(scale, shares, precision):
            yield low - slack, min(high + slack, 1 << precision)

    noise._table(at, shares)  # built before, from the narrow ones
    monkeypatch.setattr(noise, "cumulative_bounds", wide)
    for second, expected in ((bits[1] - 3, k), (bits[1] + 3, k + 1)):
        script = words_then([bits[0], 0], second, 2**63)
        assert noise_share(1, scale=at, shares=shares, random_bytes=script)[0] == expected
        with pytest.raises(IndexError):
            script(8)  # both further words were used


@settings(max_examples=200)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.sampled_from(SCALES))
def test_the_search_finds_what_a_plain_search_finds(words, at):
    table = noise._table(at, 2)
    some = np.array([*words, 0, 2**64 - 1, *table[:3], *(table[:3] - 1)], dtype=np.uint64)
    assert np.array_equal(noise._first_not_below(table, some), np.searchsorted(table, some))


def test_the_tail_beyond_the_table_is_drawn_too():
    at, words = Fraction(2), [2**64 - 1, 2**64 - 2, 2**63]
    uniform = sum(Fraction(word, 2 ** (64 * (i + 1))) for i, word in enumerate(words))
    expected = next(
        k for k, probability in enumerate(decimal_cumulative(at, 2, 400)) if uniform < probability
    )
    source = words_then([words[0], 0], *words[1:])
    assert noise_share(1, scale=at, shares=2, random_bytes=source)[0] == expected
    assert expected > len(noise._table(at, 2))


@pytest.mark.parametrize("shares", [1, 2, 3])
@pytest.mark.parametrize("at", [Fraction(1, 2), Fraction(2), Fraction(5)])
def test_draws_follow_the_share_distribution(at, shares):
    draws = draw(200_000, scale=at, shares=shares, seed=f"share {at} {shares}")
    assert chi_squared(draws, share_probabilities(at, shares)) < PLAUSIBLE


@pytest.mark.parametrize("shares", [1, 2, 3, 4])
@pytest.mark.parametrize("at", [Fraction(1, 2), Fraction(2), Fraction(5)])
def test_the_shares_of_the_honest_are_exactly_discrete_laplace(at, shares):
    """In closed form from the exact tables (no statistics), then on draws."""
    together = sum_probabilities(at, shares, shares)
    closed_form = discrete_laplace(at, len(together) // 2)
    assert np.abs(together - closed_form).max() < 1e-14

    draws = sum(draw(200_000, scale=at, shares=shares, seed=f"{at} {i}") for i in range(shares))
    assert chi_squared(draws, closed_form) < PLAUSIBLE


def test_the_goodness_of_fit_notices_small_errors():
    """The test above would fail for shares of the wrong shape, or a scale 3 % off."""
    at = Fraction(2)
    closed_form = discrete_laplace(at, 200)
    too_many = sum(draw(200_000, scale=at, shares=2, seed=f"a{i}") for i in range(3))
    too_wide = draw(200_000, scale=at * Fraction(103, 100), shares=1, seed="b")
    assert chi_squared(too_many, closed_form) > 10 * PLAUSIBLE
    assert chi_squared(too_wide, closed_form) > PLAUSIBLE


@pytest.mark.parametrize(("parties", "bound"), [(3, 1), (3, 0), (4, 1), (5, 2)])
def test_epsilon_holds_against_every_coalition_up_to_the_bound_and_no_further(parties, bound):
    """What the colluding know is subtracted; the rest alone must hide one person."""
    event = DiscreteLaplace(Fraction(1, 2), 1)
    shares = shares_needed(parties, bound)
    for colluding in range(parties):
        rest = sum_probabilities(scale(event), shares, parties - colluding)
        near = rest[len(rest) // 2 - 30 : len(rest) // 2 + 31]
        worst = float(np.abs(np.log(near[1:] / near[:-1])).max())
        assert (worst <= 0.5 + 1e-9) == (colluding <= bound)


def test_p24_the_noise_of_a_count_behaves_as_the_case_says():
    """2,000 runs, epsilon 0.5, sensitivity 1, true count 479; figures of case P24.

    The case asks for exactly one discrete Laplace variable, so all three shares are needed.
    """
    runs = 2000
    at = scale(DiscreteLaplace(Fraction(1, 2), 1))
    released = 479 + sum(draw(runs, scale=at, shares=3, seed=f"site {i}") for i in range(3))

    assert released.dtype == np.int64
    assert abs(released.mean() - 479) <= 0.25
    assert released.var() == pytest.approx(7.835396178065527, rel=0.2)
    assert (released == 479).mean() == pytest.approx(0.24491866240370913, abs=0.04)
    assert (abs(released - 479) <= 3).mean() == pytest.approx(0.8315185802170489, abs=0.04)


def test_the_same_bytes_give_the_same_noise_and_other_bytes_other_noise():
    at = Fraction(5)
    first = draw(100, scale=at, shares=2, seed="x")
    assert np.array_equal(first, draw(100, scale=at, shares=2, seed="x"))
    assert not np.array_equal(first, draw(100, scale=at, shares=2, seed="y"))


def test_a_vector_costs_16_bytes_a_cell_in_one_call():
    asked = []

    def counting(size_bytes):
        asked.append(size_bytes)
        return os.urandom(size_bytes)

    noise_share(2044, scale=Fraction(3, 2), shares=2, random_bytes=counting)
    assert asked == [16 * 2044]


@pytest.mark.parametrize("size", [24, 2044])
@pytest.mark.parametrize("at", [Fraction(3, 2), Fraction(50)])
def test_a_vector_is_drawn_in_less_than_50_milliseconds(size, at):
    """Best of three, each with the table built anew: measured 0.3 ms at scale 3/2."""

    def seconds():
        noise._table.cache_clear()
        start = time.perf_counter()
        noise_share(size, scale=at, shares=2, random_bytes=os.urandom)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.050


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"size": 0}, ValueError),
        ({"shares": 0}, ValueError),
        ({"scale": 2.0}, TypeError),
        ({"scale": Fraction(0)}, ValueError),
        ({"scale": Fraction(1, 65)}, ValueError),
        ({"scale": Fraction(16385)}, ValueError),
        ({"random_bytes": lambda size_bytes: bytes(size_bytes - 1)}, ValueError),
    ],
)
def test_what_is_not_supported_is_refused(arguments, error):
    good = {"size": 3, "scale": Fraction(2), "shares": 2, "random_bytes": os.urandom}
    noise_share(good.pop("size"), **good)
    with pytest.raises(error):
        noise_share(**{"size": 3, **good, **arguments})
