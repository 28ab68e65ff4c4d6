"""What a site says: verified, stored word for word, and what follows from it.

Each message is handled in one transaction under the lock of its run, and any number of times with
the same outcome: what a site has said in an attempt stands, and what comes too late is ignored.
"""

import base64
import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import transaction

from accounts.errors import ActionError
from accounts.models import Site
from audit.merkle import ProofError
from audit.signed_note import NoteError
from governance import actions, dispatch
from governance.errors import GovernanceError, StatementError, malformed
from governance.models import Consent as GivenConsent
from governance.models import Run
from governance.queries import current_roster
from governance.reasons import REASONS, sentence
from governance.release import note_awaiting, withhold
from governance.statements.decisions import Consent
from governance.statements.envelope import Envelope, verify
from governance.statements.result_statements import ResultCertificate
from governance.statements.run_statements import KeyOffer, RunAcceptance
from studies.documents import format_moment
from studies.models import Study
from studies.plan import StudyPlan
from workers.coordinator import checkpoints, log_copies
from workers.coordinator.attempts import (
    Failure,
    begin_computing,
    fail_attempt,
    tell_everyone,
)
from workers.coordinator.manifests import propose_manifest
from workers.coordinator.models import Attempt, AttemptParty, Letter
from workers.coordinator.sealing import seal
from workers.transport.control import Message

logger = logging.getLogger(__name__)

_TELLING = (Attempt.State.COMPUTING, Attempt.State.OPENING)

Handler = Callable[[AttemptParty, Message], None]
AnswerT = TypeVar("AnswerT", KeyOffer, RunAcceptance, ResultCertificate)


