"""Giving up an output share: only against a permit that stands in the cosigned log.

*Security*: the permit is verified first, the ledger committed next, and the share leaves in the
same transaction, encrypted for the recipient that this site agreed to in the manifest. Nothing
the portal sends here can name another recipient.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from audit.signed_note import NoteError, SignedNote
from governance.certificates import SealedSession, check_certificates
from governance.errors import refusal
from governance.permit import verify_permit
from governance.statements.envelope import Envelope
from governance.statements.run_statements import RunManifest
from workers.party import ledger, log_copy, witness
from workers.party.attempts import Attempt
from workers.party.store import Transaction
from workers.party.verification import Study
from workers.transport import output_share
from workers.transport.output_share import OutputShare


def check_permit(
    transaction: Transaction,
    attempt: Attempt,
    study: Study,
    message: Mapping[str, Any],
    *,
    site: str,
) -> None:
    """Check that this very session may be opened, and that the log that this site holds says so.

    *Raises* Refusal permit_not_logged, permit_mismatch, checkpoint_not_cosigned,
    checkpoint_inconsistent, entries_missing, certificate_missing, certificate_mismatch.
    """
    roster, manifest = study.verified.roster, RunManifest.parse(attempt.manifest or b"")
    certificates = {
        name: Envelope.parse(envelope) for name, envelope in message["certificates"].items()
    }
    own = Envelope.parse(json.loads(attempt.certificate))
    permit = verify_permit(
        base64.b64decode(message["permit"]),
        entry_leaf=base64.b64decode(message["leaf"]),
        index=message["index"],
        inclusion_proof=[base64.b64decode(item) for item in message["proof"]],
        checkpoint_note=message["note"],
        roster=roster,
        manifest=manifest,
        site=site,
        own_certificate=own.digest,
    )
    _check_history(transaction, message["note"], site=site)
    _check_held(transaction, message, site=site)
    if permit.charge != {"micro_epsilon": study.plan.charge_micro_epsilon}:
        raise refusal("permit_mismatch", problem="its charge is not that of the plan")
    for name, digest in permit.certificates.items():
        if name not in certificates or certificates[name].digest != digest:
            raise refusal("certificate_missing", site=name)
    check_certificates(SealedSession(manifest, certificates), roster)


def give_up_share(transaction: Transaction, attempt: Attempt, *, site: str) -> str:
    """Return the site's output share, encrypted for the manifest's recipient, in base64.

    The ledger's reservation is committed: there is no refund from here on.
    *Raises* Refusal attempt_unknown when there is no share to give up.
    """
    if attempt.manifest is None or attempt.output_share is None or attempt.commitment_salt is None:
        raise refusal("attempt_unknown", site=site)
    manifest = RunManifest.parse(attempt.manifest)
    ledger.commit(transaction, attempt.run, attempt.attempt)
    ciphertext = output_share.encrypt(
        OutputShare(attempt.commitment_salt, attempt.output_share),
        X25519PublicKey.from_public_bytes(bytes.fromhex(manifest.recipient.public_key)),
        manifest_digest=attempt.manifest_digest,
        site=site,
    )
    return base64.b64encode(ciphertext).decode()


def _check_held(transaction: Transaction, message: Mapping[str, Any], *, site: str) -> None:
    """Check that the permit's entry stands in this site's own copy of the log."""
    index = message["index"]
    held = log_copy.entry(transaction, index)
    if held is None:
        raise refusal(
            "entries_missing", site=site, held=log_copy.size(transaction), expected=index + 1
        )
    if held.leaf != base64.b64decode(message["leaf"]):
        raise refusal("permit_not_logged", problem=f"this site holds another entry {index}")


def _check_history(transaction: Transaction, note: str, *, site: str) -> None:
    """Check the permit's checkpoint against the trees that this site has cosigned itself."""
    try:
        _, size, root = SignedNote.parse(note).text.rstrip("\n").split("\n")
        head = witness.Head(int(size), base64.b64decode(root).hex())
    except (NoteError, ValueError):
        raise refusal("permit_not_logged", problem="its checkpoint cannot be read") from None
    witness.check_same_history(transaction, head, site=site, source="the permit")
