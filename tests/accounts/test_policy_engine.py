"""The policy engine: what no rule permits is refused, and the rules that decide are named."""

import pytest

from accounts.policy_engine import PolicyError, PolicySet, entity, reference

SCHEMA = """
entity Person;
entity Study = { author: Person, state: String };
action "read", "write" appliesTo {
    principal: Person, resource: Study, context: { hour: Long }
};
"""
RULES = """
@id("readers")
@sentence("Everyone reads.")
permit (principal, action == Action::"read", resource);

@id("authors")
@sentence("Authors write.")
@code("not_author")
permit (principal, action == Action::"write", resource)
when { resource.author == principal };

@id("night")
@sentence("Nobody works at night.")
forbid (principal, action, resource)
when { context.hour * 9223372036854775807 < 6 };
"""


def decide(rules=RULES, *, principal="ann", action="read", author="ann", hour=0, **context):
    study = entity("Study", "s", author=reference("Person", author), state="open")
    return PolicySet(rules, SCHEMA).decide(
        principal=("Person", principal),
        action=action,
        resource=("Study", "s"),
        context={"hour": hour, **context},
        entities=[study, entity("Person", principal), entity("Person", author)],
    )


DAY = RULES.replace("context.hour * 9223372036854775807 < 6", "context.hour < 6")


def test_a_rule_that_permits_is_named():
    decision = decide(DAY, hour=12)
    assert decision.allowed
    assert [rule.id for rule in decision.rules] == ["readers"]


def test_one_rule_that_forbids_outweighs_all_that_permit():
    decision = decide(DAY, hour=3)
    assert not decision.allowed
    assert [rule.sentence for rule in decision.rules] == ["Nobody works at night."]


def test_what_no_rule_permits_is_refused():
    decision = decide(DAY, principal="ben", action="write", hour=12)
    assert (decision.allowed, decision.rules) == (False, ())
    assert decide(DAY, action="write", hour=12).rules[0].code == "not_author"


def test_a_rule_that_cannot_be_evaluated_refuses():
    """A forbidding rule that overflows would not apply by itself: then nothing is permitted."""
    assert not decide(hour=12).allowed
    assert not decide(hour=12).rules


@pytest.mark.parametrize(
    "unknown",
    [
        {"action": "burn"},
        {"hour": "noon"},
        {"hour": 2**70},
        {"weather": "fine"},
    ],
    ids=lambda unknown: next(iter(unknown)),
)
def test_what_the_schema_does_not_know_is_refused(unknown):
    assert not decide(DAY, **{"hour": 12, **unknown}).allowed


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("permit (principal action);", "cannot be read"),
        (DAY.replace("context.hour <", "context.hours <"), "rule night, attribute `hours`"),
        (DAY.replace('Action::"read"', 'Action::"raed"'), "raed"),
        ("permit (principal, action, resource);", "rule number 0: expected an @id"),
        ('@id("a") permit (principal, action, resource);', "rule a: expected an @id and"),
        (DAY + DAY, "rule readers: expected each id once"),
    ],
)
def test_rules_that_cannot_be_used_are_refused_as_they_are_read(rules, problem):
    with pytest.raises(PolicyError, match=problem):
        PolicySet(rules, SCHEMA)


def test_the_digest_is_that_of_the_file():
    assert PolicySet(DAY, SCHEMA).digest == PolicySet(DAY, SCHEMA).digest
    assert PolicySet(DAY, SCHEMA).digest != PolicySet(DAY + "\n", SCHEMA).digest
