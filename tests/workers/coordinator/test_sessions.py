"""What sites are owed, and what follows from their answers, told as one run after another."""

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from audit import log
from governance.models import Release, Run
from tests.factories.evidence import NOW, SITES, agreement_key
from tests.workers.coordinator.house import House
from workers.coordinator import answers, attempts, sessions
from workers.coordinator.models import Attempt


def events(house: House) -> list[str]:
    return [entry.event for entry in log.entries(study=house.plan.study)[0:100]]


def due_everywhere(house: House) -> list[list[str]]:
    return [house.due(site) for site in SITES]


def test_a_run_goes_from_invitation_to_sealed_result(house: House) -> None:
    assert due_everywhere(house) == [[], [], []]
    house.start()
    assert due_everywhere(house) == [["invitation"]] * 3
    house.play("invitation")
    assert house.attempt.state == Attempt.State.ACCEPTING
    assert due_everywhere(house) == [["manifest"]] * 3
    house.play("manifest")
    assert (house.run.state, house.attempt.state) == (Run.State.RUNNING, Attempt.State.COMPUTING)
    assert due_everywhere(house) == [["start"]] * 3
    house.play("start")
    assert (house.run.state, house.attempt.state) == (Run.State.SUCCEEDED, Attempt.State.SEALED)
    assert due_everywhere(house) == [[], [], []]
    assert house.release.state == Release.State.SEALED
    assert events(house) == ["run.started", "run.sealed"]


def test_the_manifest_says_what_the_sites_offered_and_the_plan_asks(house: House) -> None:
    house.start()
    house.play("invitation", "manifest")
    manifest = house.sites["alder"].manifest
    assert manifest is not None
    assert [(party.party, party.site) for party in manifest.parties] == list(enumerate(SITES))
    offered = {
        party.site: agreement_key(f"{party.site} {house.attempt.session}")
        for party in manifest.parties
    }
    for party in manifest.parties:
        assert party.public_key == offered[party.site].public_key().public_bytes_raw().hex()
    assert manifest.recipient.public_key == house.consortium.roster.portal.gate_key
    assert manifest.noise == "distributed"
    assert manifest.study_digest == house.plan.digest


def test_a_rehearsal_runs_without_noise(db: None, portal_keys: None) -> None:
    house = House(mode="rehearsal")
    house.start()
    house.play("invitation", "manifest")
    manifest = house.sites["alder"].manifest
    assert manifest is not None
    assert manifest.noise == "off"


def test_what_is_owed_is_the_same_after_a_restart(house: House) -> None:
    house.start()
    before = house.messages("alder")
    house.deliver("birch")  # others move on meanwhile
    assert house.messages("alder") == before


def test_every_connection_begins_with_the_rosters(house: House) -> None:
    [(key, message)] = sessions.due(house.row("alder"))
    assert message["rosters"] == [house.consortium.roster_envelope.to_json()]
    assert key.kind in sessions.SENT_ONCE


def test_a_message_just_sent_is_not_built_again(house: House) -> None:
    house.start()
    keys = [key for key, _ in sessions.due(house.row("alder"))]
    assert sessions.due(house.row("alder"), keys) == []
    assert [key.kind for key, _ in sessions.due(house.row("alder"), keys[:1])] == ["invitation"]


def test_answers_that_come_twice_change_nothing(house: House) -> None:
    house.start()
    for kind in ("invitation", "manifest", "start"):
        for site in SITES:
            [message] = house.messages(site)
            reply = house.sites[site].answer(message)
            assert reply is not None
            answers.receive(house.row(site), reply)
            answers.receive(house.row(site), reply)
        assert kind in house.sites["alder"].heard
    assert house.attempt.state == Attempt.State.SEALED
    assert events(house) == ["run.started", "run.sealed"]
    assert Release.objects.filter(run=house.run).count() == 1


def test_a_site_cannot_take_back_its_key(house: House) -> None:
    house.start()
    [message] = house.messages("alder")
    answers.receive(house.row("alder"), house.sites["alder"].answer(message))
    other = house.sites["alder"].key_offer(
        message, public_key=agreement_key("x").public_key().public_bytes_raw().hex()
    )
    again = {**message_key(message), "type": "key_offer", "envelope": other}
    with pytest.raises(answers.AnswerError, match="another key_offer before"):
        answers.receive(house.row("alder"), again)


