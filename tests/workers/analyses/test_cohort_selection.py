"""Who belongs to a cohort: numpy at the site against pandas in the twin, and the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.analyses import hospitals
from workers.analyses.cohort_selection import select
from workers.analyses.errors import SiteDataError
from workers.analyses.pooled_cohort import cohort_frame
from workers.analyses.site_data import OmopTables, Table, equals_text, one_row_per_person, pool

CRITERION = st.one_of(
    st.builds(
        lambda domain, concepts: {"kind": "any_record", "domain": domain, "concepts": concepts},
        st.sampled_from(["condition_occurrence", "drug_era"]),
        st.lists(st.sampled_from([192671, 4027663, 80809, 1118084, 1124300]), min_size=1),
    ),
    st.builds(
        lambda concept: {"kind": "gender", "concepts": [concept]}, st.sampled_from([8507, 8532])
    ),
    st.builds(
        lambda low, span: {
            "kind": "column",
            "column": "year_of_birth",
            "at_least": low,
            "at_most": low + span,
        },
        st.integers(1920, 1980),
        st.integers(0, 40),
    ),
)


@settings(max_examples=25, deadline=None)
@given(include=st.lists(CRITERION, max_size=3), exclude=st.lists(CRITERION, max_size=2))
def test_site_and_twin_choose_the_same_persons(
    include: list[dict[str, Any]], exclude: list[dict[str, Any]]
) -> None:
    site = hospitals.gibleed()[0]
    cohort = {"include": include, "exclude": exclude}

    chosen = site.person["person_id"][select(site, cohort)]

    assert sorted(chosen) == sorted(cohort_frame(site, cohort)["person_id"])


PERIOD: Table = {
    "person_id": np.array([7, 3]),
    "gender_concept_id": np.array([8507, 8532]),
    "year_of_birth": np.array([1950, 1960]),
    "obs_start": np.array(["2000-01-01", "2000-01-01"], dtype="datetime64[D]"),
    "obs_end": np.array(["2009-12-31", "NaT"], dtype="datetime64[D]"),
}


@pytest.mark.parametrize(
    ("person", "day", "counts"),
    [
        (7, "2000-01-01", True),
        (7, "2009-12-31", True),
        (7, "1999-12-31", False),
        (7, "2010-01-01", False),
        (7, "NaT", False),
        (3, "2005-01-01", False),
        (99, "2005-01-01", False),
    ],
)
def test_a_record_counts_only_within_a_known_persons_observation_period(
    person: int, day: str, counts: bool
) -> None:
    record: Table = {
        "person_id": np.array([person]),
        "condition_concept_id": np.array([192671]),
        "condition_start_date": np.array([day], dtype="datetime64[D]"),
    }
    site = OmopTables(PERIOD, record, {})
    criterion = {"kind": "any_record", "domain": "condition_occurrence", "concepts": [192671]}
    chosen = select(site, {"include": [criterion], "exclude": []})
    assert chosen.tolist() == [counts, False]


def test_a_site_without_persons_has_an_empty_cohort() -> None:
    empty = {name: values[:0] for name, values in PERIOD.items()}
    record: Table = {
        "person_id": np.array([7]),
        "condition_concept_id": np.array([192671]),
        "condition_start_date": np.array(["2005-01-01"], dtype="datetime64[D]"),
    }
    criterion = {"kind": "any_record", "domain": "condition_occurrence", "concepts": [192671]}
    chosen = select(OmopTables(empty, record, {}), {"include": [criterion], "exclude": []})
    assert chosen.tolist() == []


@pytest.mark.parametrize(
    ("criterion", "ages"),
    [
        ({"at_least": 60}, [60, 74]),
        ({"at_most": 60}, [44, 60]),
        ({"at_least": 45, "at_most": 60}, [60]),
        ({"equals": "44"}, [44]),
    ],
)
def test_column_bounds_are_inclusive_and_missing_never_holds(
    criterion: dict[str, Any], ages: list[int]
) -> None:
    table: Table = {"age": np.array(["44", "60", "74", "", "unknown"])}
    by_age = {"kind": "column", "column": "age", **criterion}
    kept = table["age"][select(table, {"include": [by_age], "exclude": []})]
    assert [int(age) for age in kept] == ages


def test_a_plain_table_has_no_records_to_ask_for() -> None:
    criterion = {"kind": "any_record", "domain": "drug_era", "concepts": [1]}
    with pytest.raises(SiteDataError, match="OMOP"):
        select(hospitals.lung()[0], {"include": [criterion], "exclude": []})


@pytest.mark.parametrize("values", [np.array([1.0, 2.0]), np.array(["1.0", "2"]), np.array([1, 2])])
def test_a_value_is_the_same_as_text_and_as_number(values: Any) -> None:
    assert equals_text(values, "1").tolist() == [True, False]
    assert equals_text(values, "1.0").tolist() == [True, False]
    assert equals_text(values, "one").tolist() == [False, False]


def test_a_person_with_two_rows_keeps_the_first() -> None:
    table: Table = {"pid": np.array([5, 2, 5, 2, 9]), "time": np.array([10, 20, 30, 40, 50])}
    kept = one_row_per_person(table, "pid")
    assert kept["pid"].tolist() == [5, 2, 9]
    assert kept["time"].tolist() == [10, 20, 50]


def test_pooling_keeps_every_row() -> None:
    pooled = pool(hospitals.gibleed())
    assert isinstance(pooled, OmopTables)
    assert len(pooled.person["person_id"]) == 2694
    assert len(pooled.drug_era["person_id"]) == 52508
