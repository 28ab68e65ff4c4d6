"""One arm of a released Kaplan-Meier analysis: its steps, intervals, at-risk row and median."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from workers.analyses import printed, survival
from workers.analyses.printed import SUPPRESSED, Figure
from workers.analyses.survival import Values


@dataclass(frozen=True)
class Arm:
    """The figures of one group and the noise standard deviation of each; arrays are by bin.

    ``shown`` of the bins are not hidden.
    """

    group: Mapping[str, str]
    shown: int
    at_risk: Values
    events: float
    curve: Values
    sampling_error: Values
    noise_error: Values
    at_risk_noise: Values
    events_noise: float
    median_noise: float


def arm_json(arm: Arm, bin_width: int, suppress_below: int) -> dict[str, Any]:
    """Return the arm as the released JSON has it.

    The curve ends with the last bin after which `suppress_below` or more are still at risk
    (noised count); the steps from there on say "suppressed".
    """
    error = np.hypot(arm.sampling_error, arm.noise_error)
    lower, upper = survival.interval(arm.curve, error)
    bins, shown = len(arm.curve), arm.shown
    steps = [_step(arm, index, bin_width, error, lower, upper) for index in range(shown)]
    steps += [_hidden_step(index, bin_width) for index in range(shown, bins)]
    cut = shown < bins

    def median(curve: Values) -> Figure:
        reached = survival.first_at_or_below_half(curve[:shown], bin_width) if shown else np.nan
        if np.isfinite(reached):
            return int(reached)
        return SUPPRESSED if cut else None

    time = median(arm.curve)
    return {
        "value": arm.group["value"],
        "label": arm.group["label"],
        "persons": printed.count(round(arm.at_risk[0]), suppress_below),
        "persons_noise_sd": printed.figure(arm.at_risk_noise[0]),
        "events": printed.count(round(arm.events), suppress_below),
        "events_noise_sd": printed.figure(arm.events_noise),
        "median": {
            "time": time,
            "lower": median(lower),
            "upper": median(upper),
            "noise_sd": SUPPRESSED if time == SUPPRESSED else printed.figure(arm.median_noise),
        },
        "steps": steps,
    }


def _step(
    arm: Arm, index: int, bin_width: int, error: Values, lower: Values, upper: Values
) -> dict[str, Any]:
    return {
        "from": index * bin_width,
        "to": (index + 1) * bin_width,
        "at_risk": round(arm.at_risk[index]),
        "at_risk_noise_sd": printed.figure(arm.at_risk_noise[index]),
        "survival": printed.figure(arm.curve[index]),
        "sampling_error": printed.figure(arm.sampling_error[index]),
        "noise_sd": printed.figure(arm.noise_error[index]),
        "standard_error": printed.figure(error[index]),
        "lower": printed.figure(lower[index]),
        "upper": printed.figure(upper[index]),
    }


def _hidden_step(index: int, bin_width: int) -> dict[str, Any]:
    hidden = (
        "at_risk",
        "at_risk_noise_sd",
        "survival",
        "sampling_error",
        "noise_sd",
        "standard_error",
        "lower",
        "upper",
    )
    return {
        "from": index * bin_width,
        "to": (index + 1) * bin_width,
        **dict.fromkeys(hidden, SUPPRESSED),
    }
