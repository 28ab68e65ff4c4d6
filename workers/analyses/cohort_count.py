"""Cohort count: how many persons at all sites together belong to a cohort (``cohort-count/1``).

Each site counts its own persons in plaintext; the secure step is one secure sum of one number.

*Cost* 1 round; 8 (n - 1) bytes sent by each party; no multiplication.
*Security* semi-honest, up to n - 1 of n parties corrupted; the opened number carries the noise of
all parties. The small-number rule is applied to that opened, noised count: the same privacy as
inside the computation, but the gate sees what it then hides.
*See* [GRS12] for the mechanism.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.analyses import printed
from workers.analyses.cohort_selection import Cohort, select
from workers.analyses.errors import NoisedTableError
from workers.analyses.release_noise import CONFIDENCE, ReleaseNoise, describe
from workers.analyses.site_data import SiteData
from workers.analyses.site_report import SiteReport
from workers.mpc.additive import secure_sum
from workers.mpc.protocol import Party, Protocol
from workers.mpc.ring import Range
from workers.mpc.sharing import Share

PERSONS_AT_ONE_SITE = Range(0, 10**9)


def local_step(
    data: SiteData, cohort: Cohort, parameters: Mapping[str, Any]
) -> npt.NDArray[np.int64]:
    """Return this site's exact count. *Shapes* (1,); it never leaves the site unshared."""
    del parameters  # the cohort says it all
    return np.array([np.count_nonzero(select(data, cohort))], dtype=np.int64)


def site_report(data: SiteData, cohort: Cohort, parameters: Mapping[str, Any]) -> SiteReport:
    """Return what the site's own steward may see of its cohort before consent."""
    persons = int(local_step(data, cohort, parameters)[0])
    return SiteReport(in_cohort=persons, counted=persons, left_out=0, clipped=0)


def secure_step(
    party: Party, vector: npt.NDArray[np.int64], noise: npt.NDArray[np.int64] | None
) -> Protocol[Share]:
    """Return this party's share of the noised total; nothing is opened. *Cost* see the module."""
    return secure_sum(party, vector, input_range=PERSONS_AT_ONE_SITE, noise=noise)


def finish(
    noised_table: npt.NDArray[np.int64],
    parameters: Mapping[str, Any],
    noise: ReleaseNoise | None,
    *,
    suppress_below: int,
) -> dict[str, Any]:
    """Return the released JSON: the noised count, its noise and its interval, or "suppressed".

    `suppress_below` is the class's threshold; the plan's own, if stricter, takes its place.
    `noise` is None for a rehearsal without noise. The keys are those the declaration lists.
    *Raises* NoisedTableError when the table is not one number.
    """
    if noised_table.shape != (1,):
        raise NoisedTableError(f"expected one number, got a table of shape {noised_table.shape}")
    threshold = max(suppress_below, parameters.get("suppress_below", 0))
    noised = int(noised_table[0])
    shown = printed.count(noised, threshold)
    half_width = noise.half_width() if noise else 0
    hidden = shown == printed.SUPPRESSED
    return {
        "analysis": "cohort-count/1",
        "unit": "persons",
        "noise": describe(noise),
        "suppress_below": threshold,
        "count": shown,
        "count_noise_sd": printed.figure(noise.standard_deviation()) if noise else 0.0,
        "interval": {
            "confidence": str(CONFIDENCE),
            "lower": printed.SUPPRESSED if hidden else max(0, noised - half_width),
            "upper": printed.SUPPRESSED if hidden else max(0, noised + half_width),
        },
    }


def twin(data: SiteData, cohort: Cohort, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the exact count of pooled data, computed with pandas; rehearsal and tests only."""
    from workers.analyses.pooled_cohort import cohort_frame

    del parameters
    persons = len(cohort_frame(data, cohort))
    return {"table": [persons], "count": persons}
