"""With noise on, the lung trial's release is sane, honest about its noise, and suppressed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.catalogue import get as declared
from tests.workers.analyses import hospitals
from workers.analyses import registry
from workers.analyses.printed import SUPPRESSED
from workers.analyses.release_noise import ReleaseNoise
from workers.analyses.site_data import Table

KAPLAN_MEIER = registry.get("kaplan-meier/1")
SEEDS = [f"release {number}" for number in range(5)]


def noise_at(epsilon: str) -> ReleaseNoise:
    return ReleaseNoise.of(epsilon, sensitivity=1, parties=3, collusion_bound=1)


def release(
    parameters: dict[str, Any],
    epsilon: str,
    seed: str,
    sites: tuple[Table, ...] | None = None,
    suppress_below: int = 11,
) -> dict[str, Any]:
    noise = noise_at(epsilon)
    table = hospitals.run(
        KAPLAN_MEIER,
        sites or hospitals.lung(),
        hospitals.EVERYBODY,
        parameters,
        noise,
        seed=seed,
        suppress_below=suppress_below,
    )
    return KAPLAN_MEIER.finish(table, parameters, noise, suppress_below=suppress_below)


def pooled(parameters: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the exact table of all hospitals together."""
    tables = [
        KAPLAN_MEIER.local_step(site, hospitals.EVERYBODY, parameters) for site in hospitals.lung()
    ]
    return sum(tables[1:], tables[0])


def shown(arm: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for step in arm["steps"] if step["survival"] != SUPPRESSED]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("epsilon", ["0.5", "2"])
def test_released_curves_are_curves(by_sex: dict[str, Any], epsilon: str, seed: str) -> None:
    for arm in release(by_sex, epsilon, seed)["curves"]:
        steps = shown(arm)
        assert steps, "an arm of 90 or more persons shows some of its curve"
        levels = [1.0, *(step["survival"] for step in steps)]
        at_risk = [step["at_risk"] for step in steps]
        assert levels == sorted(levels, reverse=True)
        assert at_risk == sorted(at_risk, reverse=True)
        assert arm["persons"] == at_risk[0]
        assert min(at_risk) >= 11, "no number at risk is small, nor the one behind the curve"
        for step in steps:
            assert 0 <= step["lower"] <= step["survival"] <= step["upper"] <= 1
        hidden = arm["steps"][len(steps) :]
        assert all(step["at_risk"] == SUPPRESSED for step in hidden), "once hidden, hidden on"


def test_every_figure_has_its_noise_beside_it(by_sex: dict[str, Any]) -> None:
    released = release(by_sex, "2", SEEDS[0])

    assert released["noise"]["cell_standard_deviation"] == pytest.approx(0.7369, abs=1e-4)
    for arm in released["curves"]:
        exact = noise_at("2").standard_deviation(cells=24)
        assert arm["persons_noise_sd"] == pytest.approx(exact, rel=0.15)
        assert arm["events_noise_sd"] > 0
        assert arm["median"]["noise_sd"] >= 0
        assert all(step["noise_sd"] > 0 and step["at_risk_noise_sd"] > 0 for step in shown(arm))
    test = released["log_rank"]
    for key in ("observed_noise_sd", "expected_noise_sd", "z_noise_sd"):
        assert all(value > 0 for value in test[key])


def test_intervals_are_wider_than_the_sample_alone_makes_them(by_sex: dict[str, Any]) -> None:
    noise = noise_at("2")
    table = hospitals.run(
        KAPLAN_MEIER, hospitals.lung(), hospitals.EVERYBODY, by_sex, suppress_below=11
    )
    with_noise = KAPLAN_MEIER.finish(table, by_sex, noise, suppress_below=11)
    without = KAPLAN_MEIER.finish(table, by_sex, None, suppress_below=11)

    for noisy, exact in zip(with_noise["curves"], without["curves"], strict=True):
        for a, b in zip(shown(noisy), shown(exact), strict=True):
            assert a["survival"] == b["survival"]
            assert a["standard_error"] == pytest.approx(
                np.hypot(a["sampling_error"], a["noise_sd"]), rel=1e-4
            )
            assert a["lower"] < b["lower"]
            assert a["upper"] > b["upper"] or b["upper"] == 1
    noisy_test, exact_test = with_noise["log_rank"], without["log_rank"]
    assert noisy_test["chi_square"] < exact_test["chi_square"]
    assert noisy_test["p"] > exact_test["p"]


