"""Check what came back signed: the statement the portal would have asked for, by whom it says.

The portal's check spares everyone a decision that sites would refuse later; it is not the one that
protects anybody. Sites verify the same envelope again, against the roster they pinned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic

from accounts.errors import ActionRefusedError, NotPermittedError
from accounts.models import User
from governance.roster import Roster
from governance.standing import (
    CLOCK_SKEW,
    DecisionT,
    check_signed,
    expired,
    fault_of_dates,
)
from governance.statements.decisions import OutputCheck, SiteRelease
from governance.statements.envelope import Envelope
from studies.documents import parse_moment, shown


@dataclass(frozen=True)
class SignedStatement(Generic[DecisionT]):
    """One verified decision: the envelope word for word, what it says, and who signed it."""

    envelope: Envelope
    decision: DecisionT
    signer: User

    @property
    def row(self) -> dict[str, Any]:
        """The columns that every signed decision has, but for its place in the log."""
        return {
            "envelope": self.envelope.to_json(),
            "digest": self.envelope.digest,
            "signer": self.signer,
            "decision": self.decision.decision,
            "comment": self.decision.comment,
        }

    @property
    def logged(self) -> dict[str, Any]:
        """What the audit log records of it."""
        return {"statement_digest": self.envelope.digest, "decision": self.decision.decision}


def read_signed(
    kind: type[DecisionT],
    envelope: Mapping[str, Any],
    *,
    expected: Mapping[str, Any],
    roles: frozenset[str],
    roster: Roster,
    by: User | None,
    now: datetime,
) -> SignedStatement[DecisionT]:
    """Return the decision in `envelope`, checked in full.

    `expected` holds the fields that the portal would have filled in; `roles` those of which the
    signer must hold one in the roster. `by` is None when it came through a site's agent: then the
    signer is whom it names.

    *Raises* StatementError when it cannot be read or its signature does not count;
    NotPermittedError when someone else signed or the roster does not entitle them;
    ActionRefusedError when it is about something else or its time is over.
    """
    read = Envelope.parse(envelope)
    signed = check_signed(read, kind, roster)
    for field, value in expected.items():
        came = getattr(signed.decision, field)
        if came != value:
            raise ActionRefusedError(
                "statement_differs",
                f"This statement is not the one to sign: expected {field} {shown(value)}, came"
                f" {shown(came)}. Ask for the statement again and sign that.",
            )
    if roles.isdisjoint(signed.member.roles):
        raise NotPermittedError(
            "signer_not_entitled",
            f"The roster lists {signed.member.id} with none of the roles"
            f" {', '.join(sorted(roles))}. Ask the portal operator for a roster that does.",
        )
    _check_dates(signed.decision, roster, now)
    return SignedStatement(read, signed.decision, _signer(signed.member.id, by))


def _check_dates(decision: DecisionT, roster: Roster, now: datetime) -> None:
    fault = ""
    if parse_moment(decision.issued_at) > now + CLOCK_SKEW:
        fault = f"it was issued in the future, at {decision.issued_at}"
    elif not isinstance(decision, OutputCheck | SiteRelease):
        fault = fault_of_dates(decision, roster, now)
        if not fault and expired(decision, now):
            fault = f"it ended at {decision.valid_until}"
    if fault:
        raise ActionRefusedError(
            "statement_out_of_date",
            f"This statement does not hold now: {fault}. Ask for it again and sign that.",
        )


def _signer(member: str, by: User | None) -> User:
    if by is not None and by.member_id != member:
        raise NotPermittedError(
            "not_signer", "This statement names someone else. People send in their own statements."
        )
    signer = User.objects.filter(member_id=member, is_active=True).first()
    if signer is None:
        raise NotPermittedError("not_signer", f"{member} has no open account in this portal.")
    return signer
