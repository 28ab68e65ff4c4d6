"""Quorum: distinct members, distinct organisations, the committee only, never the author."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import QuorumError
from governance.quorum import (
    Author,
    Outcome,
    Review,
    Rule,
    check_quorum,
    meets_quorum,
    review_outcome,
)


@dataclass(frozen=True)
class Voter:
    id: str
    organisation: str
    roles: tuple[str, ...] = ("reviewer",)


ANN = Voter("ann", "alder")
AMY = Voter("amy", "alder", ("pi", "reviewer"))
BOB = Voter("bob", "birch", ("chair",))
CID = Voter("cid", "cedar")
DEE = Voter("dee", "dogwood")
STEWARD = Voter("sue", "spruce", ("steward", "pi", "auditor"))
TWO_OF_TWO = Rule(approvals=2, organisations=2)

voters = st.lists(
    st.builds(
        Voter,
        st.sampled_from("abcdef"),
        st.sampled_from(["alder", "birch", "cedar"]),
        st.sampled_from([("reviewer",), ("chair", "pi"), ("steward",), ()]),
    ),
    max_size=8,
    unique_by=lambda voter: voter.id,
)


@pytest.mark.parametrize(
    ("approvals", "author", "met"),
    [
        ([ANN, BOB], "cid", True),
        ([ANN, BOB, CID], "cid", True),
        ([ANN], "cid", False),
        ([ANN, ANN], "cid", False),
        ([ANN, AMY], "cid", False),
        ([ANN, BOB], "bob", False),
        ([ANN, AMY, BOB], "bob", False),
        ([ANN, STEWARD], "cid", False),
        ([], "cid", False),
        ([ANN, BOB], None, True),
    ],
)
def test_two_members_of_two_organisations(approvals, author, met):
    named = None if author is None else Author(author)
    assert meets_quorum(approvals, TWO_OF_TWO, author=named) is met


def test_the_authors_organisation_is_kept_out_where_the_rule_says_so():
    rule = Rule(2, 1)
    assert meets_quorum([ANN, AMY, BOB], rule, author=Author("cid"))
    assert meets_quorum([ANN, AMY, BOB], rule, author=Author("cid", excluded=BOB.organisation))
    assert not meets_quorum([ANN, AMY, BOB], rule, author=Author("cid", excluded=ANN.organisation))


def test_the_reason_says_what_is_needed_and_what_there_is():
    with pytest.raises(
        QuorumError, match="2 members of 2 organisations, other than the author, and has 2 of 1"
    ):
        check_quorum([ANN, AMY], TWO_OF_TWO, author=None)


@given(voters, st.integers(1, 4), st.integers(1, 3), st.sampled_from("abcdef"))
def test_a_quorum_is_what_counting_by_hand_says(approvals, members, organisations, author):
    able = [
        v for v in approvals if v.id != author and ("reviewer" in v.roles or "chair" in v.roles)
    ]
    by_hand = len(able) >= members and len({v.organisation for v in able}) >= organisations
    rule = Rule(members, organisations)
    assert meets_quorum(approvals, rule, author=Author(author)) == by_hand


@given(voters, st.integers(1, 4), st.integers(1, 3))
def test_more_approvals_never_lose_a_quorum(approvals, members, organisations):
    rule = Rule(members, organisations)
    for count in range(len(approvals)):
        if meets_quorum(approvals[:count], rule, author=None):
            assert meets_quorum(approvals[: count + 1], rule, author=None)


PIA = Author("pia")


def outcome(*reviews, rule=TWO_OF_TWO, author=PIA):
    return review_outcome([Review(voter, word) for voter, word in reviews], rule, author=author)


@pytest.mark.parametrize(
    ("reviews", "expected"),
    [
        ([], Outcome.WAITING),
        ([(ANN, "approve")], Outcome.WAITING),
        ([(ANN, "reject")], Outcome.WAITING),
        ([(ANN, "approve"), (BOB, "approve")], Outcome.APPROVED),
        ([(ANN, "return"), (BOB, "return")], Outcome.RETURNED),
        ([(ANN, "reject"), (BOB, "reject")], Outcome.REJECTED),
        # Two of one organisation agree: approval waits for another organisation.
        ([(ANN, "approve"), (AMY, "approve")], Outcome.WAITING),
        ([(ANN, "approve"), (AMY, "approve"), (BOB, "approve")], Outcome.APPROVED),
        ([(ANN, "return"), (AMY, "return")], Outcome.RETURNED),
        # Disagreement calls one more, whose side wins if it is a majority.
        ([(ANN, "approve"), (BOB, "reject")], Outcome.CONFLICTED),
        ([(ANN, "approve"), (BOB, "reject"), (CID, "approve")], Outcome.APPROVED),
        ([(ANN, "approve"), (BOB, "reject"), (CID, "reject")], Outcome.REJECTED),
        ([(ANN, "approve"), (BOB, "return"), (CID, "return")], Outcome.RETURNED),
        ([(ANN, "approve"), (BOB, "return"), (CID, "reject")], Outcome.CONFLICTED),
        # A majority to approve that one organisation makes up is no quorum.
        ([(ANN, "approve"), (BOB, "reject"), (AMY, "approve")], Outcome.CONFLICTED),
        # Those who may not vote change nothing.
        ([(ANN, "approve"), (STEWARD, "reject"), (BOB, "approve")], Outcome.APPROVED),
    ],
)
def test_reviews_decide_together(reviews, expected):
    assert outcome(*reviews) is expected


def test_the_authors_own_review_is_never_counted():
    assert outcome((ANN, "approve"), (BOB, "approve"), author=Author("bob")) is Outcome.WAITING


def test_a_mixed_first_set_of_three_is_conflicted_even_with_a_majority():
    rule = Rule(approvals=3, organisations=2)
    mixed = [(ANN, "return"), (BOB, "return"), (CID, "approve")]
    assert outcome(*mixed, rule=rule) is Outcome.CONFLICTED
    assert outcome(*mixed, (DEE, "return"), rule=rule) is Outcome.RETURNED
    assert outcome(*mixed, (DEE, "approve"), rule=rule) is Outcome.CONFLICTED


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ANN, AMY, BOB, CID, DEE]), st.sampled_from(["approve", "reject"])
        ),
        unique_by=lambda review: review[0].id,
    )
)
def test_nothing_is_approved_without_a_quorum_that_outnumbers_the_rest(reviews):
    approvers = [voter for voter, word in reviews if word == "approve"]
    if outcome(*reviews) is Outcome.APPROVED:
        assert meets_quorum(approvers, TWO_OF_TWO, author=Author("pia"))
        assert len(approvers) > len(reviews) - len(approvers)
