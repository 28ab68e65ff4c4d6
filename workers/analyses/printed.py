"""How a figure is printed in a released JSON: as a number, as "suppressed", or as null.

null means *not estimable* (a median that the curve does not reach); "suppressed" means hidden by
the small-number rule. Neither is ever printed as 0.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

SUPPRESSED: Literal["suppressed"] = "suppressed"

Figure: TypeAlias = float | int | Literal["suppressed"] | None


def count(value: int, suppress_below: int) -> int | Literal["suppressed"]:
    """Return the noised count, or "suppressed" when it lies under the threshold; 0 hides none."""
    return SUPPRESSED if suppress_below > 0 and value < suppress_below else int(value)


def figure(value: float) -> float | None:
    """Return `value` to six significant digits, or null when it is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
