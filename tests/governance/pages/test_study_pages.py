"""The pages of a study's way: what stands at the top, who may see and sign what, who may not."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from governance.models import Consent, Release, Run, StudyApproval
from governance.pages.advice import ADVICE
from governance.pages.offers import offers_for
from governance.pages.situation import headline_of, situation_of
from governance.reasons import REASONS
from governance.statements.envelope import Envelope, add_ed25519
from studies.models import Study
from tests.factories.portal import House
from tests.studies.pages.test_result_tables import count, released

pytestmark = pytest.mark.django_db


def browser(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def sign_offline(house: House, member: str, address: str, decision: str, comment: str = "") -> Any:
    """Decide on the page, sign the statement it asks for on one's own machine, send it in."""
    client = browser(house.people[member])
    asked = client.post(address, {"step": "prepare", "decision": decision, "comment": comment})
    signing = asked.context["signing"]
    assert not signing.error, signing.error
    envelope = Envelope.parse(signing.document["unsigned"])
    signed = add_ed25519(envelope, house.consortium.person(member).private_key).to_json()
    file = SimpleUploadedFile("statement.json", json.dumps(signed).encode())
    return client.post(address, {"envelope_file": file})


def opened(house: House, state: str = "opened", result: dict[str, Any] | None = None) -> Release:
    release = house.opened_release(result or released())
    Release.objects.filter(pk=release.pk).update(state=state)
    release.refresh_from_db()
    return release


def release_page(release: Release) -> str:
    run = release.run
    return f"/studies/{run.study.identifier}/runs/{run.identifier}/release/"


def tasks(study: Study, person: User) -> list[str]:
    return [offer.label for offer in offers_for(study, person) if offer.task]


# ---- where a study stands ----------------------------------------------------------------------


def test_each_state_says_what_it_is_who_acts_and_what_the_author_can_do(house: House) -> None:
    study = house.draft()
    assert headline_of(study).label == "Draft"
    assert tasks(study, house.pi) == ["Submit for review"]

    study = house.study_in_review()
    assert "0 of 2 reviews" in situation_of(study).sentence
    assert headline_of(study).owner == "With: governance committee"
    assert tasks(study, house.pi) == []
    assert tasks(study, house.people["m-ruth"]) == ["Review the study"]

    study = house.approved_study()
    house.consent(study, "birch")
    assert (
        "1 of 3 sites have consented. Still missing: alder, cedar." in situation_of(study).sentence
    )
    assert tasks(study, house.people["m-ada"]) == ["Decide for alder"]
    assert tasks(study, house.people["m-ben"]) == []

    study = house.ready_study()
    assert headline_of(study).owner == "With: principal investigator"
    assert tasks(study, house.pi) == ["Start a run"]


def marks(study: Study) -> list[str]:
    return [step.mark for step in situation_of(study).steps]


def test_the_lifecycle_shows_how_far_a_study_has_come_and_where_it_stopped(house: House) -> None:
    assert marks(house.draft()) == ["now", "", "", "", ""]
    returned = house.study_in_review()
    for member in ("m-ruth", "m-carl"):
        house.review(returned, member, "return")
    assert marks(returned) == ["done", "stopped", "", "", ""]
    approved = house.approved_study()
    assert marks(approved) == ["done", "done", "now", "", ""]
    Study.objects.filter(pk=approved.pk).update(state=Study.State.EXPIRED)
    approved.refresh_from_db()
    assert marks(approved) == ["done", "done", "stopped", "", ""]
    release = opened(house)
    assert marks(release.run.study) == ["done", "done", "done", "done", "now"]
    Release.objects.update(state="visible")
    assert marks(release.run.study) == ["done"] * 5


@pytest.mark.parametrize("state", Run.State.values)
def test_a_run_speaks_for_its_study(house: House, state: str) -> None:
    run = house.run()
    Run.objects.filter(pk=run.pk).update(state=state, reason="birch was lost during the run.")
    situation = situation_of(run.study)
    failed = state in {"failed", "cancelled"}
    assert situation.headline.label == f"Run {state}"
    assert situation.tone == ("bad" if failed else "")
    assert ("birch was lost" in situation.sentence) == failed


@pytest.mark.parametrize("state", Release.State.values)
def test_a_release_speaks_for_its_study(house: House, state: str) -> None:
    situation = situation_of(opened(house, state).run.study)
    assert situation.headline.label == Release.State(state).label
    assert situation.sentence
    assert bool(situation.headline.owner) == (state not in {"visible", "withheld"})


