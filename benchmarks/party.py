"""One party's process: load a workload's inputs, run it, check it, print one JSON line.

usage: python -m benchmarks.party WORKLOAD SIZE RUNS PARTY LISTENER PORT [PORT ...]
"""

import json
import socket
import sys
import time
from pathlib import Path

from benchmarks import loopback
from benchmarks.workloads import BY_NAME
from workers.mpc.protocol import Party, PartyId
from workers.mpc.randomness import Randomness
from workers.transport.channel import run


def peak_resident_bytes() -> int:
    """Return this process's peak; getrusage would include its parent's, from before exec."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def main() -> None:
    workload = BY_NAME[sys.argv[1]]
    size, runs, number, listener = (int(word) for word in sys.argv[2:6])
    ports = [int(word) for word in sys.argv[6:]]
    channel = loopback.connect(number, socket.socket(fileno=listener), ports)
    party = Party(PartyId(number), len(ports), Randomness.fresh())
    engine = run(workload.start(party), channel)
    inputs = run(workload.load(engine, size), channel)
    seconds = []
    for _ in range(runs + 1):
        channel.barrier()
        rounds, sent = channel.rounds, channel.bytes_sent
        begun = time.perf_counter()
        result = run(workload.online(engine, inputs), channel)
        seconds.append(time.perf_counter() - begun)
        rounds, sent = channel.rounds - rounds, channel.bytes_sent - sent
        if not run(workload.check(engine, inputs, result, size), channel):
            raise SystemExit(f"{workload.name}: the result is wrong")
        del result
    # The first run warms up: page faults and caches are not what is compared.
    report = {
        "seconds": seconds[1:],
        "rounds": rounds,
        "bytes_sent": sent,
        "peak": peak_resident_bytes(),
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
