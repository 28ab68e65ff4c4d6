"""Cohort definitions: strict JSON in, the same JSON out."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical
from studies import cohorts
from studies.cohorts import SCHEMA, AnyRecord, CohortDefinition, CohortError, Column, Gender

CONCEPTS = st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=8, unique=True).map(tuple)
NUMBERS = st.integers(-(2**31), 2**31 - 1)
COLUMNS = st.from_regex(r"[A-Za-z][A-Za-z0-9_.]{0,63}", fullmatch=True)


def _bounds(column: str, a: int, b: int) -> Column:
    return Column(column, at_least=min(a, b), at_most=max(a, b))


CRITERIA = st.one_of(
    st.builds(AnyRecord, st.sampled_from(["condition_occurrence", "drug_era"]), CONCEPTS),
    st.builds(Gender, CONCEPTS),
    st.builds(_bounds, COLUMNS, NUMBERS, NUMBERS),
    st.builds(lambda c, n: Column(c, at_least=n), COLUMNS, NUMBERS),
    st.builds(lambda c, t: Column(c, equals=t), COLUMNS, st.text("abc 12", min_size=1)),
)
DEFINITIONS = st.builds(
    CohortDefinition,
    st.lists(CRITERIA, max_size=4).map(tuple),
    st.lists(CRITERIA, max_size=4).map(tuple),
)


@given(definition=DEFINITIONS)
def test_what_is_written_is_read_back_and_fits_the_schema(definition: CohortDefinition) -> None:
    written = definition.to_json()
    jsonschema.validate(written, SCHEMA)
    assert cohorts.parse(canonical.loads(canonical.dumps(written))) == definition


RECORD = {"kind": "any_record", "domain": "drug_era", "concepts": [1118084]}


@pytest.mark.parametrize(
    ("criterion", "path"),
    [
        ({**RECORD, "domain": "measurement"}, "$.include[0]"),
        ({**RECORD, "concepts": []}, "$.include[0]"),
        ({**RECORD, "concepts": [1, 1]}, "$.include[0]"),
        ({**RECORD, "concepts": ["1118084"]}, "$.include[0]"),
        ({**RECORD, "concepts": [0]}, "$.include[0]"),
        ({**RECORD, "since": "2020-01-01"}, "$.include[0]"),
        ({"kind": "sql", "where": "1=1"}, "$.include[0]"),
        ({"kind": "column", "column": "age"}, "$.include[0]"),
        ({"kind": "column", "column": "a b", "at_least": 1}, "$.include[0]"),
        ({"kind": "column", "column": "age", "at_least": 1.5}, "$.include[0]"),
        ({"kind": "column", "column": "age", "at_least": 1, "equals": "x"}, "$.include[0]"),
        ({"kind": "column", "column": "age", "at_least": 60, "at_most": 40}, "$.include[0]"),
        (None, "$.include[0]"),
    ],
)
def test_a_wrong_criterion_is_refused_with_its_place(criterion: Any, path: str) -> None:
    with pytest.raises(CohortError) as refused:
        cohorts.parse({"include": [criterion], "exclude": []})
    assert refused.value.path.startswith(path)
    assert "expected" in str(refused.value)


@pytest.mark.parametrize(
    "value", [None, [], {"include": []}, {"include": [], "exclude": [], "limit": 5}]
)
def test_what_is_no_definition_is_refused(value: Any) -> None:
    with pytest.raises(CohortError):
        cohorts.parse(value)


def test_a_steward_reads_a_cohort_in_words() -> None:
    definition = CohortDefinition(
        include=(AnyRecord("condition_occurrence", (192671,)), Column("age", 40, 60)),
        exclude=(Gender((8507,)),),
    )
    assert definition.in_words() == [
        "has a condition record of concept 192671 within the observation period",
        "has age at least 40 and at most 60",
        "not counted: whoever has gender concept 8507",
    ]
    assert CohortDefinition().in_words() == ["everyone in the data set"]