def test_what_cannot_be_done_now_says_why_in_the_policys_words(house: House) -> None:
    study = house.study_in_review()
    refused = {offer.label: offer.reason for offer in offers_for(study, house.pi) if offer.reason}
    assert "in review" in refused["Start a run"]
    assert "Withdraw the study" not in refused
    html = browser(house.pi).get(f"/studies/{study.identifier}/").content.decode()
    assert refused["Start a run"] in html


def test_the_page_tells_the_story_and_links_auditors_to_the_log(house: House) -> None:
    study = house.ready_study()
    address = f"/studies/{study.identifier}/"
    html = browser(house.pi).get(address).content.decode()
    assert "Cleo Cedar consented for cedar" in html
    assert "/audit/" not in html
    assert "/audit/" in browser(house.people["m-aude"]).get(address).content.decode()


def test_the_list_finds_by_state_and_by_title(house: House) -> None:
    house.draft(title="Alpha")
    house.study_in_review(title="Beta")
    client = browser(house.pi)

    def titles(query: str) -> list[str]:
        return [study.title for study, _ in client.get(f"/studies/{query}").context["rows"]]

    assert titles("") == ["Beta", "Alpha"]
    assert titles("?state=draft") == ["Alpha"]
    assert titles("?q=bet") == ["Beta"]
    assert titles("?q=none") == []
    assert [
        study.title for study, _ in browser(house.people["m-ruth"]).get("/studies/").context["rows"]
    ] == ["Beta"]


@pytest.mark.parametrize("address", ["/", "/studies/", "/api/v1/studies/"])
def test_a_longer_list_costs_no_more_queries(house: House, address: str) -> None:
    """Of studies that wait for nobody here: each that does may ask its own policies."""

    def queries(member: str) -> int:
        client = browser(house.people[member])
        client.get(address)  # the first visit of a session writes it
        with CaptureQueriesContext(connection) as counted:
            assert client.get(address).status_code == 200
        return len(counted)

    def settle() -> None:
        opened(house, "visible")
        rejected = house.study_in_review()
        for reviewer in ("m-ruth", "m-carl"):
            house.review(rejected, reviewer, "reject")

    members = ("m-ines", "m-ruth", "m-ada", "m-olga", "m-aude")
    settle()
    before = {member: queries(member) for member in members}
    settle()
    assert {member: queries(member) for member in members} == before


def test_a_study_that_does_not_concern_one_is_as_if_it_were_not_there(house: House) -> None:
    study = house.draft()
    for member in ("m-ruth", "m-ada", "m-olga"):
        client = browser(house.people[member])
        foreign = client.get(f"/studies/{study.identifier}/")
        missing = client.get("/studies/st-00000000/")
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert client.get(f"/studies/{study.identifier}/versions/1/plan.json").status_code == 404


def test_the_plan_one_downloads_has_the_digest_that_everyone_signs(house: House) -> None:
    study = house.study_in_review()
    answer = browser(house.people["m-ada"]).get(f"/studies/{study.identifier}/versions/1/plan.json")
    assert hashlib.sha256(answer.content).hexdigest() == study.current.digest


# ---- the author's steps ------------------------------------------------------------------------


def test_the_author_submits_amends_and_withdraws_by_buttons(house: House) -> None:
    study, client = house.draft(), browser(house.pi)
    address = f"/studies/{study.identifier}/"
    client.post(f"{address}submit/")
    study.refresh_from_db()
    assert study.state == Study.State.IN_REVIEW
    for member in ("m-ruth", "m-carl"):
        house.review(study, member, "return")
    amended = client.post(f"{address}amend/")
    assert amended.headers["Location"] == f"{address}edit/"
    study.refresh_from_db()
    assert (study.state, study.current.number) == (Study.State.DRAFT, 2)
    client.post(f"{address}withdraw/")
    study.refresh_from_db()
    assert study.state == Study.State.WITHDRAWN


def test_amending_and_withdrawing_ask_again_before_they_are_done(house: House) -> None:
    study = house.ready_study()
    html = browser(house.pi).get(f"/studies/{study.identifier}/").content.decode()
    assert "<summary>Amend the plan ...</summary>" in html
    assert "<summary>Withdraw the study ...</summary>" in html


def test_a_step_that_is_refused_says_why_and_changes_nothing(house: House) -> None:
    study = house.study_in_review()
    answer = browser(house.pi).post(f"/studies/{study.identifier}/runs/", follow=True)
    assert "so it cannot be run now" in answer.content.decode()
    assert not Run.objects.exists()


