"""What a finished session leaves behind, and whether its parties give the same account of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

from governance.errors import Refusal, StatementError, refusal
from governance.roster import Roster, RosterSite
from governance.statements.envelope import Envelope, verify
from governance.statements.result_statements import ResultCertificate
from governance.statements.run_statements import ManifestParty, RunManifest


@dataclass(frozen=True)
class SealedSession:
    """A finished session as its parties account for it: the manifest that all
    accepted, and the certificate that each signed at the end."""

    manifest: RunManifest
    certificates: Mapping[str, Envelope]


def check_certificates(session: SealedSession, roster: Roster) -> dict[str, ResultCertificate]:
    """Return each site's certificate, once all sign for this session and tell the same story.

    What one says it sent another says it received, frame for frame, and all hold shares of an
    output of the same size.

    *Raises* Refusal: certificate_missing naming the site, or certificate_mismatch.
    """
    said = {
        party.site: _certificate(session, party, roster.site(party.site))
        for party in session.manifest.parties
    }
    if len({certificate.output.cells for certificate in said.values()}) != 1:
        raise _disagree("the sites hold outputs of different sizes")
    for sender, receiver in permutations(said, 2):
        sent = said[sender].transcript.get(receiver)
        received = said[receiver].transcript.get(sender)
        if sent is None or received is None or sent.sent != received.received:
            raise _disagree(f"what {sender} sent is not what {receiver} received")
    return said


def _certificate(
    session: SealedSession, party: ManifestParty, listed: RosterSite | None
) -> ResultCertificate:
    envelope = session.certificates.get(party.site)
    if envelope is None or listed is None:
        raise refusal("certificate_missing", site=party.site)
    try:
        verify(envelope, listed.key)
        certificate = ResultCertificate.of(envelope)
    except StatementError as error:
        raise _disagree(error.sentence.rstrip(".")) from None
    named = (certificate.site, certificate.party, certificate.manifest_digest)
    if named != (party.site, party.party, session.manifest.digest):
        raise _disagree(f"{party.site} certifies another session")
    return certificate


def _disagree(problem: str) -> Refusal:
    return refusal("certificate_mismatch", problem=problem)
