"""Which signed decisions count: by whom, are they entitled to, and does it still hold.

A decision stands when the newest verified roster lists its member in the organisation it names and
one of that member's keys signed it. Of one member's decisions on one thing the newest counts; of
two from the same second, the one that stops.

A decision to go ahead holds from when it was issued until `valid_until`, which may be at most the
roster's `max_validity_days` later (five years for an agreement). A decision to stop (reject,
return, revoke, decline, withdraw, end) never lapses, or an older permission would come back to
life. Where the roster asks for offline signatures, a passkey's does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from governance.errors import StatementError
from governance.reasons import sentence
from governance.roster import Member, Roster
from governance.statements.decisions import (
    Agreement,
    ClassApproval,
    Consent,
    LastingDecision,
    OutputCheck,
    SiteRelease,
    StudyApproval,
)
from governance.statements.envelope import Envelope, signer_keys, verify
from governance.statements.keys import KeyKind
from studies.documents import parse_moment

DecisionT = TypeVar(
    "DecisionT", ClassApproval, StudyApproval, Consent, Agreement, OutputCheck, SiteRelease
)
LastingT = TypeVar("LastingT", ClassApproval, StudyApproval, Consent, Agreement)

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of this machine's clock a decision may have been issued."""

MAX_AGREEMENT_DAYS = 5 * 366
"""The longest that a signature under an agreement may hold: a contract outlives many studies."""

_GO_AHEAD = frozenset({"approve", "consent", "sign"})


@dataclass(frozen=True)
class Signed(Generic[DecisionT]):
    """A decision and the member who, as has been verified, signed it."""

    decision: DecisionT
    member: Member


def check_signed(envelope: Envelope, kind: type[DecisionT], roster: Roster) -> Signed[DecisionT]:
    """Return the decision in `envelope`, once it is clear that the member it names signed it.

    *Raises* StatementError: statement_malformed, statement_wrong_kind, signer_unknown,
    signer_not_entitled, signature_not_offline, signature_missing or signature_invalid.
    """
    decision = kind.of(envelope)
    member = roster.member(decision.member)
    if member is None:
        raise _not_entitled(decision.member, "the roster does not list them")
    if member.organisation != decision.organisation:
        raise _not_entitled(member.id, f"the roster does not list them in {decision.organisation}")
    own = [key for key in member.keys if key.id in signer_keys(envelope)]
    if not own:
        keys = ", ".join(signer_keys(envelope)) or "(unsigned)"
        raise StatementError(
            "signer_unknown", sentence("signer_unknown", key=keys, member=member.id)
        )
    if envelope.kind in roster.rules.offline_signatures:
        own = [key for key in own if key.kind is KeyKind.ED25519]
        if not own:
            details = sentence("signature_not_offline", member=member.id)
            raise StatementError("signature_not_offline", details)
    verify(envelope, own[0], roster.relying_party)
    return Signed(decision, member)


def newest_by_member(signed: Iterable[Signed[LastingT]]) -> list[Signed[LastingT]]:
    """Return each member's newest decision among `signed`, in the order of issue."""
    newest: dict[str, Signed[LastingT]] = {}
    for item in in_order(signed):
        newest[item.member.id] = item
    return in_order(newest.values())


def in_order(signed: Iterable[Signed[LastingT]]) -> list[Signed[LastingT]]:
    """Return `signed` from the oldest to the newest; within one second, what stops comes last."""
    return sorted(signed, key=lambda item: age(item.decision))


def age(decision: LastingDecision) -> tuple[str, bool]:
    """Return what orders decisions from the oldest to the newest."""
    return decision.issued_at, not goes_ahead(decision)


def goes_ahead(decision: LastingDecision) -> bool:
    """Tell whether `decision` permits rather than stops."""
    return decision.decision in _GO_AHEAD


def expired(decision: LastingDecision, now: datetime) -> bool:
    """Tell whether a decision to go ahead has run out at `now`; one to stop never has."""
    return goes_ahead(decision) and parse_moment(decision.valid_until) <= now


def fault_of_dates(decision: LastingDecision, roster: Roster, now: datetime) -> str:
    """Return what is wrong with the dates of a decision to go ahead, or the empty text."""
    if not goes_ahead(decision):
        return ""
    issued, until = parse_moment(decision.issued_at), parse_moment(decision.valid_until)
    if issued > now + CLOCK_SKEW:
        return f"it was issued in the future, at {decision.issued_at}"
    longest = longest_validity(type(decision), roster)
    if until - issued > longest:
        return f"it is valid for more than {longest.days} days"
    return ""


def longest_validity(kind: type[LastingDecision], roster: Roster) -> timedelta:
    """Return how long a decision of this kind may hold."""
    of_agreement = kind is Agreement
    return timedelta(days=MAX_AGREEMENT_DAYS if of_agreement else roster.rules.max_validity_days)


def sort_out(
    envelopes: Sequence[Envelope], kind: type[LastingT], roster: Roster, now: datetime
) -> tuple[list[Signed[LastingT]], list[str]]:
    """Return the decisions in `envelopes` that stand or have expired, and why the others do not.

    *Raises* StatementError when an envelope is of another kind or its payload is malformed.
    """
    signed, faults = [], []
    for envelope in envelopes:
        decision = kind.of(envelope)
        try:
            found = check_signed(envelope, kind, roster)
            fault = fault_of_dates(decision, roster, now)
        except StatementError as error:
            fault = error.sentence.rstrip(".")
        if fault:
            faults.append(f"not counted: {decision.member} ({fault})")
        else:
            signed.append(found)
    return signed, faults


def _not_entitled(member: str, problem: str) -> StatementError:
    details = sentence("signer_not_entitled", member=member, problem=problem)
    return StatementError("signer_not_entitled", details)
