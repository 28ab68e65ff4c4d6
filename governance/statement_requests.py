"""What the portal asks a person to sign: the exact payload, ready for a passkey or `quorate-sign`.

The portal asks, the person signs, and the portal then checks that what came back is what it would
have asked for (`governance.signed`). It has no authority of its own: sites verify the signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.errors import ActionRefusedError, NotPermittedError
from accounts.models import SigningKey, Site, User
from governance import policies
from governance.models import ComputationClass, Release
from governance.queries import current_roster, newest_consent
from governance.roster import Roster
from governance.statements import decisions
from governance.statements.envelope import Envelope, add_signature, unsigned
from governance.statements.keys import to_base64url
from governance.statements.result_statements import OpeningPermit
from governance.statements.signatures import Signature
from studies.documents import format_moment, parse_moment
from studies.models import Study

AGREEMENT_DAYS = 365


@dataclass(frozen=True)
class StatementRequest:
    """One unsigned statement, and what a browser needs to have it signed by a passkey."""

    envelope: Envelope
    credentials: tuple[str, ...]
    relying_party: str

    def to_json(self) -> dict[str, Any]:
        """Return the request as pages and the API hand it out.

        `unsigned` goes back with the signature; `challenge` and `credentials` are base64url.
        """
        return {
            "payload": self.envelope.payload,
            "digest": self.envelope.digest,
            "unsigned": self.envelope.to_json(),
            "challenge": to_base64url(self.envelope.challenge()),
            "credentials": list(self.credentials),
            "relying_party": self.relying_party,
        }


def request_class_decision(
    *, computation_class: ComputationClass, decision: str, by: User, comment: str = ""
) -> StatementRequest:
    """Return the statement by which `by` approves, rejects or revokes a class."""
    policies.check_can_decide_class(computation_class, decision, by)
    roster = current_roster()
    statement = decisions.ClassApproval(
        **class_fields(computation_class),
        **_signed_by(by, roster),
        decision=decision,
        comment=comment,
    )
    return _request(statement, by, roster)


def request_review(*, study: Study, decision: str, by: User, comment: str = "") -> StatementRequest:
    """Return the statement by which `by` reviews the current version of `study`."""
    policies.check_can_review(study, by)
    policies.check_can_renew(study, decision)
    roster = current_roster()
    statement = decisions.StudyApproval(
        **review_fields(study), **_signed_by(by, roster), decision=decision, comment=comment
    )
    return _request(statement, by, roster)


def request_consent(
    *, study: Study, site: Site, decision: str, by: User, comment: str = ""
) -> StatementRequest:
    """Return the statement by which `by` consents, declines or withdraws for `site`.

    It is dated after the decision that stands, which a fast clock may have dated ahead.
    """
    policies.check_can_consent(study, site, decision, by)
    roster, newest = current_roster(), newest_consent(study, site)
    signed_by = _signed_by(by, roster)
    if newest is not None and newest.issued_at >= signed_by["issued_at"]:
        after = parse_moment(newest.issued_at) + timedelta(seconds=1)
        signed_by["issued_at"] = format_moment(after)
    statement = decisions.Consent(
        **consent_fields(study),
        **signed_by,
        site=site.slug,
        decision=decision,
        comment=comment,
    )
    return _request(statement, by, roster)


def request_agreement(*, decision: str, by: User, comment: str = "") -> StatementRequest:
    """Return the statement by which `by` signs or ends the agreement for their organisation.

    A signature holds for a year; it can be renewed at any time.
    """
    roster = current_roster()
    fields = agreement_fields(roster)
    if by.organisation is None:
        raise NotPermittedError("no_organisation", "Your account belongs to no organisation.")
    policies.check_can_sign_agreement(by.organisation, decision, by)
    signed_by = _signed_by(by, roster)
    until = parse_moment(signed_by["issued_at"]) + timedelta(days=AGREEMENT_DAYS)
    statement = decisions.Agreement(
        **fields,
        **{**signed_by, "valid_until": format_moment(until)},
        decision=decision,
        comment=comment,
    )
    return _request(statement, by, roster)


def request_output_check(
    *, release: Release, decision: str, by: User, comment: str = ""
) -> StatementRequest:
    """Return the statement by which `by` passes or withholds a noised result."""
    policies.check_can_check_output(release, by)
    roster = current_roster()
    signed_by = _signed_by(by, roster)
    del signed_by["valid_until"]  # it is used once
    statement = decisions.OutputCheck(
        **output_check_fields(release), **signed_by, decision=decision, comment=comment
    )
    return _request(statement, by, roster)


def request_site_release(
    *, release: Release, site: Site, decision: str, by: User, comment: str = ""
) -> StatementRequest:
    """Return the statement by which `by` lets the share of `site` go, or refuses."""
    policies.check_can_release_share(release, site, by)
    roster = current_roster()
    signed_by = _signed_by(by, roster)
    del signed_by["valid_until"]  # it is used once
    statement = decisions.SiteRelease(
        **site_release_fields(release, site), **signed_by, decision=decision, comment=comment
    )
    return _request(statement, by, roster)


def class_fields(computation_class: ComputationClass) -> dict[str, Any]:
    """Return what every decision about this class says it is about."""
    return {
        "class_name": computation_class.name,
        "version": computation_class.version,
        "class_digest": computation_class.digest,
    }


def review_fields(study: Study) -> dict[str, Any]:
    """Return what every review of the study's current version says it is about."""
    version = study.current
    return {
        "study": study.identifier,
        "study_version": version.number,
        "study_digest": version.digest,
    }


