"""A site's own policy: what it permits, in Cedar rules that its steward and the committee can read.

Three questions are asked of it, each of a study plan that the committee has approved:

    consent   may a steward of this site consent? (at the site only: it knows the cohort's size)
    execute   may this site take part in a run?
    release   may this site give up its share of the sealed result, with or without a steward?

The bounds of the computation class are checked before, in code, so a policy can only be stricter.
A site may publish its policy; then the portal foretells what it will answer, and that is advice:
the site asks its own file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from accounts.policy_engine import Decision, PolicyError, PolicySet, entity
from governance.roster import Roster
from studies.plan import StudyPlan

__all__ = ["Circumstances", "Decision", "PolicyError", "Release", "SitePolicy"]

SCHEMA = """
entity Organisation;
entity Person in [Organisation] = { organisation: String };
entity Study = {
    computation_class: String,   // "kaplan-meier/1"
    purpose: String,             // one of the purposes of a study plan, like "clinical_trial"
    mode: String,                // "study" or "rehearsal"
    data_set: String,
    data_set_kind: String,       // "synthetic", "public", "confidential", or "" where unknown
    sites: Set<String>,
    profile: String,
    max_sites_per_person: Long,
};
type Run = {
    charge: Long,                // micro-epsilon that one run costs this site
    openings: Long,
    max_runs: Long,
    spent: Long,                 // micro-epsilon that the data set has spent and reserved so far
    cap: Long,                   // micro-epsilon that it may ever spend
    hour: Long,                  // 0 to 23, UTC
    weekday: Long,               // 1 Monday to 7 Sunday, UTC
};
action "consent" appliesTo {
    principal: Person, resource: Study, context: { run: Run, counted: Long }
};
action "execute" appliesTo {
    principal: Person, resource: Study, context: { run: Run, consent_signed_here: Bool }
};
action "release" appliesTo {
    principal: Person, resource: Study, context: { run: Run, released_here: Bool }
};
"""
"""What a rule may speak of; the principal is the study's investigator."""

NOTHING_PERMITS = "no rule of it permits this"


@dataclass(frozen=True)
class Circumstances:
    """What a policy may ask besides the plan. *Units* micro-epsilon; `at` is in UTC."""

    at: datetime
    data_set_kind: str = ""
    spent: int = 0
    cap: int = 0


@dataclass(frozen=True)
class Release:
    """What a site's policy says of giving up a share: at once, by a steward, or not at all."""

    at_once: bool
    by_steward: bool
    decision: Decision


class SitePolicy:
    """The policy in `text`. *Raises* PolicyError when it is not one."""

    def __init__(self, text: str) -> None:
        self._rules = _read(text)

    @property
    def text(self) -> str:
        """The file, word for word."""
        return self._rules.text

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hex."""
        return self._rules.digest

    def consent(
        self, plan: StudyPlan, roster: Roster, circumstances: Circumstances, *, counted: int
    ) -> Decision:
        """Return whether a steward may consent where the site would count so many persons."""
        return self._decide("consent", plan, roster, circumstances, counted=counted)

    def execute(
        self, plan: StudyPlan, roster: Roster, circumstances: Circumstances, *, signed_here: bool
    ) -> Decision:
        """Return whether the site may take part in a run of `plan`.

        `signed_here` tells whether its consent was signed at the site, not in the portal's pages.
        """
        return self._decide("execute", plan, roster, circumstances, consent_signed_here=signed_here)

    def release(self, plan: StudyPlan, roster: Roster, circumstances: Circumstances) -> Release:
        """Return whether the site's share may go at once, or only when a steward lets it."""
        at_once = self._decide("release", plan, roster, circumstances, released_here=False)
        if at_once.allowed:
            return Release(at_once=True, by_steward=True, decision=at_once)
        asked = self._decide("release", plan, roster, circumstances, released_here=True)
        return Release(at_once=False, by_steward=asked.allowed, decision=asked)

    def _decide(
        self,
        action: str,
        plan: StudyPlan,
        roster: Roster,
        circumstances: Circumstances,
        **context: Any,
    ) -> Decision:
        author = roster.member(plan.author)
        organisation = author.organisation if author is not None else ""
        at = circumstances.at.astimezone(UTC)
        run = {
            "charge": plan.charge_micro_epsilon,
            "openings": len(plan.openings),
            "max_runs": plan.max_runs,
            "spent": circumstances.spent,
            "cap": circumstances.cap,
            "hour": at.hour,
            "weekday": at.isoweekday(),
        }
        return self._rules.decide(
            principal=("Person", plan.author),
            action=action,
            resource=("Study", plan.study),
            context={"run": run, **context},
            entities=[
                entity("Organisation", organisation),
                entity(
                    "Person",
                    plan.author,
                    parents=[("Organisation", organisation)],
                    organisation=organisation,
                ),
                _study(plan, circumstances),
            ],
        )


def in_words(decision: Decision) -> str:
    """Return which rules decided, in their own words, without a full stop."""
    if not decision.rules:
        return NOTHING_PERMITS
    return "; ".join(f"{rule.sentence.rstrip('.')} (rule {rule.id})" for rule in decision.rules)


@lru_cache(maxsize=64)
def _read(text: str) -> PolicySet:
    return PolicySet(text, SCHEMA)


def _study(plan: StudyPlan, circumstances: Circumstances) -> Any:
    return entity(
        "Study",
        plan.study,
        computation_class=plan.declaration.identifier,
        purpose=plan.purpose_category,
        mode=plan.mode,
        data_set=plan.data_set,
        data_set_kind=circumstances.data_set_kind,
        sites=list(plan.sites),
        profile=plan.declaration.profile,
        max_sites_per_person=plan.max_sites_per_person,
    )
