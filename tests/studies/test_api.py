"""Studies over HTTP: who sees which, and drafts."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from governance.actions import amend_study, submit_study
from governance.models import Release
from studies.actions import duplicate_study
from studies.models import Study
from studies.queries import visible_to
from tests.factories.portal import House, person


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def seen_by(user: User) -> set[str]:
    return set(visible_to(user).values_list("identifier", flat=True))


def test_who_sees_a_study_at_each_state(house: House) -> None:
    studies = {
        "draft": house.draft(),
        "in review": house.study_in_review(),
        "approved": house.approved_study(),
        "elsewhere": house.approved_study(),
    }
    studies["elsewhere"].current.sites.clear()  # as if its plan named other sites
    names = {study.identifier: name for name, study in studies.items()}
    table = {
        "m-ines": {"draft", "in review", "approved", "elsewhere"},
        "m-ruth": {"in review", "approved", "elsewhere"},
        "m-carl": {"in review", "approved", "elsewhere"},
        "m-ada": {"in review", "approved"},
        "m-olga": {"approved", "elsewhere"},
        "m-aude": {"draft", "in review", "approved", "elsewhere"},
        "m-pete": set(),
    }
    found = {member: {names[name] for name in seen_by(house.people[member])} for member in table}
    assert found == table


def test_another_investigator_sees_nothing(house: House, approved_study: Study) -> None:
    assert seen_by(person("ivan", ["pi"])) == set()


def test_an_amended_study_keeps_those_who_knew_it_and_hides_its_draft(house: House) -> None:
    study = house.ready_study(title="As submitted")
    first = study.current
    plan = house.plan(title="Only drafted")
    draft = amend_study(study=study, by=house.pi, plan=plan)
    address = f"/api/v1/studies/{study.identifier}/"
    for member in ("m-ruth", "m-carl", "m-ada", "m-olga", "m-aude"):
        user = house.people[member]
        seen = client_of(user).get(address)
        assert seen.json()["digest"] == first.digest, member
        assert [each["number"] for each in seen.json()["versions"]] == [1]
        assert len(seen.json()["consents"]) == 3
        listed = client_of(user).get("/api/v1/studies/")
        pages = Client()
        pages.force_login(user)
        page = pages.get(f"/studies/{study.identifier}/")
        told = [seen, listed, page, pages.get("/studies/"), pages.get("/")]
        for answer in told:
            assert answer.status_code == 200
            assert "Only drafted" not in answer.content.decode(), (member, answer)
            assert draft.digest not in answer.content.decode()
        hidden = pages.get(f"/studies/{study.identifier}/versions/2/plan.json")
        assert hidden.status_code == 404
    own = client_of(house.pi).get(address).json()
    assert (own["digest"], own["plan"]["title"]) == (draft.digest, "Only drafted")
    assert seen_by(person("ivan", ["pi"])) == set()
    submit_study(study=study, by=house.pi)
    assert client_of(house.people["m-ruth"]).get(address).json()["title"] == "Only drafted"


def test_a_steward_signs_nothing_about_an_amended_draft(house: House) -> None:
    study = house.approved_study(title="As submitted")
    amend_study(study=study, by=house.pi, plan=house.plan(title="Only drafted"))
    for member, page in (("m-ada", "consent/alder/"), ("m-ruth", "review/")):
        client = Client()
        client.force_login(house.people[member])
        sent = {"step": "prepare", "decision": "approve"}
        answer = client.post(f"/studies/{study.identifier}/{page}", sent)
        assert "Only drafted" not in answer.content.decode()


def test_a_copy_of_an_amended_study_has_the_plan_that_was_submitted(house: House) -> None:
    study = house.approved_study(title="As submitted")
    amend_study(study=study, by=house.pi, plan=house.plan(title="Only drafted"))
    other = person("rex", ["pi", "reviewer"])
    assert duplicate_study(study=study, by=other).title == "Copy of As submitted"


def test_a_result_stays_with_its_checkers_after_an_amendment(house: House) -> None:
    release = house.opened_release(result={"persons": 4242})
    Release.objects.filter(pk=release.pk).update(state=Release.State.VISIBLE)
    amend_study(study=release.run.study, by=house.pi)
    for member in ("m-ines", "m-olga"):
        answer = client_of(house.people[member]).get(f"/api/v1/runs/{release.run}/release/")
        assert answer.json()["result"] == {"persons": 4242}
    for member in ("m-ruth", "m-ada"):
        answer = client_of(house.people[member]).get(f"/api/v1/runs/{release.run}/release/")
        assert (answer.status_code, answer.json()["result"]) == (200, None)


@pytest.mark.parametrize("path", ["", "reviews/", "consents/", "evidence/", "runs/"])
def test_a_foreign_study_is_answered_like_one_that_does_not_exist(
    house: House, draft: Study, path: str
) -> None:
    client = client_of(house.people["m-ruth"])
    foreign = client.get(f"/api/v1/studies/{draft.identifier}/{path}")
    unknown = client.get(f"/api/v1/studies/st-none/{path}")
    assert (foreign.status_code, foreign.json()) == (unknown.status_code, unknown.json())
    assert foreign.status_code == 404


def test_a_draft_over_http(house: House, pi: User) -> None:
    client = client_of(pi)
    made = client.post("/api/v1/studies/", {"plan": house.plan()}, format="json")
    assert (made.status_code, made.json()["state"]) == (201, "draft")
    address = f"/api/v1/studies/{made.json()['identifier']}/"
    changed = client.patch(address, {"plan": {"title": "Sharper"}}, format="json").json()
    assert (changed["title"], changed["plan"]["max_runs"]) == ("Sharper", 3)
    assert changed["digest"] != made.json()["digest"]
    assert changed["may"] == ["submit", "withdraw"]
    listed = client.get("/api/v1/studies/").json()
    assert [study["title"] for study in listed["results"]] == ["Sharper"]


def test_every_problem_of_a_plan_comes_back_by_field(house: House, pi: User) -> None:
    plan: dict[str, Any] = house.plan(max_runs=0, title="")
    answer = client_of(pi).post("/api/v1/studies/", {"plan": plan}, format="json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "plan_invalid"
    assert {"max_runs", "title"} <= set(answer.json()["fields"])


def test_the_catalogue_is_what_the_software_can_run(house: House, pi: User) -> None:
    listed = client_of(pi).get("/api/v1/catalogue/").json()
    assert {entry["identifier"] for entry in listed} >= {"kaplan-meier/1", "cohort-count/1"}
    assert all(entry["document"]["card"] for entry in listed)
