"""Checkpoints: published when something waits, and what a site's cosignature may and may not do."""

import pytest

from audit import log
from audit.checkpoint import Checkpoint, cosign
from audit.signed_note import SignedNote
from governance.models import Release
from tests.factories.evidence import NOW, SITES, signing_key
from tests.workers.coordinator.house import House
from workers.coordinator import answers, checkpoints, opening
from workers.coordinator.models import Witness
from workers.transport.control import Message


@pytest.fixture
def waiting(house: House) -> House:
    """A house whose opening permit waits to be cosigned."""
    house.seal()
    opening.open_result(house.run.identifier)
    return house


def line_for(waiting: House, *, key: str, witness: str) -> Message:
    latest = log.latest_checkpoint()
    assert latest is not None
    head = Checkpoint.parse(SignedNote.parse(latest.note).text)
    signed = cosign(head, signing_key(key), witness=witness, timestamp=int(NOW.timestamp()))
    return {"type": "cosignature", "size": head.size, "line": signed.encode()}


def test_nothing_is_published_while_nothing_waits(house: House) -> None:
    house.seal()
    assert not checkpoints.publish_if_awaited()
    assert log.latest_checkpoint() is None


def test_the_permit_has_a_checkpoint_and_gets_no_second_one(waiting: House) -> None:
    first = log.latest_checkpoint()
    assert first is not None
    assert first.size > waiting.release.permit_log_index
    assert checkpoints.publish_if_awaited()
    assert log.latest_checkpoint() == first


@pytest.mark.parametrize(
    ("key", "witness"),
    [("site birch", "alder"), ("site birch", "birch"), ("stranger", "alder")],
    ids=["another site's key", "another site's name", "an unknown key"],
)
def test_a_site_cosigns_for_itself_only(waiting: House, key: str, witness: str) -> None:
    with pytest.raises(answers.AnswerError) as caught:
        answers.receive(waiting.row("alder"), line_for(waiting, key=key, witness=witness))
    assert caught.value.code == "cosignature_invalid"
    assert waiting.due("alder") == ["checkpoint"]


def test_a_cosignature_of_no_checkpoint_is_refused(waiting: House) -> None:
    message = line_for(waiting, key="site alder", witness="alder")
    with pytest.raises(answers.AnswerError, match="published checkpoint"):
        answers.receive(waiting.row("alder"), {**message, "size": 10_000})


def test_one_site_that_cosigns_twice_is_no_quorum(waiting: House) -> None:
    message = line_for(waiting, key="site alder", witness="alder")
    for _ in range(3):
        answers.receive(waiting.row("alder"), message)
    assert waiting.attempt.permit_checkpoint is None


def test_a_checkpoint_proves_that_it_continues_what_the_site_has_seen(waiting: House) -> None:
    waiting.deliver("alder", "checkpoint")
    seen = Witness.objects.get(site__slug="alder")
    house_entries = log.size()
    log.append("run.cancelled", actor="m-ines", subject="run:other", data={})
    checkpoints.publish()
    [message] = waiting.messages("alder")
    assert (message["type"], message["old_size"]) == ("checkpoint", seen.size)
    assert seen.size == house_entries
    assert message["proof"]
    [first] = waiting.messages("birch")
    assert (first["old_size"], first["proof"]) == (0, [])


def test_a_late_cosignature_does_not_take_a_witness_back(waiting: House) -> None:
    late = line_for(waiting, key="site alder", witness="alder")
    log.append("run.cancelled", actor="m-ines", subject="run:other", data={})
    newer = checkpoints.publish().size
    waiting.deliver("alder", "checkpoint")
    answers.receive(waiting.row("alder"), late)
    assert Witness.objects.get(site__slug="alder").size == newer


def test_a_newer_checkpoint_serves_as_well(waiting: House) -> None:
    waiting.deliver("alder", "checkpoint")
    log.append("run.cancelled", actor="m-ines", subject="run:other", data={})
    checkpoints.publish()
    waiting.play("checkpoint")
    waiting.play("permit")
    opening.open_result(waiting.run.identifier)
    assert waiting.release.state == Release.State.OPENED


def test_why_a_site_will_not_cosign_is_kept_until_it_does(waiting: House) -> None:
    refusal = {
        "type": "refusal",
        "run": "",
        "attempt": 0,
        "code": "checkpoint_inconsistent",
        "sentence": "The log was rolled back.",
    }
    answers.receive(waiting.row("alder"), refusal)
    witness = Witness.objects.get(site__slug="alder")
    assert witness.refusal == "The log was rolled back."
    waiting.deliver("alder", "checkpoint")
    witness.refresh_from_db()
    assert witness.refusal == ""


def test_a_site_that_has_witnessed_more_than_there_is_gets_no_checkpoint(waiting: House) -> None:
    Witness.objects.filter(site__slug="alder").update(size=10_000)
    assert [waiting.due(site) for site in SITES] == [[], ["checkpoint"], ["checkpoint"]]
