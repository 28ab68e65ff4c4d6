"""Will it be refused? What each site would say of a plan, as far as the portal can know.

Each site decides for itself, by its own files and keys. This is advice for whoever writes or reads
a plan: from the roster, from what sites have registered, and from the policies that they chose to
publish, asked with the same code that the sites run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from accounts.errors import ActionError
from accounts.models import Site
from governance.data_set_fitness import missing_columns, unfit
from governance.errors import Refusal
from governance.evidence import check_agreed
from governance.models import Agreement, SitePolicy
from governance.queries import current_roster, read_envelopes
from governance.roster import Roster
from governance.site_policy import Circumstances, PolicyError, in_words
from governance.site_policy import SitePolicy as Policy
from governance.statements.registers import RegisteredDataSet
from studies.plan import StudyPlan


class Verdict(StrEnum):
    """What a site would say."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Foreseen:
    """What one site would say of a plan, and why."""

    site: Site
    verdict: Verdict
    reason: str


def foresee(plan: StudyPlan, *, now: datetime) -> list[Foreseen]:
    """Return what each site of `plan` would say at `now`, in the plan's order."""
    sites = {site.slug: site for site in Site.objects.filter(slug__in=plan.sites)}
    try:
        roster = current_roster()
    except ActionError as error:
        return [Foreseen(site, Verdict.UNKNOWN, error.sentence) for site in sites.values()]
    agreements = read_envelopes(Agreement.objects.order_by("pk").values_list("envelope", flat=True))
    found = []
    for slug in plan.sites:
        site = sites[slug]
        reason = _against(plan, site, roster)
        if not reason:
            try:
                check_agreed(agreements, slug, roster=roster, now=now)
            except Refusal as refusal:
                reason = refusal.sentence
        if reason:
            found.append(Foreseen(site, Verdict.REFUSED, reason))
        else:
            found.append(Foreseen(site, *_by_policy(plan, site, roster, now=now)))
    return found


def _against(plan: StudyPlan, site: Site, roster: Roster) -> str:
    """Return why the site must refuse, whatever its policy says, or an empty text."""
    if roster.site(site.slug) is None:
        return "The roster in force does not list this site."
    registered = _registered(site, plan.data_set)
    if registered is None:
        return f"This site has registered no data set called {plan.data_set}."
    if problem := unfit(registered, plan):
        return f"Its data set {plan.data_set} does not fit: {problem}."
    if missing := missing_columns(registered, plan):
        return f"Its data set {plan.data_set} has no column {' or '.join(missing)}."
    if plan.is_rehearsal and registered.kind == "confidential":
        return f"Its data set {plan.data_set} is confidential: nothing is rehearsed on it."
    if plan.charge_micro_epsilon > registered.budget_micro_epsilon:
        return f"A run costs more than {plan.data_set} may ever spend here."
    return ""


def _by_policy(
    plan: StudyPlan, site: Site, roster: Roster, *, now: datetime
) -> tuple[Verdict, str]:
    stored = SitePolicy.objects.filter(site=site).first()
    if stored is None:
        return Verdict.UNKNOWN, "Its agent has not told of its policy yet."
    if not stored.published:
        return Verdict.UNKNOWN, "This site keeps its policy to itself. Ask its data steward."
    registered = _registered(site, plan.data_set)
    assert registered is not None  # what must be refused has been
    asked = Circumstances(now, registered.kind, spent=0, cap=registered.budget_micro_epsilon)
    try:
        # Where a consent signed in the portal would not do, one signed at the site still can.
        decision = Policy(stored.text).execute(plan, roster, asked, signed_here=True)
    except PolicyError:
        return Verdict.UNKNOWN, "Its policy is written for another version of this software."
    if not decision.allowed:
        return Verdict.REFUSED, f"Its policy: {in_words(decision)}."
    return (
        Verdict.ALLOWED,
        f"Its policy: {in_words(decision)}. What is left of its budget it knows.",
    )


def _registered(site: Site, name: str) -> RegisteredDataSet | None:
    found = next((row for row in site.data_sets if row["name"] == name), None)
    return (
        None
        if found is None
        else RegisteredDataSet(**{**found, "columns": tuple(found["columns"])})
    )
