"""The closed list of what can be logged, and what each event must record.

Data are digests and identifiers, with whole numbers where they count something: never a name, an
e-mail address, a sentence, a patient's value or a result. The log is for ever and is copied to
everyone, so what may one day have to be erased must not be in it. `check` enforces the form: no
text with a space or an @ in it gets into the log. An event may record more than it must, under
the same rule.

Failed logins are not here: anyone on the network can cause them, and a log that nobody can
shorten must not grow at a stranger's will. They go to the portal's operational log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

MUST_RECORD: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        event: frozenset(keys.split())
        for event, keys in {
            # Who takes part.
            "organisation.created": "",
            "person.created": "organisation",
            "role.granted": "role",
            "role.removed": "role",
            "person.deactivated": "",
            "key.registered": "key_id",
            "roster.published": "roster_digest version",
            "site.created": "organisation",
            "site.enrolled": "identity_key",
            "site.policy_changed": "policy_digest",
            # What may be computed.
            "class.proposed": "class_digest",
            "class.approval_signed": "class_digest statement_digest decision",
            "class.approved": "class_digest",
            "class.rejected": "class_digest",
            "class.revoked": "class_digest",
            # What is asked.
            "study.created": "study_digest",
            "study.amended": "study_digest",
            "study.submitted": "study_digest",
            "study.review_signed": "study_digest statement_digest decision",
            "study.approved": "study_digest",
            "study.returned": "study_digest",
            "study.rejected": "study_digest",
            "study.conflicted": "study_digest",
            "study.ready": "study_digest",
            "study.withdrawn": "study_digest",
            "study.expired": "study_digest",
            # What each site agreed to.
            "consent.given": "study_digest statement_digest site",
            "consent.declined": "study_digest statement_digest site",
            "consent.withdrawn": "study_digest statement_digest site",
            # Under which contract it takes part.
            "agreement.signed": "agreement_digest statement_digest organisation",
            "agreement.ended": "agreement_digest statement_digest organisation",
            # What was computed.
            "run.requested": "study_digest",
            "run.refused": "reason",
            "run.started": "manifest_digest",
            "run.sealed": "manifest_digest",
            "run.failed": "reason",
            "run.cancelled": "",
            # What left.
            "release.permitted": "permit_digest",
            "release.share_signed": "statement_digest decision site",
            "release.opened": "result_digest",
            "release.check_signed": "statement_digest decision",
            "release.visible": "result_digest",
            "release.withheld": "reason",
            # A signed document that came from outside the portal's pages.
            "statement.received": "statement_digest",
        }.items()
    }
)
"""Each event, and the keys that its data must have."""

# Wide enough for base64url credential ids, paths and times; no space and no @.
_IDENTIFIER = re.compile(r"[A-Za-z0-9._:/+=~-]{1,512}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class EventError(ValueError):
    """An event is not on the list, or does not record what it must, or records what it may not."""


def check(event: str, *, actor: str, subject: str, study: str, data: Mapping[str, Any]) -> None:
    """Check that this may be logged.

    Keys ending in `_digest` hold 64 lower-case hex digits, those in `_digests` a list of them;
    all other values are identifiers, whole numbers, truth values, null, or lists of these.

    *Raises* EventError; the message names the key, never the value.
    """
    if event not in MUST_RECORD:
        raise EventError(f"expected an event of audit.events.MUST_RECORD, got {event!r}")
    for role, identifier in (("actor", actor), ("subject", subject), ("study", study or "-")):
        if not _is_identifier(identifier):
            raise EventError(f"{event}: expected an identifier as {role}: no spaces, no @")
    missing = MUST_RECORD[event] - data.keys()
    if missing:
        raise EventError(f"{event} must also record {', '.join(sorted(missing))}")
    for key, value in data.items():
        if not _is_identifier(key) or not _may_be_logged(key, value):
            raise EventError(
                f"{event}: expected {key!r} to hold a digest, an identifier or a whole number; "
                "log the digest of anything else"
            )


def _may_be_logged(key: str, value: Any) -> bool:
    if key.endswith("_digest"):
        return _is_digest(value)
    if key.endswith("_digests"):
        return isinstance(value, list) and all(map(_is_digest, value))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return _is_plain(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, int) or _is_identifier(value)


def _is_identifier(value: Any) -> bool:
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
