"""Values planted in the sites' data, and the search for them wherever the portal keeps anything.

What is looked for is what a leak would look like: a patient's row as text or as the floats that a
worker reads it into; a stretch of a site's exact histogram, or of the pooled one, as the
computation holds it (64-bit little-endian words) or as JSON or text would show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from demo.people import SITES
from workers.analyses import registry
from workers.analyses.site_data import SiteData

PERSON = "planted-person-9c1e4b"
"""Every planted person's identifier begins with this."""
FRACTION = "7183946"
"""Every planted time ends with this."""

BINS, BIN_WIDTH = 12, 90
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class Needle:
    """Bytes that must not be found, and what their being found would mean."""

    meaning: str
    content: bytes = field(repr=False)


def rows(site: int) -> str:
    """Return the file of one site, with another number of persons in each cell of its histogram."""
    lines = ["pid,time,event,sex"]
    for cell in range(4 * BINS):
        arm, event, position = cell // (2 * BINS), cell // BINS % 2 == 0, cell % BINS
        for number in range(20 + (cell * 7 + site * 11) % 23):
            person = f"{PERSON}-{site}-{cell}-{number}"
            lines.append(f"{person},{_time(position)},{int(event)},{arm + 1}")
    return "\n".join(lines) + "\n"


def needles(parameters: Mapping[str, Any], tables: Sequence[SiteData]) -> list[Needle]:
    """Return what to look for, given the sites' tables as their workers read them."""
    everybody: Mapping[str, Any] = {"include": [], "exclude": []}
    local_step = registry.get("kaplan-meier/1").local_step
    vectors = [local_step(table, everybody, parameters) for table in tables]
    return [
        Needle("a patient's identifier", PERSON.encode()),
        Needle("a patient's time, as text", FRACTION.encode()),
        *(
            Needle("a patient's time, as read", np.float64(_time(position)).tobytes())
            for position in (0, BINS - 1)
        ),
        *_stretches("the exact pooled histogram", np.sum(vectors, axis=0)),
        *(
            needle
            for site, vector in zip(SITES, vectors, strict=True)
            for needle in _stretches(f"the exact histogram of {site}", vector)
        ),
    ]


def share_needles(site: str, share: bytes) -> list[Needle]:
    """Return what to look for so as to find a site's output share, whole or in part."""
    words = np.frombuffer(share, dtype="<u8")
    text = ",".join(str(int(word)) for word in words[:3]).encode()
    return [
        Needle(f"the output share of {site}", share[:32]),
        Needle(f"the output share of {site}, its end", share[-32:]),
        Needle(f"the output share of {site}, in hex", share[:16].hex().encode()),
        Needle(f"the output share of {site}, as text", text),
    ]


def _stretches(meaning: str, vector: Any) -> Iterator[Needle]:
    for start in range(0, len(vector), BINS):
        cells = vector[start : start + BINS]
        # Without the last word's zero bytes, which memory is full of, the search is far faster.
        yield Needle(f"{meaning}, in words", cells.astype("<i8").tobytes().rstrip(b"\0"))
        for separator in (",", ", "):
            yield Needle(f"{meaning}, as text", separator.join(map(str, cells)).encode())


def _time(position: int) -> str:
    """Return a time within a bin that no other number looks like."""
    return f"{position * BIN_WIDTH + 37}.{FRACTION}"


def hits_in_files(folders: list[Path], looked_for: list[Needle]) -> list[str]:
    """Return where in the files below `folders` something is found, and what."""
    return [
        f"{path}: {meaning}"
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for meaning in _found(path.read_bytes(), looked_for)
    ]


def hits_in_memory(process: int, looked_for: list[Needle]) -> list[str]:
    """Return what is found in the memory that a process can write to.

    *Raises* PermissionError when this user may not read it.
    """
    overlap = max(len(needle.content) for needle in looked_for)
    found: dict[str, None] = {}
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for start, end in _writable(process):
            for at in range(start, end, _CHUNK_BYTES):
                content = _read(memory, at, min(end, at + _CHUNK_BYTES + overlap) - at)
                found |= dict.fromkeys(_found(content, looked_for))
    return list(found)


def _found(content: bytes, looked_for: list[Needle]) -> list[str]:
    return [needle.meaning for needle in looked_for if needle.content in content]


def _writable(process: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        area = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
        if area:
            yield int(area[1], 16), int(area[2], 16)


def _read(memory: Any, start: int, size: int) -> bytes:
    """Return the memory from `start`; nothing where the kernel has since taken it back."""
    try:
        memory.seek(start)
        return bytes(memory.read(size))
    except (OSError, ValueError, OverflowError):
        return b""