def test_starting_a_run_leads_to_its_page(house: House) -> None:
    study = house.ready_study()
    answer = browser(house.pi).post(f"/studies/{study.identifier}/runs/", follow=True)
    run = Run.objects.get()
    assert answer.redirect_chain[-1][0] == f"/studies/{study.identifier}/runs/{run.identifier}/"
    html = answer.content.decode()
    assert "Cancel the run" in html
    for site in ("alder", "birch", "cedar"):
        assert f"<strong>{site}</strong><span>not heard from yet</span>" in html


def test_a_copy_is_a_draft_of_ones_own(house: House) -> None:
    study = house.study_in_review(title="Theirs")
    browser(house.pi).post(f"/studies/{study.identifier}/duplicate/")
    copy = Study.objects.get(title="Copy of Theirs")
    assert copy.state == Study.State.DRAFT


# ---- reviews and consents ----------------------------------------------------------------------


def test_a_review_signed_offline_through_the_page_counts(house: House) -> None:
    study = house.study_in_review()
    address = f"/studies/{study.identifier}/review/"
    answer = sign_offline(house, "m-ruth", address, "approve", "Sound.")
    assert answer.status_code == 302
    assert StudyApproval.objects.get().comment == "Sound."
    sign_offline(house, "m-carl", address, "approve")
    study.refresh_from_db()
    assert study.state == Study.State.APPROVED


def test_reviews_stay_blinded_until_all_are_in(house: House) -> None:
    study = house.study_in_review()
    sign_offline(
        house, "m-ruth", f"/studies/{study.identifier}/review/", "return", "Too many bins."
    )
    pages = (f"/studies/{study.identifier}/", f"/studies/{study.identifier}/review/")
    for member in ("m-carl", "m-ines", "m-aude"):
        client = browser(house.people[member])
        html = "".join(client.get(page).content.decode() for page in pages)
        assert "Too many bins." not in html
        assert "Return</span>" not in html
    own = browser(house.people["m-ruth"]).get(pages[0]).content.decode()
    assert "Too many bins." in own
    house.review(study, "m-carl", "return")
    assert "Too many bins." in browser(house.pi).get(pages[0]).content.decode()


def test_what_somebody_else_signed_is_refused_on_the_page(house: House) -> None:
    study = house.study_in_review()
    address = f"/studies/{study.identifier}/review/"
    client = browser(house.people["m-ruth"])
    asked = client.post(address, {"step": "prepare", "decision": "approve"}).context["signing"]
    carls = house.consortium.person("m-carl").private_key
    signed = add_ed25519(Envelope.parse(asked.document["unsigned"]), carls).to_json()
    file = SimpleUploadedFile("statement.json", json.dumps(signed).encode())
    answer = client.post(address, {"envelope_file": file})
    assert answer.context["signing"].error
    assert not StudyApproval.objects.exists()


def test_who_has_reviewed_is_sent_back_with_the_reason(house: House) -> None:
    study = house.study_in_review()
    house.review(study, "m-ruth")
    answer = browser(house.people["m-ruth"]).get(
        f"/studies/{study.identifier}/review/", follow=True
    )
    assert "You have reviewed this version already." in answer.content.decode()


def test_a_steward_consents_and_withdraws_for_their_own_site_only(house: House) -> None:
    study = house.approved_study()
    own = f"/studies/{study.identifier}/consent/alder/"
    assert sign_offline(house, "m-ada", own, "consent").status_code == 302
    assert Consent.objects.get().decision == "consent"
    ada = browser(house.people["m-ada"])
    assert "Withdraw the consent" in ada.get(own).content.decode()
    assert sign_offline(house, "m-ada", own, "withdraw").status_code == 302
    assert Consent.objects.latest("pk").decision == "withdraw"
    assert ada.get(f"/studies/{study.identifier}/consent/birch/").status_code == 404


def test_the_steward_reads_what_leaves_and_what_it_costs(house: House) -> None:
    study = house.approved_study()
    site = study.current.sites.get(slug="alder")
    address = f"/studies/{study.identifier}/consent/alder/"
    ada = browser(house.people["m-ada"])
    assert "has not registered a data set called lung" in ada.get(address).content.decode()
    site.data_sets = [
        {"name": "lung", "kind": "public", "columns": [], "budget_micro_epsilon": 3_000_000}
    ]
    site.save()
    context = ada.get(address).context
    spending = context["spending"]
    assert (str(spending.budget), str(spending.each_run), str(spending.all_runs)) == ("3", "2", "6")
    assert not spending.enough
    assert context["forecast"].cells == 48


