"""Transfers as protocols: what each side gets, exact rounds and bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.mpc.preprocessing.sessions import looks_uniform, session, shape
from workers.mpc.errors import LocalProtocolError
from workers.mpc.preprocessing.oblivious_transfer import (
    receive_correlated,
    receive_random_bits,
    send_correlated,
    send_random_bits,
)
from workers.mpc.preprocessing.transfers import Transfers
from workers.mpc.protocol import Message, PartyId, run_locally
from workers.mpc.randomness import Randomness
from workers.mpc.rings.words import Z8, Z16, Z32, Z64, IntegersModuloPowerOfTwo

A, B = PartyId(0), PartyId(1)
RINGS = [Z8, Z16, Z32, Z64, IntegersModuloPowerOfTwo(40), IntegersModuloPowerOfTwo(5)]


@pytest.fixture(scope="module")
def ends() -> list[Transfers]:
    """One session for all tests: it outlives many batches."""
    return session(2)


def correlated(ends, ring, deltas, choices):
    messages: list[Message] = []
    here, there = ends
    results = run_locally(
        [send_correlated(here, B, ring, deltas), receive_correlated(there, A, ring, choices)],
        messages.append,
    )
    return *results, messages


@pytest.mark.parametrize("ring", RINGS, ids=repr)
@pytest.mark.parametrize("count", [1, 64, 65, 1000])
def test_the_receiver_gets_r_plus_delta_where_its_bit_is_one(ends, ring, count):
    randomness = Randomness(bytes([count % 256]) * 32)
    deltas, choices = ring.random(randomness, (count,)), randomness.words((count,), 1)
    sent, received, messages = correlated(ends, ring, deltas, choices)
    assert (received == ring.add(sent, ring.multiply(deltas, choices.astype(ring.dtype)))).all()
    padded = -(-count // 64) * 64
    assert shape(messages) == [(0, 1, 0, 4 * padded), (1, 0, 1, ring.element_bytes * padded)]


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_deltas_and_choices(ends, data):
    numbers = data.draw(st.lists(st.integers(0, 2**64 - 1), max_size=70))
    bits = data.draw(st.lists(st.integers(0, 1), min_size=len(numbers), max_size=len(numbers)))
    deltas, choices = np.array(numbers, dtype=np.uint64), np.array(bits, dtype=np.uint8)
    sent, received, _ = correlated(ends, Z64, deltas, choices)
    assert (received - sent == deltas * choices).all()


def test_what_is_sent_looks_uniform_whatever_the_deltas_and_choices(ends):
    """A million bits and more of corrections and of offers, for inputs that are all equal."""
    for delta, choice in ((0, 0), (1, 1), (2**64 - 1, 0)):
        deltas = np.full(2**16, delta, dtype=np.uint64)
        choices = np.full(2**16, choice, dtype=np.uint8)
        sent, _, messages = correlated(ends, Z64, deltas, choices)
        assert all(len(message.content) * 8 >= 10**6 for message in messages)
        assert all(looks_uniform(bytes(message.content)) for message in messages)
        assert looks_uniform(sent.tobytes())


def test_a_choice_that_is_no_bit_is_refused_before_anything_is_sent(ends):
    with pytest.raises(LocalProtocolError):
        next(receive_correlated(ends[1], A, Z64, np.array([0, 2], dtype=np.uint8)))


@pytest.mark.parametrize(("words", "rounds"), [(1, 1), (1025, 1), (33000, 2)])
def test_random_bits(ends, words, rounds):
    choices = Randomness(bytes([words % 256]) * 32).words((words,))
    messages: list[Message] = []
    (zero, one), chosen = run_locally(
        [send_random_bits(ends[0], B, words), receive_random_bits(ends[1], A, choices)],
        messages.append,
    )
    assert (chosen == zero & ~choices | one & choices).all()
    assert {message.sender for message in messages} == {B}
    assert [message.round_index for message in messages] == list(range(rounds))
    assert sum(len(message.content) for message in messages) == 256 * words
    if words > 1000:
        for bits in (zero, one, zero ^ one):
            assert looks_uniform(bits.tobytes())
