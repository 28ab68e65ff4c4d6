"""Products of profile additive with real triples, made while they are asked for or before."""

from typing import Any

import numpy as np
import pytest

from tests.workers.mpc.parties import parties
from workers.mpc.arithmetic import comparison
from workers.mpc.errors import LocalProtocolError
from workers.mpc.preprocessing import transfers
from workers.mpc.preprocessing.triple_sources import (
    CountedTriples,
    TriplePool,
    from_piece,
    to_pieces,
)
from workers.mpc.preprocessing.triples import Triples
from workers.mpc.profiles import additive
from workers.mpc.protocol import Message, Party, PartyId, Protocol, run_locally
from workers.mpc.ranges import Range
from workers.mpc.rings.words import BITS8, Z64

X, Y = np.arange(-6, 6).reshape(4, 3), np.arange(12).reshape(3, 4)


def program(engine: Any) -> Protocol[Any]:
    [x] = yield from engine.input_from([PartyId(0)], X, X.shape, Range(-6, 5))
    [y] = yield from engine.input_from([PartyId(1)], Y, Y.shape, Range(0, 11))
    results = [
        (yield from engine.multiply(x, y.transposed)),
        (yield from engine.multiply(x, y[:, 0])),
        (yield from engine.matmul(x, y)),
        (yield from engine.matmul(x, y[:, 0])),
        (yield from engine.matmul(x[0], y)),
        (yield from engine.dot(x, y.transposed)),
        (yield from engine.truncate((x * 1000), 4)),
        (yield from comparison.less(engine, x, y.transposed)),
    ]
    opened = []
    for result in results:
        opened.append((yield from engine.open(result)))
    return opened


EXACT = [
    X * Y.T,
    X * Y[:, 0],
    X @ Y,
    X @ Y[:, 0],
    X[0] @ Y,
    (X * Y.T).sum(axis=1),
    X * 1000 >> 4,
    X < Y.T,
]


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("ahead", [False, True])
def test_every_product_with_real_triples(n: int, ahead: bool) -> None:
    counted = CountedTriples()

    def rehearsed(party: Party) -> Protocol[Any]:
        engine = yield from additive.start(
            party, triples=counted if party.id == 0 else CountedTriples()
        )
        return (yield from program(engine))

    run_locally([rehearsed(party) for party in parties(n)])
    started: list[int] = []
    messages: list[Message] = []

    def real(party: Party) -> Protocol[Any]:
        pool = TriplePool((yield from transfers.set_up(party, b"session")))
        if ahead:
            yield from pool.prepare(counted.demand)
        engine = yield from additive.start(party, triples=pool)
        started.append(len(messages))
        result = yield from program(engine)
        if ahead:
            assert all(pool.left(ring) == 0 for ring in counted.demand), "exactly what was counted"
        return result

    for results in run_locally([real(party) for party in parties(n)], messages.append):
        for result, exact in zip(results, EXACT, strict=True):
            slack = (n + 1) // 2 if exact is EXACT[6] else 0
            assert np.abs(result - exact).max() <= slack


def test_an_empty_pool_says_so() -> None:
    [first, *_] = parties(2)
    pool = TriplePool(None)
    with pytest.raises(LocalProtocolError, match="no triples of this kind are left"):
        next(pool.prepare({Z64: 3}))
    with pytest.raises(LocalProtocolError, match="vectors of triples"):
        pool.add(Triples(Z64, X, X, X))
    with pytest.raises(TypeError, match="never pickled"):
        pool.__reduce__()
    assert repr(pool) == "<TriplePool>"
    engine = additive.Additive(first, [PartyId(0), PartyId(1)], {}, None)
    zero = engine.constant([1])
    with pytest.raises(LocalProtocolError, match="without a source of triples: it only sums"):
        next(engine.multiply(zero, zero))


@pytest.mark.parametrize("ring", [Z64, BITS8], ids=repr)
def test_pieces_hold_equal_numbers_of_triples(ring: Any) -> None:
    [party] = parties(3)[:1]
    a, b, c = (ring.random(party.randomness, (50,)) for _ in range(3))
    pieces = to_pieces(Triples(ring, a, b, c), 16)
    assert len(pieces) == 3
    second = from_piece(ring, pieces[1])
    assert np.array_equal(second.a, a[16:32])
    assert np.array_equal(second.c, c[16:32])
    with pytest.raises(LocalProtocolError, match="expected"):
        from_piece(ring, pieces[0] + b"x")
