"""Public tables at secret places, up to the widest that the ring holds."""

from typing import Any

import numpy as np
import pytest

from tests.workers.mpc.parties import Session, run
from workers.mpc.arithmetic import lookup
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range


def looked_up(table: list[int], index: np.ndarray, *, by_row: bool = False) -> Session:
    def program(engine: Engine) -> Protocol[Any]:
        own = index if engine.party.id == 0 else None
        declared = Range(0, max(0, len(table) - 1))
        [x] = yield from engine.input_from([PartyId(0)], own, index.shape, declared)
        if not by_row:
            return (yield from engine.open((yield from lookup.lookup(engine, table, x)))).tolist()
        rows = yield from lookup.one_hot(engine, x, len(table))
        chosen = yield from lookup.select_from_table(engine, table, rows)
        with pytest.raises(LocalProtocolError, match="do not select"):
            yield from lookup.select_from_table(engine, [*table, 0], rows)
        return (yield from engine.open(chosen)).tolist()

    return run(program)


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("table", [[7], [5, 5], [-3, 2**40, 9], [-(2**62), 2**62 - 1, 0]])
def test_every_entry_of_a_table(table: list[int], by_row: bool) -> None:
    index = np.arange(2 * len(table)).reshape(2, -1) % len(table)
    assert looked_up(table, index, by_row=by_row).results[0] == np.array(table)[index].tolist()


@pytest.mark.parametrize("table", [[-(2**63), 2**63 - 1], [0, 2**63], [0, -(2**63) - 1]])
def test_a_table_wider_than_the_ring_is_refused(table: list[int]) -> None:
    with pytest.raises(LocalProtocolError, match="wrap in Z/2"):
        looked_up(table, np.array([0, 1]))


def test_an_empty_table_has_no_index() -> None:
    with pytest.raises(LocalProtocolError, match="may leave a table of 0"):
        looked_up([], np.array([0]))
