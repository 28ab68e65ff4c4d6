"""A study's way over HTTP, by the people who take it; and what the API never tells."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from governance.models import ComputationClass, Release
from governance.statements.envelope import Envelope, add_ed25519
from studies.models import Study
from tests.factories.evidence import SITES, STEWARDS
from tests.factories.portal import House


class Person:
    """A signed-in member of the house with their key, as a program would act for them."""

    def __init__(self, house: House, member: str) -> None:
        self.client = APIClient()
        self.client.force_authenticate(house.people[member])
        self.key = house.consortium.person(member).private_key

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/{path}")

    def post(self, path: str, body: Any = None) -> Any:
        return self.client.post(f"/api/v1/{path}", body or {}, format="json")

    def decide(self, request: str, answer: str, **asked: Any) -> Any:
        """Ask for a statement, sign it, send it in; return the answer."""
        statement = self.post(request, asked)
        if statement.status_code != 200:
            return statement
        envelope = add_ed25519(Envelope.parse(statement.json()["unsigned"]), self.key)
        return self.post(answer, {"envelope": envelope.to_json()})


@pytest.fixture
def as_member(house: House) -> Any:
    return lambda member: Person(house, member)


def test_from_draft_to_run(house: House, as_member: Any) -> None:
    pi = as_member("m-ines")
    made = pi.post("studies/", {"plan": house.plan()}).json()
    study = f"studies/{made['identifier']}/"
    assert pi.post(f"{study}submit/").json()["owner"] == "With: governance committee"
    for member in ("m-ruth", "m-carl"):
        answer = as_member(member).decide(
            f"{study}review-request/", f"{study}reviews/", decision="approve", comment="Sound."
        )
        assert answer.status_code == 201, answer.json()
    seen = pi.get(study).json()
    assert (seen["state"], seen["reviews"]["received"]) == ("approved", 2)
    assert [review["comment"] for review in seen["reviews"]["shown"]] == ["Sound.", "Sound."]
    for site in SITES:
        answer = as_member(STEWARDS[site]).decide(
            f"{study}consent-request/", f"{study}consents/", site=site, decision="consent"
        )
        assert answer.status_code == 201, answer.json()
    seen = pi.get(study).json()
    assert (seen["state"], seen["may"]) == ("ready", ["start_run", "amend", "withdraw"])
    assert all(consent["given"] for consent in seen["consents"])
    run = pi.post(f"{study}runs/").json()
    assert (run["state"], run["owner"]) == ("pending", "With: the sites' agents")
    evidence = as_member("m-ada").get(f"{study}evidence/").json()
    assert {len(evidence["study_approvals"]), len(evidence["consents"])} == {2, 3}
    assert pi.get(f"runs/{run['identifier']}/").json()["attempts"] == []
    assert pi.post(f"runs/{run['identifier']}/cancel/").json()["state"] == "cancelled"


def test_a_refusal_has_the_code_and_sentence_of_the_page(house: House, as_member: Any) -> None:
    study = house.approved_study()
    answer = as_member("m-ines").post(f"studies/{study.identifier}/runs/")
    assert answer.status_code == 409
    assert answer.json() == {
        "code": "wrong_state",
        "sentence": "This study is approved, waiting for consent, so it cannot be run now.",
    }


def test_reviews_and_evidence_are_blinded_until_all_are_in(
    house: House, study_in_review: Study, as_member: Any
) -> None:
    house.review(study_in_review, "m-ruth", "return")
    address = f"studies/{study_in_review.identifier}/"
    for member in ("m-carl", "m-ines", "m-aude"):
        shown = as_member(member).get(f"{address}reviews/").json()
        assert (shown["received"], shown["needed"], shown["shown"]) == (1, 2, [])
        assert as_member(member).get(f"{address}evidence/").json()["code"] == "reviews_blinded"
    mine = as_member("m-ruth").get(f"{address}reviews/").json()["shown"]
    assert [review["decision"] for review in mine] == ["return"]


@pytest.mark.parametrize("state", list(Release.State))
def test_values_of_a_release_reach_only_those_who_may_read_them(
    house: House, as_member: Any, state: Release.State
) -> None:
    release = house.opened_release(result={"persons": 4242})
    Release.objects.filter(pk=release.pk).update(state=state)
    told = {
        member
        for member in house.people
        if b"4242" in as_member(member).get(f"runs/{release.run}/release/").content
    }
    opened = {Release.State.OPENED, Release.State.DECIDED, Release.State.VISIBLE}
    checkers = {"m-olga", "m-otto"} if state in opened else set()
    assert told == checkers | ({"m-ines"} if state == Release.State.VISIBLE else set())
    # The opened integers themselves leave by no address at all.
    study = as_member("m-ines").get(f"studies/{release.run.study.identifier}/")
    assert b"noised" not in study.content


def test_an_output_check_over_http(house: House, as_member: Any) -> None:
    run = house.opened_release().run
    answer = as_member("m-olga").decide(
        f"runs/{run}/check-request/", f"runs/{run}/checks/", decision="pass"
    )
    assert (answer.status_code, answer.json()["decision"]) == (201, "pass")
    again = as_member("m-olga").decide(
        f"runs/{run}/check-request/", f"runs/{run}/checks/", decision="pass"
    )
    assert (again.status_code, again.json()["code"]) == (409, "signed_already")


def test_a_class_over_http(house: House, as_member: Any) -> None:
    operator = as_member("m-pete")
    made = operator.post("classes/", {"name": "cohort-count", "version": 1})
    assert (made.status_code, made.json()["owner"]) == (201, "With: governance committee")
    one = "classes/cohort-count/1/"
    for member in ("m-ruth", "m-carl"):
        answer = as_member(member).decide(
            f"{one}decision-request/", f"{one}decisions/", decision="approve"
        )
        assert answer.status_code == 201, answer.json()
    seen = operator.get(one).json()
    stored = ComputationClass.objects.get(name="cohort-count")
    assert (seen["state"], seen["digest"]) == ("approved", stored.digest)
    assert (seen["document"]["name"], len(seen["approvals"])) == ("cohort-count", 2)


@pytest.mark.parametrize(
    "body",
    [{}, {"envelope": "text"}, {"unsigned": {}}, {"envelope": {"payload": "x"}}],
    ids=["nothing", "no object", "no credential", "no envelope"],
)
def test_what_cannot_be_read_is_a_400_with_a_sentence(
    study_in_review: Study, as_member: Any, body: dict[str, Any]
) -> None:
    answer = as_member("m-ruth").post(f"studies/{study_in_review.identifier}/reviews/", body)
    assert answer.status_code == 400
    assert answer.json()["sentence"]


def test_the_roster_is_there_for_everyone_to_follow(house: House, as_member: Any) -> None:
    chain = as_member("m-ada").get("roster/").json()
    assert chain["version"] == 1
    assert chain["fingerprint"].replace(" ", "") == house.consortium.pinned
    assert Envelope.parse(chain["rosters"][0]).digest == house.consortium.pinned


def test_notifications_are_ones_own_and_can_be_read(study_in_review: Study, as_member: Any) -> None:
    ruth = as_member("m-ruth")
    told = ruth.get("notifications/").json()["results"]
    assert [note["read_at"] for note in told] == [None]
    assert study_in_review.identifier in told[0]["link"]
    assert as_member("m-pete").get("notifications/").json()["results"] == []
    ruth.post("notifications/")
    assert ruth.get("notifications/").json()["results"][0]["read_at"]
    assert ruth.get("me/worklist/").json()["to_do"][0]["text"] == "Review the study plan"
