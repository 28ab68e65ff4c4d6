"""The copies of the log that sites keep: what is sent of it, with the decisions that it records.

A site gets every entry, and the signed statements of the studies that it takes part in, of all
classes and agreements. While reviews are blinded their statements stay here: the entry says that
one was signed, and the statement follows with the evidence of a run.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from accounts.models import Site
from audit import log
from audit.entry import Entry
from governance.models import Agreement, ClassApproval, Consent, StudyApproval
from governance.policies import BLINDED
from governance.record import RecordedDecision
from workers.coordinator.models import Letter, Witness
from workers.transport.control import Message

MAX_LEAVES = 500
_MAX_LEAVES_BYTES = 300 << 10
MAX_LETTERS = 32
"""So many letters of one site to another are kept; the oldest make way."""


def entries_message(site: Site, first: int, end: int) -> Message:
    """Return the message with the next entries for the copy of `site`, from index `first` on."""
    found: list[Entry] = []
    size_bytes = 0
    for entry in log.entries()[first : min(end, first + MAX_LEAVES)]:
        size_bytes += len(entry.leaf)
        if found and size_bytes > _MAX_LEAVES_BYTES:
            break
        found.append(entry)
    return {
        "type": "entries",
        "first": first,
        "leaves": [base64.b64encode(entry.leaf).decode() for entry in found],
        "statements": list(_statements(site, found)),
    }


def note_held(site: Site, size: int) -> None:
    """Note how many entries the copy of `site` has."""
    Witness.objects.get_or_create(site=site)
    Witness.objects.filter(site=site).update(entries=min(size, log.size()))


def carry(sender: Site, recipient: Site, ciphertext: bytes) -> None:
    """Keep a letter for the agent of `recipient`; of too many the oldest make way."""
    Letter.objects.create(sender=sender, recipient=recipient, ciphertext=ciphertext)
    kept = Letter.objects.filter(sender=sender, recipient=recipient).order_by("-pk")
    Letter.objects.filter(pk__in=kept.values_list("pk", flat=True)[MAX_LETTERS:]).delete()


def _statements(site: Site, entries: list[Entry]) -> Iterator[dict[str, Any]]:
    decisions = map(RecordedDecision.of, entries)
    digests = [decision.statement for decision in decisions if decision is not None]
    ours = StudyApproval.objects.filter(version__sites=site).exclude(
        version__study__state__in=BLINDED
    )
    kinds: tuple[QuerySet[Any], ...] = (
        ClassApproval.objects.all(),
        ours,
        Agreement.objects.all(),
        Consent.objects.filter(version__sites=site),
    )
    for rows in kinds:
        yield from rows.filter(digest__in=digests).values_list("envelope", flat=True)
