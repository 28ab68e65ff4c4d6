"""Rounds and bytes of every primitive, exactly: what the docstrings state, on every profile."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.workers.mpc.parties import SETUPS, Setup, run
from workers.mpc.arithmetic import (
    bits,
    comparison,
    division,
    extremes,
    lookup,
    prefix,
    sorting,
    wide,
)
from workers.mpc.engine import Engine
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.wide import Z128
from workers.mpc.secret import Secret

SIZE = 120
THREE = {name: Setup(name, 3, (0, 1, 2)) for name in ("additive", "replicated", "malicious")}


def online(setup: Setup, operation: Callable[[Engine, Secret, Secret], Any], bound: int) -> Any:
    """Return the rounds, and the bytes an element of all parties, that an operation adds."""

    def program(work: bool) -> Any:
        def at_party(engine: Engine) -> Protocol[Any]:
            own = np.arange(SIZE) % (bound + 1)
            if setup.profile == "shamir":
                yield from engine.prepare(4 * SIZE)  # type: ignore[attr-defined]
            secrets = yield from engine.input_from(
                [PartyId(0), PartyId(1)], own, (SIZE,), Range.symmetric(bound)
            )
            if work and engine.computes:
                yield from operation(engine, secrets[0], secrets[1])

        return at_party

    base = run(program(False), setup.start, setup.n)
    full = run(program(True), setup.start, setup.n)
    return full.rounds - base.rounds, (full.bytes_sent - base.bytes_sent) / SIZE


def cost(name: str, operation: Any, bound: int = 1000) -> tuple[int, float]:
    rounds, each = online(THREE[name], operation, bound)
    return rounds, each


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_sharing_an_input(setup: Setup) -> None:
    def program(engine: Engine) -> Protocol[Any]:
        own = np.arange(SIZE)
        yield from engine.input_from([PartyId(0)], own, (SIZE,), Range(0, SIZE))

    session = run(program, setup.start, setup.n)
    n, inside = len(setup.compute), 0 in setup.compute
    elements = {
        "additive": 0 if inside else 8 * SIZE + 32 * (n - 1),
        "replicated": 8 * SIZE if inside else 16 * SIZE + 128,
        "malicious": 8 * SIZE if inside else 16 * SIZE + 128,
        "shamir": 8 * SIZE * (n - 1 if inside else n),
    }[setup.profile]
    assert session.bytes_sent == elements
    assert session.rounds == (1 if elements else 0)


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_products_dots_and_openings(setup: Setup) -> None:
    n = len(setup.compute)
    # Additive: x and y to every other party; replicated: one element to one; shamir: one to all.
    factor = {"additive": 16 * n * (n - 1), "shamir": 8 * n * (n - 1)}.get(setup.profile, 24)
    assert online(setup, lambda e, x, y: e.multiply(x, y), 1000) == (1, factor)
    rounds, each = online(setup, lambda e, x, y: e.dot(x, y), 1000)
    assert rounds == 1
    whole = factor * SIZE if setup.profile == "additive" else factor
    assert each * SIZE == pytest.approx(whole)
    opening = 24 if setup.profile in ("replicated", "malicious") else 8 * n * (n - 1)
    extra = 2 * 2 * 3 * 32 * 2 / 2 / SIZE if setup.profile == "malicious" else 0
    rounds, each = online(setup, lambda e, x, y: e.open(x), 1000)
    # Malicious: digests to both neighbours, before and after.
    assert rounds == (3 if setup.profile == "malicious" else 1)
    assert each == pytest.approx(opening + extra)
    receiver = PartyId(setup.compute[0])
    one = 8 if setup.profile in ("replicated", "malicious") else 8 * (n - 1)
    rounds, each = online(setup, lambda e, x, y: e.open_to(x, receiver), 1000)
    assert each == pytest.approx(one + extra)


def _looked_up(engine: Engine, x: Secret, y: Secret) -> Any:
    return lookup.lookup(engine, list(range(0, 2**16, 2**10)), x.declared(Range(0, 63)))


def _running_product(engine: Engine, x: Secret, y: Secret) -> Any:
    return prefix.prefix_product(engine, x.scaled(20).reshape(8, -1))


def _as_wide(engine: Engine, x: Secret) -> Secret:
    """Take the same bytes as 128-bit numbers, for what a product there costs."""
    return engine.constant(np.zeros(SIZE, dtype=np.int64), Z128).declared(Range(0, 0))


def _wide_product(engine: Engine, x: Secret, y: Secret) -> Any:
    return engine.multiply(_as_wide(engine, x), _as_wide(engine, y))


def _wide_sign(engine: Engine, x: Secret, y: Secret) -> Any:
    wide_range = Range.symmetric(2**100)
    zero = _as_wide(engine, x)
    return wide.is_negative(engine, Secret(engine, zero.parts, Z128, wide_range))


# (rounds, bytes an element of the three parties together), before any verification
STATED = {
    ("truncate by 16", "replicated"): (2, 14),
    ("truncate by 20", "replicated"): (2, 20),
    ("multiply, truncate by 16", "replicated"): (3, 30),
    ("is_negative, 64 bits", "replicated"): (8, 105),
    ("is_negative, 32 bits", "replicated"): (7, 57),
    ("is_negative, 16 bits", "replicated"): (6, 33),
    ("is_negative, 8 bits", "replicated"): (5, 21),
    ("equal, 64 bits", "replicated"): (7, 54),
    ("equal, 32 bits", "replicated"): (6, 30),
    ("bit to integer", "replicated"): (2, 32),
    ("decompose 32 bits", "replicated"): (7, 144),
    ("widen", "replicated"): (8, 155),
    ("shuffle", "replicated"): (3, 32),
    ("is_negative, 64 bits", "malicious"): (8, 105),
    ("bit to integer", "malicious"): (2, 48),
    ("truncate by 16", "malicious"): (8, 123),
    ("is_negative, 64 bits", "additive"): (8, 420),
    ("bit to integer", "additive"): (2, 192),
    ("truncate by 16", "additive"): (8, 492),
}
STATED |= {
    ("at_most, 32 bits", "replicated"): (7, 57),
    ("equal, 16 bits", "replicated"): (5, 18),
    ("equal, 8 bits", "replicated"): (4, 12),
    ("select", "replicated"): (1, 24),
    ("maximum, 32 bits", "replicated"): (10, 113),
    ("largest of 8, 32 bits", "replicated"): (30, 98.875),
    ("argmax of 8, 32 bits", "replicated"): (30, 119.875),
    ("lookup in 64 entries of 16 bits", "replicated"): (12, 722),
    ("prefix product of 8", "replicated"): (9, 76.5),
    ("multiply in 128 bits", "replicated"): (1, 48),
    ("is_negative, 128 bits", "replicated"): (9, 219),
    ("divide by public", "replicated"): (2, 32),
}
OPERATIONS: dict[str, tuple[Any, int]] = {
    "truncate by 16": (lambda e, x, y: e.truncate(x, 16), 2**40),
    "truncate by 20": (lambda e, x, y: e.truncate(x, 20), 2**40),
    "multiply, truncate by 16": (lambda e, x, y: e.multiply(x, y, shift=16), 2**30),
    "is_negative, 64 bits": (lambda e, x, y: comparison.is_negative(e, x), 2**40),
    "is_negative, 32 bits": (lambda e, x, y: comparison.is_negative(e, x), 2**30),
    "is_negative, 16 bits": (lambda e, x, y: comparison.is_negative(e, x), 2**14),
    "is_negative, 8 bits": (lambda e, x, y: comparison.is_negative(e, x), 100),
    "equal, 64 bits": (lambda e, x, y: comparison.equal(e, x, y), 2**40),
    "equal, 32 bits": (lambda e, x, y: comparison.equal(e, x, y), 2**29),
    "decompose 32 bits": (lambda e, x, y: bits.bit_decomposition(e, x), 2**30),
    "widen": (lambda e, x, y: wide.widen(e, x), 2**40),
    "shuffle": (lambda e, x, y: e.shuffle([x]), 2**40),
    "at_most, 32 bits": (lambda e, x, y: comparison.at_most(e, x, y), 2**29),
    "equal, 16 bits": (lambda e, x, y: comparison.equal(e, x, y), 2**13),
    "equal, 8 bits": (lambda e, x, y: comparison.equal(e, x, y), 60),
    "select": (lambda e, x, y: comparison.select_by_integer(e, x, y, x), 2**20),
    "maximum, 32 bits": (lambda e, x, y: extremes.maximum(e, x, y), 2**29),
    "largest of 8, 32 bits": (lambda e, x, y: extremes.largest(e, x.reshape(8, -1)), 2**29),
    "argmax of 8, 32 bits": (lambda e, x, y: extremes.argmax(e, x.reshape(8, -1)), 2**29),
    "lookup in 64 entries of 16 bits": (_looked_up, 63),
    "prefix product of 8": (_running_product, 2**20),
    "multiply in 128 bits": (_wide_product, 2**40),
    "is_negative, 128 bits": (_wide_sign, 2**40),
    "divide by public": (lambda e, x, y: division.divide_by_public(e, x, 1000), 2**20),
}


@pytest.mark.parametrize(("operation", "profile"), STATED, ids=str)
def test_the_stated_costs(operation: str, profile: str) -> None:
    if operation == "bit to integer":
        compute, bound = OPERATIONS["is_negative, 8 bits"]

        def convert(engine: Engine, x: Secret, y: Secret) -> Protocol[Any]:
            bit = yield from compute(engine, x, y)
            return (yield from engine.bit_to_arithmetic(bit))

        with_rounds, with_bytes = cost(profile, convert, bound)
        rounds, each = cost(profile, compute, bound)
        measured = (with_rounds - rounds, with_bytes - each)
    else:
        measured = cost(profile, *OPERATIONS[operation])
    assert measured == STATED[operation, profile]


def test_the_cost_of_sorting() -> None:
    """A decomposition, then seven rounds for each bit of the range."""

    def sort(engine: Engine, x: Secret, y: Secret) -> Protocol[Any]:
        return (yield from sorting.sort(engine, x.declared(Range(0, 255))))

    rounds, each = cost("replicated", sort, 255)
    assert rounds == 1 + 1 + 4 + 7 * 8
    # Bits to integers 32, a product 24, a shuffle of 8 + 2 + 8 bytes 4 times over, an opening 24.
    assert each == pytest.approx(3 * 2 + 3 * 2 + 3 * 2 * 2 * 4 + 8 * (32 + 24 + 4 * 18 + 24), abs=1)
