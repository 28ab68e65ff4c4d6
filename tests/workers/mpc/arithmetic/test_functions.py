"""Every function of reals is within its stated error, at the bounds and at 100,000 points; and it
takes exactly the rounds and bytes that are written here, on the profile replicated.

Exact values are rationals (quotients) or float64 of far more digits than the error (the others).
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.mpc.parties import Setup, run
from workers.mpc.arithmetic import (
    division,
    exponential,
    extremes,
    logarithm,
    lookup,
    polynomial,
    prefix,
    roots,
    sigmoid,
)
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret

POINTS = 100_000
REPLICATED = Setup("replicated", 3, (0, 1, 2))
ADDITIVE = Setup("additive", 3, (0, 1, 2))
MALICIOUS = Setup("malicious", 3, (0, 1, 2))


@dataclass(frozen=True)
class Function:
    """A function of one vector: its domain in integers, its exact value, its error and its cost.

    ``error`` is given exact values and returns how far the result may be off. ``rounds`` and
    ``bytes_each`` (sent by all three parties together for each element, of 3,000) are exact.
    """

    name: str
    domain: Range
    fraction: int
    compute: Callable[[Engine, Secret], Protocol[Secret]]
    exact: Callable[[np.ndarray], np.ndarray]
    error: Callable[[np.ndarray], np.ndarray]
    rounds: int
    bytes_each: float
    logarithmic: bool = False

    def points(self, count: int, seed: int = 1) -> np.ndarray:
        """The bounds and their neighbours, then random points."""
        low, high = self.domain.low, self.domain.high
        drawn = np.random.default_rng(seed).integers(low, high, count, endpoint=True)
        if self.logarithmic:
            drawn = np.maximum(drawn >> np.random.default_rng(seed).integers(0, 60, count), low)
        edges = [low, low + 1, high - 1, high, *(2**k for k in range(62) if low <= 2**k <= high)]
        edges += [2**k - 1 for k in range(62) if low <= 2**k - 1 <= high]
        drawn[: len(edges)] = edges[:count]
        return drawn


def _units(fraction: int) -> float:
    return 2.0**-fraction


def _inverse_or_zero(v: np.ndarray) -> np.ndarray:
    inverse: np.ndarray = np.divide(1, v, out=np.zeros_like(v), where=v != 0)
    return inverse


FUNCTIONS = [
    Function(
        "reciprocal", Range(1, 2**20), 0,
        lambda e, x: division.reciprocal(e, x, fraction=40),
        lambda v: 1 / v, lambda y: y * 2**-25 + _units(40), 43, 1242, True,
    ),
    Function(
        "reciprocal_of_large", Range(0, 2**40), 0,
        lambda e, x: division.reciprocal(e, x, fraction=56),
        _inverse_or_zero, lambda y: y * 2**-25 + 2 * _units(56), 51, 2221, True,
    ),
    Function(
        "reciprocal_of_fixed_point", Range(0, 2**30), 16,
        lambda e, x: division.reciprocal(e, x, fraction=28),
        _inverse_or_zero, lambda y: y * 2**-25 + 2 * _units(28), 49, 1625, True,
    ),
    Function(
        "square_root_of_odd_fraction", Range(0, 2**31), 15,
        lambda e, x: roots.square_root(e, x, fraction=20),
        np.sqrt, lambda y: y * 2**-24 + 2 * _units(20), 61, 2061, True,
    ),
    Function(
        "square_root", Range(0, 2**60), 0,
        lambda e, x: roots.square_root(e, x, fraction=20),
        np.sqrt, lambda y: y * 2**-24 + 2 * _units(20), 61, 2975, True,
    ),
    Function(
        "reciprocal_square_root", Range(1, 2**60), 0,
        lambda e, x: roots.reciprocal_square_root(e, x, fraction=40),
        lambda v: 1 / np.sqrt(v), lambda y: y * 2**-24 + 2 * _units(40), 58, 2948, True,
    ),
    Function(
        "exponential", Range(-30 << 16, 10 << 16), 16,
        lambda e, x: exponential.exponential(e, x, fraction=16),
        np.exp, lambda y: y * 2**-20 + 2 * _units(16), 40, 825,
    ),
    Function(
        "exponential_below_every_place", Range(-200 << 16, -100 << 16), 16,
        lambda e, x: exponential.exponential(e, x, fraction=16),
        np.exp, lambda y: y * 2**-20 + 2 * _units(16), 34, 461,
    ),
    Function(
        "logarithm", Range(1, 2**60), 16,
        lambda e, x: logarithm.logarithm(e, x, fraction=20),
        np.log, lambda y: 2**-22 + _units(20) + 0 * y, 35, 2799, True,
    ),
    Function(
        "sigmoid", Range.symmetric(40 << 16), 16,
        lambda e, x: sigmoid.sigmoid(e, x, fraction=20),
        lambda v: 1 / (1 + np.exp(-v)), lambda y: 2**-20 + 2 * _units(20) + 0 * y, 70, 1133,
    ),
    Function(
        "sigmoid_cubic", Range.symmetric(8 << 20), 20,
        lambda e, x: sigmoid.sigmoid_cubic(e, x),
        lambda v: 0.5 + 0.15012 * v - 0.001593 * v**3, lambda y: 40 * _units(20) + 0 * y, 8, 92,
    ),
    Function(
        "divide_by_public", Range.symmetric(2**40), 20,
        lambda e, x: division.divide_by_public(e, x, 10_000),
        lambda v: v / 10_000, lambda y: _units(20) + np.abs(y) * 2**-31, 4, 40,
    ),
    Function(
        "divide_small_by_public", Range.symmetric(2**29), 20,
        lambda e, x: division.divide_by_public(e, x, 10_000),
        lambda v: v / 10_000, lambda y: _units(20) + np.abs(y) * 2**-31, 2, 32,
    ),
    Function(
        "divide_large_by_public", Range.symmetric(2**58), 20,
        lambda e, x: division.divide_by_public(e, x, 10_000),
        lambda v: v / 10_000, lambda y: _units(20) + np.abs(y) * 2**-31, 30, 168,
    ),
    Function(
        "polynomial", Range.symmetric(1 << 28), 28,
        lambda e, x: polynomial.evaluate(e, x, [0.5, -1, 0.25, 0.125]),
        lambda t: 0.5 - t + 0.25 * t**2 + 0.125 * t**3, lambda y: 8 * _units(28) + 0 * y, 8, 92,
    ),
]  # fmt: skip
each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)


def computed(function: Function, points: np.ndarray, setup: Setup | None = None) -> Any:
    def program(engine: Engine) -> Protocol[Any]:
        own = points if engine.party.id == 0 else None
        [x] = yield from engine.input_from(
            [PartyId(0)], own, points.shape, function.domain, fraction=function.fraction
        )
        result = yield from function.compute(engine, x)
        low, high = result.range.low, result.range.high
        opened = yield from engine.open(result)
        assert low <= opened.min(), "no value leaves the range that the secret carries"
        assert opened.max() <= high
        return opened / 2.0**result.fraction

    return run(program) if setup is None else run(program, setup.start, setup.n)


def check(function: Function, points: np.ndarray, result: np.ndarray) -> None:
    exact = function.exact(points / 2.0**function.fraction)
    off = np.abs(result - exact) - function.error(exact)
    worst = int(off.argmax())
    assert off[worst] <= 0, (
        f"{function.name}({points[worst]}) is {result[worst]}, not {exact[worst]}"
    )


@each_function
def test_within_the_stated_error_at_the_bounds_and_100_000_points(function: Function) -> None:
    points = function.points(POINTS)
    check(function, points, computed(function, points).results[0])


@each_function
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_within_the_stated_error_wherever_hypothesis_looks(function: Function, data: Any) -> None:
    values = st.integers(function.domain.low, function.domain.high)
    points = np.array(data.draw(st.lists(values, min_size=1, max_size=20)))
    check(function, points, computed(function, points).results[0])


@each_function
@pytest.mark.parametrize("setup", [ADDITIVE, MALICIOUS], ids=str)
def test_the_same_on_profiles_with_other_truncations(function: Function, setup: Setup) -> None:
    points = function.points(130, seed=3)
    exact = function.exact(points / 2.0**function.fraction)
    result = computed(function, points, setup).results[0]
    # Their truncations may be one unit further off, and errors of single steps add up.
    assert (np.abs(result - exact) <= 4 * function.error(exact)).all()


@each_function
def test_rounds_and_bytes_are_exactly_those(function: Function) -> None:
    sessions = [computed(function, function.points(3_000, seed)) for seed in (1, 2)]
    assert sessions[0].shape == sessions[1].shape, "whatever the values are"
    # Sharing the input and opening the result take a round each, 8 and 24 bytes an element.
    assert sessions[0].rounds - 2 == function.rounds
    assert sessions[0].bytes_sent / 3_000 - 32 == pytest.approx(function.bytes_each, abs=0.51)


@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 2**20 - 1), st.integers(0, 2**20 - 1)), min_size=1, max_size=30
    )
)
@settings(max_examples=40, deadline=None)
def test_quotients_are_relative_and_nothing_by_nothing_is_nothing(pairs: list[Any]) -> None:
    a = np.array([min(pair) for pair in pairs])
    b = np.array([max(pair) for pair in pairs])

    def program(engine: Engine) -> Protocol[Any]:
        own = {0: a, 1: b}.get(engine.party.id)
        domain = Range(0, 2**20 - 1)
        x, y = yield from engine.input_from([PartyId(0), PartyId(1)], own, a.shape, domain)
        quotient = yield from division.divide(engine, x, y, fraction=30, quotient=Range(0, 1))
        return (yield from engine.open(quotient))

    for result, numerator, denominator in zip(run(program).results[0], a, b, strict=True):
        exact = Fraction(int(numerator), int(denominator)) if denominator else Fraction(0)
        off = abs(Fraction(int(result), 2**30) - exact)
        assert off <= exact / 2**25 + Fraction(1, 2**30)


@pytest.mark.parametrize("setup", [REPLICATED, ADDITIVE], ids=str)
@pytest.mark.parametrize("fraction", [16, 24, 27])
def test_exponentials_at_the_power_that_counts_as_nothing(setup: Setup, fraction: int) -> None:
    """A truncation's error there must not carry x below that power: it would wrap to a large one.

    Only a wide range shows it, and only an x of so fine places that some lie within the error.
    """
    lowest = round(-19 * np.log(2) * 2**fraction)
    points = np.arange(lowest - 2_000, lowest + 2_000)

    def program(engine: Engine) -> Protocol[Any]:
        own = points if engine.party.id == 0 else None
        domain = Range(-30 << fraction, 1 << fraction)
        [x] = yield from engine.input_from(
            [PartyId(0)], own, points.shape, domain, fraction=fraction
        )
        result = yield from exponential.exponential(engine, x, fraction=16)
        return (yield from engine.open(result))

    opened = run(program, setup.start, setup.n).results[0]
    assert np.abs(opened).max() <= 2, "e^x is an eighth of the last place"


@pytest.mark.parametrize("setup", [REPLICATED, ADDITIVE, MALICIOUS], ids=str)
def test_quotients_far_below_their_bound_keep_their_digits(setup: Setup) -> None:
    """Divisors from 1 to 2^40, dividends of both signs, and 0 / 0 and 1 / 0 among them."""
    b = np.array([10**k for k in range(13)] + [0, 0, 2**40, 7874])
    a = np.array([1, -1] * 6 + [1, 0, 1, -3 * 2**40, 7873])

    def program(engine: Engine) -> Protocol[Any]:
        own = {0: a, 1: b}.get(engine.party.id)
        [x] = yield from engine.input_from(
            [PartyId(0)], own if engine.party.id == 0 else None, a.shape, Range.symmetric(2**42)
        )
        [y] = yield from engine.input_from(
            [PartyId(1)], own if engine.party.id == 1 else None, b.shape, Range(0, 2**40)
        )
        quotient = yield from division.divide(
            engine, x, y, fraction=54, quotient=Range.symmetric(4)
        )
        return (yield from engine.open(quotient))

    results = run(program, setup.start, setup.n).results[0]
    for result, numerator, denominator in zip(results, a, b, strict=True):
        exact = Fraction(int(numerator), int(denominator)) if denominator else Fraction(0)
        off = abs(Fraction(int(result), 2**54) - exact)
        assert off <= abs(exact) / 2**25 + Fraction(4, 2**54), f"{numerator} / {denominator}"


def test_what_cannot_be_computed_is_refused_with_its_step() -> None:
    def refusing(compute: Any, domain: Range) -> str:
        def program(engine: Engine) -> Protocol[Any]:
            own = np.array([domain.high]) if engine.party.id == 0 else None
            [x] = yield from engine.input_from([PartyId(0)], own, (1,), domain)
            return (yield from compute(engine, x))

        with pytest.raises(LocalProtocolError) as refused:
            run(program)
        return str(refused.value)

    negative = Range(-1, 5)
    for compute in (
        lambda e, x: division.reciprocal(e, x, fraction=20),
        lambda e, x: roots.square_root(e, x, fraction=20),
        lambda e, x: logarithm.logarithm(e, x, fraction=20),
    ):
        assert "in step" in refusing(compute, negative)
    huge = lambda e, x: exponential.exponential(e, x, fraction=16)  # noqa: E731
    assert "in step exponential" in refusing(huge, Range(0, 100))
    assert "1 or more" in refusing(lambda e, x: division.divide_by_public(e, x, 0), negative)
    by_ten = lambda e, x: division.divide_by_public(e, x, 10)  # noqa: E731
    assert "leaves no room" in refusing(by_ten, Range(0, 2**61))
    assert "an index in" in refusing(lambda e, x: lookup.lookup(e, [1, 2], x), Range(0, 2))


TABLE = st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=40)


@given(table=TABLE, data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_table_at_secret_indices(table: list[int], data: Any) -> None:
    index = np.array(data.draw(st.lists(st.integers(0, len(table) - 1), min_size=1, max_size=9)))

    def program(engine: Engine) -> Protocol[Any]:
        own = index if engine.party.id == 0 else None
        domain = Range(0, len(table) - 1)
        [x] = yield from engine.input_from([PartyId(0)], own, index.shape, domain)
        return (yield from engine.open((yield from lookup.lookup(engine, table, x)))).tolist()

    assert run(program).results[0] == np.array(table)[index].tolist()


ROW = st.lists(st.integers(-9, 9), min_size=2, max_size=2)
MATRICES = st.lists(ROW, min_size=1, max_size=9)


@given(rows=MATRICES)
@settings(max_examples=25, deadline=None)
def test_extremes_and_running_sums(rows: list[list[int]]) -> None:
    values = np.array(rows)

    def program(engine: Engine) -> Protocol[Any]:
        own = values if engine.party.id == 0 else None
        [x] = yield from engine.input_from([PartyId(0)], own, values.shape, Range(-9, 9))
        largest_at, largest = yield from extremes.argmax(engine, x)
        smallest_at, smallest = yield from extremes.argmin(engine, x)
        results = [
            largest_at, largest, smallest_at, smallest,
            (yield from extremes.largest(engine, x)),
            (yield from extremes.smallest(engine, x)),
            prefix.prefix_sum(x),
            prefix.suffix_sum(x),
            (yield from extremes.minimum(engine, x[:, 0], x[:, 1])),
            (yield from extremes.maximum(engine, x[:, 0], x[:, 1])),
        ]  # fmt: skip
        opened = []
        for result in results:
            opened.append((yield from engine.open(result)).tolist())
        return opened

    assert run(program).results[0] == [
        values.argmax(axis=0).tolist(),
        values.max(axis=0).tolist(),
        values.argmin(axis=0).tolist(),
        values.min(axis=0).tolist(),
        values.max(axis=0).tolist(),
        values.min(axis=0).tolist(),
        values.cumsum(axis=0).tolist(),
        values[::-1].cumsum(axis=0)[::-1].tolist(),
        values.min(axis=1).tolist(),
        values.max(axis=1).tolist(),
    ]


@pytest.mark.parametrize("length", [1, 2, 7, 300])
def test_products_of_conditional_probabilities(length: int) -> None:
    factors = np.random.default_rng(2).integers(round(0.9 * 2**24), 2**24, length, endpoint=True)

    def program(engine: Engine) -> Protocol[Any]:
        own = factors if engine.party.id == 0 else None
        [x] = yield from engine.input_from(
            [PartyId(0)], own, (length,), Range(0, 2**24), fraction=24
        )
        return (yield from engine.open((yield from prefix.prefix_product(engine, x))))

    exact = np.cumprod(factors / 2**24) * 2**24
    assert np.abs(run(program).results[0] - exact).max() <= length
