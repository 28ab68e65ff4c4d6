"""Every operation on integers is exact, at the bounds of its range and at 100,000 points."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.mpc.parties import Setup, run
from workers.mpc.arithmetic import bits, comparison, extremes, lookup, prefix, sorting, wide
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.wide import Z128
from workers.mpc.secret import Secret

POINTS = 100_000
ADDITIVE = Setup("additive", 3, (0, 1, 2))
MALICIOUS = Setup("malicious", 3, (0, 1, 2))
TABLE = [int(entry) for entry in np.random.default_rng(3).integers(-(2**30), 2**30, 64)]

Operation = Callable[[Engine, Secret, Secret], Protocol[Secret]]


def _select(engine: Engine, x: Secret, y: Secret) -> Protocol[Secret]:
    bit = yield from comparison.less(engine, x, y)
    return (yield from comparison.select(engine, bit, y, x))


def _lookup(engine: Engine, x: Secret, y: Secret) -> Protocol[Secret]:
    return lookup.lookup(engine, TABLE, x)


def _sorted(engine: Engine, x: Secret, y: Secret) -> Protocol[Secret]:
    return (yield from sorting.sort(engine, x))[0]


def _sums(engine: Engine, x: Secret, y: Secret) -> Protocol[Secret]:
    return prefix.prefix_sum(x)
    yield


def _linear(engine: Engine, x: Secret, y: Secret) -> Protocol[Secret]:
    return 3 * x - 2 * y + 7
    yield


WIDE = Range.symmetric(2**61)
HALF = Range.symmetric(2**30)
OPERATIONS: dict[str, tuple[Operation, Any, Range]] = {
    "linear": (_linear, lambda x, y: 3 * x - 2 * y + 7, Range.symmetric(2**58)),
    "multiply": (lambda e, x, y: e.multiply(x, y), lambda x, y: x * y, HALF),
    "square": (lambda e, x, y: e.square(x), lambda x, y: x * x, HALF),
    "dot": (
        lambda e, x, y: e.dot(x.reshape(-1, 8), y.reshape(-1, 8)),
        lambda x, y: (x * y).reshape(-1, 8).sum(axis=1),
        Range.symmetric(2**29),
    ),
    "less": (comparison.less, lambda x, y: x < y, WIDE),
    "at_most": (comparison.at_most, lambda x, y: x <= y, WIDE),
    "equal": (comparison.equal, lambda x, y: x == y, WIDE),
    "equal, few values": (comparison.equal, lambda x, y: x == y, Range(-2, 2)),
    "select": (_select, np.maximum, WIDE),
    "minimum": (extremes.minimum, np.minimum, WIDE),
    "maximum": (extremes.maximum, np.maximum, WIDE),
    "bits": (
        lambda e, x, y: bits.bit_decomposition(e, x),
        lambda x, y: x.astype(np.uint64).astype(object),
        WIDE,
    ),
    "lookup": (_lookup, lambda x, y: np.array(TABLE)[x], Range(0, 63)),
    "sort": (_sorted, lambda x, y: np.sort(x), Range(-(2**15), 2**15 - 1)),
    "prefix_sum": (_sums, lambda x, y: np.cumsum(x), HALF),
    "widen": (lambda e, x, y: wide.widen(e, x), lambda x, y: x, WIDE),
}
each = pytest.mark.parametrize("name", OPERATIONS)


def check(name: str, x: np.ndarray, y: np.ndarray, setup: Setup | None = None) -> None:
    operation, exact, declared = OPERATIONS[name]

    def program(engine: Engine) -> Protocol[Any]:
        own = {0: x, 1: y}.get(engine.party.id)
        left, right = yield from engine.input_from([PartyId(0), PartyId(1)], own, x.shape, declared)
        return (yield from engine.open((yield from operation(engine, left, right))))

    session = run(program) if setup is None else run(program, setup.start, setup.n)
    wrong = np.flatnonzero(session.results[0] != exact(x, y))
    assert not len(wrong), f"{name} at {x.ravel()[wrong[0]]}, {y.ravel()[wrong[0]]}"


def points(declared: Range, count: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of bounds, their neighbours and 0; then random pairs."""
    edges = {declared.low, declared.low + 1, declared.high - 1, declared.high, -1, 0, 1}
    edges = {edge for edge in edges if declared.low <= edge <= declared.high}
    pairs = np.array([(a, b) for a in sorted(edges) for b in sorted(edges)])
    drawn = np.random.default_rng(4).integers(
        declared.low, declared.high, (2, count), endpoint=True
    )
    drawn[:, : len(pairs)] = pairs.T
    return drawn[0], drawn[1]


@each
def test_exact_at_the_bounds_and_100_000_points(name: str) -> None:
    check(name, *points(OPERATIONS[name][2], POINTS))


@each
@pytest.mark.parametrize("setup", [ADDITIVE, MALICIOUS], ids=str)
def test_exact_on_the_other_profiles(name: str, setup: Setup) -> None:
    check(name, *points(OPERATIONS[name][2], 64), setup)


@each
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_exact_wherever_hypothesis_looks(name: str, data: Any) -> None:
    declared = OPERATIONS[name][2]
    value = st.integers(declared.low, declared.high)
    pairs = data.draw(st.lists(st.tuples(value, value), min_size=8, max_size=8))
    check(name, *np.array(pairs).T)


@given(st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_squares_of_counts_in_128_bits(values: list[int]) -> None:
    """(x^2 - 2^120) is computed, compared, truncated and narrowed where 64 bits would wrap."""
    x = np.array(values)

    def program(engine: Engine) -> Protocol[Any]:
        own = x if engine.party.id == 0 else None
        [secret] = yield from engine.input_from([PartyId(0)], own, x.shape, WIDE)
        large = yield from wide.widen(engine, secret)
        difference = (yield from engine.square(large)) - 2**120
        negative = yield from comparison.is_negative(engine, difference)
        smaller = yield from engine.truncate(difference, 62)
        narrow = wide.narrow(smaller)
        assert narrow.range.bits <= 64
        opened = []
        for one in (difference, negative, smaller, narrow):
            opened.append((yield from engine.open(one)).tolist())
        return opened

    exact = [value**2 - 2**120 for value in values]
    difference, negative, smaller, narrow = run(program).results[0]
    assert difference == exact
    assert negative == [int(value < 0) for value in exact]
    assert all(abs(a - (b >> 62)) <= 1 for a, b in zip(smaller, exact, strict=True))
    assert narrow == smaller


def test_only_what_fits_is_widened_and_narrowed() -> None:
    def program(engine: Engine) -> Protocol[Any]:
        own = np.array([1]) if engine.party.id == 0 else None
        [secret] = yield from engine.input_from(
            [PartyId(0)], own, (1,), Range(0, 2**100), ring=Z128
        )
        with pytest.raises(LocalProtocolError, match="wrap in Z/2"):
            wide.narrow(secret)
        with pytest.raises(LocalProtocolError, match="are widened"):
            yield from wide.widen(engine, secret)

    run(program)
