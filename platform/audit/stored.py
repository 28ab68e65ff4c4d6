"""The stored log as a whole: verify it row by row, or write it to a bundle for auditors."""

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from django.db import connection

from audit import append_only, bundle, models
from audit.findings import Difference, Report
from audit.verification import StoredCheckpoint, StoredEntry, Trust, verify

_COLUMNS = ("leaf_hash", "event", "actor", "subject", "study", "created_at")


def verify_all(trust: Trust) -> Report:
    """Return what is found on checking every entry, checkpoint, cosignature and trigger.

    *Cost*: reads and hashes every entry.
    """
    # Read before the entries: what is appended meanwhile then makes no difference.
    checkpoints = list(_checkpoints())
    report = verify(_entries(None), checkpoints, trust)
    return replace(report, differences=(*report.differences, *_protection()))


def export(file: BinaryIO) -> None:
    """Write the log as it stands to `file`, as a bundle that `python -m audit.verify` reads."""
    checkpoints = list(_checkpoints())
    size = models.Entry.objects.count()
    bundle.write(file, size=size, entries=_entries(size), checkpoints=checkpoints)


def _entries(size: int | None) -> Iterator[StoredEntry]:
    rows = models.Entry.objects.order_by("index")
    for row in rows.filter(index__lt=size).iterator() if size is not None else rows.iterator():
        columns = {name: getattr(row, name) for name in _COLUMNS}
        yield StoredEntry(row.index, bytes(row.leaf), row.chain_hash, columns)


def _checkpoints() -> Iterator[StoredCheckpoint]:
    for row in models.Checkpoint.objects.prefetch_related("cosignatures").order_by("size"):
        lines = tuple(cosignature.line for cosignature in row.cosignatures.all())
        yield StoredCheckpoint(row.note, lines, row.size, row.root)


def _protection() -> Iterator[Difference]:
    for name in append_only.missing(connection):
        yield Difference("database", f"the trigger {name} is missing or switched off")
