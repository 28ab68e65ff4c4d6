"""From a sealed result to a page of the investigator: permit, cosignatures, shares, decision."""

import base64
from typing import Any

import pytest

from audit import log
from governance import release as gate
from governance.models import Release
from governance.release import result_digest
from tests.factories.evidence import SITES
from tests.workers.coordinator.house import TOTAL, FakeSite, House
from workers.coordinator import answers, opening
from workers.coordinator.models import Attempt, AttemptParty
from workers.transport.control import Message


def test_the_result_is_opened_decided_and_shown(house: House) -> None:
    house.open()
    assert house.release.state == Release.State.OPENED
    assert house.release.noised == TOTAL
    assert house.release.result["analysis"] == "kaplan-meier/1"
    digest = result_digest(TOTAL, house.release.result, salt=house.release.salt)
    assert house.release.result_digest == digest
    for checker in ("m-olga", "m-otto"):
        house.check_output(checker)
    opening.decide(house.run.identifier)
    assert house.release.state == Release.State.DECIDED
    house.play("checkpoint")
    assert house.release.state == Release.State.VISIBLE
    events = [entry.event for entry in log.entries(event="release.")[0:9]]
    assert events == ["release.permitted", "release.opened", "release.visible"]


def test_nothing_is_asked_of_a_site_before_the_permit_is_cosigned(house: House) -> None:
    house.seal()
    opening.open_result(house.run.identifier)
    assert house.release.state == Release.State.OPENING
    assert house.due("alder") == ["checkpoint"]
    house.deliver("alder", "checkpoint")
    house.deliver("birch", "checkpoint")
    assert [house.due(site) for site in SITES] == [[], [], ["checkpoint"]]
    house.deliver("cedar", "checkpoint")
    assert [house.due(site) for site in SITES] == [["permit"]] * 3


def test_nothing_is_visible_before_the_decision_is_cosigned(house: House) -> None:
    house.open()
    house.check_output("m-olga")
    house.check_output("m-otto")
    opening.decide(house.run.identifier)
    for site in ("alder", "birch"):
        house.deliver(site, "checkpoint")
        assert house.release.state == Release.State.DECIDED
    house.deliver("cedar", "checkpoint")
    assert house.release.state == Release.State.VISIBLE


def test_a_result_is_opened_once_and_a_retry_yields_the_same_bytes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.open()
    before = Release.objects.values("noised", "result", "result_digest").get()
    opening.open_result(house.run.identifier)
    gate.record_opening(house.run, noised=[0] * 52, result={"analysis": "another"})
    assert Release.objects.values("noised", "result", "result_digest").get() == before
    assert len(log.entries(event="release.opened")) == 1


def test_a_gate_that_dies_while_storing_opens_the_same_result_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.seal()
    opening.open_result(house.run.identifier)
    house.play("checkpoint", "permit")

    def unavailable(*_: object, **__: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(log, "append", unavailable)
        with pytest.raises(OSError, match="disk full"):
            opening.open_result(house.run.identifier)
    assert house.release.state == Release.State.OPENING
    assert house.release.noised is None
    opening.open_result(house.run.identifier)
    assert house.release.noised == TOTAL


def test_the_portal_keeps_no_share_once_the_result_is_open(house: House) -> None:
    house.open()
    assert house.attempt.state == Attempt.State.OPENED
    assert not AttemptParty.objects.exclude(sealed_share=None).exists()


def test_a_missing_share_keeps_the_result_closed(house: House) -> None:
    house.seal()
    opening.open_result(house.run.identifier)
    house.play("checkpoint")
    house.deliver("alder", "permit")
    house.deliver("birch", "permit")
    opening.open_result(house.run.identifier)
    assert house.release.state == Release.State.OPENING
    assert house.due("cedar") == ["permit"]


def sending(site: FakeSite, ciphertext: str) -> Any:
    def lie(message: Message) -> Message:
        site.honest_answer(message)
        return {
            "type": "shares",
            "run": message["run"],
            "attempt": message["attempt"],
            "ciphertext": ciphertext,
        }

    return lie


def test_a_share_other_than_the_one_committed_to_withholds_the_result(house: House) -> None:
    house.seal()
    site = house.sites["birch"]
    other = b"\1" * 8 * 52
    site.lies["permit"] = sending(site, site.sealed_share(other))
    opening.open_result(house.run.identifier)
    house.play("checkpoint", "permit")
    opening.open_result(house.run.identifier)
    assert house.release.state == Release.State.WITHHELD
    assert house.release.withheld_reason.startswith("The output share of birch")
    assert house.release.noised is None


@pytest.mark.parametrize("ciphertext", [b"short", bytes(500)])
def test_a_share_that_does_not_decrypt_withholds_the_result(
    house: House, ciphertext: bytes
) -> None:
    house.seal()
    site = house.sites["birch"]
    site.lies["permit"] = sending(site, base64.b64encode(ciphertext).decode())
    opening.open_result(house.run.identifier)
    house.play("checkpoint", "permit")
    opening.open_result(house.run.identifier)
    assert house.release.state == Release.State.WITHHELD
    [entry] = log.entries(event="release.withheld")[0:9]
    assert entry.data == {"reason": "share_mismatch", "site": "birch"}


def test_numbers_that_no_data_could_give_are_not_shown(house: House) -> None:
    for site in house.sites.values():
        site.total = [2**60] * 52
    house.open()
    assert house.release.state == Release.State.WITHHELD
    assert house.release.result is None


def test_a_site_that_refuses_the_permit_keeps_the_result_closed(house: House) -> None:
    house.sites["cedar"].lies["permit"] = lambda message: {
        "type": "refusal",
        "run": message["run"],
        "attempt": message["attempt"],
        "code": "checkpoint_inconsistent",
        "sentence": "cedar has seen another log.",
    }
    house.open()
    assert house.release.state == Release.State.WITHHELD
    assert house.release.withheld_reason == "cedar has seen another log."


def test_consent_withdrawn_after_the_session_keeps_the_result_closed(house: House) -> None:
    house.seal()
    house.add_consent("birch", "withdraw")
    opening.open_result(house.run.identifier)
    assert house.release.state == Release.State.WITHHELD
    assert house.release.withheld_reason == "birch has withdrawn its consent to this study plan."
    assert house.release.permit is None


def test_a_second_ciphertext_of_a_site_is_ignored(house: House) -> None:
    house.seal()
    opening.open_result(house.run.identifier)
    house.play("checkpoint")
    house.deliver("alder", "permit")
    first = bytes(house.attempt.parties.get(site__slug="alder").sealed_share or b"")
    again = {
        "type": "shares",
        "run": house.run.identifier,
        "attempt": 1,
        "ciphertext": house.sites["alder"].sealed_share(),
    }
    answers.receive(house.row("alder"), again)
    assert bytes(house.attempt.parties.get(site__slug="alder").sealed_share or b"") == first
