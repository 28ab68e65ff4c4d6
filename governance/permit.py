"""The opening permit: the release gate's leave to open one sealed result, and how a site checks it.

A permit carries no signature. Its force is its place in the log: the entry ``release.permitted``
records its digest, and a checkpoint that covers the entry is signed by the log and cosigned by
`rules.cosignatures` sites. Nothing is opened that is not on record for everyone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from audit import checkpoint, merkle
from audit.entry import Entry, EntryError
from audit.signed_note import NoteError, SignedNote
from governance.errors import Refusal, StatementError, refusal
from governance.roster import Roster
from governance.statements.result_statements import OpeningPermit
from governance.statements.run_statements import RunManifest
from studies.documents import format_moment
from studies.plan import StudyPlan

EVENT = "release.permitted"


def build_permit(
    *, plan: StudyPlan, manifest: RunManifest, certificates: Mapping[str, str], now: datetime
) -> bytes:
    """Return the canonical bytes of the permit to open what the parties of `manifest` have sealed.

    `certificates` has, for every site, the digest of its result certificate.
    """
    return OpeningPermit(
        study=manifest.study,
        study_digest=plan.digest,
        run=manifest.run,
        attempt=manifest.attempt,
        manifest_digest=manifest.digest,
        certificates=dict(certificates),
        recipient_public_key=manifest.recipient.public_key,
        charge={"micro_epsilon": plan.charge_micro_epsilon},
        issued_at=format_moment(now),
    ).canonical()


def verify_permit(
    permit: bytes,
    *,
    entry_leaf: bytes,
    index: int,
    inclusion_proof: Sequence[bytes],
    checkpoint_note: str,
    roster: Roster,
    manifest: RunManifest,
    site: str,
    own_certificate: str,
) -> OpeningPermit:
    """Return the permit, once it is clear that it opens this session and is on record.

    `roster`, `manifest` and `own_certificate` (a digest) are what `site` itself has verified,
    accepted and signed. The caller still checks that the checkpoint continues the log it has
    witnessed, that the charge is the plan's, and the other sites' certificates.

    *Security*: at least `rules.cosignatures` sites saw the entry in a log that they each found
    consistent, so a portal cannot open in secret with one site on its side.
    *Raises* Refusal: permit_mismatch, permit_not_logged, checkpoint_unsigned,
    checkpoint_not_cosigned.
    """
    try:
        read = OpeningPermit.parse(permit)
    except StatementError as error:
        raise _mismatch(error.sentence.rstrip(".")) from None
    _check_opens(read, roster, manifest, site, own_certificate)
    _check_entry(entry_leaf, index, hashlib.sha256(permit).hexdigest())
    head = _checkpoint(checkpoint_note, roster)
    try:
        merkle.verify_inclusion(
            leaf=merkle.leaf_hash(entry_leaf),
            index=index,
            size=head.size,
            proof=inclusion_proof,
            root=head.root,
        )
    except merkle.ProofError as error:
        raise _not_logged(str(error)) from None
    return read


def _check_opens(
    permit: OpeningPermit, roster: Roster, manifest: RunManifest, site: str, own: str
) -> None:
    named = (permit.study, permit.study_digest, permit.run, permit.attempt, permit.manifest_digest)
    accepted = (
        manifest.study,
        manifest.study_digest,
        manifest.run,
        manifest.attempt,
        manifest.digest,
    )
    if named != accepted:
        raise _mismatch("it names another study, run, attempt or manifest")
    if not permit.recipient_public_key == manifest.recipient.public_key == roster.portal.gate_key:
        raise _mismatch("its recipient is not the release gate of the roster")
    if set(permit.certificates) != {party.site for party in manifest.parties}:
        raise _mismatch("it does not name one certificate for each party")
    if permit.certificates.get(site) != own:
        raise _mismatch(f"the certificate it names for {site} is not the one {site} signed")


def _check_entry(leaf: bytes, index: int, permit_digest: str) -> None:
    try:
        entry = Entry.parse(leaf)
    except EntryError as error:
        raise _not_logged(str(error)) from None
    if entry.event != EVENT:
        raise _not_logged(f"expected an entry {EVENT}, came {entry.event}")
    if entry.index != index:
        raise _not_logged(f"expected the entry of index {index}, came {entry.index}")
    if entry.data.get("permit_digest") != permit_digest:
        raise _not_logged("the entry records another permit")


def _checkpoint(written: str, roster: Roster) -> checkpoint.Checkpoint:
    try:
        note = SignedNote.parse(written)
        head = checkpoint.verify(note, roster.log_key)
        cosigners = checkpoint.cosigners(note, roster.witnesses())
    except NoteError as error:
        raise refusal("checkpoint_unsigned", problem=str(error)) from None
    if len(cosigners) < roster.rules.cosignatures:
        raise refusal(
            "checkpoint_not_cosigned",
            came=len(cosigners),
            expected=roster.rules.cosignatures,
        )
    return head


def _mismatch(problem: str) -> Refusal:
    return refusal("permit_mismatch", problem=problem)


def _not_logged(problem: str) -> Refusal:
    return refusal("permit_not_logged", problem=problem)
