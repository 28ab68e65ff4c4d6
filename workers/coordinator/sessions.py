"""What a site is owed now: derived from the database, never remembered.

    on a new connection, and when a version is added            rosters
    a letter of another site's agent, not read yet              letter
    newest checkpoint   larger than the copy of the log there   entries
    attempt offering,   no key offer of the site yet            invitation
    attempt accepting,  no acceptance of the site yet           manifest
    attempt computing,  no certificate of the site yet          start
    attempt opening,    permit logged, cosigned and held there  permit
    attempt failed,     its deadline not yet passed             cancel
    newest checkpoint   larger than what the site witnessed     checkpoint

So the portal may die between any two steps: after its restart, and after every `hello` of an
agent, the same messages are owed again, and an agent answers what it has answered before with the
stored answer.
"""

import base64
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from django.utils import timezone

from accounts.models import Site
from audit import log
from governance.evidence_store import evidence_for
from governance.models import RosterVersion
from governance.queries import current_roster, roster_chain
from workers.coordinator import log_copies
from workers.coordinator.models import Attempt, AttemptParty, Letter, Witness
from workers.transport.control import Message

logger = logging.getLogger(__name__)

SENT_ONCE = frozenset({"cancel", "rosters"})
"""What has no answer: sent once on each connection."""


class Key(NamedTuple):
    """Which message this is, so that a connection need not send it twice within seconds."""

    kind: str
    about: str


def due(site: Site, fresh: Collection[Key] = frozenset()) -> list[tuple[Key, Message]]:
    """Return the messages that `site` is owed now, without those whose key is in `fresh`."""
    return [(key, build()) for key, build in _owed(site) if key not in fresh]


def _owed(site: Site) -> Iterator[tuple[Key, Callable[[], Message]]]:
    if versions := RosterVersion.objects.count():
        yield Key("rosters", str(versions)), _rosters
    for number in Letter.objects.filter(recipient=site).order_by("pk").values_list("pk", flat=True):
        yield Key("letter", str(number)), partial(_letter, number)
    latest = log.latest_checkpoint()
    witness = Witness.objects.filter(site=site).first()
    held = witness.entries if witness else 0
    if latest is not None and witness is not None and held < latest.size:
        yield (
            Key("entries", str(held)),
            partial(log_copies.entries_message, site, held, latest.size),
        )
    parties = AttemptParty.objects.filter(site=site).select_related("attempt__run__version__study")
    for party in parties.exclude(attempt__state__in=[Attempt.State.SEALED, Attempt.State.OPENED]):
        if kind := _owed_in(party, held):
            # A share that waited for its site's own release is asked for anew once it is given.
            if kind == "permit":
                about = f"{party.attempt.session} {_version_of_permit(party)}"
                yield Key(kind, about), partial(_permit, party)
            else:
                yield Key(kind, party.attempt.session), partial(_BUILD[kind], party.attempt)
    if latest is not None and witness is not None and witness.size < latest.size <= held:
        yield (
            Key("checkpoint", str(latest.size)),
            partial(_checkpoint, latest, witness.size),
        )


def _version_of_permit(party: AttemptParty) -> str:
    """Return what makes a permit worth asking anew: the site's step, a steward's word for it."""
    release = party.attempt.run.release
    word = release.site_releases.filter(site=party.site).values_list("digest", flat=True).first()
    return f"{party.progress} {word or ''}"


def _owed_in(party: AttemptParty, held: int) -> str | None:
    """Return the type of the message that a party is owed in its attempt, or None.

    `held` is how many entries of the log the site's copy has.
    """
    attempt = party.attempt
    match attempt.state:
        case Attempt.State.OFFERING if party.key_offer is None:
            return "invitation"
        case Attempt.State.ACCEPTING if party.acceptance is None:
            return "manifest"
        case Attempt.State.COMPUTING if party.certificate is None:
            return "start"
        case Attempt.State.OPENING if party.sealed_share is None and (
            attempt.permit_checkpoint and held >= attempt.permit_checkpoint
        ):
            return "permit"
        # After the deadline, which the site knows too, it has stopped by itself.
        case Attempt.State.FAILED if attempt.deadline_at > timezone.now():
            return "cancel"
    return None


def _rosters() -> Message:
    return {"type": "rosters", "rosters": [envelope.to_json() for envelope in roster_chain()]}


def _letter(number: int) -> Message:
    row = Letter.objects.select_related("sender").get(pk=number)
    return {
        "type": "letter",
        "number": row.pk,
        "sender": row.sender.slug,
        "ciphertext": _base64(row.ciphertext),
    }


def _invitation(attempt: Attempt) -> Message:
    evidence = evidence_for(attempt.run.version).to_json()
    return _about(attempt, "invitation", session=attempt.session, evidence=evidence)


def _manifest(attempt: Attempt) -> Message:
    return _about(
        attempt,
        "manifest",
        manifest=_base64(attempt.manifest),
        key_offers=_by_site(attempt, "key_offer"),
    )


def _start(attempt: Attempt) -> Message:
    return _about(attempt, "start", acceptances=_by_site(attempt, "acceptance"))


def _cancel(attempt: Attempt) -> Message:
    return _about(attempt, "cancel", reason=attempt.run.reason_code or "cancelled")


def _permit(party: AttemptParty) -> Message:
    attempt = party.attempt
    release = attempt.run.release
    word = release.site_releases.filter(site=party.site).values_list("envelope", flat=True).first()
    size, index = attempt.permit_checkpoint, release.permit_log_index
    assert size is not None
    assert index is not None
    witnesses = current_roster().witnesses()
    return _about(
        attempt,
        "permit",
        permit=_base64(release.permit),
        certificates=_by_site(attempt, "certificate"),
        leaf=_base64(log.entry(index).leaf),
        index=index,
        proof=_hashes(log.inclusion(index, size)),
        note=log.checkpoint_at(size, witnesses=witnesses).note,
        release=word,
    )


def _checkpoint(latest: log.PublishedCheckpoint, old_size: int) -> Message:
    proof = log.consistency(old_size, latest.size)
    return {
        "type": "checkpoint",
        "note": latest.note,
        "old_size": old_size,
        "proof": _hashes(proof),
    }


_BUILD: dict[str, Callable[[Attempt], Message]] = {
    "invitation": _invitation,
    "manifest": _manifest,
    "start": _start,
    "cancel": _cancel,
}


def _about(attempt: Attempt, kind: str, **fields: Any) -> Message:
    return {
        "type": kind,
        "run": attempt.run.identifier,
        "attempt": attempt.number,
        **fields,
    }


def _by_site(attempt: Attempt, envelope: str) -> dict[str, Any]:
    """Return one envelope of every party, word for word as its site signed it."""
    return dict(attempt.parties.values_list("site__slug", envelope))


def _base64(data: bytes | memoryview | None) -> str:
    assert data is not None
    return base64.b64encode(bytes(data)).decode()


def _hashes(proof: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(value).decode() for value in proof]
