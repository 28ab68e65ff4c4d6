"""Kaplan-Meier by arm with log-rank, on a declared grid of time bins (``kaplan-meier/1``).

Every person of the cohort stands in exactly one cell of a table (group, event or censored, time
bin), so adding or removing one person moves the table by 1 in L1: that is all the noise has to
cover. The secure step adds the tables and the noise and hides what the small-number rule hides;
curves, intervals, medians and the test are post-processing of what is opened
(`kaplan_meier_finish`).

*Small numbers.* A bin of a group is shown while the minimum or more are still at risk after it (in
the last bin: when it begins), in noised numbers. From the first bin that is not, every cell of the
group is 0 when it is opened. What is opened determines how many are at risk after the last shown
bin, which is no small number, and nothing further.

*Shapes* the table is a vector of groups * 2 * bins cells: by group, then events before censored,
then bin. Bin j (from 0) holds the times in (j * bin_width, (j + 1) * bin_width]. What is opened
has 2 + 2 * bins numbers for every group: see :func:`secure_step`.
*Cost* one secure sum of the table; groups * bins comparisons; one product a cell.
*Security* that of the engine's profile; the opened numbers carry the noise of all parties.
*See* [GW20] for the estimator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.analyses.cohort_selection import Cohort, select
from workers.analyses.noised_sum import Setting, at_least, leading, noised_sum
from workers.analyses.site_data import Mask, SiteData, as_numbers, column, equals_text, persons
from workers.analyses.site_report import SiteReport
from workers.mpc.engine import Engine
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret, concatenate

PERSONS_AT_ONE_SITE = Range(0, 10**8)
"""In any of a site's cells, and in all of them together."""


_EVENTS, _CENSORED = 0, 1


def cells(parameters: Mapping[str, Any]) -> int:
    """Return the length of the table."""
    return len(parameters["groups"]) * 2 * int(parameters["bins"])


def local_step(
    data: SiteData, cohort: Cohort, parameters: Mapping[str, Any]
) -> npt.NDArray[np.int64]:
    """Return this site's exact table; it never leaves the site unshared.

    Left out are persons of no declared group, and those whose time is missing or negative or
    whose event is neither 0 nor 1; times beyond the grid count as censored in its last bin.
    *Shapes* (groups * 2 * bins,), see the module.
    """
    placed = _place(data, cohort, parameters)
    bins = int(parameters["bins"])
    kind = np.where(placed.event, _EVENTS, _CENSORED)
    cell = (placed.group * 2 + kind) * bins + placed.bin
    counted = np.bincount(cell[placed.counted], minlength=cells(parameters))
    return counted.astype(np.int64)


def site_report(data: SiteData, cohort: Cohort, parameters: Mapping[str, Any]) -> SiteReport:
    """Return what the site's own steward may see of its cohort before consent."""
    placed = _place(data, cohort, parameters)
    in_cohort, counted = int(placed.chosen.sum()), int(placed.counted.sum())
    return SiteReport(
        in_cohort=in_cohort,
        counted=counted,
        left_out=in_cohort - counted,
        clipped=int((placed.counted & placed.beyond).sum()),
    )


def secure_step(
    engine: Engine,
    vector: npt.NDArray[np.int64],
    noise: npt.NDArray[np.int64] | None,
    setting: Setting,
) -> Protocol[Secret]:
    """Return what may be opened of the noised table: see the module for the small-number rule.

    *Shapes* (groups * (2 + 2 * bins),): for every group how many bins are shown, how many persons
    it has, and its cells; zeros stand for what is hidden.
    """
    groups, bins = len(setting.parameters["groups"]), int(setting.parameters["bins"])
    total = yield from noised_sum(engine, vector, noise, PERSONS_AT_ONE_SITE, setting)
    by_kind = total.reshape(groups, 2, bins)
    table = total.reshape(groups, 2 * bins)
    with engine.step("numbers at risk"):
        at_risk = _suffix_sums(by_kind.sum(axis=1), engine.party.n, setting)
    if setting.suppress_below == 0:
        shown = engine.constant(np.full((groups, 1), bins))
        return concatenate([shown, at_risk[:, :1], table], axis=1).reshape(-1)
    remaining = concatenate([at_risk[:, 1:], at_risk[:, -1:]], axis=1)
    enough = yield from at_least(engine, remaining, setting.suppress_below)
    kept = yield from leading(engine, enough)
    flags = yield from engine.bit_to_arithmetic(kept)
    masked = yield from engine.multiply(
        concatenate([flags[:, :1], flags, flags], axis=1),
        concatenate([at_risk[:, :1], table], axis=1),
    )
    return concatenate([flags.sum(axis=1).reshape(groups, 1), masked], axis=1).reshape(-1)


def _suffix_sums(leaving: Secret, parties: int, setting: Setting) -> Secret:
    """Return how many are at risk when each bin begins: everybody who leaves in it or later."""
    bins = leaving.shape[1]
    reach = Range(0, 0) if setting.noise_share is None else setting.noise_share
    # Not the sum of all cells' ranges: one site's persons stand in one cell each.
    declared = (PERSONS_AT_ONE_SITE + reach.times(2 * bins)).times(parties)
    return leaving.with_parts(
        lambda part: np.ascontiguousarray(
            np.cumsum(part[:, ::-1], axis=1, dtype=part.dtype)[:, ::-1]
        ),
        declared,
    )


@dataclass(frozen=True, repr=False)
class _Placed:
    """Where each person of the data set stands; meaningful only where `counted`."""

    chosen: Mask
    counted: Mask
    beyond: Mask
    event: Mask
    group: npt.NDArray[np.int64]
    bin: npt.NDArray[np.int64]


def _place(data: SiteData, cohort: Cohort, parameters: Mapping[str, Any]) -> _Placed:
    table = persons(data)
    chosen = select(data, cohort)
    group = _groups(column(table, parameters["group"]), parameters["groups"])
    time = as_numbers(column(table, parameters["time"]))
    event = as_numbers(column(table, parameters["event"]))
    usable = (time >= 0) & np.isfinite(time) & np.isin(event, (0.0, 1.0))

    bins, width = int(parameters["bins"]), int(parameters["bin_width"])
    number = np.ceil(np.where(usable, time, 0.0) / width)
    beyond = number > bins
    inside = np.clip(number, 1, bins).astype(np.int64) - 1
    return _Placed(
        chosen=chosen,
        counted=chosen & usable & (group >= 0),
        beyond=beyond,
        event=(event == 1) & ~beyond,
        group=group,
        bin=inside,
    )


def _groups(values: npt.NDArray[Any], groups: list[Mapping[str, str]]) -> npt.NDArray[np.int64]:
    """Return each person's group by its number in the plan, the first that matches; -1 for none."""
    number = np.full(len(values), -1, dtype=np.int64)
    for index, group in enumerate(groups):
        matches = equals_text(values, group["value"])
        number[matches & (number < 0)] = index
    return number
