"""The end of a session: every site has certified it, and the result lies sealed at the sites."""

from django.utils import timezone

from governance import dispatch
from governance.certificates import SealedSession, check_certificates
from governance.errors import Refusal
from governance.models import Release, Run
from governance.queries import current_roster
from governance.statements.envelope import Envelope
from governance.statements.run_statements import RunManifest
from workers.coordinator.attempts import Failure, fail_attempt, move_run
from workers.coordinator.models import Attempt


def session_of(attempt: Attempt) -> SealedSession:
    """Return the attempt's manifest and the certificates that are in, for the gate to judge."""
    assert attempt.manifest is not None
    signed = attempt.parties.filter(certificate__isnull=False).values_list(
        "site__slug", "certificate"
    )
    return SealedSession(
        manifest=RunManifest.parse(bytes(attempt.manifest)),
        certificates={site: Envelope.parse(envelope) for site, envelope in signed},
    )


def seal(attempt: Attempt) -> None:
    """End the run well: all certificates are in and agree; the release gate takes over.

    If they do not agree the run fails: a frame was lost or altered, and nothing is ever opened.
    The caller holds the locks of the run and the attempt.
    """
    try:
        check_certificates(session_of(attempt), current_roster())
    except Refusal as refusal:
        fail_attempt(attempt, Failure.of(refusal))
        return
    run = attempt.run
    attempt.state = Attempt.State.SEALED
    attempt.sealed_at = timezone.now()
    attempt.save(update_fields=["state", "sealed_at"])
    move_run(run, Run.State.SUCCEEDED, data={"manifest_digest": attempt.manifest_digest})
    Release.objects.create(run=run)
    dispatch.open_result(run.identifier)