# ---- runs and results --------------------------------------------------------------------------


def test_a_failed_run_names_the_site_the_reason_and_what_to_do(house: House) -> None:
    run = house.run()
    Run.objects.filter(pk=run.pk).update(
        state="failed", reason_code="budget_exhausted", reason="Not enough.", reason_site="birch"
    )
    html = browser(house.pi).get(f"/studies/{run.study.identifier}/runs/{run.identifier}/")
    text = html.content.decode()
    assert "Not enough." in text
    assert ADVICE["budget_exhausted"] in text
    assert '<li class="bad"><strong>birch</strong>' in text


def test_advice_is_given_for_reasons_that_exist_only() -> None:
    assert set(ADVICE) <= set(REASONS)


def test_a_run_is_found_under_its_own_study_only(house: House) -> None:
    run, other = house.run(), house.draft()
    client = browser(house.pi)
    assert client.get(f"/studies/{other.identifier}/runs/{run.identifier}/").status_code == 404
    assert client.get(f"/studies/{run.study.identifier}/runs/{run.identifier}/").status_code == 200


def test_cancelling_a_run_by_its_button(house: House) -> None:
    run = house.run()
    browser(house.pi).post(f"/studies/{run.study.identifier}/runs/{run.identifier}/cancel/")
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED


READERS = {
    "opened": {"m-olga", "m-otto"},
    "decided": {"m-olga", "m-otto"},
    "visible": {"m-olga", "m-otto", "m-ines"},
}


@pytest.mark.parametrize("state", sorted(READERS))
def test_only_those_who_may_read_a_result_find_a_figure_of_it(house: House, state: str) -> None:
    release = opened(house, state)
    page = release_page(release)
    for member in ("m-ines", "m-olga", "m-otto", "m-ruth", "m-ada", "m-aude"):
        client = browser(house.people[member])
        html = client.get(page).content.decode()
        file = client.get(page.replace("release/", "result.csv"))
        may = member in READERS[state]
        assert ("Survival by group" in html, file.status_code == 200) == (may, may), member
        assert ("plot-title" in html) == may


@pytest.mark.parametrize("state", ["sealed", "opening", "withheld"])
def test_an_unopened_or_withheld_result_is_shown_to_nobody_but_its_checkers(
    house: House, state: str
) -> None:
    release = opened(house, state)
    html = browser(house.pi).get(release_page(release)).content.decode()
    assert "Survival by group" not in html


def test_checkers_sign_on_the_page_and_others_cannot(house: House) -> None:
    release = opened(house)
    page = release_page(release)
    assert sign_offline(house, "m-olga", page, "pass", "Nothing stands out.").status_code == 302
    assert release.checks.get().decision == "pass"
    assert browser(house.pi).post(page, {"step": "prepare", "decision": "pass"}).status_code == 403
    again = browser(house.people["m-olga"]).get(page)
    assert again.context["signing"] is None
    assert "Nothing stands out." in again.content.decode()


def test_a_suppressed_count_is_shown_as_such_and_never_as_zero(house: House) -> None:
    release = opened(house, "visible", count(4))
    html = browser(house.pi).get(release_page(release)).content.decode()
    assert '<p class="figure-number">suppressed</p>' in html
    release.result = count(147)
    release.save()
    html = browser(house.pi).get(release_page(release)).content.decode()
    assert "147 <span" in html
    assert "144 to 150" in html


def test_the_downloaded_json_is_the_released_result(house: House) -> None:
    release = opened(house, "visible")
    answer = browser(house.pi).get(release_page(release).replace("release/", "result.json"))
    assert answer.json() == release.result
    assert "attachment" in answer.headers["Content-Disposition"]


def test_pages_carry_no_inline_script_or_style(house: House) -> None:
    """The content security policy would block them, and the page would break in silence."""
    release = opened(house)
    study = release.run.study
    olga, ines = browser(house.people["m-olga"]), browser(house.pi)
    pages = [
        olga.get(release_page(release)),
        ines.get(f"/studies/{study.identifier}/"),
        ines.get("/studies/new/?class=kaplan-meier/1"),
    ]
    for page in pages:
        html = page.content.decode()
        assert " style=" not in html
        assert "<style" not in html
        assert " onclick=" not in html
