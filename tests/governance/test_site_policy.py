"""A site's policy: three questions, the rule that answers each, nothing permitted by mistake."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.site_policy import Circumstances, PolicyError, SitePolicy, in_words
from tests.factories.evidence import NOW, Consortium
from workers.party.errors import HomeError
from workers.party.policy import Choices

CONSORTIUM = Consortium()
PLAN = CONSORTIUM.plan()
ROSTER = CONSORTIUM.roster
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def execute(choices, *, plan=PLAN, at=NOON, spent=0, cap=10_000_000, signed_here=True):
    policy = SitePolicy(choices.to_cedar())
    return policy.execute(
        plan, ROSTER, Circumstances(at, "public", spent, cap), signed_here=signed_here
    )


def test_the_policy_that_a_site_begins_with():
    policy = SitePolicy(Choices().to_cedar())
    assert execute(Choices()).allowed
    assert policy.consent(PLAN, ROSTER, Circumstances(NOON), counted=20).allowed
    assert not policy.consent(PLAN, ROSTER, Circumstances(NOON), counted=19).allowed
    assert policy.release(PLAN, ROSTER, Circumstances(NOON)).at_once


REFUSALS = {
    "class": (Choices(classes=("cohort-count/1",)), {}),
    "epsilon-of-a-run": (Choices(maximum_epsilon="1.999999"), {}),
    "purpose": (Choices(purposes=("feasibility", "quality")), {}),
    "organisation": (Choices(organisations=("birch-hospital",)), {}),
    "hours": (Choices(hours="8-18"), {"at": NOON.replace(hour=18)}),
    "lifetime-epsilon": (Choices(lifetime_epsilon="5"), {"spent": 3_000_001}),
    "local-consent": (Choices(require_local_consent=True), {"signed_here": False}),
}


@pytest.mark.parametrize("rule", REFUSALS)
def test_each_choice_refuses_and_its_rule_is_named(rule):
    choices, circumstances = REFUSALS[rule]
    decision = execute(choices, **circumstances)
    assert not decision.allowed
    if rule == "class":  # nothing permits it, so no rule is there to name
        assert in_words(decision) == "no rule of it permits this"
    else:
        assert f"(rule {rule})" in in_words(decision)


def test_each_choice_permits_what_it_is_meant_to():
    choices = Choices(
        maximum_epsilon="2",
        purposes=("clinical_trial",),
        organisations=("alder-hospital", "birch-hospital"),
        hours="8-18",
        lifetime_epsilon="5",
        require_local_consent=True,
    )
    assert execute(choices, at=NOON.replace(hour=8), spent=3_000_000).allowed
    assert not execute(choices, at=NOON.replace(hour=7), spent=3_000_000).allowed


def test_hours_are_utc_wherever_the_clock_is():
    tokyo = NOON.replace(hour=3).astimezone(timezone(timedelta(hours=9)))  # noon there
    assert not execute(Choices(hours="8-18"), at=tokyo).allowed


@pytest.mark.parametrize(
    ("rules", "at_once", "by_steward"),
    [
        ("", True, True),
        ("when { context.released_here }", False, True),
        ("when { context.released_here && context.run.hour < 6 }", False, False),
    ],
)
def test_a_share_goes_at_once_or_by_a_steward_or_not_at_all(rules, at_once, by_steward):
    text = Choices().to_cedar()
    head, _, _ = text.partition('@id("release")')
    rule = f'permit (principal, action == Action::"release", resource) {rules};'
    policy = SitePolicy(f'{head}@id("release")\n@sentence("A share.")\n{rule}')
    gate = policy.release(PLAN, ROSTER, Circumstances(NOON))
    assert (gate.at_once, gate.by_steward) == (at_once, by_steward)


def test_an_investigator_whom_the_roster_does_not_list_has_no_organisation():
    plan = CONSORTIUM.plan(author="m-mallory")
    assert not execute(Choices(organisations=("alder-hospital",)), plan=plan).allowed


def test_a_rule_that_speaks_of_what_does_not_exist_is_no_policy():
    text = Choices().to_cedar().replace("resource.computation_class", "resource.klass")
    with pytest.raises(PolicyError, match="rule class, attribute `klass`"):
        SitePolicy(text)


CHOICES = st.builds(
    Choices,
    maximum_epsilon=st.sampled_from(["0", "0.5", "2", "40"]),
    minimum_cohort=st.integers(0, 1000),
    classes=st.sampled_from([(), ("kaplan-meier/1",), ("cohort-count/1", "kaplan-meier/1")]),
    purposes=st.sampled_from([(), ("clinical_trial",), ("quality",)]),
    organisations=st.sampled_from([(), ("alder-hospital",), ("birch-hospital",)]),
    hours=st.sampled_from(["", "8-18", "0-6"]),
    lifetime_epsilon=st.sampled_from(["", "2", "9"]),
    require_local_consent=st.booleans(),
    require_release=st.booleans(),
)
CIRCUMSTANCES = st.fixed_dictionaries(
    {
        "at": st.datetimes(timezones=st.just(UTC)),
        "spent": st.integers(0, 10**7),
        "signed_here": st.booleans(),
    }
)
EXTRA = '@id("x")\n@sentence("One more.")\nforbid (principal, action, resource) when {{ {} }};\n'


@given(CHOICES, CIRCUMSTANCES, st.integers(0, 23), st.integers(0, 10**7))
def test_a_stricter_policy_never_permits_what_the_looser_one_refuses(
    choices, circumstances, hour, spent
):
    loose = SitePolicy(choices.to_cedar())
    rule = EXTRA.format(f"context.run.hour == {hour} || context.run.spent > {spent}")
    strict = SitePolicy(choices.to_cedar() + rule)
    asked = Circumstances(circumstances["at"], "public", circumstances["spent"], 10**7)
    here = {"signed_here": circumstances["signed_here"]}
    if strict.execute(PLAN, ROSTER, asked, **here).allowed:
        assert loose.execute(PLAN, ROSTER, asked, **here).allowed
    if strict.release(PLAN, ROSTER, asked).by_steward:
        assert loose.release(PLAN, ROSTER, asked).by_steward


@given(CHOICES)
def test_choices_come_back_from_the_file_that_they_made(choices):
    assert Choices.of_file(choices.to_cedar()) == choices
    assert Choices.of_file(choices.to_cedar() + "// edited\n") is None


@given(st.text(max_size=200))
def test_whatever_a_file_holds_it_is_a_policy_or_an_error(text):
    try:
        policy = SitePolicy(text)
    except PolicyError:
        return
    asked = Circumstances(NOW)
    assert not policy.execute(PLAN, ROSTER, asked, signed_here=True).allowed


@pytest.mark.parametrize(
    "wrong",
    [
        {"hours": "18-8"},
        {"hours": "8-25"},
        {"maximum_epsilon": "two"},
        {"classes": ["kaplan-meier"]},
        {"organisations": ['x"].contains(1)']},
    ],
)
def test_choices_that_make_no_sense_are_refused(wrong):
    with pytest.raises(HomeError):
        Choices.parse(wrong)
