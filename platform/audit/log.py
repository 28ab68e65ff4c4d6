"""The audit log: the only door to it.

`append` is called inside the transaction that changes the business row, so that the change and
its entry stand or fall together. Appends are serialised by the database, which makes the indices
dense and the chain unbroken whatever the number of processes. All reads return frozen values,
never rows.

Checkpoints, proofs and cosignatures are made in `audit.publication` and reached from here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, overload

from django.db import connection
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from audit import events, models
from audit.entry import GENESIS, Entry, make
from audit.publication import (
    LogInconsistentError,
    PublishedCheckpoint,
    add_cosignature,
    checkpoint_at,
    consistency,
    cosigned,
    inclusion,
    latest_checkpoint,
    publish_checkpoint,
    receipt,
)
from audit.serial import serialise

__all__ = [
    "EntryList",
    "LogInconsistentError",
    "PublishedCheckpoint",
    "add_cosignature",
    "append",
    "checkpoint_at",
    "consistency",
    "cosigned",
    "entries",
    "entry",
    "inclusion",
    "latest_checkpoint",
    "publish_checkpoint",
    "receipt",
    "size",
]


def append(
    event: str,
    *,
    actor: str,
    subject: str,
    study: str = "",
    data: Mapping[str, Any],
    at: datetime | None = None,
) -> Entry:
    """Append the entry that records `event` and return it.

    `actor` did it, `subject` is what it was done to, `study` the study it belongs to, if any:
    all opaque identifiers. `data` holds what `audit.events` says the event must record.

    *Cost*: one read and one insert; other appends wait until the caller's transaction ends, so
    append late in it.
    *Raises* events.EventError, TransactionManagementError outside a transaction.
    """
    events.check(event, actor=actor, subject=subject, study=study, data=data)
    if not connection.in_atomic_block:
        raise TransactionManagementError(
            "expected audit.log.append inside transaction.atomic(), together with the change that "
            "it records"
        )
    serialise()
    last = models.Entry.objects.order_by("-index").values_list("index", "chain_hash").first()
    index, previous = (last[0] + 1, bytes.fromhex(last[1])) if last else (0, GENESIS)
    new = make(
        index=index,
        previous=previous,
        event=event,
        actor=actor,
        subject=subject,
        study=study,
        data=data,
        at=at or timezone.now(),
    )
    models.Entry(
        index=new.index,
        leaf=new.leaf,
        leaf_hash=new.leaf_hash.hex(),
        chain_hash=new.chain_hash.hex(),
        event=event,
        actor=actor,
        subject=subject,
        study=study,
        created_at=new.created_at,
    ).save()
    return new


def size() -> int:
    """Return the number of entries."""
    last = models.Entry.objects.order_by("-index").values_list("index", flat=True).first()
    return 0 if last is None else last + 1


def entry(index: int) -> Entry:
    """Return the entry at `index`.

    *Raises* LookupError when the log is not that long.
    """
    leaf = models.Entry.objects.filter(index=index).values_list("leaf", flat=True).first()
    if leaf is None:
        raise LookupError(f"expected an entry below the size {size()}, got index {index}")
    return Entry.parse(bytes(leaf))


class EntryList(Sequence[Entry]):
    """Entries that a filter lets through; each slice is one query, so it fits a paginator."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return int(self._rows.count())

    @overload
    def __getitem__(self, key: int) -> Entry: ...
    @overload
    def __getitem__(self, key: slice) -> list[Entry]: ...
    def __getitem__(self, key: int | slice) -> Entry | list[Entry]:
        leaves = self._rows.values_list("leaf", flat=True)
        if isinstance(key, slice):
            return [Entry.parse(bytes(leaf)) for leaf in leaves[key]]
        return Entry.parse(bytes(leaves[key]))


def entries(
    *,
    event: str = "",
    actor: str = "",
    subject: str = "",
    study: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    newest_first: bool = False,
) -> EntryList:
    """Return the entries that match every given filter, to be sliced or paged.

    `event` may be a whole family: ``"study."`` matches every event of studies. `since` is
    included, `until` is not.
    """
    rows = models.Entry.objects.order_by("-index" if newest_first else "index")
    exact = {"actor": actor, "subject": subject, "study": study}
    rows = rows.filter(**{column: value for column, value in exact.items() if value})
    if event:
        rows = rows.filter(**{"event__startswith" if event.endswith(".") else "event": event})
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    return EntryList(rows)
