"""A plan's secure step, rehearsed on zeros: what it costs, and whether a number could wrap."""

from __future__ import annotations

from dp import mechanisms
from governance.errors import refusal
from studies.plan import StudyPlan
from workers.analyses import plan_check, registry
from workers.analyses.noised_sum import Setting
from workers.analyses.plan_check import Cost
from workers.mpc.errors import LocalProtocolError


def setting_of(plan: StudyPlan) -> Setting:
    """Return what the secure step of a plan needs to know of it."""
    return Setting.of(
        plan.parameters,
        suppress_below=plan.declaration.suppression_threshold,
        scale=None if plan.is_rehearsal else mechanisms.scale(plan.event),
    )


def cost_of(plan: StudyPlan) -> Cost:
    """Return what one run of a plan costs each party, before any data is read.

    *Raises* Refusal plan_could_wrap, naming the step, if a number within its declared bounds could
    leave the ring that it is computed in.
    """
    declaration = plan.declaration
    try:
        return plan_check.rehearse(
            registry.get(declaration.identifier),
            setting_of(plan),
            declaration.cells(plan.parameters),
            len(plan.sites),
        )
    except LocalProtocolError as error:
        raise refusal("plan_could_wrap", problem=str(error)) from None
