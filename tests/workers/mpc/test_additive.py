"""The secure sum: its value, its exact cost, what it refuses, and what n - 1 parties can see."""

from collections import Counter, defaultdict
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.mpc.stories import parties, run
from workers.mpc.additive import NOISE_SHARE_RANGE, secure_sum, share_and_add
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.opening import open_to_all
from workers.mpc.protocol import Party, PartyId, Round, in_parallel, run_locally
from workers.mpc.ring import HIGHEST, LOWEST, Range, decode
from workers.mpc.sharing import reconstruct

COUNTS = Range(0, 1_000_000)


def opened(shares):
    return decode(reconstruct(shares)).tolist()


@pytest.mark.parametrize("m", [1, 24, 2044])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 10])
def test_a_sum_takes_one_round_and_eight_bytes_a_cell_and_receiver(n, m):
    inputs = [np.arange(m, dtype=np.int64) * (i + 1) for i in range(n)]
    shares, transcript = run(
        lambda party: secure_sum(party, inputs[party.id], input_range=COUNTS), n
    )

    assert opened(shares) == sum(inputs).tolist()
    assert transcript.rounds == 1
    assert transcript.bytes_sent == dict.fromkeys(range(n), 8 * m * (n - 1))


@settings(max_examples=60)
@given(st.data())
def test_any_inputs_in_range_and_any_noise_add_up(data):
    n, m = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 5))
    declared = Range(LOWEST // 16, HIGHEST // 16)
    cells = st.lists(st.integers(declared.low, declared.high), min_size=m, max_size=m)
    noises = st.lists(
        st.integers(NOISE_SHARE_RANGE.low, NOISE_SHARE_RANGE.high), min_size=m, max_size=m
    )
    inputs = [np.array(data.draw(cells), dtype=np.int64) for _ in range(n)]
    noise = [np.array(data.draw(noises), dtype=np.int64) for _ in range(n)]

    shares, _ = run(
        lambda p: secure_sum(p, inputs[p.id], input_range=declared, noise=noise[p.id]), n
    )
    assert opened(shares) == (sum(inputs) + sum(noise)).tolist()


def test_noise_changes_the_sum_and_nothing_on_the_wire():
    noise = [np.array([5, -7]), np.array([-1, 0]), np.array([0, 2])]
    ones = np.array([1, 1])

    def plain(party):
        return secure_sum(party, ones, input_range=COUNTS)

    def noised(party):
        return secure_sum(party, ones, input_range=COUNTS, noise=noise[party.id])

    _, without = run(plain, 3)
    with_noise, transcript = run(noised, 3)
    assert opened(with_noise) == [7, -2]
    assert [m.content for m in transcript.messages] == [m.content for m in without.messages]


def test_independent_sums_share_one_round():
    def two_sums(party):
        values = np.array([party.id, 1, 2], dtype=np.int64)
        return in_parallel(
            secure_sum(party, values, input_range=COUNTS),
            secure_sum(party, values[:1], input_range=COUNTS),
        )

    results, transcript = run(two_sums, 3)
    assert opened([first for first, _ in results]) == [3, 3, 6]
    assert opened([second for _, second in results]) == [3]
    assert transcript.rounds == 1
    assert transcript.bytes_sent == dict.fromkeys(range(3), 8 * (3 + 1) * 2)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_opening_to_all_takes_one_round(n):
    def sum_and_open(party):
        share = yield from secure_sum(party, np.array([-4, party.id]), input_range=Range(-4, 10))
        return decode((yield from open_to_all(party, share))).tolist()

    results, transcript = run(sum_and_open, n)
    assert results == [[-4 * n, n * (n - 1) // 2]] * n
    assert transcript.rounds == 2
    assert transcript.bytes_sent == dict.fromkeys(range(n), 2 * 8 * 2 * (n - 1))


NO_NOISE = None
REFUSED = {
    "input above its range": ([0, 11], Range(0, 10), NO_NOISE, "declared range"),
    "input below its range": ([0, -1], Range(0, 10), NO_NOISE, "declared range"),
    "a sum that could wrap": ([0, 0], Range(0, HIGHEST // 3 + 1), NO_NOISE, "wrap"),
    "a sum that could wrap below": ([0, 0], Range(LOWEST // 3 - 1, 0), NO_NOISE, "wrap"),
    "a sum that noise could wrap": ([0, 0], Range(0, HIGHEST // 3), [0, 0], "wrap"),
    "noise that leaves its room": ([0, 0], Range(0, 10), [0, 2**52 + 1], "declared range"),
    "noise for fewer cells": ([0, 0], Range(0, 10), [0], "noise of shape"),
    "noise for one cell, broadcast": ([0, 0], Range(0, 10), 1, "noise of shape"),
    "no cells": ([], Range(0, 10), NO_NOISE, "one element or more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_refused_before_anything_is_sent(case):
    values, declared, noise, reason = REFUSED[case]
    protocol = secure_sum(
        parties(3)[0],
        np.array(values, dtype=np.int64),
        input_range=declared,
        noise=None if noise is None else np.array(noise, dtype=np.int64),
    )
    with pytest.raises(LocalProtocolError, match=reason):
        next(protocol)  # the first thing it does: no round was yielded


def test_the_widest_range_that_fits_is_accepted():
    widest = Range(0, HIGHEST // 3)
    inputs = np.array([widest.high])
    shares, _ = run(lambda party: secure_sum(party, inputs, input_range=widest), 3)
    assert opened(shares) == [3 * widest.high]


@pytest.mark.parametrize("sent_bytes", [1, 15, 17, 8, 32])
def test_a_peer_with_a_vector_of_another_length_is_named(sent_bytes):
    first, second, _ = parties(3)
    values = np.array([1, 2])

    def evil():
        yield Round(send={0: bytes(16), 1: bytes(sent_bytes)}, expect={0: 16, 1: 16})

    with pytest.raises(RemoteProtocolError) as caught:
        run_locally([*(secure_sum(p, values, input_range=COUNTS) for p in (first, second)), evil()])
    assert caught.value.party == 2


class Scripted:
    def __init__(self, draws):
        self.draws = list(draws)

    def ring_vector(self, size):
        drawn, self.draws = self.draws[:size], self.draws[size:]
        return np.array(drawn, dtype=np.uint64)


def views_of_a_sum(inputs, draws):
    """Run one sum in the small ring; return every party's view and all output shares."""
    n, messages = len(inputs), []
    own = [draws[i * (n - 1) : (i + 1) * (n - 1)] for i in range(n)]
    shares = run_locally(
        [
            share_and_add(
                Party(PartyId(i), n, Scripted(own[i])), np.array([inputs[i]], dtype=np.uint64)
            )
            for i in range(n)
        ],
        messages.append,
    )
    received = defaultdict(list)
    for message in messages:
        received[message.receiver].append((message.sender, message.content))
    outputs = tuple(int(share.elements[0]) for share in shares)
    return [(own[i], tuple(received[i])) for i in range(n)], outputs


def test_colluding_parties_see_their_inputs_and_the_sum_and_nothing_else():
    """Exhaustive, with the product's own protocol: statistical distance exactly 0.

    {0, 2^63} is closed under addition: a ring Z/2 inside Z/2^64, in which all inputs and all
    randomness of three parties are enumerated. Every coalition of one or two parties is looked
    at twice: before the output shares are opened, and after.
    """
    n, small_ring = 3, (0, 1 << 63)
    runs = {
        inputs: [views_of_a_sum(inputs, draws) for draws in product(small_ring, repeat=n * (n - 1))]
        for inputs in product(small_ring, repeat=n)
    }
    for size in (1, 2):
        for coalition in combinations(range(n), size):
            sealed, opened_too = defaultdict(list), defaultdict(list)
            for inputs, outcomes in runs.items():
                own = tuple(inputs[i] for i in coalition)
                rest = sum(inputs[i] for i in range(n) if i not in coalition) % 2**64
                seen = [(tuple(views[i] for i in coalition), out) for views, out in outcomes]
                sealed[own].append(Counter(view for view, _ in seen))
                opened_too[own, rest].append(Counter(seen))
            for same_knowledge in (*sealed.values(), *opened_too.values()):
                assert all(views == same_knowledge[0] for views in same_knowledge)
            # The sum itself they do see: this test would notice what they could see.
            told = {(own, frozenset(group[0].items())) for (own, _), group in opened_too.items()}
            assert len(told) == len(opened_too) == 2 ** (size + 1)
