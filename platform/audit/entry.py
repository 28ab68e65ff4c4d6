"""One entry of the audit log, and the exact bytes that are hashed for it.

An entry's leaf is canonical JSON with exactly these keys, here for the second entry of a log:

    {"actor":"m-4f2a","at":"2026-10-01T09:30:00.000000Z","data":{"study_digest":"9c1e..."},
     "event":"study.created","index":1,"previous":"6ad1...","study":"st-7f3a90c1",
     "subject":"study:st-7f3a90c1","version":1}

`previous` is the chain hash of the entry before it (64 zeros for entry 0), and

    chain hash = SHA-256(previous chain hash || leaf)

so every entry carries the hash of its predecessor and can be followed by eye. The Merkle tree of
the checkpoints is built over the same leaves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from audit import canonical, merkle

GENESIS = bytes(32)
"""What stands for the chain hash before entry 0."""

MAX_LEAF_SIZE_BYTES = 65_535
"""C2SP tile bundles prefix an entry with its length in two bytes."""

_VERSION = 1
_KEYS = {"actor", "at", "data", "event", "index", "previous", "study", "subject", "version"}
_TEXTS = ("actor", "event", "study", "subject")


class EntryError(ValueError):
    """Bytes are not the leaf of an entry, or an entry cannot be written as one."""


@dataclass(frozen=True)
class Entry:
    """What happened, as logged. `leaf` is authoritative; the other fields are read from it."""

    index: int
    event: str
    actor: str
    subject: str
    study: str
    data: Mapping[str, Any] = field(hash=False)
    created_at: datetime
    previous: bytes
    leaf: bytes

    @classmethod
    def parse(cls, leaf: bytes) -> Entry:
        """Return the entry whose leaf is `leaf`.

        *Raises* EntryError unless the bytes are canonical and every field has its form.
        """
        try:
            value = canonical.loads(leaf)
        except canonical.CanonicalError as error:
            raise EntryError(f"expected canonical JSON in an entry: {error}") from None
        if not isinstance(value, dict) or value.keys() != _KEYS or value["version"] != _VERSION:
            raise EntryError(f"expected an entry of version {_VERSION} with its nine keys")
        _check_fields(value)
        return cls(
            index=value["index"],
            created_at=_read_time(value["at"]),
            previous=bytes.fromhex(value["previous"]),
            data=value["data"],
            leaf=leaf,
            **{key: value[key] for key in _TEXTS},
        )

    @property
    def leaf_hash(self) -> bytes:
        """The entry's leaf hash in the Merkle tree."""
        return merkle.leaf_hash(self.leaf)

    @property
    def chain_hash(self) -> bytes:
        """SHA-256 of the previous chain hash and this leaf: what the next entry carries."""
        return hashlib.sha256(self.previous + self.leaf).digest()


def make(
    *,
    index: int,
    previous: bytes,
    event: str,
    actor: str,
    subject: str,
    study: str,
    data: Mapping[str, Any],
    at: datetime,
) -> Entry:
    """Return the entry that records `event`, to stand at `index` after `previous`.

    *Raises* EntryError when `at` has no time zone or the leaf would exceed 65,535 bytes;
    canonical.CanonicalError when `data` is not canonical JSON.
    """
    if at.tzinfo is None:
        raise EntryError("expected a time with its zone, got one without")
    leaf = canonical.dumps(
        {
            "actor": actor,
            "at": _write_time(at),
            "data": dict(data),
            "event": event,
            "index": index,
            "previous": previous.hex(),
            "study": study,
            "subject": subject,
            "version": _VERSION,
        }
    )
    if len(leaf) > MAX_LEAF_SIZE_BYTES:
        raise EntryError(
            f"expected an entry of at most {MAX_LEAF_SIZE_BYTES} bytes, got {len(leaf)}; "
            "log the digest of what is large"
        )
    return Entry.parse(leaf)


def _check_fields(value: dict[str, Any]) -> None:
    index = value["index"]
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise EntryError("expected an index from 0 upwards in an entry")
    if not all(isinstance(value[key], str) for key in (*_TEXTS, "at", "previous")):
        raise EntryError("expected text for who did what to whom, when, and after what")
    if not re.fullmatch(r"[0-9a-f]{64}", value["previous"]):
        raise EntryError("expected the previous chain hash as 64 lower-case hex digits")
    if not isinstance(value["data"], dict):
        raise EntryError("expected an object as the data of an entry")


def _write_time(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _read_time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        # fromisoformat reads many spellings of a time, in any zone; one of them is right.
        if _write_time(at) == text:
            return at
    except (ValueError, OverflowError):
        pass
    raise EntryError("expected a time like 2026-10-01T09:30:00.000000Z")
