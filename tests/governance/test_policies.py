"""What the situation allows: each refusal once, with its code; pages and API show its sentence."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.errors import ActionRefusedError
from accounts.models import Site
from governance import actions, policies
from governance.models import ComputationClass, Release, Run
from governance.queries import consents_of
from governance.worklists import waiting_for
from studies.actions import plan_of
from studies.documents import format_moment
from tests.factories import portal
from tests.factories.portal import House


def code_of(check: Callable[[], None]) -> str:
    """Return the code with which `check` refuses, or the empty text."""
    try:
        check()
    except ActionRefusedError as error:
        return error.code
    return ""


def test_submitting(house: House) -> None:
    draft, pi, km = house.draft(), house.pi, ComputationClass.objects.get()
    other = portal.person("ivan", ["pi"])
    assert code_of(lambda: policies.check_can_submit(draft, pi)) == ""
    assert code_of(lambda: policies.check_can_submit(draft, other)) == "not_author"
    house.class_decision(km, "m-ruth", "revoke")
    assert code_of(lambda: policies.check_can_submit(draft, pi)) == "class_not_approved"


def test_submitting_what_is_over_or_names_a_site_without_an_agent(house: House) -> None:
    over = house.draft(expires_at=format_moment(timezone.now() - timedelta(days=1)))
    assert code_of(lambda: policies.check_can_submit(over, house.pi)) == "plan_expired"
    draft = house.draft()
    Site.objects.filter(slug="birch").update(identity_key="")
    assert code_of(lambda: policies.check_can_submit(draft, house.pi)) == "site_not_enrolled"
    submitted = house.draft()
    Site.objects.filter(slug="birch").update(identity_key="ab" * 32)
    actions.submit_study(study=submitted, by=house.pi)
    assert code_of(lambda: policies.check_can_submit(submitted, house.pi)) == "wrong_state"


def test_reviewing(house: House) -> None:
    study, ruth = house.study_in_review(), house.people["m-ruth"]
    assert code_of(lambda: policies.check_can_review(study, ruth)) == ""
    assert code_of(lambda: policies.check_can_review(study, house.pi)) == "role_missing"
    draft = house.draft()
    assert code_of(lambda: policies.check_can_review(draft, ruth)) == "wrong_state"


def a_minute_later() -> dict[str, str]:
    """Return the dates of a statement that is not, word for word, one signed just now."""
    issued_at = timezone.now() + timedelta(minutes=1)
    return {
        "issued_at": format_moment(issued_at),
        "valid_until": format_moment(issued_at + timedelta(days=30)),
    }


def test_an_approval_is_renewed_when_it_runs_out_within_a_week(house: House) -> None:
    study, ruth, rosa = house.ready_study(), house.people["m-ruth"], house.people["m-rosa"]
    assert code_of(lambda: policies.check_can_review(study, ruth)) == "signed_already"
    week = timezone.now() + policies.RENEWABLE
    study.current.approvals.update(valid_until=week)
    assert code_of(lambda: policies.check_can_review(study, ruth)) == ""
    assert code_of(lambda: policies.check_can_review(study, rosa)) == "wrong_state"
    # Who has approved and now thinks otherwise: the study is past its review.
    assert code_of(lambda: house.review(study, "m-carl", "reject")) == "renewal_only"
    renewed = house.consortium.review("m-ruth", plan_of(study.current), **a_minute_later())
    actions.review_study(study=study, envelope=renewed.to_json(), by=ruth)
    assert code_of(lambda: policies.check_can_review(study, ruth)) == "signed_already"
    study.refresh_from_db()
    assert study.state == study.State.READY


def test_an_approved_class_is_approved_again_by_whoever_has_no_lasting_approval(
    house: House,
) -> None:
    found, check = ComputationClass.objects.get(), policies.check_can_decide_class
    ruth, rosa = house.people["m-ruth"], house.people["m-rosa"]
    assert code_of(lambda: check(found, "approve", ruth)) == "signed_already"
    assert code_of(lambda: check(found, "approve", rosa)) == ""
    found.approvals.update(valid_until=timezone.now() + policies.RENEWABLE)
    renewed = house.consortium.class_decision("m-ruth", **a_minute_later())
    actions.sign_class_decision(computation_class=found, envelope=renewed.to_json(), by=ruth)
    assert code_of(lambda: check(found, "approve", ruth)) == "signed_already"
    assert found.approvals.count() == 3


def test_an_author_decides_nothing_about_their_own_study(house: House) -> None:
    """Whatever roles they hold besides: reviewer, steward, output checker."""
    from accounts.actions import grant_role

    for role in ("reviewer", "steward", "checker"):
        grant_role(user=house.pi, role=role, by=None)
    in_review, approved, release = (
        house.study_in_review(),
        house.approved_study(),
        house.opened_release(),
    )
    alder, pi = Site.objects.get(slug="alder"), house.pi
    assert {
        code_of(lambda: policies.check_can_review(in_review, pi)),
        code_of(lambda: policies.check_can_consent(approved, alder, "consent", pi)),
        code_of(lambda: policies.check_can_check_output(release, pi)),
    } == {"own_study"}


def test_consenting(house: House) -> None:
    study, ada = house.approved_study(), house.people["m-ada"]
    alder, birch = (Site.objects.get(slug=slug) for slug in ("alder", "birch"))
    check = policies.check_can_consent
    assert code_of(lambda: check(study, alder, "consent", ada)) == ""
    assert code_of(lambda: check(study, birch, "consent", ada)) == "other_site"
    assert code_of(lambda: check(study, alder, "withdraw", ada)) == "no_consent"
    house.consent(study, "alder")
    assert code_of(lambda: check(study, alder, "withdraw", ada)) == ""
    assert code_of(lambda: check(study, alder, "decline", ada)) == "consent_given"
    study.current.sites.remove(alder)
    assert code_of(lambda: check(study, alder, "withdraw", ada)) == "site_not_in_plan"
    in_review = house.study_in_review()
    assert code_of(lambda: check(in_review, alder, "consent", ada)) == "wrong_state"


def test_a_withdrawal_stops_a_consent_that_a_fast_clock_has_dated_ahead(house: House) -> None:
    study, ada = house.approved_study(), house.people["m-ada"]
    signed = house.consortium.consent("alder", plan_of(study.current), **a_minute_later())
    actions.sign_consent(study=study, envelope=signed.to_json(), by=ada)
    # What is dated before the consent would be stored, logged, and stop nothing.
    now = format_moment(timezone.now())
    early = {"decision": "withdraw", "issued_at": now, "valid_until": now}
    earlier = house.consortium.consent("alder", plan_of(study.current), **early).to_json()
    sign = actions.sign_consent
    assert code_of(lambda: sign(study=study, envelope=earlier, by=ada)) == "statement_out_of_date"
    house.consent(study, "alder", "withdraw")
    assert not consents_of(study.current)[0].given
    house.consent(study, "alder")
    assert consents_of(study.current)[0].given


def test_amending_and_withdrawing_wait_for_the_run(house: House) -> None:
    run = house.run()
    for check in (policies.check_can_amend, policies.check_can_withdraw):
        assert code_of(lambda check=check: check(run.study, house.pi)) == "run_active"
    actions.cancel_run(run=run, by=house.pi)
    assert policies.can(policies.check_can_amend, run.study, house.pi)


@pytest.mark.parametrize("state", list(Release.State))
def test_amending_waits_for_a_result_on_its_way(house: House, state: Release.State) -> None:
    release = house.opened_release()
    Release.objects.filter(pk=release.pk).update(state=state)
    over = state in {Release.State.VISIBLE, Release.State.WITHHELD}
    found = code_of(lambda: policies.check_can_amend(release.run.study, house.pi))
    assert found == ("" if over else "release_undecided")


# Who may read the noised result at each state of its release; nobody else ever.
READERS = {
    Release.State.SEALED: set(),
    Release.State.OPENING: set(),
    Release.State.OPENED: {"m-olga", "m-otto"},
    Release.State.DECIDED: {"m-olga", "m-otto"},
    Release.State.VISIBLE: {"m-olga", "m-otto", "m-ines"},
    Release.State.WITHHELD: set(),
}


@pytest.mark.parametrize("state", list(Release.State))
def test_who_may_read_a_result(house: House, state: Release.State) -> None:
    release = house.opened_release()
    release.state = state
    readers = {
        member
        for member, user in house.people.items()
        if policies.can(policies.check_can_read_result, release, user)
    }
    assert readers == READERS[state]


def test_a_declined_consent_waits_for_the_author(house: House) -> None:
    study = house.approved_study()
    house.consent(study, "alder", "decline")
    (item,) = waiting_for(house.pi).to_do
    assert (item.text, item.owner) == ("Amend: alder declined", "With: principal investigator")
    assert waiting_for(house.people["m-ada"]).to_do == []
    house.consent(study, "alder")
    assert waiting_for(house.pi).to_do == []
    assert waiting_for(house.pi).in_progress[0].owner == "With: data stewards of the sites"


def test_lists_say_what_waits_for_whom(house: House) -> None:
    def to_do(member: str) -> list[str]:
        return [item.text for item in waiting_for(house.people[member]).to_do]

    study = house.draft()
    assert to_do("m-ines") == ["Finish the draft and submit it"]
    actions.submit_study(study=study, by=house.pi)
    assert (to_do("m-ines"), to_do("m-ruth")) == ([], ["Review the study plan"])
    assert waiting_for(house.pi).in_progress[0].owner == "With: governance committee"
    for member in portal.REVIEWERS:
        house.review(study, member)
    assert to_do("m-ada") == ["Decide about the consent of alder"]
    for site in ("alder", "birch", "cedar"):
        house.consent(study, site)
    assert (to_do("m-ada"), to_do("m-ines")) == ([], ["Start a run"])
    run = actions.start_run(study=study, by=house.pi)
    assert waiting_for(house.pi).in_progress[0].owner == "With: the sites' agents"
    Run.objects.filter(pk=run.pk).update(state=Run.State.SUCCEEDED)
    release = Release.objects.create(run=run, state=Release.State.OPENED, result_digest="5a" * 32)
    assert to_do("m-olga") == [f"Check the output of {run}"]
    Release.objects.filter(pk=release.pk).update(state=Release.State.VISIBLE)
    assert [item.title for item in waiting_for(house.pi).done] == [study.title]
    assert to_do("m-olga") == []
