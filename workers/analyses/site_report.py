"""What a site may tell its own steward about a cohort before consent; it never leaves the site."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class SiteReport:
    """Exact numbers of persons at one site, for its steward's eyes and its own journal only.

    `counted` enters the table; `left_out` lacks a usable value of a variable or belongs to no
    declared group; `clipped` of the counted lie beyond the grid and count as censored at its end.
    `in_cohort` = `counted` + `left_out`.
    """

    in_cohort: int
    counted: int
    left_out: int
    clipped: int
