"""Checkpoints of the log: published when something waits for them, settled when cosigned.

Two things wait for a quorum of cosignatures: an opening permit, before any site is asked for its
output share, and a release decision, before the investigator sees anything. A run that is
requested has a checkpoint published too, so that each site's copy of the log comes up to it.
"""

import logging

from django.conf import settings
from django.db import transaction

from accounts.models import Site
from audit import log
from audit.checkpoint import Checkpoint
from audit.signed_note import NoteError, SignedNote
from governance import dispatch
from governance.models import Release, Run
from governance.queries import current_roster
from governance.release import make_visible
from workers.coordinator import keys
from workers.coordinator.models import Attempt, Witness

logger = logging.getLogger(__name__)


def publish_if_awaited() -> bool:
    """Publish a checkpoint if an entry that something waits for has none; tell if anything waits.

    *Cost*: publishing reads the whole log, so it happens only on demand.
    """
    awaited = _awaited()
    if not awaited:
        return False
    latest = log.latest_checkpoint()
    if latest is None or latest.size <= max(awaited):
        publish()
    else:
        settle(latest.size)
    return True


def publish() -> log.PublishedCheckpoint:
    """Return a checkpoint over every entry there is, and have the sites asked to cosign it."""
    published = log.publish_checkpoint(key=keys.log_key(), origin=settings.LOG_ORIGIN)
    dispatch.hint(dispatch.AGENTS)
    return published


@transaction.atomic
def add_cosignature(site: Site, *, size: int, line: str) -> None:
    """Store the cosignature of `site` over the checkpoint of `size`, and settle what it settles.

    *Raises* NoteError when it is not that site's valid cosignature; LookupError when there is no
    such checkpoint.
    """
    witness = next((key for key in current_roster().witnesses() if key.name == site.slug), None)
    if witness is None:
        raise NoteError(f"{site.slug} is not in the roster, so it is no witness of this log")
    log.add_cosignature(size, line.rstrip("\n"), witnesses=[witness])
    note = SignedNote.parse(log.checkpoint_at(size).note)
    root = Checkpoint.parse(note.text).root.hex()
    # A late cosignature of an older checkpoint does not take the witness back.
    Witness.objects.get_or_create(site=site)
    Witness.objects.filter(site=site, size__lte=size).update(size=size, root=root, refusal="")
    settle(size)


@transaction.atomic
def settle(size: int) -> None:
    """If the checkpoint of `size` is cosigned by the quorum, let go on what waited for that.

    Permits that it covers are shown to the sites; decided releases that it covers become visible.
    """
    roster = current_roster()
    if not log.cosigned(size, roster.rules.cosignatures, roster.witnesses()):
        return
    permitted = Attempt.objects.filter(
        state=Attempt.State.OPENING,
        permit_checkpoint=None,
        run__release__permit_log_index__lt=size,
    )
    if permitted.update(permit_checkpoint=size):
        dispatch.hint(dispatch.AGENTS)
    decided = Release.objects.filter(state=Release.State.DECIDED, decision_log_index__lt=size)
    for release in decided:
        make_visible(release)


def note_refusal(site: Site, sentence: str) -> None:
    """Keep why `site` would not cosign: its agent has seen what people should look at."""
    logger.error("%s did not cosign the newest checkpoint: %s", site, sentence)
    Witness.objects.filter(site=site).update(refusal=sentence)


def _awaited() -> set[int]:
    """Return the indices of the entries that wait to be cosigned."""
    permits = Attempt.objects.filter(state=Attempt.State.OPENING, permit_checkpoint=None)
    decisions = Release.objects.filter(state=Release.State.DECIDED)
    requested = Run.objects.filter(state=Run.State.PENDING)
    indices = (
        *requested.values_list("log_index", flat=True),
        *permits.values_list("run__release__permit_log_index", flat=True),
        *decisions.values_list("decision_log_index", flat=True),
    )
    return {index for index in indices if index is not None}
