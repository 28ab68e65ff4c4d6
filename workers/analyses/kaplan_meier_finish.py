"""From the opened numbers of ``kaplan-meier/1`` to what the PI reads: post-processing only.

Two uncertainties enter every interval. That of the sample is Greenwood's; that of the noise is
found by redrawing it: noise of the same distribution is added to the monotone table again and
again, every figure is computed anew, and its standard deviation over the redraws is its noise SD.
A standard error adds the two variances; the log-rank test adds the noise covariance of O - E to
Mantel's. The redraws are decided by the opened numbers alone.

A group whose last bins are hidden leaves the study, for the test too, after its last shown bin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.analyses import printed, survival
from workers.analyses.errors import NoisedTableError
from workers.analyses.kaplan_meier_curves import Arm, arm_json
from workers.analyses.release_noise import CONFIDENCE, ReleaseNoise, describe
from workers.analyses.survival import Counts, Values

MOST_REPLICATES = 400
FEWEST_REPLICATES = 50
_CELLS_PER_BATCH = 2_000_000

TEST_NEEDS_PERSONS = 500
TEST_NEEDS_EPSILON = Fraction(1)
"""A test on fewer persons, at this epsilon or less, is mostly noise: on the lung trial (228
persons, 12 bins) its Z has a noise SD of 1.2 at epsilon 1, as large as the sample's own."""


def finish(
    opened: npt.NDArray[np.int64],
    parameters: Mapping[str, Any],
    noise: ReleaseNoise | None,
    *,
    suppress_below: int,
) -> dict[str, Any]:
    """Return the released JSON: curves, medians, log-rank and the noised table.

    `opened` is what :func:`workers.analyses.kaplan_meier.secure_step` returned, `suppress_below`
    the class's threshold; 0 suppresses nothing. `noise` is None for a rehearsal without noise. The
    keys are those the declaration lists.
    *Raises* NoisedTableError when the numbers are not as many as the parameters imply, or no such
    step can have returned them.
    """
    groups, bins = parameters["groups"], int(parameters["bins"])
    width = int(parameters["bin_width"])
    shown, table, counts = _read(opened, len(groups), bins)
    figures = _figures(counts, width, shown)
    spread = _spread(counts, width, noise, opened, shown)
    arms = [
        Arm(
            group=group,
            shown=int(shown[index]),
            at_risk=counts.at_risk[index],
            events=float(figures.observed[index]),
            curve=figures.curve[index],
            sampling_error=figures.sampling_error[index],
            noise_error=spread.curve[index],
            at_risk_noise=spread.at_risk[index],
            events_noise=float(spread.observed[index]),
            median_noise=float(spread.median[index]),
        )
        for index, group in enumerate(groups)
    ]
    return {
        "analysis": "kaplan-meier/1",
        "unit": parameters["unit"],
        "confidence": str(CONFIDENCE),
        "grid": {
            "bin_width": width,
            "bins": bins,
            "estimator": "life table" if width > 1 else "Kaplan-Meier",
        },
        "noise": {**describe(noise), "replicates": spread.replicates},
        "suppress_below": suppress_below,
        "curves": [arm_json(arm, width, suppress_below) for arm in arms],
        "log_rank": _log_rank_json(counts, figures, spread, noise, suppress_below),
        "table": {
            "events": _cells_json(table[:, 0], suppress_below),
            "censored": _cells_json(table[:, 1], suppress_below),
        },
    }


def _read(
    opened: npt.NDArray[np.int64], groups: int, bins: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Counts]:
    """Return how many bins are shown, the table, and the counts that it stands for."""
    if opened.shape != (groups * (2 + 2 * bins),):
        raise NoisedTableError(
            f"expected {groups * (2 + 2 * bins)} numbers for {groups} groups and {bins} bins, got "
            f"{opened.shape}"
        )
    rows = opened.reshape(groups, 2 + 2 * bins)
    shown, persons, table = rows[:, 0], rows[:, 1], rows[:, 2:].reshape(groups, 2, bins)
    hidden = np.arange(bins) >= shown[:, None]
    if np.any((shown < 0) | (shown > bins)) or np.any(table[:, 0][hidden] | table[:, 1][hidden]):
        raise NoisedTableError("the opened numbers hide one bin and show it, too")
    remaining = persons - table.sum(axis=(1, 2))
    events, censored = table[:, 0].astype(np.float64), table[:, 1].astype(np.float64)
    _leave_after_the_shown_bins(censored, shown, remaining.astype(np.float64))
    return shown, table, survival.monotone(events, censored)


def _leave_after_the_shown_bins(
    censored: Values, shown: npt.NDArray[np.int64], remaining: Values
) -> None:
    """Put those who remain at risk after each group's last shown bin into the bin after it."""
    for group in np.flatnonzero(shown < censored.shape[-1]):
        censored[..., group, shown[group]] = remaining[..., group]


@dataclass(frozen=True)
class _Figures:
    """Every figure of one table, or of many when there are replicate axes."""

    at_risk: Values
    curve: Values
    sampling_error: Values
    median: Values
    test: survival.LogRank

    @property
    def observed(self) -> Values:
        """The events of every group."""
        return self.test.observed

    @property
    def expected(self) -> Values:
        """The events that the test expects of it."""
        return self.test.expected


@dataclass(frozen=True)
class _Spread:
    """Noise standard deviations of the figures; `difference` is the covariance of O - E."""

    replicates: int
    at_risk: Values
    curve: Values
    median: Values
    observed: Values
    expected: Values
    difference: Values


