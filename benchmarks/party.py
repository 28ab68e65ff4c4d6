"""One party's process in workload W5: share, add and open vectors of 10^6 integers.

usage: python -m benchmarks.party PORT PARTY SIZE SESSION [SESSION ...]; prints one JSON line.
"""

import json
import resource
import sys
import time

import numpy as np

from benchmarks import session
from workers.mpc.additive import secure_sum
from workers.mpc.opening import open_to_all
from workers.mpc.protocol import Party, Protocol
from workers.mpc.randomness import Randomness
from workers.mpc.ring import Range, RingVector
from workers.transport.channel import run


def sum_and_open(party: Party, size: int) -> Protocol[RingVector]:
    """Return the sum of all parties' vectors, at every party."""
    values = np.arange(size, dtype=np.int64) + party.id
    share = yield from secure_sum(party, values, input_range=Range(0, 2**32))
    return (yield from open_to_all(party, share))


def main() -> None:
    port, number, size = (int(word) for word in sys.argv[1:4])
    seconds = []
    for identifier in sys.argv[4:]:
        with session.channel(port, identifier, number) as channel:
            party = Party(number, session.PARTIES, Randomness.fresh())
            # A first tiny round: connecting and key agreement are not what is measured.
            run(sum_and_open(party, 1), channel)
            begun = time.perf_counter()
            total = run(sum_and_open(party, size), channel)
            seconds.append(time.perf_counter() - begun)
        expected = session.PARTIES * np.arange(size, dtype=np.uint64) + np.uint64(
            sum(range(session.PARTIES))
        )
        if not np.array_equal(total, expected):
            raise SystemExit("the sum is wrong")
    sent = 2 * 8 * size * (session.PARTIES - 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    json.dump({"seconds": seconds, "bytes_sent": sent, "rounds": 2, "peak": peak}, sys.stdout)


if __name__ == "__main__":
    main()
