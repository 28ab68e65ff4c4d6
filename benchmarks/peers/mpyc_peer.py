"""The workloads in MPyC (Shamir sharing, 1 of 3, unencrypted): the peer of the same run.

usage: python mpyc_peer.py WORKLOAD SIZE RUNS -M3 (MPyC starts the other parties); one JSON line.
"""

import json
import sys
import time

import numpy as np
from mpyc.runtime import mpc

FRACTION = 16
STEPS, FEATURES = 2, 20


def _integers(size: int, bits: int, seed: int = 1):
    return np.random.default_rng(seed).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size)


def _reals(shape, seed: int = 1):
    return np.random.default_rng(seed).integers(-(2**10), 2**10, shape) / 2.0**4


def prepare(workload: str, size: int):
    """Return a function that runs the workload once on shared inputs."""
    if workload in ("W1", "W2", "W2-32", "W4", "W5", "W8"):
        bits = 32 if workload in ("W2-32", "W8") else 64
        kind = mpc.SecInt(bits)
        x = mpc.input(kind.array(_integers(size, bits // 2)), 0)
        y = mpc.input(kind.array(_integers(size, bits // 2, 2)), 1)
        own = kind.array(np.arange(size) + mpc.pid)
        return {
            "W1": lambda: x * y,
            "W2": lambda: x < y,
            "W2-32": lambda: x < y,
            "W4": lambda: x @ y,
            "W5": lambda: mpc.output(sum(mpc.input(own))),
            "W8": lambda: mpc.np_sort(x),
        }[workload]
    kind = mpc.SecFxp(64, FRACTION)
    if workload == "W6":
        random = np.random.default_rng(5)
        x = mpc.input(kind.array(random.standard_normal((size, FEATURES)).round(4)), 0)
        y = mpc.input(kind.array((random.random(size) < 0.5).astype(float)), 0)
        return lambda: _regression(kind, x, y, size)
    shape = (size, size) if workload == "W3" else (size,)
    x = mpc.input(kind.array(_reals(shape)), 0)
    y = mpc.input(kind.array(_reals(shape, 2)), 1)
    return (lambda: x @ y) if workload == "W3" else (lambda: x * y)


def _regression(kind, x, y, people: int):
    weights = kind.array(np.zeros(FEATURES))
    for _ in range(STEPS):
        scores = x @ weights
        chances = 0.5 + 0.15012 * scores - 0.001593 * (scores * scores * scores)
        weights = weights + (x.T @ (y - chances)) * (1 / people)
    return weights


async def main() -> None:
    workload, size, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    seconds = []
    async with mpc:
        run = prepare(workload, size)
        for _ in range(runs):
            await mpc.barrier()
            begun = time.perf_counter()
            result = run()
            if workload == "W5":
                await result
            else:
                await mpc.gather(result)
            seconds.append(time.perf_counter() - begun)
    if mpc.pid == 0:
        json.dump({"seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    mpc.run(main())
