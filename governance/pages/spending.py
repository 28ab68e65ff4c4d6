"""What a study costs a site's privacy budget, as far as the portal knows.

The ledger that counts is the site's own. The portal knows the budget that a site has registered,
and which openings it has permitted; what a site holds back for runs under way it does not know.
"""

from dataclasses import dataclass
from decimal import Decimal

from accounts.models import Site
from governance.models import Release
from governance.render import in_epsilon
from studies.actions import plan_of
from studies.plan import StudyPlan

_CHARGED = [state for state in Release.State if state != Release.State.SEALED]


@dataclass(frozen=True)
class Spending:
    """The budget of one data set at one site. *Units* epsilon, exact."""

    site: str
    data_set: str
    budget: Decimal
    spent: Decimal
    each_run: Decimal
    all_runs: Decimal

    @property
    def enough(self) -> bool:
        """Whether the budget covers every run that the plan allows."""
        return self.spent + self.all_runs <= self.budget

    @property
    def left(self) -> Decimal:
        """What is left as far as the portal knows, never below 0."""
        return max(Decimal(0), self.budget - self.spent)


def spending_at(site: Site, plan: StudyPlan) -> Spending | None:
    """Return what `plan` costs at `site`; None while the site has registered no such data set."""
    registered = {data_set["name"]: data_set for data_set in site.data_sets}
    if plan.data_set not in registered:
        return None
    return Spending(
        site=site.slug,
        data_set=plan.data_set,
        budget=in_epsilon(int(registered[plan.data_set]["budget_micro_epsilon"])),
        spent=in_epsilon(_spent(site, plan.data_set)),
        each_run=in_epsilon(plan.charge_micro_epsilon),
        all_runs=in_epsilon(plan.charge_micro_epsilon * plan.max_runs),
    )


def _spent(site: Site, data_set: str) -> int:
    """Return what permitted openings have cost the data set at the site, in micro-epsilon.

    *Cost* reads the plan of every release that the site has taken part in.
    """
    opened = Release.objects.filter(
        state__in=_CHARGED, permit_log_index__isnull=False, run__version__sites=site
    ).select_related("run__version")
    plans = (plan_of(release.run.version) for release in opened)
    return sum(plan.charge_micro_epsilon for plan in plans if plan.data_set == data_set)
