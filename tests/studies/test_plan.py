"""The study plan: one spelling, every problem at once, a charge that never rounds down."""

import hashlib
import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical
from studies.catalogue import CATALOGUE
from studies.plan import PlanError, StudyPlan
from tests.factories.evidence import Consortium

CONSORTIUM = Consortium()
GENUINE = CONSORTIUM.plan_json()


def problems_of(**changes):
    with pytest.raises(PlanError) as refused:
        CONSORTIUM.plan(**changes)
    return {problem.field: problem for problem in refused.value.problems}


def test_a_plan_comes_back_from_its_bytes():
    plan = StudyPlan.build(GENUINE)
    assert StudyPlan.parse(plan.canonical()) == plan
    assert plan.to_json() == GENUINE
    assert plan.digest == hashlib.sha256(canonical.dumps(GENUINE)).hexdigest()
    assert plan.declaration is CATALOGUE["kaplan-meier/1"]
    assert plan.sites == ("alder", "birch", "cedar")


def test_bytes_spelt_differently_are_no_plan():
    for body in (
        json.dumps(GENUINE).encode(),
        canonical.dumps(GENUINE) + b"\n",
        canonical.dumps(GENUINE).replace(b'"max_runs":3', b'"max_runs":3.0'),
        canonical.dumps(GENUINE).replace(b'"version":1}', b'"version":1,"version":1}'),
        b"",
    ):
        with pytest.raises(PlanError):
            StudyPlan.parse(body)


@given(st.binary(min_size=1, max_size=3), st.integers(0, len(canonical.dumps(GENUINE)) - 1))
def test_altered_bytes_are_another_plan_or_none(patch, position):
    body = bytearray(canonical.dumps(GENUINE))
    body[position : position + len(patch)] = patch
    try:
        plan = StudyPlan.parse(bytes(body))
    except PlanError:
        return
    assert plan.canonical() == bytes(body)
    assert (plan.digest == StudyPlan.build(GENUINE).digest) == (
        bytes(body) == canonical.dumps(GENUINE)
    )


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"type": "plan"}, "$.type", "study-plan"),
        ({"extra": 1}, "$", "no other fields"),
        ({"title": ""}, "$.title", "at least 1"),
        ({"version": 0}, "$.version", "at least 1"),
        ({"version": True}, "$.version", "integer"),
        ({"study": "St 1"}, "$.study", "matches"),
        ({"sites": ["alder", "alder", "birch"]}, "$.sites", "all differ"),
        ({"sites": ["alder"]}, "$.sites", "at least 2"),
        ({"sites": ["alder", "birch"]}, "$.sites", "at least 3 sites for kaplan-meier/1"),
        ({"mode": "test"}, "$.mode", "rehearsal"),
        ({"openings": []}, "$.openings", "at least 1"),
        ({"recipient": "m-ines"}, "$.recipient", "gate"),
        ({"max_runs": 0}, "$.max_runs", "at least 1"),
        ({"max_sites_per_person": 4}, "$.max_sites_per_person", "number of sites, 3"),
        ({"expires_at": "2026-02-30T00:00:00Z"}, "$.expires_at", "day that exists"),
        ({"expires_at": "2026-02-03"}, "$.expires_at", "matches"),
        ({"cohort": {"include": []}}, "$.cohort", "exclude"),
        (
            {"cohort": {"include": [{"kind": "gender", "concepts": []}], "exclude": []}},
            "$.cohort.include[0]",
            "one criterion",
        ),
        ({"parameters": {}}, "$.parameters.time", "a value"),
        (
            {"parameters": {**GENUINE["parameters"], "bins": 0}},
            "$.parameters.bins",
            "minimum 1",
        ),
    ],
)
def test_a_problem_is_named_where_it_stands(changes, field, expected):
    problems = problems_of(**changes)
    assert field in problems
    assert expected in problems[field].expected
    assert {problem.code for problem in problems.values()} == {"plan_invalid"}


