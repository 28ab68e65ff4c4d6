"""Workload W5 in MPyC (Shamir sharing, 1 of 3): share, add and open vectors of integers.

usage: python mpyc_sum.py SIZE RUNS -M3 (MPyC starts the other parties); prints one JSON line.
"""

import json
import sys
import time

import numpy as np
from mpyc.runtime import mpc


async def main() -> None:
    size, runs = int(sys.argv[1]), int(sys.argv[2])
    integers = mpc.SecInt(64)
    seconds = []
    async with mpc:
        values = integers.array(np.arange(size) + mpc.pid)
        for _ in range(runs):
            await mpc.barrier()
            begun = time.perf_counter()
            total = await mpc.output(sum(mpc.input(values)))
            seconds.append(time.perf_counter() - begun)
            if int(total[1]) != len(mpc.parties) + sum(range(len(mpc.parties))):
                raise SystemExit("the sum is wrong")
    if mpc.pid == 0:
        json.dump({"seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    mpc.run(main())
