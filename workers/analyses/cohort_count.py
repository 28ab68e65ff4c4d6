"""Cohort count: how many persons at all sites together belong to a cohort (``cohort-count/1``).

Each site counts its own persons in plaintext; the secure step adds the counts and the noise, and
hides a noised total under the minimum before anything is opened: it is 0 then, and nobody learns
which small number it was.

*Cost* one secure sum of one number, one comparison, one product.
*Security* that of the engine's profile; the opened number carries the noise of all parties.
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
from workers.analyses.noised_sum import Setting, at_least, noised_sum
from workers.analyses.release_noise import CONFIDENCE, ReleaseNoise, describe
from workers.analyses.site_data import SiteData
from workers.analyses.site_report import SiteReport
from workers.mpc.engine import Engine
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret

PERSONS_AT_ONE_SITE = Range(0, 10**8)


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
    engine: Engine,
    vector: npt.NDArray[np.int64],
    noise: npt.NDArray[np.int64] | None,
    setting: Setting,
) -> Protocol[Secret]:
    """Return the noised total, 0 if it lies under the minimum; nothing is opened.

    *Shapes* (1,). *Cost* see the module.
    """
    total = yield from noised_sum(engine, vector, noise, PERSONS_AT_ONE_SITE, setting)
    if setting.suppress_below == 0:
        return total
    kept = yield from at_least(engine, total, setting.suppress_below)
    flag = yield from engine.bit_to_arithmetic(kept)
    return (yield from engine.multiply(flag, total))


def finish(
    opened: npt.NDArray[np.int64],
    parameters: Mapping[str, Any],
    noise: ReleaseNoise | None,
    *,
    suppress_below: int,
) -> dict[str, Any]:
    """Return the released JSON: the noised count, its noise and its interval, or "suppressed".

    `opened` is what :func:`secure_step` returned. `suppress_below` is the class's threshold; the
    plan's own, if stricter, takes its place.
    `noise` is None for a rehearsal without noise. The keys are those the declaration lists.
    *Raises* NoisedTableError when the table is not one number.
    """
    if opened.shape != (1,):
        raise NoisedTableError(f"expected one number, got a table of shape {opened.shape}")
    threshold = max(suppress_below, parameters.get("suppress_below", 0))
    noised = int(opened[0])
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
