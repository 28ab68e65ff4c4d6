"""How many decisions it takes: k members of m organisations, never the author.

Only reviewers and chairs are counted, each once, whatever the number of their keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from governance.errors import QuorumError

COMMITTEE_ROLES = frozenset({"reviewer", "chair"})


class Voter(Protocol):
    """A member of the roster, as far as counting goes."""

    @property
    def id(self) -> str:
        """The member's opaque identifier."""

    @property
    def organisation(self) -> str:
        """The organisation the member speaks for."""

    @property
    def roles(self) -> Collection[str]:
        """The roles the member holds in the roster."""


@dataclass(frozen=True)
class Rule:
    """A quorum: at least `approvals` members, from at least `organisations` organisations."""

    approvals: int
    organisations: int

    def __str__(self) -> str:
        return f"{self.approvals} members of {self.organisations} organisations"


class Outcome(StrEnum):
    """What the reviews that are in amount to."""

    WAITING = "waiting"
    APPROVED = "approved"
    RETURNED = "returned"
    REJECTED = "rejected"
    CONFLICTED = "conflicted"


@dataclass(frozen=True)
class Review:
    """One member's decision on a study: approve, return or reject."""

    member: Voter
    decision: str


_OUTCOMES = {
    "approve": Outcome.APPROVED,
    "return": Outcome.RETURNED,
    "reject": Outcome.REJECTED,
}


@dataclass(frozen=True)
class Author:
    """Whose study it is: never counted, and nobody of `excluded`, their organisation, if named."""

    id: str
    excluded: str = ""

    def keeps_out(self, member: Voter) -> bool:
        """Tell whether `member` is too near to the study to be counted."""
        return member.id == self.id or member.organisation == self.excluded


def check_quorum(approvals: Iterable[Voter], rule: Rule, *, author: Author | None) -> None:
    """Check that the members who approved meet `rule`.

    *Raises* QuorumError saying how many count and how many are needed.
    """
    counted = {member.id: member for member in approvals if _counts(member, author)}
    organisations = {member.organisation for member in counted.values()}
    if len(counted) < rule.approvals or len(organisations) < rule.organisations:
        raise QuorumError(
            "quorum_missing",
            f"it needs {rule}, other than the author, and has "
            f"{len(counted)} of {len(organisations)}",
        )


def meets_quorum(approvals: Iterable[Voter], rule: Rule, *, author: Author | None) -> bool:
    """Tell whether the members who approved meet `rule`."""
    try:
        check_quorum(approvals, rule, author=author)
    except QuorumError:
        return False
    return True


def may_vote(member: Voter) -> bool:
    """Tell whether `member` sits on the governance committee."""
    return not COMMITTEE_ROLES.isdisjoint(member.roles)


def review_outcome(reviews: Sequence[Review], rule: Rule, *, author: Author) -> Outcome:
    """Return what `reviews`, at most one from each member, amount to.

    Nothing is decided, and nobody sees another's review, before `rule.approvals` are in. If they
    agree, that is the outcome; approval also needs the quorum's organisations and else waits for
    one more. If they disagree the study is conflicted: one more reviewer, then the majority,
    which for approval must itself meet the quorum.
    """
    counted = [review for review in reviews if _counts(review.member, author)]
    if len(counted) < rule.approvals:
        return Outcome.WAITING
    (leading, votes), *rest = Counter(review.decision for review in counted).most_common()
    if votes * 2 <= len(counted) or (rest and len(counted) == rule.approvals):
        return Outcome.CONFLICTED
    approvers = [review.member for review in counted if review.decision == "approve"]
    if leading == "approve" and not meets_quorum(approvers, rule, author=author):
        return Outcome.CONFLICTED if rest else Outcome.WAITING
    return _OUTCOMES[leading]


def _counts(member: Voter, author: Author | None) -> bool:
    return may_vote(member) and not (author is not None and author.keeps_out(member))
