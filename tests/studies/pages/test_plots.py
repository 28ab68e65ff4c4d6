"""A survival plot draws exactly what was released: every step, its limits, and nothing hidden."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.pages.plots import CURVES_HEIGHT, LEFT, RIGHT, TOP, WIDTH, survival_plot, tick_step

BOTTOM = TOP + CURVES_HEIGHT
SUPPRESSED = "suppressed"


def step(index: int, survival: Any, lower: Any, upper: Any, at_risk: Any = 50) -> dict[str, Any]:
    return {
        "from": index * 90,
        "to": (index + 1) * 90,
        "survival": survival,
        "lower": lower,
        "upper": upper,
        "at_risk": at_risk,
    }


def released(*curves: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "unit": "days",
        "grid": {"bin_width": 90, "bins": len(curves[0])},
        "curves": [
            {"label": f"group {number}", "steps": steps} for number, steps in enumerate(curves)
        ],
    }


def ys(path: str) -> list[float]:
    return [float(found) for found in re.findall(r"V([-\d.]+)", path)]


def test_the_line_is_level_through_a_bin_and_falls_at_its_end() -> None:
    curve = survival_plot(released([step(0, 0.5, 0.4, 0.6), step(1, 0.25, 0.1, 0.4)])).curves[0]
    half, end = (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT
    assert curve.line == (
        f"M{LEFT},{TOP}H{half:g}V{TOP + CURVES_HEIGHT / 2:g}H{end}V{BOTTOM - CURVES_HEIGHT / 4:g}"
    )
    assert not curve.ends_early


def test_nothing_is_drawn_beyond_what_may_be_shown() -> None:
    hidden = [step(index, SUPPRESSED, SUPPRESSED, SUPPRESSED, SUPPRESSED) for index in (1, 2)]
    plot = survival_plot(released([step(0, 0.5, 0.4, 0.6), *hidden]))
    curve = plot.curves[0]
    assert curve.ends_early
    assert len(ys(curve.line)) == 1
    furthest = LEFT + (WIDTH - LEFT - RIGHT) / 3
    drawn = re.findall(r"[MH]([\d.]+)", curve.line + curve.band)
    assert max(map(float, drawn)) == pytest.approx(furthest, abs=0.01)
    assert [cell.label for cell in curve.at_risk.cells] == ["50", "–", "–"]


def test_a_group_that_is_hidden_from_the_start_has_no_line_and_keeps_its_row() -> None:
    hidden = [step(index, SUPPRESSED, SUPPRESSED, SUPPRESSED, SUPPRESSED) for index in range(2)]
    shown = [step(index, 0.9, 0.8, 1) for index in range(2)]
    first, second = survival_plot(released(hidden, shown)).curves
    assert (first.line, first.band) == ("", "")
    assert second.line
    assert (first.series, second.series) == (1, 2)


def test_limits_that_cannot_be_estimated_leave_a_gap_in_the_band_only() -> None:
    steps = [step(0, 0.5, 0.4, 0.6), step(1, 0.0, None, None), step(2, 0.0, 0.0, 0.1)]
    curve = survival_plot(released(steps)).curves[0]
    assert len(ys(curve.line)) == 3
    assert curve.band.count("M") == 2
    assert curve.band.count("Z") == 2


def test_the_band_holds_each_bins_limits_until_the_next_bin_ends() -> None:
    curve = survival_plot(released([step(0, 0.5, 0.4, 0.6), step(1, 0.25, 0.1, 0.4)])).curves[0]
    half, end = (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT
    upper, lower = BOTTOM - 0.6 * CURVES_HEIGHT, BOTTOM - 0.4 * CURVES_HEIGHT
    assert curve.band.startswith(f"M{half:g},{upper:g}V{upper:g}H{end}")
    assert curve.band.endswith(f"V{lower:g}H{half:g}Z")


def test_numbers_at_risk_stand_under_their_ticks_and_none_where_the_grid_ends() -> None:
    steps = [step(index, 0.5, 0.4, 0.6, 40 - index) for index in range(12)]
    plot = survival_plot(released(steps))
    ticks = [tick.label for tick in plot.times]
    assert ticks == ["0", "180", "360", "540", "720", "900", "1080"]
    cells = plot.curves[0].at_risk.cells
    assert [cell.label for cell in cells] == ["40", "38", "36", "34", "32", "30"]
    assert [cell.at for cell in cells] == [tick.at for tick in plot.times[:-1]]


@given(width=st.integers(1, 3650), bins=st.integers(1, 4000))
def test_ticks_are_whole_bins_and_never_crowd(width: int, bins: int) -> None:
    distance = tick_step(width, bins)
    assert distance % width == 0
    assert width * bins / distance <= 7


@given(
    survivals=st.lists(
        st.one_of(st.floats(0, 1), st.none(), st.just(SUPPRESSED)), min_size=1, max_size=30
    )
)
def test_every_coordinate_lies_within_the_axes(survivals: list[Any]) -> None:
    steps = [step(index, value, value, value) for index, value in enumerate(survivals)]
    plot = survival_plot(released(steps))
    for path in (plot.curves[0].line, plot.curves[0].band):
        assert all(TOP <= y <= BOTTOM for y in ys(path))
        assert all(LEFT <= float(x) <= WIDTH - RIGHT for x in re.findall(r"[MH]([\d.]+)", path))
