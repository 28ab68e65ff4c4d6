"""Measure the workloads beside MPyC in the same run; write results.json and docs/performance.md.

Only the ratio within one run is a result: machines differ and drift.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import limits, processes, relayed_sum
from benchmarks.report import document
from benchmarks.workloads import WORKLOADS

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent

PEER_SIZES = {
    "W1": (10**6, "one"),
    "W1f": (10**5, "elements"),
    "W2": (10**4, "elements"),
    "W2-32": (10**4, "elements"),
    "W3": (128, "the cube of the side"),
    "W4": (10**6, "one"),
    "W5": (10**6, "one"),
    "W6": (10**4, "steps: 2 of 10"),
    "W8": (10**3, "n log2(n)^2"),
}
"""How large the peer runs by default, and by what its time is scaled: at full size the slow ones
take from one to four minutes each."""


def _factor(name: str, ours: int, theirs: int) -> float:
    if name == "W3":
        return float((ours / theirs) ** 3)
    if name == "W6":
        return 5.0 * ours / theirs
    if name == "W8":
        return ours * math.log2(ours) ** 2 / (theirs * math.log2(theirs) ** 2)
    return ours / theirs


def _limit(row: dict[str, Any], measured: dict[str, float]) -> float | None:
    """Return the seconds that bytes and products take at the least; None where neither counts."""
    cores = 2
    sent = row["bytes_sent_per_party"] * 3 / 1e9
    moving = sent / measured["AES-256-GCM seal and open, GB/s"]
    moving += sent / measured["loopback TCP with two threads, GB/s"]
    million = measured["uint64 products of 10^6 in cache, ms"] / 1e3
    products = {"W1": 2, "W1f": 2, "W4": 2}.get(row["workload"], 0) * row["size"] / 1e6
    computing = 3 * products * million
    if row["workload"] == "W3":
        computing = 3 * 2 * 6 * measured["float64 matrix product 512 x 512 x 512, ms"] / 1e3
    least = max(moving, computing) / cores
    return least if row["workload"] != "W7" and least > 1e-4 else None


def _environment() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 1e9),
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "mpyc": importlib.metadata.version("mpyc"),
        "commit": commit.stdout.strip() or "unknown",
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help="workloads, separated by commas; writes nothing")
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the median counts")
    parser.add_argument("--full-peers", action="store_true", help="run MPyC at full size (15 min)")
    options = parser.parse_args()
    chosen = set((options.only or "").split(",")) - {""}
    unknown = chosen - {workload.name for workload in WORKLOADS}
    if unknown:
        parser.error(f"there is no workload {', '.join(sorted(unknown))}")
    os.environ.update(processes.ONE_THREAD)
    measured = limits.measure()
    rows: list[dict[str, Any]] = []
    for workload in WORKLOADS:
        if chosen and workload.name not in chosen:
            continue
        row = processes.ours(workload, workload.size, options.runs)
        row["limit_seconds"] = _limit(row, measured)
        rows.append(row)
        sys.stderr.write(f"{workload.name}: {row['median_seconds']:.4f} s\n")
        if workload.name in PEER_SIZES:
            size, law = PEER_SIZES[workload.name]
            if options.full_peers:
                size, law = workload.size, PEER_SIZES[workload.name][1]
            peer = processes.mpyc(workload.name, size, 1 if size < workload.size else 3)
            factor = _factor(workload.name, workload.size, size)
            peer |= {"scaled_by": law, "scaled_seconds": peer["median_seconds"] * factor}
            rows.append(peer)
            sys.stderr.write(f"  mpyc: {peer['scaled_seconds']:.3f} s\n")
    if not chosen:
        rows.append(relayed_sum.quorate_secure_sum(10**6, options.runs))
    results = {
        "environment": _environment(),
        "runs": options.runs,
        "limits": measured,
        "workloads": {
            workload.name: {"what": workload.what, "goal_seconds": workload.goal_seconds}
            for workload in WORKLOADS
        },
        "results": rows,
    }
    if not chosen:
        (FOLDER / "results.json").write_text(json.dumps(results, indent=2) + "\n")
        (ROOT / "docs" / "performance.md").write_text(document(results))
    sys.stdout.write(document(results))


if __name__ == "__main__":
    main()