def consent_fields(study: Study) -> dict[str, Any]:
    """Return what every consent to the study's current version says it is about."""
    return {"study": study.identifier, "study_digest": study.current.digest}


def agreement_fields(roster: Roster) -> dict[str, Any]:
    """Return what every signature under the agreement in force says it is about.

    *Raises* ActionRefusedError when the roster asks for none.
    """
    required = roster.rules.agreement
    if required is None:
        raise ActionRefusedError(
            "no_agreement_required", "The roster asks for no agreement, so there is none to sign."
        )
    return {"title": required.title, "agreement_digest": required.digest}


def output_check_fields(release: Release) -> dict[str, Any]:
    """Return what every check of this result says it is about."""
    return {
        "study": release.run.study.identifier,
        "run": release.run.identifier,
        "result_digest": release.result_digest,
    }


def site_release_fields(release: Release, site: Site) -> dict[str, Any]:
    """Return what every word on this site's share of this result says it is about."""
    return {
        "study": release.run.study.identifier,
        "run": release.run.identifier,
        "site": site.slug,
        "manifest_digest": OpeningPermit.parse(bytes(release.permit or b"")).manifest_digest,
    }


def signed_by_passkey(
    unsigned_statement: Mapping[str, Any], credential: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the envelope of a request's `unsigned` and what the browser's passkey answered.

    *Raises* StatementError when either cannot be read. Nothing is verified here.
    """
    envelope = Envelope.parse(unsigned_statement)
    return add_signature(envelope, Signature.of_credential(credential)).to_json()


def _request(statement: decisions.Decision, by: User, roster: Roster) -> StatementRequest:
    passkeys = by.signing_keys.filter(kind=SigningKey.Kind.PASSKEY).values_list("key_id", flat=True)
    return StatementRequest(
        envelope=unsigned(statement.KIND, statement.to_json()),
        credentials=tuple(key_id.removeprefix("webauthn:") for key_id in passkeys),
        relying_party=roster.portal.rp_id,
    )


def _signed_by(by: User, roster: Roster) -> dict[str, Any]:
    assert by.organisation is not None  # the policies have seen that this person may sign
    now = timezone.now().replace(microsecond=0)
    until = now + timedelta(days=roster.rules.max_validity_days)
    return {
        "member": by.member_id,
        "organisation": by.organisation.slug,
        "issued_at": format_moment(now),
        "valid_until": format_moment(until),
    }
