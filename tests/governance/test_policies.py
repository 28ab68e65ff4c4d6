"""What the situation allows: each refusal once, with its code; pages and API show its sentence."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.errors import ActionRefusedError
from accounts.models import Site
from governance import actions, policies
from governance.models import ComputationClass, Release, Run
from governance.worklists import tasks_of, waiting_for
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


def test_amending_and_withdrawing_wait_for_the_run(house: House) -> None:
    run = house.run()
    for check in (policies.check_can_amend, policies.check_can_withdraw):
        assert code_of(lambda check=check: check(run.study, house.pi)) == "run_active"
    actions.cancel_run(run=run, by=house.pi)
    assert policies.can(policies.check_can_amend, run.study, house.pi)


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
    assert tasks_of(study, house.people["m-olga"]) == []
