"""Triples: c = a * b in every ring and for every number of parties, at the exact price."""

import math
import tracemalloc
from functools import cache, reduce

import numpy as np
import pytest

from tests.workers.mpc.preprocessing.sessions import altered, looks_uniform, session, shape
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.preprocessing import batches
from workers.mpc.preprocessing.transfers import Transfers
from workers.mpc.preprocessing.triples import Triples, matrix_triples, multiplication_triples
from workers.mpc.protocol import Message, in_parallel, run_locally
from workers.mpc.randomness import word_bytes
from workers.mpc.rings.words import (
    BIT1,
    BITS8,
    BITS16,
    BITS32,
    BITS64,
    Z8,
    Z16,
    Z32,
    Z64,
    BitWords,
    IntegersModuloPowerOfTwo,
)

INTEGERS = [Z8, Z16, Z32, Z64, IntegersModuloPowerOfTwo(40), IntegersModuloPowerOfTwo(1)]
BITS = [BIT1, BITS8, BITS16, BITS32, BITS64, BitWords(24), BitWords(3)]


@cache
def shared_session(n: int) -> list[Transfers]:
    """One session for most tests: it outlives many batches."""
    return session(n)


def make(n: int, ring, shape_, transfers: list[Transfers] | None = None):
    messages: list[Message] = []
    make_triples = matrix_triples if isinstance(shape_, list) else multiplication_triples
    arguments = shape_ if isinstance(shape_, list) else (shape_,)
    triples = run_locally(
        [make_triples(own, ring, *arguments) for own in transfers or shared_session(n)],
        messages.append,
    )
    return triples, messages


def opened(triples: list[Triples], part: str) -> np.ndarray:
    ring = triples[0].ring
    return reduce(ring.add, [getattr(own, part) for own in triples])


def payload_sum(bits: int) -> int:
    return sum(word_bytes(bits - position) for position in range(bits))


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("ring", INTEGERS + BITS, ids=repr)
def test_c_is_a_times_b(n, ring):
    triples, _ = make(n, ring, (7, 11))
    a, b, c = (opened(triples, part) for part in "abc")
    assert (ring.multiply(a, b) == c).all()
    for own in triples:
        for part in (own.a, own.b, own.c):
            assert part.shape == (7, 11)
            assert part.dtype == ring.dtype
            assert ring.is_canonical(part)


@pytest.mark.parametrize(("ring", "per_product"), [(Z64, 600), (Z32, 216), (Z16, 88), (Z8, 40)])
@pytest.mark.parametrize("n", [2, 3])
def test_the_price_of_ring_triples(n, ring, per_product):
    _, messages = make(n, ring, (130,))
    assert per_product == 4 * ring.bits + payload_sum(ring.bits)
    others = [(i, j) for i in range(n) for j in range(n) if i != j]
    corrections, payload = 192 * 4 * ring.bits, 192 * payload_sum(ring.bits)
    assert shape(messages) == [
        (index, i, j, size) for index, size in ((0, corrections), (1, payload)) for i, j in others
    ]


@pytest.mark.parametrize(
    ("ring", "count", "words"), [(BITS64, 9, 9), (BIT1, 130, 3), (BITS8, 9, 2)]
)
def test_the_price_of_bit_triples(ring, count, words):
    _, messages = make(2, ring, (count,))
    assert shape(messages) == [
        (index, i, 1 - i, size * words) for index, size in ((0, 256), (1, 8)) for i in (0, 1)
    ]


def rounds_and_bytes(messages: list[Message]) -> tuple[int, int]:
    return (
        len({message.round_index for message in messages}),
        sum(len(message.content) for message in messages if message.sender == 0),
    )


@pytest.mark.parametrize("n", [2, 3])
def test_a_large_batch_takes_a_round_for_each_chunk_and_one_more(n, monkeypatch):
    monkeypatch.setattr(batches, "CHUNK_BYTES", 2**21)
    count = 3000
    triples, messages = make(n, Z64, (count,))
    assert (opened(triples, "a") * opened(triples, "b") == opened(triples, "c")).all()
    per_chunk = 2**21 // (1024 * 600 * (n - 1))
    assert rounds_and_bytes(messages) == (
        1 + math.ceil(math.ceil(count / 1024) / per_chunk),
        (n - 1) * math.ceil(count / 64) * 64 * 600,
    )


def test_a_large_batch_of_bits():
    words = 40000
    triples, messages = make(2, BITS64, (words,))
    assert (opened(triples, "a") & opened(triples, "b") == opened(triples, "c")).all()
    per_chunk = 2**23 // (1024 * 264)
    assert rounds_and_bytes(messages) == (1 + math.ceil(40 / per_chunk), words * 264)


MATRICES = [[1, 1, 1], [3, 5, 2], [2, 5, 3], [7, 64, 1], [4, 10, 70], [70, 10, 4], [10, 3, 100]]