def _figures(counts: Counts, width: int, shown: npt.NDArray[np.int64]) -> _Figures:
    exposed = counts.exposed(width)
    curve = survival.survival(counts.events, exposed)
    in_study = np.arange(exposed.shape[-1]) < shown[:, None]
    test = survival.log_rank(counts.events, exposed * in_study)
    return _Figures(
        at_risk=counts.at_risk,
        curve=curve,
        sampling_error=survival.standard_error(counts.events, exposed),
        median=survival.first_at_or_below_half(curve, width),
        test=test,
    )


def _spread(
    counts: Counts,
    width: int,
    noise: ReleaseNoise | None,
    opened: npt.NDArray[np.int64],
    shown: npt.NDArray[np.int64],
) -> _Spread:
    groups, bins = counts.events.shape
    if noise is None:
        by_bin, by_group = np.zeros((groups, bins)), np.zeros(groups)
        square = np.zeros((groups, groups))
        return _Spread(0, by_bin, by_bin, by_group, by_group, by_group, square)
    cells = groups * 2 * bins
    replicates = max(FEWEST_REPLICATES, min(MOST_REPLICATES, _CELLS_PER_BATCH // cells))
    seed = hashlib.sha256(opened.astype("<i8").tobytes()).digest()
    drawn = noise.redraw(seed, (replicates, groups, 2, bins))
    hidden = np.arange(bins) >= shown[:, None, None]
    unseen = np.where(hidden, drawn, 0).sum(axis=(-2, -1)).astype(np.float64)
    drawn = np.where(hidden, 0, drawn)
    events, censored = counts.events + drawn[:, :, 0], counts.censored + drawn[:, :, 1]
    _leave_after_the_shown_bins(censored, shown, _remaining(counts, shown) + unseen)
    redrawn = _figures(survival.monotone(events, censored), width, shown)
    difference = redrawn.observed - redrawn.expected
    return _Spread(
        replicates=replicates,
        at_risk=redrawn.at_risk.std(axis=0),
        curve=redrawn.curve.std(axis=0),
        median=_median_spread(redrawn.median),
        observed=redrawn.observed.std(axis=0),
        expected=redrawn.expected.std(axis=0),
        difference=np.cov(difference, rowvar=False).reshape(groups, groups),
    )


def _remaining(counts: Counts, shown: npt.NDArray[np.int64]) -> Values:
    """Return how many of each group are at risk after its last shown bin."""
    beyond = np.concatenate([counts.at_risk, np.zeros((len(shown), 1))], axis=1)
    return np.asarray(np.take_along_axis(beyond, shown[:, None], axis=1)[:, 0])


def _median_spread(medians: Values) -> Values:
    """Return the SD of each group's medians; NaN where a tenth of the redraws reached none."""
    reached = np.isfinite(medians)
    rare = reached.mean(axis=0) < 0.9
    centre = np.where(reached, medians, 0.0).sum(axis=0) / np.maximum(reached.sum(axis=0), 1)
    squares = np.where(reached, (medians - centre) ** 2, 0.0).sum(axis=0)
    return np.where(rare, np.nan, np.sqrt(squares / np.maximum(reached.sum(axis=0), 1)))


def _log_rank_json(
    counts: Counts,
    figures: _Figures,
    spread: _Spread,
    noise: ReleaseNoise | None,
    suppress_below: int,
) -> dict[str, Any]:
    test = figures.test
    chi_square, degrees = test.chi_square(spread.difference)
    reason = _why_no_test(counts, degrees, noise, suppress_below)
    if reason is not None:
        return {"status": printed.SUPPRESSED, "reason": reason}
    variance = np.diagonal(test.covariance)
    noise_variance = np.diagonal(spread.difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_z = np.sqrt(noise_variance / variance)
    return {
        "status": "released",
        "reason": "",
        "observed": [printed.count(round(value), suppress_below) for value in figures.observed],
        "observed_noise_sd": [printed.figure(value) for value in spread.observed],
        "expected": [printed.figure(value) for value in figures.expected],
        "expected_noise_sd": [printed.figure(value) for value in spread.expected],
        "chi_square": printed.figure(chi_square),
        "degrees_of_freedom": degrees,
        "p": printed.figure(survival.chi_square_tail(chi_square, degrees)),
        "z_noise_sd": [printed.figure(value) for value in of_z],
    }


def _why_no_test(
    counts: Counts, degrees: int, noise: ReleaseNoise | None, suppress_below: int
) -> str | None:
    """Return why the test is not shown, or None when it is; decided on noised counts alone."""
    persons = counts.at_risk[:, 0]
    if len(persons) > 1 and np.any(persons < suppress_below):
        return f"a group has fewer than {suppress_below} persons (noised count)"
    if degrees == 0:
        return "a test compares two groups with persons at risk; there are fewer"
    if noise is None:
        return None
    if noise.event.epsilon <= TEST_NEEDS_EPSILON and persons.sum() < TEST_NEEDS_PERSONS:
        return (
            f"on fewer than {TEST_NEEDS_PERSONS} persons (noised count) at an epsilon of "
            f"{TEST_NEEDS_EPSILON} or less, the test would mostly measure the noise"
        )
    return None


def _cells_json(cells: npt.NDArray[np.int64], suppress_below: int) -> list[list[int | str]]:
    return [[printed.count(int(cell), suppress_below) for cell in group] for group in cells]