def message_key(message: dict) -> dict:
    return {"run": message["run"], "attempt": message["attempt"]}


def test_advance_is_idempotent(house: House) -> None:
    house.start()
    house.start()
    assert house.run.attempts.count() == 1


def test_a_refusal_fails_the_run_with_site_code_and_sentence(house: House) -> None:
    house.sites["birch"].lies["invitation"] = lambda message: {
        **message_key(message),
        "type": "refusal",
        "code": "budget_exhausted",
        "sentence": "birch has 0 micro-epsilon left.",
    }
    house.start()
    house.play("invitation")
    assert (house.run.state, house.run.reason_code, house.run.reason_site) == (
        Run.State.FAILED,
        "budget_exhausted",
        "birch",
    )
    assert house.run.reason == "birch has 0 micro-epsilon left."
    [entry] = log.entries(event="run.refused")[0:9]
    assert entry.actor == "site:birch"
    assert entry.data == {"reason": "budget_exhausted", "site": "birch"}
    assert house.due("alder") == ["cancel"]


def test_a_reason_that_nobody_knows_is_not_taken(house: House) -> None:
    house.start()
    [message] = house.messages("alder")
    refusal = {**message_key(message), "type": "refusal", "code": "whim", "sentence": "No."}
    with pytest.raises(answers.AnswerError, match=r"governance\.reasons"):
        answers.receive(house.row("alder"), refusal)
    assert house.attempt.state == Attempt.State.OFFERING


@pytest.mark.parametrize("code", ["aborted", "site_lost", "deadline_passed"])
def test_a_failure_at_a_site_names_the_site(house: House, code: str) -> None:
    house.sites["cedar"].lies["start"] = lambda message: {
        **message_key(message),
        "type": "failure",
        "code": code,
    }
    house.start()
    house.play()
    assert (house.run.state, house.run.reason_code, house.run.reason_site) == (
        Run.State.FAILED,
        code,
        "cedar",
    )
    assert not Release.objects.filter(run=house.run).exists()
    assert events(house)[-1] == "run.failed"


def test_running_again_uses_a_fresh_session_and_fresh_keys(house: House) -> None:
    house.start()
    house.play("invitation", "manifest")
    first, manifest = house.attempt, house.sites["alder"].manifest
    attempts.lose(first.session, ["birch"])
    house.run = house.new_run()
    house.seal()
    second = house.sites["alder"].manifest
    assert manifest is not None
    assert second is not None
    assert second.session != manifest.session
    assert {p.public_key for p in second.parties}.isdisjoint(p.public_key for p in manifest.parties)
    assert house.run.state == Run.State.SUCCEEDED


def test_a_lost_party_fails_the_run_and_is_named(house: House) -> None:
    house.start()
    house.play("invitation", "manifest")
    attempts.lose(house.attempt.session, ["cedar"])
    house.run.refresh_from_db()
    assert (house.run.state, house.run.reason) == (
        Run.State.FAILED,
        "cedar was lost during the run.",
    )
    assert [site for site in SITES if house.due(site) == ["cancel"]] == list(SITES)


def test_a_site_that_has_certified_may_leave_the_relay(house: House) -> None:
    house.start()
    house.play("invitation", "manifest")
    house.deliver("cedar", "start")
    attempts.lose(house.attempt.session, ["cedar"])
    house.play("start")
    assert house.run.state == Run.State.SUCCEEDED


