"""Kaplan-Meier by arm with log-rank, on a declared grid of time bins (``kaplan-meier/1``).

Every person of the cohort stands in exactly one cell of a table (group, event or censored, time
bin), so adding or removing one person moves the table by 1 in L1: that is all the noise has to
cover. The secure step is one secure sum of that table; curves, intervals, medians and the test
are post-processing of the opened, noised table (`kaplan_meier_finish`).

*Shapes* the table is a vector of groups * 2 * bins cells: by group, then events before censored,
then bin. Bin j (from 0) holds the times in (j * bin_width, (j + 1) * bin_width].
*Cost* 1 round; 8 * cells * (n - 1) bytes sent by each party; no multiplication.
*Security* semi-honest, up to n - 1 of n parties corrupted; the opened table carries the noise of
all parties.
*See* [GW20] for the estimator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.analyses.cohort_selection import Cohort, select
from workers.analyses.site_data import Mask, SiteData, as_numbers, column, equals_text, persons
from workers.analyses.site_report import SiteReport
from workers.mpc.additive import secure_sum
from workers.mpc.protocol import Party, Protocol
from workers.mpc.ring import Range
from workers.mpc.sharing import Share

PERSONS_IN_ONE_CELL = Range(0, 10**9)

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
    party: Party, vector: npt.NDArray[np.int64], noise: npt.NDArray[np.int64] | None
) -> Protocol[Share]:
    """Return this party's share of the noised table; nothing is opened. *Cost* see the module."""
    return secure_sum(party, vector, input_range=PERSONS_IN_ONE_CELL, noise=noise)


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
