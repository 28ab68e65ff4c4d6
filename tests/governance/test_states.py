"""The state tables against a set of allowed moves written by hand, for every state and actor."""

from itertools import product

import pytest
from django.core.management import call_command

from audit.events import MUST_RECORD
from governance.errors import IllegalTransition
from governance.models import ComputationClass, Release, Run
from governance.states import OWNER, START, TABLES, Actor, Machine, states, transition
from studies.models import Study

PI, STEWARD, SITE, SYSTEM = Actor.PI, Actor.STEWARD, Actor.SITE, Actor.SYSTEM
OPERATOR = Actor.PORTAL_OPERATOR

ALLOWED = {
    Machine.CLASS: {
        ("", "proposed", OPERATOR),
        ("proposed", "approved", SYSTEM),
        ("proposed", "rejected", SYSTEM),
        ("approved", "revoked", SYSTEM),
    },
    Machine.STUDY: {
        ("", "draft", PI),
        ("draft", "in_review", PI),
        ("in_review", "approved", SYSTEM),
        ("in_review", "returned", SYSTEM),
        ("in_review", "rejected", SYSTEM),
        ("in_review", "conflicted", SYSTEM),
        ("conflicted", "approved", SYSTEM),
        ("conflicted", "returned", SYSTEM),
        ("conflicted", "rejected", SYSTEM),
        ("returned", "draft", PI),
        ("approved", "draft", PI),
        ("ready", "draft", PI),
        ("approved", "ready", SYSTEM),
        ("ready", "approved", SYSTEM),
        ("approved", "expired", SYSTEM),
        ("ready", "expired", SYSTEM),
        ("draft", "withdrawn", PI),
        ("in_review", "withdrawn", PI),
        ("conflicted", "withdrawn", PI),
        ("returned", "withdrawn", PI),
        ("approved", "withdrawn", PI),
        ("ready", "withdrawn", PI),
    },
    Machine.CONSENT: {
        ("", "consent", STEWARD),
        ("", "decline", STEWARD),
        ("consent", "consent", STEWARD),
        ("consent", "withdraw", STEWARD),
        ("decline", "consent", STEWARD),
        ("withdraw", "consent", STEWARD),
        ("withdraw", "decline", STEWARD),
    },
    Machine.RUN: {
        ("", "pending", PI),
        ("pending", "running", SYSTEM),
        ("running", "succeeded", SYSTEM),
        ("pending", "failed", SITE),
        ("running", "failed", SITE),
        ("pending", "failed", SYSTEM),
        ("running", "failed", SYSTEM),
        ("pending", "cancelled", PI),
        ("running", "cancelled", PI),
    },
    Machine.RELEASE: {
        ("", "sealed", SYSTEM),
        ("sealed", "opening", SYSTEM),
        ("opening", "opened", SYSTEM),
        ("opened", "decided", SYSTEM),
        ("decided", "visible", SYSTEM),
        ("sealed", "withheld", SYSTEM),
        ("opening", "withheld", SYSTEM),
        ("opened", "withheld", SYSTEM),
    },
}

CHOICES = {
    Machine.CLASS: ComputationClass.State,
    Machine.STUDY: Study.State,
    Machine.RUN: Run.State,
    Machine.RELEASE: Release.State,
}


@pytest.mark.parametrize("machine", Machine)
def test_every_move_not_written_here_is_refused(machine):
    everything = product((START, *states(machine)), states(machine), Actor)
    for source, target, by in everything:
        if (source, target, by) in ALLOWED[machine]:
            row = transition(machine, source, target, by)
            assert (row.source, row.target, row.by) == (source, target, by)
        else:
            with pytest.raises(IllegalTransition):
                transition(machine, source, target, by)


@pytest.mark.parametrize("machine", Machine)
def test_a_move_stands_in_the_table_once(machine):
    rows = [(row.source, row.target, row.by) for row in TABLES[machine]]
    assert len(rows) == len(set(rows)) == len(ALLOWED[machine])


@pytest.mark.parametrize("machine", CHOICES)
def test_states_are_the_models_choices(machine):
    assert set(states(machine)) == set(CHOICES[machine].values)


def test_every_state_says_who_acts_next():
    assert set(OWNER) == {(machine, state) for machine in Machine for state in states(machine)}


@pytest.mark.parametrize("machine", Machine)
def test_a_state_that_leads_somewhere_has_an_owner_unless_it_may_rest(machine):
    resting = {"approved", "consent"} if machine in (Machine.CLASS, Machine.CONSENT) else set()
    for row in TABLES[machine]:
        if row.source not in {START, *resting}:
            assert OWNER[machine, row.source].startswith("With: "), row


def test_events_are_on_the_logs_list():
    events = {row.event for table in TABLES.values() for row in table} - {""}
    assert events <= set(MUST_RECORD)


def test_a_refused_move_says_what_is_allowed():
    with pytest.raises(
        IllegalTransition, match="draft to ready by pi; allowed from there: in_review, withdrawn"
    ):
        transition(Machine.STUDY, "draft", "ready", Actor.PI)


def test_nothing_leaves_a_final_state():
    final = {
        Machine.CLASS: {"rejected", "revoked"},
        Machine.STUDY: {"rejected", "withdrawn", "expired"},
        Machine.CONSENT: set(),
        Machine.RUN: {"succeeded", "failed", "cancelled"},
        Machine.RELEASE: {"visible", "withheld"},
    }
    for machine, table in TABLES.items():
        assert {row.target for row in table} - {row.source for row in table} == final[machine]


def test_the_drawing_in_docs_is_fresh():
    call_command("draw_states", check=True)