@pytest.mark.parametrize("ring", [Z64, Z32, Z8, IntegersModuloPowerOfTwo(40)], ids=repr)
@pytest.mark.parametrize("sizes", MATRICES, ids=str)
def test_matrix_triples_and_their_price(ring, sizes):
    triples, messages = make(2, ring, sizes)
    rows, terms, columns = sizes
    a, b, c = (opened(triples, part) for part in "abc")
    assert (a.shape, b.shape, c.shape) == ((rows, terms), (terms, columns), (rows, columns))
    assert (ring.matmul(a, b) == c).all()
    scalars = math.ceil(min(rows, columns) * terms / 64) * 64
    parts = math.ceil(max(rows, columns) * ring.element_bytes / 512)
    width = math.ceil(max(rows, columns) / parts)
    assert rounds_and_bytes(messages) == (
        2,
        scalars * parts * (4 * ring.bits + width * payload_sum(ring.bits)),
    )


def test_matrix_triples_of_three_parties_in_several_chunks(monkeypatch):
    monkeypatch.setattr(batches, "CHUNK_BYTES", 2**20)
    triples, messages = make(3, Z64, [9, 90, 40])
    assert (opened(triples, "a") @ opened(triples, "b") == opened(triples, "c")).all()
    # 832 scalars in blocks of 64 floor(4096 / (64 * 20)) = 192, each larger than a chunk.
    assert rounds_and_bytes(messages) == (1 + 5, 2 * 832 * (4 * 64 + 40 * 344))


def test_batches_in_parallel_use_the_same_transfers_in_the_same_order(monkeypatch):
    monkeypatch.setattr(batches, "CHUNK_BYTES", 2**20)
    together = run_locally(
        [
            in_parallel(
                multiplication_triples(own, Z64, (3000,)),
                multiplication_triples(own, BITS64, (9000,)),
                multiplication_triples(own, Z8, (3,)),
            )
            for own in shared_session(3)
        ]
    )
    for triples in zip(*together, strict=True):
        a, b, c = (opened(list(triples), part) for part in "abc")
        assert (triples[0].ring.multiply(a, b) == c).all()


@pytest.mark.parametrize("ring", [Z64, BITS64], ids=repr)
def test_no_triples_cost_nothing(ring):
    triples, messages = make(2, ring, (0,))
    assert not messages
    assert all(own.c.shape == (0,) for own in triples)


def test_empty_matrices_cost_nothing():
    triples, messages = make(2, Z64, [3, 0, 4])
    assert not messages
    assert (opened(triples, "c") == np.zeros((3, 4))).all()


@pytest.mark.parametrize("ring", [Z64, BITS64], ids=repr)
def test_what_an_eavesdropper_sees_depends_on_the_shape_alone(ring):
    seen = {tuple(shape(make(3, ring, (100,), session(3, seed))[1])) for seed in (1, 2)}
    assert len(seen) == 1


def test_shares_and_messages_look_uniform():
    triples, messages = make(2, Z64, (2048,))
    for own in triples:
        for part in (own.a, own.b, own.c):
            assert looks_uniform(part.tobytes())
    for message in messages:
        assert len(message.content) * 8 >= 10**6
        assert looks_uniform(bytes(message.content))


def test_no_two_batches_are_alike():
    first, second = (make(2, Z64, (100,))[0][0] for _ in range(2))
    for part in "abc":
        assert not set(getattr(first, part).tolist()) & set(getattr(second, part).tolist())


@pytest.mark.parametrize("round_index", [0, 1])
@pytest.mark.parametrize("ring", [Z64, BITS64], ids=repr)
def test_a_message_of_another_length_is_refused(ring, round_index):
    first, second = (multiplication_triples(own, ring, (10,)) for own in session(2))
    with pytest.raises(RemoteProtocolError, match="the round expects") as error:
        run_locally([first, altered(second, lambda message: message[:-1], round_index)])
    assert error.value.party == 1


@pytest.mark.parametrize("round_index", [0, 1])
def test_a_spoilt_message_spoils_a_product(round_index):
    """Semi-honest means: it is not noticed here. (It shows that the tests above can fail.)"""

    def flip(message):
        return bytes(byte ^ 1 for byte in message)

    first, second = (multiplication_triples(own, Z64, (64,)) for own in session(2))
    triples = run_locally([first, altered(second, flip, round_index)])
    a, b, c = (opened(triples, part) for part in "abc")
    assert (a * b != c).any()


def test_the_memory_is_bounded():
    """Two parties of 30,000 triples: 18 MB each way, in chunks."""
    transfers = shared_session(2)
    make(2, Z64, (64,))
    tracemalloc.start()
    run_locally([multiplication_triples(own, Z64, (30000,)) for own in transfers])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2 * 64 * 2**20


def test_other_rings_are_refused():
    with pytest.raises(LocalProtocolError, match="integers modulo"):
        next(matrix_triples(shared_session(2)[0], BITS64, 1, 1, 1))
