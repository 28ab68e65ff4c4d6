"""A plan that the signed register cannot answer is refused before anything is computed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from governance.errors import Refusal
from studies import catalogue
from tests.factories.evidence import KAPLAN_MEIER_PARAMETERS, NOW, Consortium
from workers.party import data_access, data_sets
from workers.party.data_set_check import check_data_set
from workers.party.home import SiteHome

COUNT = catalogue.get("cohort-count", 1)
COUNTING = {
    "class": {"name": "cohort-count", "version": 1, "digest": COUNT.digest},
    "parameters": {},
    "privacy": {"currency": "micro-epsilon", "epsilon": "1"},
}
WOMEN = {"kind": "gender", "concepts": [8532]}
BORN = {"kind": "column", "column": "year_of_birth", "at_least": 1950}
BLEEDING = {"kind": "any_record", "domain": "condition_occurrence", "concepts": [192671]}
OLD = {"kind": "column", "column": "age", "at_least": 65}


def check(home: SiteHome, consortium: Consortium, **plan: Any) -> None:
    verified: Any = SimpleNamespace(plan=consortium.plan(**plan))
    check_data_set(home, verified, site="alder")


def refused(home: SiteHome, consortium: Consortium, **plan: Any) -> tuple[str, str]:
    with pytest.raises(Refusal) as raised:
        check(home, consortium, **plan)
    return raised.value.code, raised.value.sentence


def cohort(*exclude: dict[str, Any]) -> dict[str, Any]:
    return {"include": [], "exclude": list(exclude)}


@pytest.fixture
def omop(home: SiteHome) -> SiteHome:
    """The site, whose register says that lung holds OMOP tables."""
    registered = dict(data_sets.registered(home, "lung") or {})
    location = data_access.Location("omop-csv", home.path, {}, None)
    columns = data_access.column_names(location)
    described = {**registered, "format": "omop-csv", "columns": columns}
    data_sets.sign_register(home, [described], now=NOW)
    return home


def test_a_plan_whose_columns_are_registered_passes(home: SiteHome, consortium: Consortium) -> None:
    check(home, consortium)
    check(home, consortium, cohort=cohort({**OLD, "column": "time"}))


@pytest.mark.parametrize(
    ("plan", "column"),
    [
        ({"parameters": {**KAPLAN_MEIER_PARAMETERS, "time": "weeks"}}, "weeks"),
        ({"cohort": cohort(OLD)}, "age"),
        ({**COUNTING, "cohort": cohort(WOMEN)}, "gender_concept_id"),
    ],
)
def test_a_column_that_the_register_does_not_list(
    plan: dict[str, Any], column: str, home: SiteHome, consortium: Consortium
) -> None:
    data_sets.locate(home, "lung").path.unlink()  # the register alone decides
    code, sentence = refused(home, consortium, **plan)
    assert code == "column_unknown"
    assert f"lists no column {column} for the data set lung. Amend the plan" in sentence


def test_records_of_a_plain_table(home: SiteHome, consortium: Consortium) -> None:
    code, sentence = refused(home, consortium, **COUNTING, cohort=cohort(BLEEDING))
    assert (code, "OMOP records" in sentence) == ("data_set_unknown", True)


def test_a_class_that_does_not_read_the_format(omop: SiteHome, consortium: Consortium) -> None:
    code, sentence = refused(omop, consortium)
    assert (code, "kaplan-meier/1 does not read omop-csv" in sentence) == ("data_set_unknown", True)


def test_omop_criteria_read_the_table_of_persons(omop: SiteHome, consortium: Consortium) -> None:
    check(omop, consortium, **COUNTING, cohort=cohort(BLEEDING, WOMEN, BORN))
    code, _ = refused(omop, consortium, **COUNTING, cohort=cohort(OLD))
    assert code == "column_unknown"
