"""A secret resists misuse, and its range follows every operation."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.mpc.parties import engines, run
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.words import BITS8, Z8, Z64
from workers.mpc.secret import Secret, concatenate, stack

BOUNDS = st.tuples(st.integers(-(10**6), 10**6), st.integers(0, 10**6)).map(
    lambda pair: Range(pair[0], pair[0] + pair[1])
)


@given(BOUNDS, BOUNDS, st.data())
def test_a_range_contains_what_its_values_make(a: Range, b: Range, data: Any) -> None:
    x = data.draw(st.integers(a.low, a.high))
    y = data.draw(st.integers(b.low, b.high))
    for value, range_ in (
        (x + y, a + b),
        (x - y, a - b),
        (x * y, a * b),
        (-x, -a),
        (x * x, a.squared()),
        (x >> 3, a.shifted(3)),
        (7 * x, a.times(7)),
        (x, a.union(b)),
        (y, a.union(b)),
    ):
        assert range_.low <= value <= range_.high
    assert -(2 ** (a.bits - 1)) <= x < 2 ** (a.bits - 1)
    assert abs(x) <= a.bound


def test_the_narrowest_range_and_width() -> None:
    assert Range.of(np.array([3, -7])) == Range(-7, 3)
    assert [Range(0, high).bits for high in (0, 1, 127, 128)] == [1, 2, 8, 9]
    assert [Range(low, 0).bits for low in (-1, -128, -129)] == [1, 8, 9]
    assert Range(0, 5).contains(Range(1, 5))
    assert not Range(0, 5).contains(Range(1, 6))
    with pytest.raises(LocalProtocolError, match="is empty"):
        Range(2, 1)


HUNDRED = Range(0, 100)


def secret(engine: Any, declared: Range = HUNDRED, ring: Any = Z64) -> Secret:
    return Secret(engine, (np.zeros(3, ring.dtype),) * 2, ring, declared)


def test_a_secret_resists_misuse() -> None:
    one = secret(engines()[0])
    assert repr(one) == "<Secret of Z/2^64, shape (3,)>"
    with pytest.raises(TypeError, match="no truth value"):
        bool(one)
    with pytest.raises(TypeError, match="compared by a protocol"):
        one == one  # noqa: B015
    with pytest.raises(TypeError, match="does not become an array"):
        np.asarray(one)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(one)
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    with pytest.raises(TypeError, match="product of two secrets is a protocol"):
        one * one
    with pytest.raises(TypeError, match="not a word of bits"):
        ~one  # noqa: B018


def test_a_sum_that_could_wrap_is_refused_with_its_step() -> None:
    engine = engines()[0]
    large = secret(engine, Range(0, 2**63 - 1))
    with engine.step("total"), engine.step("squares"):
        with pytest.raises(
            LocalProtocolError, match=r"in step total / squares: a value could reach .* wrap in Z"
        ):
            large + large
        with pytest.raises(LocalProtocolError, match="wrap"):
            large * 2
        with pytest.raises(LocalProtocolError, match="wrap"):
            large.sum()
    assert engine.where == ""
    with pytest.raises(LocalProtocolError, match="wrap in Z/2"):
        secret(engine, Range(0, 200), Z8)


def test_secrets_of_two_kinds_do_not_mix() -> None:
    first, second, _ = engines()
    with pytest.raises(LocalProtocolError, match="two sessions"):
        secret(first) + secret(second)
    with pytest.raises(LocalProtocolError, match="fractional bits"):
        secret(first) + secret(first).scaled(4)
    with pytest.raises(LocalProtocolError, match="of one ring"):
        next(first.multiply(secret(first), secret(first, Range(0, 9), Z8)))
    with pytest.raises(LocalProtocolError, match="dot product takes two equal shapes"):
        next(first.dot(secret(first), secret(first)[:2]))
    with pytest.raises(LocalProtocolError, match="no matrix product"):
        next(first.matmul(secret(first), secret(first)[:2]))


def test_shapes_move_without_communication() -> None:
    values = np.arange(12).reshape(3, 4)

    def program(engine: Any) -> Protocol[Any]:
        own = values if engine.index == 0 else None
        [x] = yield from engine.input_from([PartyId(0)], own, (3, 4), Range(0, 11))
        made = [
            x.transposed,
            x.reshape(2, -1),
            x[1:, ::2],
            x[-1],
            x.broadcast_to((2, 3, 4)),
            concatenate([x, x + 1], axis=1),
            stack([x[0], x[1]]),
            x.sum(axis=0),
            1 - x,
        ]
        opened = []
        for one in made:
            opened.append((yield from engine.open(one)).tolist())
        return opened

    assert run(program).results[1] == [
        values.T.tolist(),
        values.reshape(2, -1).tolist(),
        values[1:, ::2].tolist(),
        values[-1].tolist(),
        np.broadcast_to(values, (2, 3, 4)).tolist(),
        np.concatenate([values, values + 1], axis=1).tolist(),
        values[:2].tolist(),
        values.sum(axis=0).tolist(),
        (1 - values).tolist(),
    ]


def test_words_of_bits() -> None:
    values = np.array([0b10110010, 0xFF, 0], dtype=np.int64)

    def program(engine: Any) -> Protocol[Any]:
        own = values if engine.index == 0 else None
        [x] = yield from engine.input_from([PartyId(0)], own, (3,), Range(0, 255), ring=BITS8)
        opened = []
        for one in (~x, x ^ 0x0F, x << 1, x >> 3, x & 0x3C, x ^ x):
            opened.append((yield from engine.open(one)).tolist())
        return opened

    assert run(program).results[2] == [
        (~values & 0xFF).tolist(),
        (values ^ 0x0F).tolist(),
        (values << 1 & 0xFF).tolist(),
        (values >> 3).tolist(),
        (values & 0x3C).tolist(),
        [0, 0, 0],
    ]
