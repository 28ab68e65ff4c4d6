"""A released result as people read it: every figure with its noise, in words where it has none.

"suppressed" (hidden by the small-number rule) and *not estimable* (null) are never shown as 0.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studies.pages.plots import Plot, is_number, survival_plot

NOT_ESTIMABLE = "not estimable"
_STEP_COLUMNS = (
    "from",
    "to",
    "at_risk",
    "at_risk_noise_sd",
    "survival",
    "lower",
    "upper",
    "standard_error",
    "sampling_error",
    "noise_sd",
)
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class ArmSummary:
    """One group's totals and median; each text holds the figure and its noise."""

    label: str
    series: int
    persons: str
    events: str
    median: str
    median_limits: str


@dataclass(frozen=True)
class StepRow:
    """One time bin of one group."""

    time: str
    at_risk: str
    survival: str
    limits: str
    standard_error: str
    noise_sd: str


@dataclass(frozen=True)
class ArmTable:
    """Every bin of one group."""

    label: str
    rows: tuple[StepRow, ...]


@dataclass(frozen=True)
class LogRank:
    """The test in words; `reason` says why there is none."""

    released: bool
    reason: str
    sentence: str
    rows: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True)
class SurvivalResult:
    """Everything that the page of a survival analysis shows."""

    plot: Plot
    arms: tuple[ArmSummary, ...]
    tables: tuple[ArmTable, ...]
    log_rank: LogRank
    estimator: str
    unit: str


@dataclass(frozen=True)
class CountResult:
    """The one figure of a cohort count; `limits` is its interval."""

    count: str
    suppressed: bool
    limits: str
    noise_sd: str


def survival_result(result: Mapping[str, Any]) -> SurvivalResult:
    """Return a released ``kaplan-meier/1`` as its page shows it."""
    plot = survival_plot(result)
    curves = result["curves"]
    return SurvivalResult(
        plot=plot,
        arms=tuple(
            _arm(curve, drawn.series) for curve, drawn in zip(curves, plot.curves, strict=True)
        ),
        tables=tuple(
            ArmTable(str(curve["label"]), tuple(_step(step) for step in curve["steps"]))
            for curve in curves
        ),
        log_rank=_log_rank(result["log_rank"], [str(curve["label"]) for curve in curves]),
        estimator=str(result["grid"]["estimator"]),
        unit=str(result["unit"]),
    )


def count_result(result: Mapping[str, Any]) -> CountResult:
    """Return a released ``cohort-count/1`` as its page shows it."""
    interval = result["interval"]
    return CountResult(
        count=shown(result["count"]),
        suppressed=not is_number(result["count"]),
        limits=_limits(interval["lower"], interval["upper"]),
        noise_sd=shown(result["count_noise_sd"]),
    )


def as_csv(result: Mapping[str, Any]) -> str:
    """Return the released figures as CSV: one line for each bin of each group, or the count."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    if "curves" not in result:
        lines.writerow(["count", "count_noise_sd", "lower", "upper", "confidence"])
        interval = result["interval"]
        figures = [result["count"], result["count_noise_sd"], interval["lower"], interval["upper"]]
        lines.writerow([*map(_cell, figures), interval["confidence"]])
        return written.getvalue()
    lines.writerow(["group", *_STEP_COLUMNS])
    for curve in result["curves"]:
        for step in curve["steps"]:
            lines.writerow([_text(curve["label"]), *(_cell(step[name]) for name in _STEP_COLUMNS)])
    return written.getvalue()


def shown(figure: Any, places: int | None = None) -> str:
    """Return a figure as text, with `places` after the point or three significant digits."""
    if figure is None:
        return NOT_ESTIMABLE
    if not is_number(figure):
        return str(figure)
    if places is not None:
        return f"{figure:.{places}f}"
    if figure == int(figure):
        return f"{int(figure):,}"
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.3g}"


def _arm(curve: Mapping[str, Any], series: int) -> ArmSummary:
    median = curve["median"]
    return ArmSummary(
        label=str(curve["label"]),
        series=series,
        persons=_with_noise(curve["persons"], curve["persons_noise_sd"]),
        events=_with_noise(curve["events"], curve["events_noise_sd"]),
        median=_with_noise(median["time"], median["noise_sd"]),
        median_limits=_limits(median["lower"], median["upper"]),
    )


def _step(step: Mapping[str, Any]) -> StepRow:
    return StepRow(
        time=f"{step['from']:,} to {step['to']:,}",
        at_risk=_with_noise(step["at_risk"], step["at_risk_noise_sd"]),
        survival=shown(step["survival"], 3),
        limits=_limits(step["lower"], step["upper"], 3),
        standard_error=shown(step["standard_error"], 3),
        noise_sd=shown(step["noise_sd"], 3),
    )


def _log_rank(test: Mapping[str, Any], labels: Sequence[str]) -> LogRank:
    if test["status"] != "released":
        return LogRank(False, str(test["reason"]), "", ())
    p = test["p"]
    probability = (
        f"p {NOT_ESTIMABLE}" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3g}"
    )
    freedom = test["degrees_of_freedom"]
    degrees = f"{freedom} degree{'' if freedom == 1 else 's'} of freedom"
    columns = ("observed", "observed_noise_sd", "expected", "expected_noise_sd", "z_noise_sd")
    return LogRank(
        released=True,
        reason="",
        sentence=f"Chi-square {shown(test['chi_square'])} on {degrees}, {probability}",
        rows=tuple(
            (label, _with_noise(seen, seen_sd), _with_noise(due, due_sd), shown(z_sd))
            for label, seen, seen_sd, due, due_sd, z_sd in zip(
                labels, *(test[name] for name in columns), strict=True
            )
        ),
    )


def _with_noise(figure: Any, noise_sd: Any) -> str:
    if not is_number(figure):
        return shown(figure)
    spread = f"noise SD {shown(noise_sd)}" if is_number(noise_sd) else f"noise SD {NOT_ESTIMABLE}"
    return f"{shown(figure)} ({spread})"


def _limits(lower: Any, upper: Any, places: int | None = None) -> str:
    if not is_number(lower) and lower == upper:
        return shown(lower)
    return f"{shown(lower, places)} to {shown(upper, places)}"


def _cell(figure: Any) -> str:
    return "" if figure is None else str(figure)


def _text(label: Any) -> str:
    """Return a label that no spreadsheet takes for a formula."""
    return f"'{label}" if str(label).startswith(_STARTS_A_FORMULA) else str(label)
