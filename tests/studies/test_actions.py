"""Drafts: made, replaced and copied by their author alone, each change logged with it."""

import pytest

from accounts.errors import ActionRefusedError, InvalidFieldsError, NotPermittedError
from accounts.models import User
from audit import log
from studies.actions import create_study, duplicate_study, plan_of, save_draft
from studies.models import Study, StudyVersion
from studies.plan import PlanError
from tests.factories.portal import House


def last_event() -> str:
    return log.entry(log.size() - 1).event


def test_a_new_study_is_a_draft_with_its_first_version(house: House, pi: User) -> None:
    study = create_study(plan=house.plan(title="Survival by sex"), by=pi)
    version = study.current
    plan = plan_of(version)
    assert (study.state, version.number, study.title) == ("draft", 1, "Survival by sex")
    assert (plan.study, plan.version, plan.author) == (study.identifier, 1, pi.member_id)
    assert version.digest == plan.digest
    assert {site.slug for site in version.sites.all()} == set(plan.sites)
    entry = log.entry(log.size() - 1)
    assert (entry.event, entry.actor, entry.study) == (
        "study.created",
        "m-ines",
        study.identifier,
    )
    assert entry.data["study_digest"] == plan.digest


def test_what_the_portal_decides_cannot_be_sent_in(house: House, pi: User) -> None:
    study = create_study(
        plan={**house.plan(), "author": "m-ruth", "study": "st-mine", "version": 9}, by=pi
    )
    plan = plan_of(study.current)
    assert (plan.author, plan.study, plan.version) == ("m-ines", study.identifier, 1)


def test_a_class_named_without_digest_gets_the_catalogues(house: House, pi: User) -> None:
    study = create_study(
        plan=house.plan(**{"class": {"name": "kaplan-meier", "version": 1}}), by=pi
    )
    plan = plan_of(study.current)
    assert plan.class_reference.digest == plan.declaration.digest


def test_every_problem_of_a_plan_is_named_at_once(house: House, pi: User) -> None:
    with pytest.raises(PlanError) as raised:
        create_study(
            plan=house.plan(
                privacy={"currency": "micro-epsilon", "epsilon": "999"}, max_sites_per_person=9
            ),
            by=pi,
        )
    assert {problem.field for problem in raised.value.problems} >= {
        "$.privacy.epsilon",
        "$.max_sites_per_person",
    }
    assert not Study.objects.exists()


def test_a_site_that_the_portal_does_not_know_is_named(house: House, pi: User) -> None:
    with pytest.raises(InvalidFieldsError, match="elder"):
        create_study(plan=house.plan(sites=["alder", "birch", "elder"]), by=pi)


def test_only_investigators_draft(house: House, reviewer: User) -> None:
    with pytest.raises(NotPermittedError):
        create_study(plan=house.plan(), by=reviewer)


def test_a_draft_is_replaced_in_place(house: House, draft: Study, pi: User) -> None:
    before = draft.current.digest
    turned = ["cedar", "birch", "alder"]
    save_draft(study=draft, plan=house.plan(title="Another title", sites=turned), by=pi)
    draft.refresh_from_db()
    version = draft.versions.get()
    assert (draft.title, version.number) == ("Another title", 1)
    assert version.digest == plan_of(version).digest != before
    assert plan_of(version).sites == tuple(turned)
    assert last_event() == "study.amended"


def test_a_submitted_plan_never_changes(house: House, study_in_review: Study, pi: User) -> None:
    digest = study_in_review.current.digest
    with pytest.raises(ActionRefusedError, match="no longer be replaced"):
        save_draft(study=study_in_review, plan=house.plan(title="Too late"), by=pi)
    assert study_in_review.current.digest == digest


def test_nobody_edits_anothers_draft(house: House, draft: Study) -> None:
    stranger = house.people["m-rosa"]
    with pytest.raises(NotPermittedError):
        save_draft(study=draft, plan=house.plan(), by=stranger)


def test_a_copy_is_ones_own_draft_and_says_where_it_comes_from(
    approved_study: Study, pi: User
) -> None:
    copy = duplicate_study(study=approved_study, by=pi)
    old, new = plan_of(approved_study.current), plan_of(copy.current)
    assert (copy.state, new.title) == ("draft", f"Copy of {old.title}")
    assert (new.parameters, new.sites, new.study) == (old.parameters, old.sites, copy.identifier)
    assert log.entry(log.size() - 1).data["copied_from"] == approved_study.identifier


def test_when_the_log_fails_nothing_has_changed(
    house: House, draft: Study, pi: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the log is down")

    monkeypatch.setattr(log, "append", fail)
    before = list(StudyVersion.objects.values_list("digest", flat=True))
    for action in (
        lambda: create_study(plan=house.plan(), by=pi),
        lambda: save_draft(study=draft, plan=house.plan(title="Lost"), by=pi),
        lambda: duplicate_study(study=draft, by=pi),
    ):
        with pytest.raises(RuntimeError, match="the log is down"):
            action()
    assert list(StudyVersion.objects.values_list("digest", flat=True)) == before
    assert Study.objects.get().title == draft.title
