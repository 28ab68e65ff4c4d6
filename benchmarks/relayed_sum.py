"""W5 as a run does it: party processes, real websockets, every frame sealed, one relay."""

import json
import secrets
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.relayed import PARTIES

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_listening(port: int, patience_seconds: float = 20) -> None:
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"The relay did not listen on port {port}.")


def quorate_secure_sum(size: int, runs: int) -> dict[str, Any]:
    """Return W5 in profile `additive`: separate processes, every frame encrypted, one relay."""
    port = _free_port()
    relay = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "benchmarks.relayed:application"),
            *("--host", "127.0.0.1", "--port", str(port), "--lifespan", "off"),
            *("--ws", "websockets-sansio", "--loop", "uvloop", "--log-level", "error"),
            *("--ws-per-message-deflate", "false", "--ws-max-size", "1114112"),
        ],
        cwd=ROOT,
    )
    try:
        _wait_until_listening(port)
        sessions = [secrets.token_hex(16) for _ in range(runs)]
        parties = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "benchmarks.relayed_party"),
                    *(str(port), str(number), str(size), *sessions),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(PARTIES)
        ]
        printed = [party.communicate(timeout=600)[0] for party in parties]
        if any(party.returncode for party in parties):
            raise SystemExit("A party of the benchmark failed; its error is above.")
    finally:
        relay.terminate()
        relay.wait()
    measured = [json.loads(line) for line in printed]
    # A run lasts until its last party has the result.
    slowest = [max(times) for times in zip(*(one["seconds"] for one in measured), strict=True)]
    return {
        "workload": "W5-relay",
        "size": size,
        "implementation": "quorate",
        "profile": "additive, through the relay",
        "median_seconds": statistics.median(slowest),
        "runs": slowest,
        "bytes_sent_per_party": measured[0]["bytes_sent"],
        "rounds": measured[0]["rounds"],
        "peak_resident_bytes": max(one["peak"] for one in measured),
    }
