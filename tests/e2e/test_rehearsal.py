"""Rehearsals over the real house: noise off, so what comes out is exactly what is known to be true.

The same people, processes and code path as a study; only the plan's mode differs, and that every
site's own register must call the data set synthetic or public.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from demo.founding import DATA_SETS, client_of, register
from demo.house import House, HouseError
from demo.people import PI, SITES
from demo.report import twin_of
from demo.story import SURVIVAL_PLAN, check, compute, consent, propose, review, wait_for
from studies.catalogue import get as declared
from tests.e2e.houses import Founded, running
from tests.e2e.site_books import SiteBooks
from tests.workers.analyses import hospitals
from workers.analyses import registry
from workers.analyses.printed import SUPPRESSED

pytestmark = pytest.mark.processes

KAPLAN_MEIER = registry.get("kaplan-meier/1")
EXACT_DAYS = {
    **SURVIVAL_PLAN,
    "title": "Rehearsal: survival by sex, day by day",
    "mode": "rehearsal",
    "parameters": {**SURVIVAL_PLAN["parameters"], "bin_width": 1, "bins": 1022},
}
COUNT = {
    **SURVIVAL_PLAN,
    "title": "Rehearsal: how many persons",
    "mode": "rehearsal",
    "class": {"name": "cohort-count", "version": 1},
    "parameters": {},
    "data_set": "gibleed",
    "privacy": {"epsilon": "1"},
}


def test_the_day_by_day_curves_are_the_published_ones_of_case_p01(house: House) -> None:
    run = sealed(house, EXACT_DAYS)
    check(house, run)
    shown = released(house, run)

    # What was opened is the pooled table, cell by cell, less what rests on too few persons.
    opened = opened_numbers(house, run)
    pooled = np.array(twin_of(EXACT_DAYS)["table"])
    threshold = declared("kaplan-meier", 1).suppression_threshold
    assert opened.tolist() == hospitals.opened(pooled, 2, threshold).tolist()
    assert shown == finished(opened, suppress_below=threshold)

    # What is derived from the whole table are the published answers, within their tolerances.
    whole = finished(hospitals.opened(pooled, 2), suppress_below=0)
    case = hospitals.case("P01")
    answers = answers_of(whole)
    wrong = {key: said for key, said in answers.items() if not hospitals.agrees(said, case[key])}
    assert wrong == {}

    # Every figure of the curves that the investigator reads is one of those.
    hidden = 0
    for arm, exact in zip(shown["curves"], whole["curves"], strict=True):
        assert arm["median"]["time"] == exact["median"]["time"]
        for step, truth in zip(arm["steps"], exact["steps"], strict=True):
            hidden += step["survival"] == SUPPRESSED
            assert step["survival"] in (SUPPRESSED, truth["survival"])
            assert step["at_risk"] in (SUPPRESSED, truth["at_risk"])
    assert hidden > 300, "fewer than eleven remain in the last year"


def test_counts_are_the_published_ones_of_case_p14(house: House) -> None:
    """Two of them: every other one is checked on the same code in one process."""
    ulcer = {"kind": "any_record", "domain": "condition_occurrence", "concepts": [4027663]}
    cohorts = {
        "persons": {"include": [], "exclude": []},
        "condition:4027663 Peptic ulcer": {"include": [ulcer], "exclude": []},
    }

    counts = {
        key: released(house, sealed(house, {**COUNT, "cohort": cohort}))["count"]
        for key, cohort in cohorts.items()
    }

    case = hospitals.case("P14")
    assert counts == {key: case[key]["value"] for key in cohorts}


@pytest.fixture
def house_with_a_secret(house_at_rest: House, founded: Founded) -> Iterator[House]:
    """A house in which Cedar calls confidential what the others call public."""
    lung = DATA_SETS[0]
    kinds = dict.fromkeys(SITES, "public") | {"cedar": "confidential"}
    for site, kind in kinds.items():
        # Under its own file, for one and the same gets only one budget.
        shutil.copy(founded.data / site / lung.path, founded.data / site / "register.csv")
        data_set = replace(lung, name="register", path="register.csv", kind=kind)
        register(house_at_rest, site, data_set, founded.data / site)
    with running(house_at_rest):
        yield house_at_rest


def test_a_site_does_not_rehearse_on_confidential_data(house_with_a_secret: House) -> None:
    house = house_with_a_secret
    investigator = client_of(house, PI).sign_in()
    study = agreed(house, {**EXACT_DAYS, "data_set": "register"})

    with pytest.raises(HouseError, match="failed: cedar cedar rehearses only on data sets that"):
        compute(house, investigator, study)

    [run] = investigator.get(f"studies/{study}/")["runs"]
    assert run["reason_code"] == "rehearsal_on_confidential_data"
    assert run["reason"] == (
        "cedar rehearses only on data sets that its own register calls synthetic or public; "
        "register is neither."
    )
    assert SiteBooks(house, "cedar").state(run["identifier"]) == "refused"
    assert [SiteBooks(house, site).balance("register").committed for site in SITES] == [0, 0, 0]


def sealed(house: House, plan: Mapping[str, Any]) -> str:
    """Return a run on `plan` that everybody has agreed to, once the sites have sealed it."""
    investigator = client_of(house, PI).sign_in()
    run, _ = compute(house, investigator, agreed(house, plan))
    return run


def released(house: House, run: str) -> Any:
    """Return what the investigator reads of a run."""
    investigator = client_of(house, PI).sign_in()

    def visible(seen: Any) -> bool:
        return bool(seen["state"] == "visible")

    return wait_for(house, f"runs/{run}/release/", investigator, visible, "the release")["result"]


def agreed(house: House, plan: Mapping[str, Any]) -> str:
    """Return a study on `plan` that may run."""
    study, _ = propose(client_of(house, PI).sign_in(), plan)
    review(house, study)
    consent(house, study)
    return study


def opened_numbers(house: House, run: str) -> Any:
    """Return the integers that the gate has opened, which no page shows, from the database."""
    printed = house.manage(
        *("shell", "--no-imports", "--command"),
        "from governance.models import Release;"
        f"print(Release.objects.get(run__identifier={run!r}).noised)",
    )
    return np.array(json.loads(printed), dtype=np.int64)


def finished(table: Any, *, suppress_below: int) -> Any:
    return KAPLAN_MEIER.finish(table, EXACT_DAYS["parameters"], None, suppress_below=suppress_below)


def answers_of(result: Any) -> dict[str, Any]:
    """Return the case's figures, by the case's names, from a result."""
    arms, test = result["curves"], result["log_rank"]
    return {
        "n": [arm["persons"] for arm in arms],
        "events": [arm["events"] for arm in arms],
        "median_survival_days": [arm["median"]["time"] for arm in arms],
        "median_ci_lower": [arm["median"]["lower"] for arm in arms],
        "median_ci_upper": [arm["median"]["upper"] for arm in arms],
        "surv_male_at_90_180_365_730": at_the_case_days(arms[0], "survival"),
        "surv_female_at_90_180_365_730": at_the_case_days(arms[1], "survival"),
        "se_male": at_the_case_days(arms[0], "standard_error"),
        "se_female": at_the_case_days(arms[1], "standard_error"),
        "logrank_observed": test["observed"],
        "logrank_expected": test["expected"],
        "logrank_chi2": test["chi_square"],
        "logrank_p": test["p"],
    }


def at_the_case_days(arm: Any, figure: str) -> list[Any]:
    return [arm["steps"][day - 1][figure] for day in (90, 180, 365, 730)]
