"""Sorting gives one order, whichever way a profile sorts, and moves columns of every ring."""

from typing import Any

import numpy as np
import pytest

from tests.workers.mpc.parties import Setup, run
from workers.mpc.arithmetic import bits, sorting
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.wide import Z128
from workers.mpc.rings.words import Z64
from workers.mpc.secret import Secret

RADIX = Setup("replicated", 3, (0, 1, 2))
NETWORK = Setup("additive", 3, (0, 1, 2))
MALICIOUS = Setup("malicious", 3, (0, 1, 2))
every = pytest.mark.parametrize("setup", [RADIX, NETWORK, MALICIOUS], ids=str)

DRAWN = np.random.default_rng(5).integers(-100, 100, 1000)
KEYS = {
    "one": DRAWN[:1],
    "two": np.array([1, -1]),
    "two equal": np.array([4, 4]),
    "three": np.array([2, -2, 0]),
    "sorted": np.sort(DRAWN[:40]),
    "reversed": np.sort(DRAWN[:40])[::-1],
    "constant": np.full(40, -7),
    "many equal": DRAWN[:40] % 3,
    "a thousand": DRAWN,
}


def keys_of(engine: Engine, x: np.ndarray, declared: Range, **how: Any) -> Protocol[Secret]:
    own = x if engine.party.id == 0 else None
    [keys] = yield from engine.input_from([PartyId(0)], own, x.shape, declared, **how)
    return keys


@every
@pytest.mark.parametrize("name", KEYS)
def test_equal_keys_stay_in_their_order(setup: Setup, name: str) -> None:
    x = KEYS[name]

    def program(engine: Engine) -> Protocol[Any]:
        keys = yield from keys_of(engine, x, Range(-100, 100))
        places = engine.constant(np.arange(len(x)))
        keys, [moved] = yield from sorting.sort(engine, keys, payload=[places])
        return (yield from engine.open(keys)).tolist(), (yield from engine.open(moved)).tolist()

    order = np.argsort(x, kind="stable")
    assert run(program, setup.start, setup.n).results == [(x[order].tolist(), order.tolist())] * 3


@every
@pytest.mark.parametrize("ring", [Z64, Z128], ids=str)
def test_columns_of_every_ring_move_with_the_keys(setup: Setup, ring: Any) -> None:
    x = np.array([3, 1, -2, 1, 0])
    order = np.argsort(x, kind="stable")
    matrix, wide = np.arange(10).reshape(5, 2), np.arange(5).astype(object) << 90

    def program(engine: Engine) -> Protocol[Any]:
        keys = yield from keys_of(engine, x, Range(-4, 4), ring=ring)
        word = yield from bits.bit_decomposition(engine, keys)
        columns = [
            word,
            bits.bit_of(word, 0),
            engine.constant(matrix),
            engine.constant(np.arange(5) << 4, fraction=4),
            engine.constant(wide, Z128),
        ]
        ordered, moved = yield from sorting.sort(engine, keys, payload=columns)
        for before, after in zip([keys, *columns], [ordered, *moved], strict=True):
            assert (after.ring, after.range, after.fraction, after.shape) == (
                before.ring, before.range, before.fraction, before.shape,
            )  # fmt: skip
        opened = []
        for column in [ordered, *moved]:
            opened.append((yield from engine.open(column)).tolist())
        return opened

    expected = [x, x & 255, x & 1, matrix, np.arange(5) << 4, wide]
    opened = run(program, setup.start, setup.n).results[0]
    assert opened == [column[order].tolist() for column in expected]


def test_the_network_refuses_keys_that_could_wrap_before_anything_is_sent() -> None:
    def program(engine: Engine) -> Protocol[Any]:
        keys = yield from keys_of(engine, np.arange(5), Range.symmetric(2**61))
        with pytest.raises(LocalProtocolError, match="in step sorting"):
            yield from sorting.sort(engine, keys)
        return True

    session = run(program, NETWORK.start, NETWORK.n)
    assert session.results == [True] * 3
    assert not session.messages, "an additive input takes none, and nothing may follow it"


def test_the_network_compares_every_key_with_its_place() -> None:
    """Knuth's 0-1 principle: a network that sorts all words of bits sorts everything."""
    for length in range(2, 11):
        words = np.arange(2**length)[:, None] >> np.arange(length) & 1
        for low, high in sorting._layers(length):
            pair = words[:, low], words[:, high]
            words[:, low], words[:, high] = np.minimum(*pair), np.maximum(*pair)
        assert (np.diff(words, axis=1) >= 0).all(), length
