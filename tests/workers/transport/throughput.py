"""Measure the relay: ``python -m tests.workers.transport.throughput [frames] [parties]``.

One relay process and one process per party on this machine; every party sends 1 MiB frames to
the next one in a ring, all at once, end-to-end encrypted, in messages of 8 chunks. Prints the
payload that all parties together received per second, and the time of a round of 1 KiB messages
from all to all.
"""

import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.workers.transport.parties import Attempt
from tests.workers.transport.servers import RelayProcess
from workers.mpc.protocol import PartyId, Round
from workers.transport.frames import MAX_CHUNK_BYTES

CHUNKS = 8


def measure(attempt: Attempt, url: str, own: int, frames: int, report: Any) -> None:
    """One party's part; reports (seconds of the ring, seconds of one small round)."""
    others = [PartyId(party) for party in range(attempt.parties) if party != own]
    after = PartyId((own + 1) % attempt.parties)
    before = PartyId((own - 1) % attempt.parties)
    small = Round(send=dict.fromkeys(others, bytes(1024)), expect=dict.fromkeys(others, 1024))
    message = bytes(CHUNKS * MAX_CHUNK_BYTES)
    big = Round(send={after: message}, expect={before: len(message)})
    with attempt.channel(own, url) as channel:
        channel.exchange(small)
        began = time.perf_counter()
        for _ in range(frames // CHUNKS):
            channel.exchange(big)
        ring = time.perf_counter() - began
        channel.exchange(small)
        began = time.perf_counter()
        for _ in range(300):
            channel.exchange(small)
        report.put((ring, (time.perf_counter() - began) / 300))


def main() -> None:
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    parties = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    attempt = Attempt(parties)
    context = multiprocessing.get_context("fork")
    with (
        tempfile.TemporaryDirectory() as folder,
        RelayProcess(attempt, Path(folder)) as relay,
    ):
        relay.start(tap=False)
        report = context.Queue()
        processes = [
            context.Process(target=measure, args=(attempt, relay.url, own, frames, report))
            for own in range(parties)
        ]
        for process in processes:
            process.start()
        times = [report.get() for _ in processes]
        for process in processes:
            process.join()
    payload = parties * (frames // CHUNKS) * CHUNKS * MAX_CHUNK_BYTES
    ring = max(seconds for seconds, _ in times)
    result = {
        "parties": parties,
        "frames_per_party": frames // CHUNKS * CHUNKS,
        "payload_megabytes_per_second": round(payload / ring / 1e6, 1),
        "round_of_1_KiB_milliseconds": round(1000 * max(small for _, small in times), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