def test_noise_standard_deviations_are_what_the_noise_really_does(by_sex: dict[str, Any]) -> None:
    """(released - exact) / noise SD has a standard deviation near 1 over many releases."""
    noise = noise_at("2")
    table = pooled(by_sex)
    exact = KAPLAN_MEIER.finish(hospitals.opened(table, 2), by_sex, None, suppress_below=0)
    units: list[float] = []
    for number in range(150):
        drawn = noise.redraw(f"calibration {number}".encode(), table.shape)
        noised = hospitals.opened(table + drawn, 2)
        released = KAPLAN_MEIER.finish(noised, by_sex, noise, suppress_below=0)
        for noisy, truth in zip(released["curves"], exact["curves"], strict=True):
            for a, b in zip(noisy["steps"][:6], truth["steps"][:6], strict=True):
                units.append((a["survival"] - b["survival"]) / a["noise_sd"])
    assert 0.85 < np.std(units) < 1.15
    assert abs(np.mean(units)) < 0.25


def test_a_retry_prints_the_same_figures(by_sex: dict[str, Any]) -> None:
    assert release(by_sex, "2", SEEDS[0]) == release(by_sex, "2", SEEDS[0])


@pytest.mark.parametrize("epsilon", ["0.5", "1"])
def test_the_test_is_suppressed_on_few_persons_at_small_epsilon(
    by_sex: dict[str, Any], epsilon: str
) -> None:
    test = release(by_sex, epsilon, SEEDS[0])["log_rank"]
    assert test["status"] == SUPPRESSED
    assert "fewer than 500 persons" in test["reason"]
    assert test.keys() == {"status", "reason"}


def test_the_test_is_shown_on_many_persons_or_at_larger_epsilon(by_sex: dict[str, Any]) -> None:
    assert release(by_sex, "2", SEEDS[0])["log_rank"]["status"] == "released"
    three_trials = tuple(
        {name: np.tile(values, 3) for name, values in site.items()} for site in hospitals.lung()
    )
    assert release(by_sex, "1", SEEDS[0], three_trials)["log_rank"]["status"] == "released"


def test_a_group_with_few_persons_is_hidden_and_never_zero(by_sex: dict[str, Any]) -> None:
    few = tuple(
        {name: values[site["sex"] == 1] for name, values in site.items()}
        for site in hospitals.lung()
    )
    released = release(by_sex, "2", SEEDS[0], few)
    women = released["curves"][1]

    assert women["persons"] == women["events"] == SUPPRESSED
    assert set(women["median"].values()) == {SUPPRESSED}
    assert shown(women) == []
    assert released["table"]["events"][1] == [SUPPRESSED] * 12
    assert released["log_rank"]["status"] == SUPPRESSED
    assert "11" in released["log_rank"]["reason"]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_noised_cell_under_the_threshold_is_shown(by_sex: dict[str, Any], seed: str) -> None:
    noise = noise_at("2")
    noised = pooled(by_sex) + sum(
        hospitals.draw(noise, 48, f"{seed}/noise/{number}") for number in range(3)
    )
    table = noised.reshape(2, 2, 12)
    released = release(by_sex, "2", seed)["table"]
    for kind, name in enumerate(("events", "censored")):
        for group in range(2):
            for bin_, printed in enumerate(released[name][group]):
                left = table[group, :, min(bin_ + 1, 11) :].sum()
                cell = int(table[group, kind, bin_])
                assert printed == (cell if cell >= 11 and left >= 11 else SUPPRESSED)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_rule_for_small_numbers_is_applied_before_anything_is_opened(
    by_sex: dict[str, Any], seed: str
) -> None:
    noise = noise_at("0.5")
    by_day = {**by_sex, "bin_width": 45, "bins": 24}
    noised = pooled(by_day) + sum(
        hospitals.draw(noise, 96, f"{seed}/noise/{number}") for number in range(3)
    )

    opened = hospitals.run(
        KAPLAN_MEIER,
        hospitals.lung(),
        hospitals.EVERYBODY,
        by_day,
        noise,
        seed=seed,
        suppress_below=11,
    )

    expected = hospitals.opened(noised, 2, suppress_below=11)
    assert opened.tolist() == expected.tolist()
    rows = opened.reshape(2, -1)
    assert np.all(rows[:, 0] < 24), "the last bins of this trial have few persons"
    for row in rows:
        behind = row[1] - row[2:].sum()
        assert behind >= 11, "what is hidden cannot be worked out as a small number"


