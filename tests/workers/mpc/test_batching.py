"""Long vectors in chunks: the same results, in bounded memory."""

from typing import Any

import numpy as np
import pytest

from benchmarks import processes
from benchmarks.workloads import BY_NAME
from tests.workers.mpc.parties import run
from workers.mpc.batching import in_chunks
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret


@pytest.mark.parametrize("chunk", [1, 7, 20, 100])
def test_chunks_join_to_the_whole(chunk: int) -> None:
    values = np.arange(20)

    def program(engine: Any) -> Protocol[Any]:
        def squares(part: slice) -> Protocol[Secret]:
            own = values[part] if engine.index == 0 else None
            shape = values[part].shape
            [x] = yield from engine.input_from([PartyId(0)], own, shape, Range(0, 19))
            return (yield from engine.square(x))

        squared = yield from in_chunks(squares, 20, chunk)
        assert squared.range == Range(0, 361)

        def opened(part: slice) -> Protocol[Any]:
            return (yield from engine.open(squared[part]))

        return (yield from in_chunks(opened, 20, chunk)).tolist()

    session = run(program)
    assert session.results == [(values**2).tolist()] * 3
    assert session.rounds == 3 * -(-20 // chunk)


def test_no_chunk_and_a_short_result_are_refused() -> None:
    def program(length: int, result: int) -> Any:
        def at_party(engine: Any) -> Protocol[Any]:
            def work(part: slice) -> Protocol[Any]:
                return np.zeros(result)
                yield

            return (yield from in_chunks(work, length, 4))

        return at_party

    with pytest.raises(LocalProtocolError, match="one element or more"):
        run(program(0, 4))
    with pytest.raises(LocalProtocolError, match="another length"):
        run(program(8, 3))


@pytest.mark.processes
@pytest.mark.parametrize(("name", "input_bytes"), [("W5", 8 * 10**7), ("W1", 4 * 8 * 10**7)])
def test_ten_million_elements_take_six_times_their_bytes_at_most(
    name: str, input_bytes: int
) -> None:
    """Three processes over sealed channels; the result is compared with plaintext there."""
    row = processes.ours(BY_NAME[name], 10**7, 1)
    assert row["peak_resident_bytes"] <= 6 * input_bytes
