"""Start party processes, ours and the peer's, and read what they measured."""

import json
import os
import socket
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.workloads import Workload

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
PATIENCE_SECONDS = 1800


def ours(workload: Workload, size: int, runs: int) -> dict[str, Any]:
    """Return a workload's row: a run lasts until its slowest party is done."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(workload.parties)]
    ports = [str(listener.getsockname()[1]) for listener in listeners]
    parties = []
    for number, listener in enumerate(listeners):
        arguments = (workload.name, size, runs, number, listener.fileno(), *ports)
        parties.append(
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.party", *map(str, arguments)],
                cwd=ROOT,
                env={**os.environ, **ONE_THREAD},
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=[listener.fileno()],
            )
        )
    for listener in listeners:
        listener.close()
    printed = [party.communicate(timeout=PATIENCE_SECONDS)[0] for party in parties]
    if any(party.returncode for party in parties):
        raise SystemExit(f"A party of {workload.name} failed; its error is above.")
    measured = [json.loads(line) for line in printed]
    slowest = [max(times) for times in zip(*(one["seconds"] for one in measured), strict=True)]
    return {
        "workload": workload.name,
        "implementation": "quorate",
        "profile": workload.profile,
        "size": size,
        "median_seconds": statistics.median(slowest),
        "runs": slowest,
        "bytes_sent_per_party": max(one["bytes_sent"] for one in measured),
        "rounds": max(one["rounds"] for one in measured),
        "peak_resident_bytes": max(one["peak"] for one in measured),
    }


def mpyc(workload: str, size: int, runs: int) -> dict[str, Any]:
    """Return the peer's row, on the same machine, right after ours: plain TCP, not encrypted."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    script = str(FOLDER / "peers" / "mpyc_peer.py")
    done = subprocess.run(
        [sys.executable, script, workload, str(size), str(runs), "-M3", "--no-log", "-B", port],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": ""},
    )
    seconds = json.loads(done.stdout.strip().splitlines()[-1])["seconds"]
    return {
        "workload": workload,
        "implementation": "mpyc",
        "profile": "Shamir 1 of 3, semi-honest, unencrypted",
        "size": size,
        "median_seconds": statistics.median(seconds),
        "runs": seconds,
    }
