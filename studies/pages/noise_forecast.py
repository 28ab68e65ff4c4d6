"""How noisy a result will be, before anyone is asked: what a chosen epsilon means in persons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dp import mechanisms
from dp.events import DiscreteLaplace, epsilon_from_decimal
from studies.catalogue import Declaration

_TRIED = ("0.1", "0.25", "0.5", "1", "2", "4")


@dataclass(frozen=True)
class NoiseForecast:
    """The noise at one epsilon. *Units* persons.

    `per_number` is the noise's standard deviation in one number of the opened table, `half_width`
    the half-width of the 95% interval that it alone gives.
    """

    epsilon: str
    per_number: float
    half_width: int
    chosen: bool = False


def forecast(
    declaration: Declaration,
    epsilon: str,
    *,
    sites: int,
    max_sites_per_person: int = 1,
    chosen: bool = False,
) -> NoiseForecast:
    """Return the noise of a run among `sites` sites at `epsilon`, a decimal string.

    *Raises* ValueError for an epsilon, or so few sites, that no run can have.
    """
    exact = epsilon_from_decimal(epsilon)
    event = DiscreteLaplace(exact, declaration.sensitivity * max_sites_per_person)
    shared = {"parties": sites, "collusion_bound": declaration.noise_collusion_bound}
    return NoiseForecast(
        epsilon=epsilon,
        per_number=mechanisms.standard_deviation(event, **shared),
        half_width=mechanisms.interval_half_width(0.95, event, **shared),
        chosen=chosen,
    )


def forecasts(
    declaration: Declaration, epsilon: str, *, sites: int, max_sites_per_person: int
) -> list[NoiseForecast]:
    """Return the noise at `epsilon`, if it is one, among a few others that the class allows."""
    most = Fraction(declaration.maximum_epsilon)
    tried = {Fraction(each): each for each in _TRIED if Fraction(each) <= most}
    try:
        chosen = epsilon_from_decimal(epsilon)
    except ValueError:
        chosen = None
    if chosen is not None and chosen <= most:
        tried[chosen] = epsilon
    found = []
    for value in sorted(tried):
        try:
            found.append(
                forecast(
                    declaration,
                    tried[value],
                    sites=sites,
                    max_sites_per_person=max_sites_per_person,
                    chosen=value == chosen,
                )
            )
        except ValueError:
            continue  # noise beyond what is supported: no result could be read
    return found


def numbers_opened(declaration: Declaration, parameters: Mapping[str, Any]) -> int | None:
    """Return how many noised numbers a run opens; None while the parameters say too little."""
    try:
        declaration.validate_parameters(dict(parameters))
    except ValueError:
        return None
    return declaration.opened_cells(parameters)
