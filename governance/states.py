"""The state machines of class, study, consent, run and release: one table each.

A row says from which state to which, who makes the move and which audit event records it. The
states are the values of the models' ``State`` choices (a consent's are its decisions); the empty
state stands before anything exists. ``docs/states.md`` is drawn from these tables.

SYSTEM makes a move when the facts call for it (a quorum is reached, a moment has passed), never at
one person's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from governance.errors import IllegalTransition


class Machine(StrEnum):
    """What has states."""

    CLASS = "class"
    STUDY = "study"
    CONSENT = "consent"
    RUN = "run"
    RELEASE = "release"


class Actor(StrEnum):
    """Who moves a state."""

    PI = "pi"
    STEWARD = "steward"
    SITE = "site"
    PORTAL_OPERATOR = "portal_operator"
    SYSTEM = "system"


@dataclass(frozen=True)
class Transition:
    """One allowed move. `event` is empty where an earlier entry has recorded the move already."""

    source: str
    target: str
    by: Actor
    event: str
    when: str


START = ""
"""The state before anything exists."""


def _row(sources: str, target: str, by: Actor, event: str, when: str) -> list[Transition]:
    return [Transition(source, target, by, event, when) for source in sources.split("|")]


CLASS = (
    *_row(START, "proposed", Actor.PORTAL_OPERATOR, "class.proposed", "entered for approval"),
    *_row("proposed", "approved", Actor.SYSTEM, "class.approved", "a quorum approves"),
    *_row("proposed", "rejected", Actor.SYSTEM, "class.rejected", "a quorum rejects"),
    *_row("approved", "revoked", Actor.SYSTEM, "class.revoked", "approval falls below the quorum"),
)

_BEFORE_RUNS = "draft|in_review|conflicted|returned|approved|ready"
STUDY = (
    *_row(START, "draft", Actor.PI, "study.created", "drafted"),
    *_row("draft", "in_review", Actor.PI, "study.submitted", "submitted"),
    *_row("in_review|conflicted", "approved", Actor.SYSTEM, "study.approved", "a quorum approves"),
    *_row("in_review|conflicted", "returned", Actor.SYSTEM, "study.returned", "reviews return it"),
    *_row("in_review|conflicted", "rejected", Actor.SYSTEM, "study.rejected", "reviews reject it"),
    *_row("in_review", "conflicted", Actor.SYSTEM, "study.conflicted", "reviewers disagree"),
    *_row("returned|approved|ready", "draft", Actor.PI, "study.amended", "amended, new version"),
    *_row("approved", "ready", Actor.SYSTEM, "study.ready", "every site has consented"),
    *_row("ready", "approved", Actor.SYSTEM, "consent.withdrawn", "a site's consent has ended"),
    *_row(_BEFORE_RUNS, "withdrawn", Actor.PI, "study.withdrawn", "withdrawn"),
    *_row("approved|ready", "expired", Actor.SYSTEM, "study.expired", "its time is over"),
)

CONSENT = (
    *_row(f"{START}|decline|withdraw", "consent", Actor.STEWARD, "consent.given", "consents"),
    *_row("consent", "consent", Actor.STEWARD, "consent.given", "renews"),
    *_row(f"{START}|withdraw", "decline", Actor.STEWARD, "consent.declined", "declines"),
    *_row("consent", "withdraw", Actor.STEWARD, "consent.withdrawn", "withdraws"),
)

RUN = (
    *_row(START, "pending", Actor.PI, "run.requested", "started"),
    *_row("pending", "running", Actor.SYSTEM, "run.started", "every site has accepted"),
    *_row("running", "succeeded", Actor.SYSTEM, "run.sealed", "all certificates are in"),
    *_row("pending|running", "failed", Actor.SITE, "run.refused", "a site refuses"),
    *_row("pending|running", "failed", Actor.SYSTEM, "run.failed", "lost, late or stopped"),
    *_row("pending|running", "cancelled", Actor.PI, "run.cancelled", "cancelled"),
)

RELEASE = (
    *_row(START, "sealed", Actor.SYSTEM, "", "the run has succeeded"),
    *_row("sealed", "opening", Actor.SYSTEM, "release.permitted", "the gate permits"),
    *_row("opening", "opened", Actor.SYSTEM, "release.opened", "all output shares are in"),
    *_row("opened", "decided", Actor.SYSTEM, "release.visible", "rules and checkers pass it"),
    *_row("decided", "visible", Actor.SYSTEM, "", "the decision is cosigned"),
    *_row(
        "sealed|opening", "withheld", Actor.SYSTEM, "release.withheld", "a site or the gate refuses"
    ),
    *_row("opened", "withheld", Actor.SYSTEM, "release.withheld", "a checker withholds it"),
)

TABLES: Mapping[Machine, tuple[Transition, ...]] = MappingProxyType(
    {
        Machine.CLASS: CLASS,
        Machine.STUDY: STUDY,
        Machine.CONSENT: CONSENT,
        Machine.RUN: RUN,
        Machine.RELEASE: RELEASE,
    }
)

_COMMITTEE = "With: governance committee"
_STEWARDS = "With: data stewards of the sites"
_SITES = "With: the sites' agents"
_GATE = "With: release gate"
_PI = "With: principal investigator"
_NOBODY = ""

OWNER: Mapping[tuple[Machine, str], str] = MappingProxyType(
    {
        (Machine.CLASS, "proposed"): _COMMITTEE,
        (Machine.CLASS, "approved"): _NOBODY,
        (Machine.CLASS, "rejected"): _NOBODY,
        (Machine.CLASS, "revoked"): _NOBODY,
        (Machine.STUDY, "draft"): _PI,
        (Machine.STUDY, "in_review"): _COMMITTEE,
        (Machine.STUDY, "conflicted"): f"{_COMMITTEE}, one more reviewer",
        (Machine.STUDY, "returned"): _PI,
        (Machine.STUDY, "rejected"): _NOBODY,
        (Machine.STUDY, "approved"): _STEWARDS,
        (Machine.STUDY, "ready"): _PI,
        (Machine.STUDY, "withdrawn"): _NOBODY,
        (Machine.STUDY, "expired"): _NOBODY,
        (Machine.CONSENT, "consent"): _NOBODY,
        (Machine.CONSENT, "decline"): _PI,
        (Machine.CONSENT, "withdraw"): _PI,
        (Machine.RUN, "pending"): _SITES,
        (Machine.RUN, "running"): _SITES,
        (Machine.RUN, "succeeded"): _GATE,
        (Machine.RUN, "failed"): _PI,
        (Machine.RUN, "cancelled"): _PI,
        (Machine.RELEASE, "sealed"): _GATE,
        (Machine.RELEASE, "opening"): _SITES,
        (Machine.RELEASE, "opened"): "With: output checkers",
        (Machine.RELEASE, "decided"): "With: the sites' agents, to cosign",
        (Machine.RELEASE, "visible"): _NOBODY,
        (Machine.RELEASE, "withheld"): _NOBODY,
    }
)
"""Who acts next, for every state; the empty text where nobody has to."""


def states(machine: Machine) -> tuple[str, ...]:
    """Return the states of `machine`, in the order in which they can first be reached."""
    return tuple(dict.fromkeys(row.target for row in TABLES[machine]))


def transition(machine: Machine, source: str, target: str, by: Actor) -> Transition:
    """Return the row that lets `by` move `machine` from `source` to `target`.

    *Raises* IllegalTransition naming what `by` may do from there.
    """
    for row in TABLES[machine]:
        if (row.source, row.target, row.by) == (source, target, by):
            return row
    allowed = [row.target for row in TABLES[machine] if (row.source, row.by) == (source, by)]
    raise IllegalTransition(
        "transition_illegal",
        f"A {machine.value} cannot go from {source or 'nothing'} to {target} by {by.value}; "
        f"allowed from there: {', '.join(allowed) or 'nothing'}.",
    )
