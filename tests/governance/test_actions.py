"""Each step of a study's way: its state, its log entry, and neither when the log fails."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.core import mail
from django.utils import timezone

from accounts.errors import ActionRefusedError, NotPermittedError
from accounts.models import Site, User
from audit import log
from governance import actions, dispatch, statement_requests
from governance.errors import Refusal, RosterError, StatementError
from governance.evidence import check_may_run
from governance.evidence_store import evidence_for
from governance.expiry import expire_due
from governance.models import (
    Agreement,
    ClassApproval,
    ComputationClass,
    Consent,
    Notification,
    OutputCheck,
    Release,
    RosterVersion,
    Run,
    SitePolicy,
    SiteRelease,
    StudyApproval,
)
from governance.queries import consents_of, reviews_shown_to
from governance.statements.envelope import Envelope, Kind, sign_ed25519
from studies.models import Study
from tests.factories.evidence import AGREEMENT, SITES, Consortium
from tests.factories.portal import House, build_house


def events(since: int = 0) -> list[str]:
    return [entry.event for entry in log.entries()[since : log.size()]]


def study_after(study: Study) -> str:
    return Study.objects.get(pk=study.pk).state


@pytest.fixture
def sent() -> Iterator[list[tuple[str, list[str]]]]:
    """The tasks that would have been sent to Celery."""
    tasks: list[tuple[str, list[str]]] = []
    with mock.patch.object(
        dispatch.current_app, "send_task", lambda name, args, **_: tasks.append((name, args))
    ):
        yield tasks


class TestRoster:
    def test_a_first_roster_is_signed_by_its_own_quorum(self, db: None) -> None:
        envelope = Consortium().roster_envelope
        published = actions.publish_roster(envelope=envelope.to_json(), by=None)
        assert (published.version, published.digest) == (1, envelope.digest)
        entry = log.entry(log.size() - 1)
        assert (entry.event, entry.actor) == ("roster.published", "console")
        assert entry.data["roster_digest"] == envelope.digest

    def test_one_signature_is_no_quorum(self, db: None) -> None:
        consortium = Consortium()
        envelope = consortium.sign_by(Kind.ROSTER, consortium.roster_payload(), ["m-ruth"])
        with pytest.raises(RosterError, match="2 members"):
            actions.publish_roster(envelope=envelope.to_json(), by=None)
        assert not RosterVersion.objects.exists()

    def test_the_next_version_must_follow(self, house: House) -> None:
        first = house.consortium.roster_envelope
        later = {**house.consortium.roster_payload(), "version": 2, "previous": "0" * 64}
        forged = house.consortium.sign_by(Kind.ROSTER, later, ["m-ruth", "m-carl"])
        with pytest.raises(RosterError, match="does not follow"):
            actions.publish_roster(envelope=forged.to_json(), by=None)
        later["previous"] = first.digest
        genuine = house.consortium.sign_by(Kind.ROSTER, later, ["m-ruth", "m-carl"])
        assert actions.publish_roster(envelope=genuine.to_json(), by=None).version == 2

    def test_the_same_version_is_published_once(self, house: House) -> None:
        envelope = house.consortium.roster_envelope.to_json()
        with pytest.raises(ActionRefusedError, match="already"):
            actions.publish_roster(envelope=envelope, by=house.people["m-pete"])


class TestClass:
    @pytest.fixture
    def proposed(self, db: None) -> tuple[House, ComputationClass]:
        house = build_house(class_approved=False)
        by = house.people["m-pete"]
        return house, actions.propose_class(name="kaplan-meier", version=1, by=by)

    def state(self) -> str:
        return ComputationClass.objects.get().state

    def test_a_quorum_of_two_organisations_approves(
        self, proposed: tuple[House, ComputationClass]
    ) -> None:
        house, km = proposed
        house.class_decision(km, "m-ruth", "approve")
        assert (self.state(), events()[-1]) == ("proposed", "class.approval_signed")
        house.class_decision(km, "m-carl", "approve")
        assert (self.state(), events()[-2:]) == (
            "approved",
            ["class.approval_signed", "class.approved"],
        )

    def test_a_quorum_rejects(self, proposed: tuple[House, ComputationClass]) -> None:
        house, km = proposed
        house.class_decision(km, "m-ruth", "reject")
        house.class_decision(km, "m-carl", "approve")
        assert self.state() == "proposed"
        house.class_decision(km, "m-rosa", "reject")
        assert (self.state(), events()[-1]) == ("rejected", "class.rejected")

    def test_it_is_revoked_once_its_approvals_fall_below_the_quorum(self, house: House) -> None:
        km = ComputationClass.objects.get()
        house.class_decision(km, "m-ruth", "revoke")
        assert (self.state(), events()[-1]) == ("revoked", "class.revoked")

    def test_unknown_and_repeated_classes_are_refused(self, house: House) -> None:
        from accounts.errors import InvalidFieldsError

        operator = house.people["m-pete"]
        with pytest.raises(InvalidFieldsError, match="kaplan-meier/1"):
            actions.propose_class(name="alchemy", version=1, by=operator)
        with pytest.raises(ActionRefusedError, match="already"):
            actions.propose_class(name="kaplan-meier", version=1, by=operator)


class TestReview:
    def test_two_approvals_of_two_organisations_approve(
        self, study_in_review: Study, house: House
    ) -> None:
        house.review(study_in_review, "m-ruth")
        assert study_after(study_in_review) == "in_review"
        house.review(study_in_review, "m-carl")
        assert study_after(study_in_review) == "approved"
        assert events()[-2:] == ["study.review_signed", "study.approved"]
        stored = StudyApproval.objects.get(signer=house.people["m-carl"])
        assert log.entry(stored.log_index).data["statement_digest"] == stored.digest

    @pytest.mark.parametrize(
        ("decision", "state"), [("return", "returned"), ("reject", "rejected")]
    )
    def test_agreement_returns_or_rejects(
        self, house: House, study_in_review: Study, decision: str, state: str
    ) -> None:
        for member in ("m-ruth", "m-carl"):
            house.review(study_in_review, member, decision)
        assert study_after(study_in_review) == state

    def test_disagreement_calls_one_more_reviewer_and_the_majority_decides(
        self, house: House, study_in_review: Study
    ) -> None:
        house.review(study_in_review, "m-ruth", "approve")
        house.review(study_in_review, "m-carl", "reject")
        assert study_after(study_in_review) == "conflicted"
        house.review(study_in_review, "m-rosa", "approve")
        assert study_after(study_in_review) == "approved"

    def test_reviews_are_blinded_until_all_are_in(
        self, house: House, study_in_review: Study
    ) -> None:
        house.review(study_in_review, "m-ruth", "approve")
        version = study_in_review.current
        ruth, carl = house.people["m-ruth"], house.people["m-carl"]
        assert [review.signer for review in reviews_shown_to(ruth, version)] == [ruth]
        assert not reviews_shown_to(carl, version).exists()
        assert not reviews_shown_to(house.pi, version).exists()
        house.review(study_in_review, "m-carl")
        assert reviews_shown_to(house.pi, study_in_review.current).count() == 2

    def test_nobody_reviews_twice(self, house: House, study_in_review: Study) -> None:
        house.review(study_in_review, "m-ruth")
        with pytest.raises(ActionRefusedError, match="already"):
            house.review(study_in_review, "m-ruth")

    def test_amending_voids_the_approvals(self, house: House, approved_study: Study) -> None:
        before = approved_study.current
        version = actions.amend_study(study=approved_study, by=house.pi)
        assert (study_after(approved_study), version.number) == ("draft", before.number + 1)
        assert version.digest != before.digest
        assert not version.approvals.exists()
        assert before.approvals.count() == 2


class TestStatements:
    """What comes back signed must be what was asked for, by the person who sends it."""

    def asked(self, house: House, study: Study) -> dict[str, Any]:
        request = statement_requests.request_review(
            study=study, decision="approve", by=house.people["m-ruth"]
        )
        return request.envelope.payload

    def send(
        self, house: House, study: Study, payload: dict[str, Any], key: str = "m-ruth"
    ) -> None:
        envelope = house.consortium.sign_by(Kind.STUDY_APPROVAL, payload, [key])
        by = house.people["m-ruth"]
        actions.review_study(study=study, envelope=envelope.to_json(), by=by)

    @pytest.mark.parametrize(
        ("change", "error", "words"),
        [
            ({"study_digest": "0" * 64}, ActionRefusedError, "study_digest"),
            ({"study": "st-other"}, ActionRefusedError, "expected study"),
            ({"study_version": 2}, ActionRefusedError, "study_version"),
            ({"member": "m-carl"}, StatementError, "may not sign"),
            ({"organisation": "cedar-hospital"}, StatementError, "does not list them in"),
            ({"valid_until": "2019-01-31T00:00:00Z"}, ActionRefusedError, "ended"),
            ({"issued_at": "2019-01-01T00:00:00Z"}, ActionRefusedError, "more than 30 days"),
            ({"decision": "perhaps"}, StatementError, "decision"),
        ],
        ids=lambda value: str(value) if isinstance(value, dict) else "",
    )
    def test_one_field_that_differs_is_refused(
        self,
        house: House,
        study_in_review: Study,
        change: dict[str, Any],
        error: type[Exception],
        words: str,
    ) -> None:
        payload = {**self.asked(house, study_in_review), **change}
        size = log.size()
        with pytest.raises(error, match=words):
            self.send(house, study_in_review, payload)
        assert not StudyApproval.objects.exists()
        assert log.size() == size

    def test_a_signature_by_a_key_of_someone_else_is_refused(
        self, house: House, study_in_review: Study
    ) -> None:
        with pytest.raises(StatementError, match="is not a key of"):
            self.send(house, study_in_review, self.asked(house, study_in_review), key="m-carl")

    def test_a_spoiled_signature_is_refused(self, house: House, study_in_review: Study) -> None:
        asked = self.asked(house, study_in_review)
        envelope = house.consortium.sign_by(Kind.STUDY_APPROVAL, asked, ["m-ruth"]).to_json()
        other = house.consortium.sign_by(
            Kind.STUDY_APPROVAL, {**asked, "comment": "no"}, ["m-ruth"]
        ).to_json()
        envelope["signatures"] = other["signatures"]
        with pytest.raises(StatementError, match="does not verify"):
            actions.review_study(
                study=study_in_review, envelope=envelope, by=house.people["m-ruth"]
            )

    def test_people_send_in_their_own_statements(
        self, house: House, study_in_review: Study
    ) -> None:
        payload = self.asked(house, study_in_review)
        envelope = house.consortium.sign_by(Kind.STUDY_APPROVAL, payload, ["m-ruth"])
        with pytest.raises(NotPermittedError, match="someone else"):
            actions.review_study(
                study=study_in_review, envelope=envelope.to_json(), by=house.people["m-carl"]
            )

    def test_a_statement_of_another_kind_is_refused(
        self, house: House, approved_study: Study
    ) -> None:
        review = StudyApproval.objects.first()
        assert review is not None
        with pytest.raises(StatementError, match="Expected a statement of kind consent"):
            actions.sign_consent(
                study=approved_study, envelope=review.envelope, by=house.people["m-ada"]
            )

    def test_envelopes_are_kept_word_for_word(self, approved_study: Study) -> None:
        for row in StudyApproval.objects.all():
            assert Envelope.parse(row.envelope).digest == row.digest


class TestConsent:
    def test_the_study_is_ready_once_every_site_has_consented(
        self, house: House, approved_study: Study
    ) -> None:
        for site in ("alder", "birch"):
            house.consent(approved_study, site)
        assert study_after(approved_study) == "approved"
        house.consent(approved_study, "cedar")
        assert study_after(approved_study) == "ready"
        assert events()[-2:] == ["consent.given", "study.ready"]

    def test_a_decline_leaves_it_waiting_and_says_so(
        self, house: House, approved_study: Study
    ) -> None:
        house.consent(approved_study, "birch", "decline")
        standing = {item.site.slug: item for item in consents_of(approved_study.current)}
        assert (standing["birch"].given, standing["birch"].code) == (False, "consent_declined")
        assert standing["alder"].code == "consent_missing"
        assert events()[-1] == "consent.declined"

    def test_withdrawal_makes_it_unready_and_reaches_the_run(
        self,
        house: House,
        sent: list[tuple[str, list[str]]],
        django_capture_on_commit_callbacks: Callable[..., Any],
    ) -> None:
        run = house.run()
        with django_capture_on_commit_callbacks(execute=True):
            house.consent(run.study, "cedar", "withdraw")
        assert study_after(run.study) == "approved"
        assert events()[-1] == "consent.withdrawn"
        assert sent == [("workers.coordinator.advance", [run.identifier])]

    def test_the_same_envelope_twice_is_stored_once(
        self, house: House, approved_study: Study
    ) -> None:
        house.consent(approved_study, "alder")
        envelope = Consent.objects.get().envelope
        size = log.size()
        actions.sign_consent(study=approved_study, envelope=envelope, by=None)
        assert (Consent.objects.count(), log.size()) == (1, size)

    def test_it_may_come_through_the_sites_agent(self, house: House, approved_study: Study) -> None:
        asked = statement_requests.request_consent(
            study=approved_study,
            site=Site.objects.get(slug="birch"),
            decision="consent",
            by=house.people["m-ben"],
        )
        stored = actions.sign_consent(
            study=approved_study, envelope=house.sign(asked, "m-ben"), by=None
        )
        assert stored.signer == house.people["m-ben"]

    def test_no_steward_consents_for_another_site(
        self, house: House, approved_study: Study
    ) -> None:
        with pytest.raises(NotPermittedError, match="Only a data steward of birch"):
            statement_requests.request_consent(
                study=approved_study,
                site=Site.objects.get(slug="birch"),
                decision="consent",
                by=house.people["m-ada"],
            )


class TestRun:
    def test_a_run_is_requested_and_handed_on(
        self,
        house: House,
        ready_study: Study,
        sent: list[tuple[str, list[str]]],
        django_capture_on_commit_callbacks: Callable[..., Any],
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            run = actions.start_run(study=ready_study, by=house.pi)
        assert (run.state, run.number, events()[-1]) == ("pending", 1, "run.requested")
        assert sent == [("workers.coordinator.advance", [run.identifier])]

    def test_what_the_portal_stores_is_evidence_that_sites_accept(self, ready_study: Study) -> None:
        evidence = evidence_for(ready_study.current)
        verified = check_may_run(evidence, pinned_roster=Consortium().pinned, now=timezone.now())
        assert verified.plan.sites == SITES

    def test_what_sites_would_refuse_fails_here_first_with_their_sentence(
        self, house: House, ready_study: Study
    ) -> None:
        later = timezone.now() + timedelta(days=31)
        with (
            mock.patch.object(timezone, "now", return_value=later),
            pytest.raises(Refusal, match="has expired") as raised,
        ):
            actions.start_run(study=ready_study, by=house.pi)
        assert raised.value.code == "class_approval_expired"
        assert not Run.objects.exists()

    def test_one_run_at_a_time(self, house: House, ready_study: Study) -> None:
        actions.start_run(study=ready_study, by=house.pi)
        with pytest.raises(ActionRefusedError, match="under way"):
            actions.start_run(study=ready_study, by=house.pi)

    def test_a_plan_allows_so_many_runs_and_failed_ones_do_not_count(self, house: House) -> None:
        study = house.ready_study(max_runs=1)
        failed = actions.start_run(study=study, by=house.pi)
        Run.objects.filter(pk=failed.pk).update(state=Run.State.FAILED)
        done = actions.start_run(study=study, by=house.pi)
        assert done.number == 2
        Run.objects.filter(pk=done.pk).update(state=Run.State.SUCCEEDED)
        with pytest.raises(ActionRefusedError, match=r"allows \(1\) have been used"):
            actions.start_run(study=study, by=house.pi)

    def test_cancelling_ends_it_for_good(self, house: House) -> None:
        run = house.run()
        actions.cancel_run(run=run, by=house.pi)
        run.refresh_from_db()
        assert (run.state, run.reason_code, events()[-1]) == (
            "cancelled",
            "cancelled",
            "run.cancelled",
        )
        with pytest.raises(ActionRefusedError, match="cancelled already"):
            actions.cancel_run(run=run, by=house.pi)


class TestOutputCheck:
    def test_a_verdict_is_stored_and_the_gate_is_told(
        self,
        house: House,
        sent: list[tuple[str, list[str]]],
        django_capture_on_commit_callbacks: Callable[..., Any],
    ) -> None:
        release = house.opened_release()
        by = house.people["m-olga"]
        asked = statement_requests.request_output_check(release=release, decision="pass", by=by)
        with django_capture_on_commit_callbacks(execute=True):
            actions.sign_output_check(release=release, envelope=house.sign(asked, "m-olga"), by=by)
        assert OutputCheck.objects.get().decision == "pass"
        assert events()[-1] == "release.check_signed"
        assert ("workers.coordinator.decide", [release.run.identifier]) in sent

    def test_a_verdict_on_another_result_is_refused(self, house: House) -> None:
        release = house.opened_release()
        by = house.people["m-olga"]
        asked = statement_requests.request_output_check(release=release, decision="pass", by=by)
        Release.objects.filter(pk=release.pk).update(result_digest="7b" * 32)
        with pytest.raises(ActionRefusedError, match="result_digest"):
            actions.sign_output_check(release=release, envelope=house.sign(asked, "m-olga"), by=by)


class TestEndings:
    def test_an_author_withdraws(self, house: House, approved_study: Study) -> None:
        actions.withdraw_study(study=approved_study, by=house.pi)
        assert (study_after(approved_study), events()[-1]) == ("withdrawn", "study.withdrawn")

    def test_a_plan_whose_time_is_over_expires(self, ready_study: Study, draft: Study) -> None:
        assert expire_due(now=timezone.now()) == 0
        over = timezone.now() + timedelta(days=61)
        assert expire_due(now=over) == 1
        assert (study_after(ready_study), events()[-1]) == ("expired", "study.expired")
        assert (study_after(draft), expire_due(now=over)) == ("draft", 0)


def test_people_are_told_in_the_portal_and_by_mail(
    house: House, draft: Study, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        actions.submit_study(study=draft, by=house.pi)
    told = Notification.objects.values_list("user__member_id", flat=True)
    assert set(told) == {"m-ruth", "m-carl", "m-rosa"}
    assert {message.to[0] for message in mail.outbox} == {
        f"{name}" for name in ("ruth@birch.example", "carl@cedar.example", "rosa@alder.example")
    }
    assert draft.identifier in mail.outbox[0].body


def _every_action(house: House) -> dict[str, tuple[Callable[[], Any], type[Any], str]]:
    """Return each action ready to be taken, and the rows that it would write."""
    ruth, ada = house.people["m-ruth"], house.people["m-ada"]
    in_review, approved = house.study_in_review(), house.approved_study()
    ready, running, release = house.ready_study(), house.run(), house.opened_release()
    draft = house.draft()
    alder = Site.objects.get(slug="alder")
    review = house.sign(
        statement_requests.request_review(study=in_review, decision="approve", by=ruth), "m-ruth"
    )
    consent = house.sign(
        statement_requests.request_consent(study=approved, site=alder, decision="consent", by=ada),
        "m-ada",
    )
    olga = house.people["m-olga"]
    check = house.sign(
        statement_requests.request_output_check(release=release, decision="pass", by=olga), "m-olga"
    )
    agreement = house.sign(statement_requests.request_agreement(decision="sign", by=ada), "m-ada")
    awaiting = house.awaiting_release("alder")
    word = house.sign(
        statement_requests.request_site_release(
            release=awaiting, site=alder, decision="release", by=ada
        ),
        "m-ada",
    )
    policy = house.consortium.policy("alder", "rules").to_json()
    km = ComputationClass.objects.get()
    revocation = house.sign(
        statement_requests.request_class_decision(computation_class=km, decision="revoke", by=ruth),
        "m-ruth",
    )
    payload = house.consortium.roster_payload()
    payload |= {"version": 2, "previous": house.consortium.pinned}
    roster = house.consortium.sign_by(Kind.ROSTER, payload, ["m-ruth", "m-carl"]).to_json()
    return {
        "publish_roster": (
            lambda: actions.publish_roster(envelope=roster, by=None),
            RosterVersion,
            "digest",
        ),
        "propose_class": (
            lambda: actions.propose_class(
                name="cohort-count", version=1, by=house.people["m-pete"]
            ),
            ComputationClass,
            "state",
        ),
        "sign_class_decision": (
            lambda: actions.sign_class_decision(computation_class=km, envelope=revocation, by=ruth),
            ClassApproval,
            "digest",
        ),
        "submit_study": (lambda: actions.submit_study(study=draft, by=house.pi), Study, "state"),
        "review_study": (
            lambda: actions.review_study(study=in_review, envelope=review, by=ruth),
            StudyApproval,
            "digest",
        ),
        "amend_study": (lambda: actions.amend_study(study=approved, by=house.pi), Study, "state"),
        "withdraw_study": (
            lambda: actions.withdraw_study(study=approved, by=house.pi),
            Study,
            "state",
        ),
        "sign_consent": (
            lambda: actions.sign_consent(study=approved, envelope=consent, by=ada),
            Consent,
            "digest",
        ),
        "sign_agreement": (
            lambda: actions.sign_agreement(envelope=agreement, by=ada),
            Agreement,
            "digest",
        ),
        "record_site_policy": (
            lambda: actions.record_site_policy(site=alder, envelope=policy),
            SitePolicy,
            "digest",
        ),
        "sign_site_release": (
            lambda: actions.sign_site_release(release=awaiting, site=alder, envelope=word, by=ada),
            SiteRelease,
            "digest",
        ),
        "start_run": (lambda: actions.start_run(study=ready, by=house.pi), Run, "state"),
        "cancel_run": (lambda: actions.cancel_run(run=running, by=house.pi), Run, "state"),
        "sign_output_check": (
            lambda: actions.sign_output_check(release=release, envelope=check, by=olga),
            OutputCheck,
            "digest",
        ),
        "expire_study": (
            lambda: actions.expire_study(study=ready, now=timezone.now() + timedelta(days=61)),
            Study,
            "state",
        ),
    }


def test_when_the_log_fails_no_action_leaves_a_trace(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build_house(consortium=Consortium(rules={"agreement": AGREEMENT}))
    for site in SITES:
        house.sign_agreement(site)
    ready_to_act = _every_action(house)
    assert set(ready_to_act) == set(actions.__all__), "every action stands in this test"

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the log is down")

    def rows(model: type[Any], column: str) -> list[Any]:
        return list(model.objects.order_by("pk").values_list("pk", column))

    notified = Notification.objects.count()
    monkeypatch.setattr(log, "append", fail)
    for name, (act, model, column) in ready_to_act.items():
        before = rows(model, column)
        with pytest.raises(RuntimeError, match="the log is down"):
            act()
        assert rows(model, column) == before, f"{name} left rows behind without a log entry"
    assert Notification.objects.count() == notified
    monkeypatch.undo()
    for name, (act, _, _) in ready_to_act.items():
        if name in ("review_study", "sign_output_check", "start_run", "cancel_run"):
            size = log.size()
            act()
            assert log.size() > size, f"{name} has no log entry"


def test_a_key_that_no_roster_lists_signs_nothing(house: House, study_in_review: Study) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    asked = statement_requests.request_review(
        study=study_in_review, decision="approve", by=house.people["m-ruth"]
    )
    own = Ed25519PrivateKey.generate()
    envelope = sign_ed25519(Kind.STUDY_APPROVAL, asked.envelope.payload, own)
    with pytest.raises(StatementError, match=r"is not a key of m-ruth in the roster\. Sign with"):
        actions.review_study(
            study=study_in_review, envelope=envelope.to_json(), by=house.people["m-ruth"]
        )


def test_the_author_is_told_how_it_ends(house: House, study_in_review: Study, pi: User) -> None:
    for member in ("m-ruth", "m-carl"):
        house.review(study_in_review, member, "return")
    texts = Notification.objects.filter(user=pi).values_list("text", flat=True)
    assert any("was returned for changes" in text for text in texts)
