"""Running sums are the ring's own, and running products never leave what they declare."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.mpc.parties import Setup, run
from workers.mpc.arithmetic import prefix
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Ring
from workers.mpc.rings.mersenne import MERSENNE61
from workers.mpc.rings.wide import Z128
from workers.mpc.rings.words import Z32, Z64, IntegersModuloPowerOfTwo

REPLICATED = Setup("replicated", 3, (0, 1, 2))
SHAMIR = Setup("shamir", 3, (0, 1, 2))
RINGS = [Z64, Z32, IntegersModuloPowerOfTwo(40), Z128, MERSENNE61]
PLACES = [*((REPLICATED, ring) for ring in RINGS), (SHAMIR, MERSENNE61)]


@pytest.mark.parametrize(("setup", "ring"), PLACES, ids=str)
@given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=20))
@settings(max_examples=10, deadline=None)
def test_sums_in_every_ring(setup: Setup, ring: Ring, values: list[int]) -> None:
    x = np.array(values)

    def program(engine: Engine) -> Protocol[Any]:
        own = x if engine.party.id == 0 else None
        [secret] = yield from engine.input_from(
            [PartyId(0)], own, x.shape, Range.symmetric(2**20), ring=ring
        )
        opened = []
        for sums in (prefix.prefix_sum(secret), prefix.suffix_sum(secret)):
            opened.append((yield from engine.open(sums)).tolist())
        return opened

    expected = [x.cumsum().tolist(), x[::-1].cumsum()[::-1].tolist()]
    assert run(program, setup.start, setup.n).results[0] == expected


def products(x: np.ndarray, declared: Range, limit: Range | None) -> tuple[np.ndarray, Range]:
    def program(engine: Engine) -> Protocol[Any]:
        own = x if engine.party.id == 0 else None
        [secret] = yield from engine.input_from([PartyId(0)], own, x.shape, declared, fraction=16)
        result = yield from prefix.prefix_product(engine, secret, products=limit)
        return (yield from engine.open(result)), result.range

    opened, held = run(program).results[0]
    return opened, held


@pytest.mark.parametrize("declared", [Range.symmetric(2**16), Range(-(2**16), -(2**15))], ids=str)
def test_products_of_negative_factors_stay_in_their_range(declared: Range) -> None:
    x = np.random.default_rng(6).integers(declared.low, declared.high, 33, endpoint=True)
    x[:4] = declared.low
    opened, held = products(x, declared, None)
    assert held.low <= opened.min()
    assert opened.max() <= held.high
    assert np.abs(opened - np.cumprod(x / 2**16) * 2**16).max() <= len(x)


def test_products_that_grow_keep_the_range_that_the_caller_declares() -> None:
    x = np.full(6, 3 << 16)
    limit = Range(0, 3**6 << 16)
    opened, held = products(x, Range(0, 3 << 16), limit)
    assert opened.max() <= held.high
    assert np.abs(opened - np.cumprod(np.full(6, 3.0)) * 2**16).max() <= 6 * 729**2


def test_products_that_could_grow_are_refused_unless_their_range_is_declared() -> None:
    with pytest.raises(LocalProtocolError, match="declare their products' range"):
        products(np.full(6, 3 << 16), Range(0, 3 << 16), None)
