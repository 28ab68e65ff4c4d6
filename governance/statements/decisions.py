"""The statements that people sign: on classes and studies, consents, agreements, output checks.

Each names the digest of what it decides on, the member who decides and the organisation they
decide for, and holds from `issued_at` until `valid_until`. An output check has no end: it is used
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from governance.statements.envelope import Kind
from governance.statements.payloads import Payload
from studies.documents import (
    DIGEST,
    IDENTIFIER,
    MOMENT,
    POSITIVE,
    Schema,
    document,
    one_of,
    text,
)

_COMMENT = text(2000)
_SIGNER: dict[str, Schema] = {
    "member": IDENTIFIER,
    "organisation": IDENTIFIER,
    "issued_at": MOMENT,
}


@dataclass(frozen=True)
class ClassApproval(Payload):
    """A committee member's decision on a computation class: approve, reject or revoke."""

    KIND = Kind.CLASS_APPROVAL
    SCHEMA = document(
        KIND.value,
        "A committee member's decision on a computation class",
        {
            "class": IDENTIFIER,
            "version": POSITIVE,
            "class_digest": DIGEST,
            "decision": one_of("approve", "reject", "revoke"),
            **_SIGNER,
            "valid_until": MOMENT,
            "comment": _COMMENT,
        },
    )

    class_name: str
    version: int
    class_digest: str
    decision: str
    member: str
    organisation: str
    issued_at: str
    valid_until: str
    comment: str


@dataclass(frozen=True)
class StudyApproval(Payload):
    """A committee member's decision on one version of a study: approve, return, reject or revoke.

    Who revokes takes back their approval.
    """

    KIND = Kind.STUDY_APPROVAL
    SCHEMA = document(
        KIND.value,
        "A committee member's review of a study plan",
        {
            "study": IDENTIFIER,
            "study_version": POSITIVE,
            "study_digest": DIGEST,
            "decision": one_of("approve", "return", "reject", "revoke"),
            **_SIGNER,
            "valid_until": MOMENT,
            "comment": _COMMENT,
        },
    )

    study: str
    study_version: int
    study_digest: str
    decision: str
    member: str
    organisation: str
    issued_at: str
    valid_until: str
    comment: str


@dataclass(frozen=True)
class Consent(Payload):
    """A data steward's decision for their own site: consent, decline or withdraw."""

    KIND = Kind.CONSENT
    SCHEMA = document(
        KIND.value,
        "A data steward's decision for their site",
        {
            "study": IDENTIFIER,
            "study_digest": DIGEST,
            "site": IDENTIFIER,
            "decision": one_of("consent", "decline", "withdraw"),
            **_SIGNER,
            "valid_until": MOMENT,
            "comment": _COMMENT,
        },
    )

    study: str
    study_digest: str
    site: str
    decision: str
    member: str
    organisation: str
    issued_at: str
    valid_until: str
    comment: str


@dataclass(frozen=True)
class Agreement(Payload):
    """A data steward's signature, for their organisation, under the contract of the roster: sign
    or end."""

    KIND = Kind.AGREEMENT
    SCHEMA = document(
        KIND.value,
        "An organisation's signature under the contract by which its sites take part",
        {
            "title": text(200, 1),
            "agreement_digest": DIGEST,
            "decision": one_of("sign", "end"),
            **_SIGNER,
            "valid_until": MOMENT,
            "comment": _COMMENT,
        },
    )

    title: str
    agreement_digest: str
    decision: str
    member: str
    organisation: str
    issued_at: str
    valid_until: str
    comment: str


@dataclass(frozen=True)
class OutputCheck(Payload):
    """An output checker's verdict on one noised result: pass or withhold."""

    KIND = Kind.OUTPUT_CHECK
    SCHEMA = document(
        KIND.value,
        "An output checker's verdict on a noised result",
        {
            "study": IDENTIFIER,
            "run": IDENTIFIER,
            "result_digest": DIGEST,
            "decision": one_of("pass", "withhold"),
            **_SIGNER,
            "comment": _COMMENT,
        },
    )

    study: str
    run: str
    result_digest: str
    decision: str
    member: str
    organisation: str
    issued_at: str
    comment: str


@dataclass(frozen=True)
class SiteRelease(Payload):
    """A data steward's word on giving up their site's share of one sealed result: release or
    refuse.

    Asked for where the site's own policy has a release gate.
    """

    KIND = Kind.SITE_RELEASE
    SCHEMA = document(
        KIND.value,
        "A data steward's word on giving up their site's share of a sealed result",
        {
            "study": IDENTIFIER,
            "run": IDENTIFIER,
            "site": IDENTIFIER,
            "manifest_digest": DIGEST,
            "decision": one_of("release", "refuse"),
            **_SIGNER,
            "comment": _COMMENT,
        },
    )

    study: str
    run: str
    site: str
    manifest_digest: str
    decision: str
    member: str
    organisation: str
    issued_at: str
    comment: str


LastingDecision: TypeAlias = ClassApproval | StudyApproval | Consent | Agreement
Decision: TypeAlias = LastingDecision | OutputCheck | SiteRelease