def test_the_deadline_ends_an_attempt(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.start()
    monkeypatch.setattr(timezone, "now", lambda: NOW + timedelta(hours=1))
    attempts.advance(house.run.identifier)
    house.run.refresh_from_db()
    assert (house.run.state, house.run.reason_code) == (Run.State.FAILED, "deadline_passed")
    assert house.due("alder") == []  # the site knows the deadline too


def test_cancelling_tells_the_sites_to_stop(house: House) -> None:
    house.start()
    house.play("invitation", "manifest")
    Run.objects.filter(pk=house.run.pk).update(state=Run.State.CANCELLED)
    attempts.advance(house.run.identifier)
    assert due_everywhere(house) == [["cancel"]] * 3
    house.play("cancel")
    house.play("start")  # a certificate that comes too late changes nothing
    assert house.attempt.state == Attempt.State.FAILED


def test_a_withdrawn_consent_stops_a_run_under_way(house: House) -> None:
    house.start()
    house.play("invitation", "manifest")
    house.add_consent("birch", "withdraw")
    attempts.advance(house.run.identifier)
    house.run.refresh_from_db()
    assert (house.run.state, house.run.reason_code, house.run.reason_site) == (
        Run.State.FAILED,
        "consent_withdrawn",
        "birch",
    )


def test_a_run_whose_evidence_is_wanting_never_starts(house: House) -> None:
    house.revoke_class("m-ruth", "m-carl")
    house.start()
    assert (house.run.state, house.run.reason_code) == (Run.State.FAILED, "class_revoked")
    assert house.due("alder") == []


LIES_ABOUT_OFFERS = {
    "session": "00" * 16,
    "run": "run-other",
    "attempt": 7,
    "study_digest": "0" * 64,
    "data_set": {"name": "other", "kind": "public", "register_digest": "0" * 64},
}


@pytest.mark.parametrize("field", LIES_ABOUT_OFFERS)
def test_a_key_offered_for_something_else_fails_the_run(house: House, field: str) -> None:
    site = house.sites["alder"]
    site.lies["invitation"] = lambda message: {
        **message_key(message),
        "type": "key_offer",
        "envelope": site.key_offer(message, **{field: LIES_ABOUT_OFFERS[field]}),
    }
    house.start()
    house.play("invitation")
    assert (house.run.state, house.run.reason_site) == (Run.State.FAILED, "alder")


def test_a_key_offer_that_another_site_signed_fails_the_run(house: House) -> None:
    def signed_by_birch(message: dict) -> dict:
        envelope = house.sites["birch"].key_offer(message, site="alder")
        return {**message_key(message), "type": "key_offer", "envelope": envelope}

    house.sites["alder"].lies["invitation"] = signed_by_birch
    house.start()
    house.play("invitation")
    assert (house.run.state, house.run.reason_code) == (Run.State.FAILED, "signature_missing")


def test_transcripts_that_disagree_fail_the_run(house: House) -> None:
    site = house.sites["cedar"]
    digest = hashlib.sha256(b"an altered frame").hexdigest()

    def altered(message: dict) -> dict:
        transcript = {
            "alder": {"sent": digest, "received": digest},
            "birch": {"sent": digest, "received": digest},
        }
        envelope = site.certify(transcript=transcript)
        return {**message_key(message), "type": "certificate", "envelope": envelope}

    site.lies["start"] = altered
    house.start()
    house.play()
    assert (house.run.state, house.run.reason_code) == (Run.State.FAILED, "certificate_mismatch")
    assert not Release.objects.filter(run=house.run).exists()


def test_a_certificate_for_another_manifest_fails_the_run(house: House) -> None:
    site = house.sites["cedar"]
    site.lies["start"] = lambda message: {
        **message_key(message),
        "type": "certificate",
        "envelope": site.certify(manifest_digest="0" * 64),
    }
    house.start()
    house.play()
    assert (house.run.state, house.run.reason_site) == (Run.State.FAILED, "cedar")


def test_what_belongs_to_no_attempt_of_the_site_is_refused(house: House) -> None:
    progress = {"type": "progress", "run": "run-other", "attempt": 1, "step": "computing"}
    with pytest.raises(answers.AnswerError, match="no such attempt"):
        answers.receive(house.row("alder"), progress)


def test_progress_is_shown(house: House) -> None:
    house.start()
    house.play("invitation", "manifest")
    progress = {
        "type": "progress",
        "run": house.run.identifier,
        "attempt": 1,
        "step": "computing",
    }
    answers.receive(house.row("alder"), progress)
    assert house.attempt.parties.get(site__slug="alder").progress == "computing"


@pytest.mark.parametrize("step", ["invitation", "manifest", "start"])
def test_a_log_that_refuses_leaves_every_state_as_it_was(
    house: House, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.start()
    order = ["invitation", "manifest", "start"]
    house.play(*order[: order.index(step)])
    house.deliver("alder")
    house.deliver("birch")

    def unavailable(*_: object, **__: object) -> None:
        raise OSError("disk full")

    before = house.attempt.state
    with monkeypatch.context() as broken:
        broken.setattr(log, "append", unavailable)
        if step == "invitation":  # a key offer logs nothing
            house.deliver("cedar")
            return
        with pytest.raises(OSError, match="disk full"):
            house.deliver("cedar")
    assert house.attempt.state == before
    house.deliver("cedar")
    assert house.attempt.state != before