def test_a_curve_that_never_falls_to_half_has_no_median(by_sex: dict[str, Any]) -> None:
    table = np.zeros((2, 2, 12), dtype=np.int64)
    table[:, 0, 0], table[:, 1, 11] = 20, 80
    opened = hospitals.opened(table, 2, suppress_below=11)
    arm = KAPLAN_MEIER.finish(opened, by_sex, None, suppress_below=11)["curves"][0]
    assert arm["median"] == {"time": None, "lower": None, "upper": None, "noise_sd": 0.0}


def test_a_median_behind_the_end_of_the_shown_curve_is_suppressed(by_sex: dict[str, Any]) -> None:
    table = np.zeros((2, 2, 12), dtype=np.int64)
    table[:, 0, 0], table[:, 1, 0], table[:, 0, 5], table[:, 0, 6] = 5, 30, 10, 10
    opened = hospitals.opened(table, 2, suppress_below=11)
    arm = KAPLAN_MEIER.finish(opened, by_sex, None, suppress_below=11)["curves"][0]
    assert len(shown(arm)) == 5
    assert arm["median"]["time"] == SUPPRESSED


@pytest.mark.parametrize("epsilon", [None, "0.5", "2"])
def test_the_declaration_documents_every_key(by_sex: dict[str, Any], epsilon: str | None) -> None:
    declaration = declared("kaplan-meier", 1)
    documented = {item.name for item in (*declaration.outputs, *declaration.echoes)}
    if epsilon is None:
        table = hospitals.run(KAPLAN_MEIER, hospitals.lung(), hospitals.EVERYBODY, by_sex)
        released = KAPLAN_MEIER.finish(table, by_sex, None, suppress_below=0)
    else:
        released = release(by_sex, epsilon, SEEDS[0])
    printed = hospitals.leaves(released)
    assert printed <= documented
    if epsilon == "2":
        assert documented <= printed, "the declaration promises keys that nobody prints"


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.integers(-40, 40) | st.integers(-(10**6), 10**6), min_size=4, max_size=96),
    groups=st.integers(1, 3),
    suppress_below=st.sampled_from([0, 11]),
    noisy=st.booleans(),
)
def test_no_noised_table_stops_a_release(
    cells: list[int], groups: int, suppress_below: int, noisy: bool
) -> None:
    """Its budget is spent: whatever the noise made of the table, the finish prints figures."""
    bins = max(1, len(cells) // (2 * groups))
    table = np.resize(np.array(cells, dtype=np.int64), groups * 2 * bins)
    parameters = {
        "groups": [{"value": str(n), "label": f"Arm {n}"} for n in range(groups)],
        "bin_width": 30,
        "bins": bins,
        "unit": "days",
    }

    opened = hospitals.opened(table, groups, suppress_below)
    released = KAPLAN_MEIER.finish(
        opened, parameters, noise_at("2") if noisy else None, suppress_below=suppress_below
    )

    json.dumps(released, allow_nan=False)
    for arm in released["curves"]:
        for step in shown(arm):
            assert 0 <= step["lower"] <= step["survival"] <= step["upper"] <= 1
    test = released["log_rank"]
    assert test["status"] == SUPPRESSED or 0 <= test["p"] <= 1
