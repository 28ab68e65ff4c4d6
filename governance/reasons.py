"""Why something may not happen: one code for programs, one sentence for people.

The portal's pages, the API, the site's journal and the log all show the sentence made here, so
that everyone concerned reads the same words. A code, once released, keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Details = str | int

REASONS: Mapping[str, str] = MappingProxyType(
    {
        # Documents and signatures.
        "statement_malformed": "The statement cannot be read: {problem}.",
        "statement_wrong_kind": "Expected a statement of kind {expected}, came one of {came}.",
        "signature_missing": "The statement carries no signature by the key {key}.",
        "signature_invalid": "The signature by the key {key} does not verify: {problem}.",
        "signer_unknown": (
            "{key} is not a key of {member} in the roster. Sign with your own key, or ask for a "
            "roster that lists it."
        ),
        "signer_not_entitled": "{member} may not sign this: {problem}.",
        "signature_not_offline": (
            "The roster asks {member} to sign this offline, with an Ed25519 key: read and sign it "
            "with quorate-sign, or at the site with site-agent consent."
        ),
        "evidence_malformed": "The evidence sent for this study cannot be read: {problem}.",
        "transition_illegal": "{problem}.",
        "quorum_missing": "{problem}.",
        # Roster.
        "roster_malformed": "The roster cannot be read: {problem}.",
        "roster_unverified": (
            "The roster does not lead back to the one this site has pinned: {problem}. "
            "Compare its fingerprint with the committee before pinning another."
        ),
        # Study plan.
        "plan_invalid": "The study plan cannot be accepted: {problem}.",
        "plan_digest_mismatch": (
            "The study plan sent is not the one that was approved: its digest is {came}, "
            "the approvals name {expected}."
        ),
        "plan_expired": "The study plan expired on {moment}; its author can amend it.",
        "plan_runs_exhausted": "All runs that the study plan allows ({allowed}) have been used.",
        # Computation class.
        "class_unknown": "This site's software has no computation class {name}.",
        "class_digest_mismatch": (
            "The computation class {name} is not the one this site's software carries: expected "
            "the digest {expected}, came {came}."
        ),
        "class_quorum_missing": "The computation class {name} is not approved: {problem}.",
        "class_approval_expired": (
            "The approval of the computation class {name} has expired: {problem}. "
            "The committee can renew it."
        ),
        "class_revoked": "The committee has revoked the computation class {name}.",
        # Study approval.
        "study_quorum_missing": "The study is not approved: {problem}.",
        "study_approval_expired": (
            "The approval of the study has expired: {problem}. The committee can renew it."
        ),
        "study_revoked": "The committee has revoked its approval of this study.",
        "author_unknown": (
            "The roster lists {author}, the author of this study plan, not among its investigators."
        ),
        # Agreement.
        "agreement_missing": (
            "The organisation of {site} has not signed the agreement “{title}”. Its data steward "
            "can sign it on the agreement's page."
        ),
        "agreement_ended": "The organisation of {site} has ended the agreement “{title}”.",
        "agreement_expired": (
            "The agreement “{title}” of {site} expired on {moment}. Its data steward can renew it."
        ),
        # Consent.
        "consent_missing": (
            "{site} has not consented to this study plan. Its data steward can sign on the "
            "study's page or with site-agent consent."
        ),
        "consent_declined": "{site} has declined this study plan.",
        "consent_withdrawn": "{site} has withdrawn its consent to this study plan.",
        "consent_expired": (
            "The consent of {site} expired on {moment}. Its data steward can renew it."
        ),
        # What only the site itself knows.
        "site_not_in_plan": "{site} is not among the sites of this study plan.",
        "plan_could_wrap": "A number of this plan could leave the arithmetic: {problem}.",
        "policy_refuses": "The policy of {site} does not allow this study: {problem}.",
        "data_set_unknown": "{site} has no data set {name} that is fit for this study: {problem}.",
        "column_unknown": (
            "The register of {site} lists no column {column} for the data set {name}. Amend the "
            "plan so that it names a column listed there, or ask the site's operator to register "
            "data that have it."
        ),
        "rehearsal_on_confidential_data": (
            "{site} rehearses only on data sets that its own register calls synthetic or public; "
            "{name} is neither."
        ),
        "budget_exhausted": (
            "The privacy budget of {site} for {name} does not cover this run: it would cost "
            "{charge} micro-epsilon and {left} are left."
        ),
        # Key offers, manifest, acceptance.
        "run_key_mismatch": "The run manifest names a key of {site} that {site} did not offer.",
        "manifest_mismatch": "The run manifest is not for what was verified: {problem}.",
        "acceptance_missing": "{site} has not signed an acceptance of this run manifest.",
        "attempt_unknown": "{site} knows no such attempt, or it is over.",
        "attempt_superseded": "A newer attempt of this run has taken the place of this one.",
        # The log.
        "checkpoint_inconsistent": (
            "The checkpoint does not continue the log that {site} has witnessed: {problem}."
        ),
        "checkpoint_unsigned": "The checkpoint does not carry the log's signature: {problem}.",
        "checkpoint_not_cosigned": (
            "The checkpoint carries {came} cosignatures of sites of the roster, {expected} are "
            "needed."
        ),
        "entries_missing": (
            "{site} holds the first {held} entries of the log, and {expected} are spoken of: the "
            "portal must send the rest first."
        ),
        "record_withheld": (
            "The log records a decision on this study (entry {index}, {event}) that the portal has "
            "not sent."
        ),
        "record_contradictory": "The log contradicts itself: {problem}.",
        "plan_superseded": (
            "The log records that another version of this study plan was submitted since."
        ),
        "study_not_open": "The log records that this study is {state}: no run of it may begin.",
        "letter_unverified": "The letter of {site} cannot be believed: {problem}.",
        "stop_withheld": (
            "{site} knows of a decision that stops this study, and the portal has not sent it here."
        ),
        "permit_not_logged": "The opening permit is not in the log: {problem}.",
        "permit_mismatch": "The opening permit is not for this run: {problem}.",
        # The site's own release gate.
        "release_refused": "A data steward of {site} refused to give up its share: {member}.",
        # The run's end.
        "certificate_missing": "{site} has not signed a result certificate.",
        "certificate_mismatch": "The result certificates do not agree: {problem}.",
        "share_mismatch": "The output share of {site} is not the one it committed to.",
        "result_implausible": (
            "The opened numbers are not what any data could give: some site's share is wrong. "
            "Nothing of them is kept."
        ),
        "output_withheld": "An output checker, {member}, withheld the result.",
        "aborted": "The computation was stopped; the sites' journals say why.",
        "site_lost": "{site} was lost during the run.",
        "deadline_passed": "The run was not finished by its deadline, {moment}.",
        "cancelled": "The run was cancelled: {problem}.",
        "renewed_consent_needed": (
            "Three runs of this study plan were stopped; every site must renew its consent."
        ),
    }
)


def sentence(code: str, **details: Details) -> str:
    """Return the sentence for `code`, filled in with `details`; it need not use them all.

    *Raises* LookupError when there is no such code or a detail is missing.
    """
    if code not in REASONS:
        raise LookupError(f"expected a code of governance.reasons, got {code!r}")
    return REASONS[code].format(**details)