class AnswerError(Exception):
    """What a site said cannot be taken; nothing of it was stored."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def receive(site: Site, message: Message) -> None:
    """Take `message`, which has the form of the protocol, from the agent of `site`.

    A statement that does not verify, or is about something else, ends the attempt with the site
    and the reason named: the site's own connection brought it.

    *Raises* AnswerError for what belongs to no attempt of this site, or contradicts what it said.
    """
    kind = message["type"]
    if kind == "error":
        logger.warning("the agent of %s reports %s: %s", site, message["code"], message["sentence"])
    elif kind == "consent":
        _consent(site, message)
    elif kind == "cosignature":
        _cosignature(site, message)
    elif kind == "policy":
        _policy(site, message)
    elif kind == "entries_held":
        log_copies.note_held(site, message["size"])
    elif kind == "letter":
        _letter(site, message)
    elif kind == "letter_read":
        Letter.objects.filter(recipient=site, pk=message["number"]).delete()
    elif kind == "refusal" and not message["run"]:
        checkpoints.note_refusal(site, message["sentence"])
    else:
        _in_attempt(site, message, _HANDLERS[kind])


@transaction.atomic
def _in_attempt(site: Site, message: Message, handle: Handler) -> None:
    run = Run.objects.select_for_update().filter(identifier=message["run"]).first()
    party = (
        AttemptParty.objects.select_for_update()
        .filter(attempt__run=run, attempt__number=message["attempt"], site=site)
        .select_related("attempt__run__version__study", "site")
        .first()
    )
    if run is None or party is None:
        raise AnswerError("attempt_unknown", "This portal has no such attempt for this site.")
    try:
        handle(party, message)
    except StatementError as error:
        fail_attempt(party.attempt, Failure.of(error, site=site.slug))
    tell_everyone(run)


def _key_offer(party: AttemptParty, message: Message) -> None:
    envelope, offer = _statement(party, message, KeyOffer)
    attempt, version = party.attempt, party.attempt.run.version
    plan = StudyPlan.parse(bytes(version.plan))
    expected = (version.digest, attempt.run.identifier, attempt.number, attempt.session)
    if (offer.study_digest, offer.run, offer.attempt, offer.session) != expected:
        raise malformed("the key was offered for another attempt")
    if offer.data_set.name != plan.data_set:
        raise malformed("the key was offered for another data set")
    if _completes(party, "key_offer", envelope, expected=Attempt.State.OFFERING):
        propose_manifest(attempt, plan)


def _acceptance(party: AttemptParty, message: Message) -> None:
    envelope, acceptance = _statement(party, message, RunAcceptance)
    attempt = party.attempt
    if acceptance.manifest_digest != attempt.manifest_digest:
        raise malformed("another manifest was accepted")
    if _completes(party, "acceptance", envelope, expected=Attempt.State.ACCEPTING):
        begin_computing(attempt)


def _progress(party: AttemptParty, message: Message) -> None:
    if party.attempt.state == Attempt.State.OPENING:
        awaiting = message["step"] == "awaiting_release"
        note_awaiting(party.attempt.run, party.site.slug, awaiting=awaiting)
    if party.attempt.state in _TELLING and party.progress != message["step"]:
        party.progress = message["step"]
        party.save(update_fields=["progress"])


def _certificate(party: AttemptParty, message: Message) -> None:
    envelope, certificate = _statement(party, message, ResultCertificate)
    attempt = party.attempt
    said = (certificate.party, certificate.manifest_digest)
    if said != (party.party, attempt.manifest_digest):
        raise malformed("the certificate is for another session")
    if _completes(party, "certificate", envelope, expected=Attempt.State.COMPUTING):
        seal(attempt)


def _shares(party: AttemptParty, message: Message) -> None:
    ciphertext = base64.b64decode(message["ciphertext"], validate=True)
    attempt = party.attempt
    if attempt.state != Attempt.State.OPENING or party.sealed_share is not None:
        return  # HPKE is randomised: a second ciphertext may differ and says nothing new
    note_awaiting(attempt.run, party.site.slug, awaiting=False)
    party.sealed_share = ciphertext
    party.save(update_fields=["sealed_share"])
    if not attempt.parties.filter(sealed_share=None).exists():
        dispatch.open_result(attempt.run.identifier)


def _refusal(party: AttemptParty, message: Message) -> None:
    site, code, said = party.site.slug, message["code"], message["sentence"]
    if code not in REASONS:
        raise AnswerError("reason_unknown", "Expected a code that governance.reasons lists.")
    if party.attempt.state == Attempt.State.OPENING and party.sealed_share is None:
        withhold(party.attempt.run, code=code, reason=said, site=site)
        return
    fail_attempt(party.attempt, Failure(code, said, site, refused=True))


def _failure(party: AttemptParty, message: Message) -> None:
    site, code = party.site.slug, message["code"]
    moment = format_moment(party.attempt.deadline_at)
    fail_attempt(party.attempt, Failure(code, sentence(code, site=site, moment=moment), site))


_HANDLERS: dict[str, Handler] = {
    "key_offer": _key_offer,
    "acceptance": _acceptance,
    "progress": _progress,
    "certificate": _certificate,
    "shares": _shares,
    "refusal": _refusal,
    "failure": _failure,
}


def _consent(site: Site, message: Message) -> None:
    """Take a decision that the steward signed at the site itself."""
    try:
        envelope = Envelope.parse(message["envelope"])
        if GivenConsent.objects.filter(digest=envelope.digest).exists():
            return  # agents report every consent again on each connection
        consent = Consent.of(envelope)
        study = Study.objects.filter(identifier=consent.study).first()
        if study is None or consent.site != site.slug:
            raise AnswerError("study_unknown", "This portal has no such study for this site.")
        actions.sign_consent(study=study, envelope=envelope.to_json(), by=None)
    except (GovernanceError, ActionError) as error:
        raise AnswerError(error.code, error.sentence) from None


def _policy(site: Site, message: Message) -> None:
    """Keep what a site says of its own policy."""
    try:
        actions.record_site_policy(site=site, envelope=message["envelope"])
    except (GovernanceError, ActionError) as error:
        raise AnswerError(error.code, error.sentence) from None


def _letter(site: Site, message: Message) -> None:
    """Keep a letter for another site's agent, which alone can read it."""
    recipient = Site.objects.filter(slug=message["recipient"]).exclude(pk=site.pk).first()
    if recipient is None:
        raise AnswerError("site_unknown", "This portal has no such other site.")
    log_copies.carry(site, recipient, base64.b64decode(message["ciphertext"], validate=True))
    dispatch.hint(dispatch.AGENTS)


def _cosignature(site: Site, message: Message) -> None:
    try:
        checkpoints.add_cosignature(site, size=message["size"], line=message["line"])
    except (NoteError, ProofError, LookupError) as error:
        raise AnswerError("cosignature_invalid", str(error)) from None


def _statement(
    party: AttemptParty, message: Message, kind: type[AnswerT]
) -> tuple[Envelope, AnswerT]:
    """Return the envelope and what it states, once the site's roster identity has signed it.

    *Raises* StatementError.
    """
    envelope = Envelope.parse(message["envelope"])
    stated = kind.of(envelope)
    site = current_roster().site(party.site.slug)
    if site is None or stated.site != site.id:
        raise malformed(f"expected a statement of {party.site.slug}, which the roster lists")
    verify(envelope, site.key)
    return envelope, stated


def _completes(party: AttemptParty, field: str, envelope: Envelope, *, expected: str) -> bool:
    """Store the first envelope of its kind; tell whether with it every site has sent one.

    What comes again, or after the attempt has moved on, changes nothing.

    *Raises* AnswerError when the site has said something else before.
    """
    attempt, earlier = party.attempt, getattr(party, field)
    if earlier is not None:
        if Envelope.parse(earlier).digest != envelope.digest:
            raise AnswerError("answer_differs", f"{party.site} has sent another {field} before.")
        return False
    if attempt.state != expected:
        return False
    setattr(party, field, envelope.to_json())
    party.save(update_fields=[field])
    # Not `=None`, which for a JSON field means JSON's null.
    return not attempt.parties.filter(**{f"{field}__isnull": True}).exists()