@pytest.mark.parametrize(
    "epsilon", ["0", "0.0", "-1", "9000", "1e1", "2.", ".5", "01", "+1", "NaN", "1.0000001", "2\n"]
)
def test_epsilon_is_a_positive_decimal_within_the_class(epsilon):
    privacy = {"currency": "micro-epsilon", "epsilon": epsilon}
    assert "$.privacy.epsilon" in problems_of(privacy=privacy)


def test_what_is_wrong_with_an_epsilon_is_said_in_words_not_as_a_pattern():
    privacy = {"currency": "micro-epsilon", "epsilon": "0.1234567"}
    problem = problems_of(privacy=privacy)["$.privacy.epsilon"]
    assert problem.expected == "a decimal number with at most 6 digits after the point"
    assert problem.came == "'0.1234567'"


def test_groups_that_do_not_differ_are_one_plain_problem():
    group = {"value": "1", "label": "Male"}
    problem = problems_of(parameters={**GENUINE["parameters"], "groups": [group, group]})[
        "$.parameters.groups[1].value"
    ]
    assert (problem.expected, problem.came) == (
        "groups that differ",
        "two groups with the same value",
    )


def test_an_epsilon_that_no_site_could_draw_noise_for_is_no_plan():
    """Else everybody would approve and consent, and every site would abort."""
    privacy = {"currency": "micro-epsilon", "epsilon": "0.0001"}
    assert StudyPlan.build({**GENUINE, "privacy": privacy})
    problems = problems_of(privacy=privacy, max_sites_per_person=3)
    assert "at least 3 / 16384" in problems["$.privacy.epsilon"].expected


def test_every_problem_is_listed_at_once():
    problems = problems_of(
        parameters={},
        cohort={},
        sites=["alder", "birch"],
        max_sites_per_person=3,
        privacy={"currency": "micro-epsilon", "epsilon": "0"},
    )
    assert set(problems) == {
        "$.parameters.time",
        "$.cohort",
        "$.sites",
        "$.max_sites_per_person",
        "$.privacy.epsilon",
    }
    assert all(
        str(problem).startswith(f"{field}: expected ") for field, problem in problems.items()
    )


def test_a_class_that_is_not_ours_has_its_own_codes():
    unknown = problems_of(**{"class": {"name": "median", "version": 1, "digest": "0" * 64}})
    assert unknown["$.class"].code == "class_unknown"
    assert "kaplan-meier/1" in unknown["$.class"].expected
    other = problems_of(**{"class": {**GENUINE["class"], "digest": "0" * 64}})
    assert other["$.class.digest"].code == "class_digest_mismatch"


@given(
    whole=st.integers(0, 1),
    fraction=st.from_regex(r"\A[0-9]{1,6}\Z"),
    openings=st.integers(1, 5),
)
def test_the_charge_is_epsilon_for_every_opening_in_micro_epsilon(whole, fraction, openings):
    epsilon = f"{whole}.{fraction}"
    if Fraction(epsilon) == 0:
        return
    plan = CONSORTIUM.plan(
        privacy={"currency": "micro-epsilon", "epsilon": epsilon},
        openings=[{"name": f"look-{number}"} for number in range(openings)],
    )
    assert plan.charge_micro_epsilon == Fraction(epsilon) * 10**6 * openings
    assert plan.epsilon == Fraction(epsilon)


def test_persons_at_several_sites_cost_noise_and_no_budget():
    assert (
        CONSORTIUM.plan(max_sites_per_person=3).charge_micro_epsilon
        == CONSORTIUM.plan(max_sites_per_person=1).charge_micro_epsilon
        == 2_000_000
    )


def test_a_rehearsal_says_so():
    assert CONSORTIUM.plan(mode="rehearsal").is_rehearsal
    assert not CONSORTIUM.plan().is_rehearsal
