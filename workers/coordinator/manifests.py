"""The run manifest: what the portal proposes once every site has offered a key.

It has no authority of its own: every site checks it against what it verified and countersigns.
"""

import secrets

from governance.queries import current_roster
from governance.statements.envelope import Envelope
from governance.statements.run_statements import KeyOffer, ManifestParty, Recipient, RunManifest
from studies.documents import format_moment
from studies.plan import StudyPlan
from workers.coordinator.models import Attempt


def propose_manifest(attempt: Attempt, plan: StudyPlan) -> None:
    """Write the attempt's manifest and ask the sites to accept it."""
    roster = current_roster()
    manifest = RunManifest(
        study=plan.study,
        study_digest=plan.digest,
        class_digest=plan.class_reference.digest,
        run=attempt.run.identifier,
        attempt=attempt.number,
        session=attempt.session,
        profile="additive",
        noise="off" if plan.is_rehearsal else "distributed",
        nonce=secrets.token_hex(32),
        parties=_parties(attempt),
        recipient=Recipient(name=plan.recipient, public_key=roster.portal.gate_key),
        roster_digest=roster.digest,
        deadline=format_moment(attempt.deadline_at),
    )
    attempt.manifest = manifest.canonical()
    attempt.manifest_digest = manifest.digest
    attempt.state = Attempt.State.ACCEPTING
    attempt.save(update_fields=["manifest", "manifest_digest", "state"])


def _parties(attempt: Attempt) -> tuple[ManifestParty, ...]:
    offered = []
    for party in attempt.parties.select_related("site").order_by("party"):
        envelope = Envelope.parse(party.key_offer)
        offer = KeyOffer.of(envelope)
        offered.append(
            ManifestParty(party.party, party.site.slug, offer.public_key, envelope.digest)
        )
    return tuple(offered)
