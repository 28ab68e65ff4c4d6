"""A released result in words: each figure with its noise, and hidden ones never as 0."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest

from studies.pages.result_tables import as_csv, count_result, shown, survival_result
from tests.factories.evidence import KAPLAN_MEIER_PARAMETERS
from tests.workers.analyses import hospitals
from workers.analyses import cohort_count, kaplan_meier_finish
from workers.analyses.release_noise import ReleaseNoise

EVENTS = [[40, 30, 20, 10, 9, 8, 7, 6, 5, 4, 3, 2], [20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 1, 1]]


def released(epsilon: str = "2", suppress_below: int = 11) -> dict[str, Any]:
    """Return what the gate releases for a noised table, made by the analysis itself."""
    table = np.stack([np.array(EVENTS), np.full((2, 12), 2)], axis=1)
    noise = ReleaseNoise.of(epsilon, sensitivity=1, parties=3, collusion_bound=1)
    return kaplan_meier_finish.finish(
        hospitals.opened(table.reshape(-1).astype(np.int64), 2, suppress_below),
        KAPLAN_MEIER_PARAMETERS,
        noise,
        suppress_below=suppress_below,
    )


def count(noised: int) -> dict[str, Any]:
    noise = ReleaseNoise.of("1", sensitivity=1, parties=3, collusion_bound=1)
    return cohort_count.finish(np.array([noised], dtype=np.int64), {}, noise, suppress_below=11)


def test_every_total_carries_the_standard_deviation_of_its_noise() -> None:
    result = survival_result(released())
    assert [arm.label for arm in result.arms] == ["Male", "Female"]
    for arm in result.arms:
        assert "noise SD" in arm.persons
        assert "noise SD" in arm.events
        assert "noise SD" in arm.median
    assert result.log_rank.released
    assert "1 degree of freedom, p" in result.log_rank.sentence
    assert [label for label, *_ in result.log_rank.rows] == ["Male", "Female"]


def test_a_test_that_is_suppressed_says_why() -> None:
    test = survival_result(released(epsilon="0.5")).log_rank
    assert not test.released
    assert "500 persons" in test.reason
    assert test.rows == ()


def test_bins_with_too_few_at_risk_say_suppressed_in_every_column() -> None:
    last = survival_result(released()).tables[0].rows[-1]
    figures = (last.at_risk, last.survival, last.limits, last.standard_error, last.noise_sd)
    assert set(figures) == {"suppressed"}


def test_a_hidden_count_is_a_word_and_a_shown_one_has_its_interval() -> None:
    hidden, open_ = count_result(count(4)), count_result(count(147))
    assert (hidden.count, hidden.suppressed, hidden.limits) == ("suppressed", True, "suppressed")
    assert (open_.count, open_.suppressed, open_.limits) == ("147", False, "144 to 150")


@pytest.mark.parametrize(
    ("figure", "places", "said"),
    [
        (None, None, "not estimable"),
        ("suppressed", 3, "suppressed"),
        (0, None, "0"),
        (12345, None, "12,345"),
        (3.60555, None, "3.61"),
        (12345.678, None, "12,346"),
        (0.5, 3, "0.500"),
    ],
)
def test_how_a_figure_is_said(figure: Any, places: int | None, said: str) -> None:
    assert shown(figure, places) == said


def test_the_csv_has_a_line_for_each_bin_and_the_released_figures_word_for_word() -> None:
    result = released()
    lines = list(csv.DictReader(as_csv(result).splitlines()))
    assert len(lines) == 24
    steps = [each for curve in result["curves"] for each in curve["steps"]]
    for line, released_step in zip(lines, steps, strict=True):
        for name, value in released_step.items():
            assert line[name] == ("" if value is None else str(value))


def test_no_label_becomes_a_formula_in_a_spreadsheet() -> None:
    result = released()
    result["curves"][0]["label"] = "=1+1"
    assert "\n'=1+1," in as_csv(result)


def test_the_csv_of_a_count_is_one_line() -> None:
    assert as_csv(count(4)).splitlines()[1].startswith("suppressed,")
