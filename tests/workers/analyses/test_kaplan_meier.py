"""Case P01: three hospitals and the lung trial, without noise, give R's published answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.catalogue import get as declared
from tests.workers.analyses import hospitals
from workers.analyses import registry
from workers.analyses.errors import NoisedTableError, SiteDataError
from workers.analyses.noised_sum import Setting
from workers.analyses.site_data import Table, pool
from workers.mpc.errors import LocalProtocolError
from workers.mpc.profiles.replicated import Replicated
from workers.mpc.protocol import Message, Party, PartyId
from workers.mpc.randomness import Randomness

KAPLAN_MEIER = registry.get("kaplan-meier/1")
GRIDS = [(90, 12), (1, 1022), (30, 20), (7, 200)]


def rehearse(parameters: dict[str, Any]) -> dict[str, Any]:
    table = hospitals.run(KAPLAN_MEIER, hospitals.lung(), hospitals.EVERYBODY, parameters)
    return KAPLAN_MEIER.finish(table, parameters, None, suppress_below=0)


@pytest.mark.parametrize(("bin_width", "bins"), GRIDS)
def test_the_secure_table_equals_the_pooled_one_cell_by_cell(
    by_sex: dict[str, Any], bin_width: int, bins: int
) -> None:
    parameters = {**by_sex, "bin_width": bin_width, "bins": bins}
    pooled = KAPLAN_MEIER.twin(pool(hospitals.lung()), hospitals.EVERYBODY, parameters)

    opened = hospitals.run(KAPLAN_MEIER, hospitals.lung(), hospitals.EVERYBODY, parameters)

    rows = opened.reshape(2, 2 + 2 * bins)
    assert rows[:, 2:].ravel().tolist() == pooled["table"]
    assert rows[:, 0].tolist() == [bins, bins], "without a threshold nothing is hidden"
    assert rows[:, 1].sum() == 228


@pytest.mark.parametrize(("bin_width", "bins"), GRIDS)
def test_every_derived_figure_is_that_of_lifelines(
    by_sex: dict[str, Any], bin_width: int, bins: int
) -> None:
    parameters = {**by_sex, "bin_width": bin_width, "bins": bins}
    pooled = KAPLAN_MEIER.twin(pool(hospitals.lung()), hospitals.EVERYBODY, parameters)

    released = rehearse(parameters)

    arms = released["curves"]
    assert [arm["persons"] for arm in arms] == pooled["persons"]
    assert [arm["events"] for arm in arms] == pooled["events"]
    assert [arm["median"]["time"] for arm in arms] == pooled["median"]
    for number, arm in enumerate(arms):
        curve = [step["survival"] for step in arm["steps"]]
        error = [step["sampling_error"] for step in arm["steps"]]
        assert curve == pytest.approx(pooled["survival"][number], abs=1e-5)
        assert error == pytest.approx(pooled["standard_error"][number], abs=1e-5)
    assert released["log_rank"]["chi_square"] == pytest.approx(pooled["chi_square"], rel=1e-5)
    assert released["log_rank"]["p"] == pytest.approx(pooled["p"], rel=1e-4)


def test_the_exact_day_grid_gives_the_published_answers_of_case_p01(
    by_sex_exact_days: dict[str, Any],
) -> None:
    released = rehearse(by_sex_exact_days)
    arms, test = released["curves"], released["log_rank"]

    def at(arm: dict[str, Any], key: str) -> list[float]:
        return [arm["steps"][day - 1][key] for day in (90, 180, 365, 730)]

    answers = {
        "n": [arm["persons"] for arm in arms],
        "events": [arm["events"] for arm in arms],
        "median_survival_days": [arm["median"]["time"] for arm in arms],
        "median_ci_lower": [arm["median"]["lower"] for arm in arms],
        "median_ci_upper": [arm["median"]["upper"] for arm in arms],
        "surv_male_at_90_180_365_730": at(arms[0], "survival"),
        "surv_female_at_90_180_365_730": at(arms[1], "survival"),
        "se_male": at(arms[0], "standard_error"),
        "se_female": at(arms[1], "standard_error"),
        "logrank_observed": test["observed"],
        "logrank_expected": test["expected"],
        "logrank_chi2": test["chi_square"],
        "logrank_p": test["p"],
    }

    expected = hospitals.case("P01")
    wrong = {key: a for key, a in answers.items() if not hospitals.agrees(a, expected[key])}
    assert not wrong
    left_to_later_parts = expected.keys() - answers.keys()
    assert left_to_later_parts == {
        "stratified_by_site_logrank_chi2",
        "cox_coef_sex",
        "cox_se_sex",
        "cox_hr_sex",
    }


def test_wide_bins_stay_close_to_the_exact_curve(
    by_sex: dict[str, Any], by_sex_exact_days: dict[str, Any]
) -> None:
    wide, exact = rehearse(by_sex), rehearse(by_sex_exact_days)

    for wide_arm, exact_arm in zip(wide["curves"], exact["curves"], strict=True):
        for step in wide_arm["steps"][:11]:
            truth = exact_arm["steps"][step["to"] - 1]["survival"]
            assert abs(step["survival"] - truth) < 0.007


@pytest.mark.parametrize(("bin_width", "bins"), GRIDS)
def test_a_real_run_costs_what_was_forecast(
    by_sex: dict[str, Any], bin_width: int, bins: int
) -> None:
    parameters = {**by_sex, "bin_width": bin_width, "bins": bins}
    messages: list[Message] = []

    opened = hospitals.run(
        KAPLAN_MEIER,
        hospitals.lung(),
        hospitals.EVERYBODY,
        parameters,
        suppress_below=11,
        with_triples=True,
        record=messages.append,
    )

    same = hospitals.run(
        KAPLAN_MEIER, hospitals.lung(), hospitals.EVERYBODY, parameters, suppress_below=11
    )
    assert opened.tolist() == same.tolist(), "both profiles compute the same"
    forecast = declared("kaplan-meier", 1).forecast(parameters, sites=3)
    for party in range(3):
        sent = sum(len(message.content) for message in messages if message.sender == party)
        assert 0.8 < sent / forecast.bytes_sent_per_party < 1.25


PERSON = st.fixed_dictionaries(
    {
        "time": st.one_of(st.integers(0, 1500), st.sampled_from([-1.0, np.nan, 89.5, np.inf])),
        "event": st.sampled_from([0.0, 1.0, 2.0, np.nan]),
        "sex": st.sampled_from([1.0, 2.0, 3.0, np.nan]),
    }
)


def _table(people: list[dict[str, float]]) -> Table:
    return {
        name: np.array([person[name] for person in people], dtype=np.float64)
        for name in ("time", "event", "sex")
    }


@given(people=st.lists(PERSON, max_size=20), newcomer=PERSON)
def test_a_neighbouring_table_differs_by_one_at_most(
    people: list[dict[str, float]], newcomer: dict[str, float]
) -> None:
    """Exactly 1 in L1 for whoever counts, 0 for whoever is left out: sensitivity 1."""
    parameters = {
        "time": "time",
        "event": "event",
        "group": "sex",
        "groups": [{"value": "1", "label": "Male"}, {"value": "2", "label": "Female"}],
        "bin_width": 90,
        "bins": 12,
        "unit": "days",
    }
    without = KAPLAN_MEIER.local_step(_table(people), hospitals.EVERYBODY, parameters)
    with_one = KAPLAN_MEIER.local_step(_table([*people, newcomer]), hospitals.EVERYBODY, parameters)

    usable = 0 <= newcomer["time"] < np.inf and newcomer["event"] in (0, 1)
    counted = usable and newcomer["sex"] in (1, 2)
    assert np.abs(with_one - without).sum() == (1 if counted else 0)
    assert (with_one >= without).all()


def test_every_person_of_the_trial_moves_the_table_by_exactly_one(by_sex: dict[str, Any]) -> None:
    alder = hospitals.lung()[0]
    whole = KAPLAN_MEIER.local_step(alder, hospitals.EVERYBODY, by_sex)
    for row in range(len(alder["time"])):
        rest = {name: np.delete(values, row) for name, values in alder.items()}
        neighbour = KAPLAN_MEIER.local_step(rest, hospitals.EVERYBODY, by_sex)
        assert np.abs(whole - neighbour).sum() == 1


def test_bins_are_right_closed_and_late_events_are_censored_at_the_end(
    by_sex: dict[str, Any],
) -> None:
    people = [
        {"time": time, "event": 1.0, "sex": 1.0} for time in (0.0, 90.0, 90.5, 1080.0, 1081.0)
    ]

    table = KAPLAN_MEIER.local_step(_table(people), hospitals.EVERYBODY, by_sex)
    report = KAPLAN_MEIER.site_report(_table(people), hospitals.EVERYBODY, by_sex)

    events, censored = table.reshape(2, 2, 12)[0].tolist()
    assert events == [2, 1, *[0] * 9, 1]
    assert censored == [*[0] * 11, 1]
    assert (report.in_cohort, report.counted, report.clipped) == (5, 5, 1)


def test_the_site_report_says_who_is_left_out_and_prints_nothing(by_sex: dict[str, Any]) -> None:
    people = [
        {"time": 10.0, "event": 1.0, "sex": 3.0},
        {"time": np.nan, "event": 1.0, "sex": 1.0},
        {"time": 10.0, "event": 1.0, "sex": 1.0},
    ]
    report = KAPLAN_MEIER.site_report(_table(people), hospitals.EVERYBODY, by_sex)
    assert (report.in_cohort, report.counted, report.left_out) == (3, 1, 2)
    assert "in_cohort" not in repr(report)


def test_columns_may_be_text_as_read_from_a_file(by_sex: dict[str, Any]) -> None:
    alder = hospitals.lung()[0]
    as_text = {name: np.array([f"{v:g}" for v in values]) for name, values in alder.items()}
    assert np.array_equal(
        KAPLAN_MEIER.local_step(as_text, hospitals.EVERYBODY, by_sex),
        KAPLAN_MEIER.local_step(alder, hospitals.EVERYBODY, by_sex),
    )


def test_a_missing_column_is_named(by_sex: dict[str, Any]) -> None:
    with pytest.raises(SiteDataError, match="'dose'"):
        KAPLAN_MEIER.local_step(
            hospitals.lung()[0], hospitals.EVERYBODY, {**by_sex, "group": "dose"}
        )


def test_a_table_of_another_length_is_refused(by_sex: dict[str, Any]) -> None:
    with pytest.raises(NoisedTableError, match="52 numbers"):
        KAPLAN_MEIER.finish(np.zeros(47, dtype=np.int64), by_sex, None, suppress_below=11)


def test_an_impossible_count_never_leaves_the_site(by_sex: dict[str, Any]) -> None:
    party = Party(PartyId(0), 3, Randomness(bytes(32)))
    engine = Replicated(party, [PartyId(0), PartyId(1), PartyId(2)], (party.randomness,) * 2)
    setting = Setting.of(by_sex, suppress_below=11, scale=None)
    impossible = np.array([-1] + [5] * 47)
    with pytest.raises(LocalProtocolError, match="outside its declared range"):
        next(KAPLAN_MEIER.secure_step(engine, impossible, None, setting))
