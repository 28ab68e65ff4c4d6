"""One party's process in workload W5: share, add and open vectors of 10^6 integers.

usage: python -m benchmarks.relayed_party PORT PARTY SIZE SESSION [SESSION ...]; one JSON line.
"""

import json
import sys
import time

import numpy as np

from benchmarks import relayed as session
from benchmarks.party import peak_resident_bytes
from workers.mpc.engine import Engine
from workers.mpc.profiles import additive
from workers.mpc.protocol import Party, Protocol
from workers.mpc.randomness import Randomness
from workers.mpc.ranges import Range
from workers.transport.channel import run


def sum_and_open(engine: Engine, size: int) -> Protocol[np.ndarray]:
    """Return the sum of all parties' vectors, at every party."""
    values = np.arange(size, dtype=np.int64) + engine.party.id
    inputs = yield from engine.input_from(engine.compute, values, (size,), Range(0, 2**32))
    total = inputs[0]
    for other in inputs[1:]:
        total = total + other
    return (yield from engine.open(total))


def main() -> None:
    port, number, size = (int(word) for word in sys.argv[1:4])
    seconds = []
    for identifier in sys.argv[4:]:
        with session.channel(port, identifier, number) as channel:
            party = Party(number, session.PARTIES, Randomness.fresh())
            # A first tiny round: connecting and key agreement are not what is measured.
            engine = run(additive.start(party), channel)
            run(sum_and_open(engine, 1), channel)
            begun = time.perf_counter()
            total = run(sum_and_open(engine, size), channel)
            seconds.append(time.perf_counter() - begun)
        expected = session.PARTIES * np.arange(size, dtype=np.int64) + sum(range(session.PARTIES))
        if not np.array_equal(total, expected):
            raise SystemExit("the sum is wrong")
    sent = 8 * size * (session.PARTIES - 1)
    peak = peak_resident_bytes()
    json.dump({"seconds": seconds, "bytes_sent": sent, "rounds": 1, "peak": peak}, sys.stdout)


if __name__ == "__main__":
    main()
