"""What privacy events cost: whole micro-epsilon, rounded up, added up.

Pure differential privacy composes by addition [DR14, section 3.5], also when each question and its
epsilon depend on the answers before it [RRUV16]. The ledger that records the spending is kept
elsewhere; this module says what an event costs and whether it may be spent: first check, then
spend.
"""

import math
from fractions import Fraction

from dp.events import Composed, Event

MICRO = 1_000_000
"""Micro-epsilon in one epsilon."""


class BudgetExceededError(Exception):
    """An event costs more than what is left of a budget."""


def micro_epsilon(event: Event) -> int:
    """Return the cost of an event in micro-epsilon, rounded up.

    A composed event costs the sum of its parts, each rounded up: charging it whole or in parts
    makes no difference.
    """
    if isinstance(event, Composed):
        return sum(micro_epsilon(part) for part in event.events)
    return math.ceil(event.epsilon * MICRO)


def micro_budget(epsilon: Fraction) -> int:
    """Return a budget in micro-epsilon, rounded down: what a site grants is never exceeded."""
    if epsilon < 0:
        raise ValueError(f"a budget is not negative: {epsilon}")
    return math.floor(epsilon * MICRO)


def check_can_spend(cap: int, spent: int, event: Event) -> None:
    """Refuse an event that would exceed a budget. *Units*: cap and spent in micro-epsilon.

    *Raises* BudgetExceededError naming cost, remainder and cap; ValueError for a negative argument.
    """
    for name, amount in (("cap", cap), ("spent", spent)):
        if not isinstance(amount, int) or amount < 0:
            raise ValueError(f"{name} is a whole number of micro-epsilon from 0, not {amount!r}")
    cost = micro_epsilon(event)
    if spent + cost > cap:
        raise BudgetExceededError(
            f"this costs {cost} micro-epsilon, and {max(cap - spent, 0)} of {cap} are left: "
            "lower the plan's epsilon, or ask the site for a larger budget"
        )


def can_spend(cap: int, spent: int, event: Event) -> bool:
    """Return whether a budget allows an event; see :func:`check_can_spend`."""
    try:
        check_can_spend(cap, spent, event)
    except BudgetExceededError:
        return False
    return True


def spend(cap: int, spent: int, event: Event) -> int:
    """Return what is spent after an event. *Raises* as :func:`check_can_spend`."""
    check_can_spend(cap, spent, event)
    return spent + micro_epsilon(event)
