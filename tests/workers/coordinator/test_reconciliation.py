"""What a lost hint or a dead process leaves undone is found by looking."""

from typing import Any

import pytest

from governance import dispatch
from governance.models import Release, Run
from tests.workers.coordinator.house import House
from workers.coordinator import opening, reconciliation
from workers.coordinator.reconciliation import REMIND_SECONDS, RUN_SECONDS, Reconciler


@pytest.fixture
def reminded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs for which the gate's task was woken."""
    runs: list[str] = []
    monkeypatch.setattr(dispatch, "open_result", runs.append)
    return runs


def test_a_run_that_nobody_advanced_is_started(house: House) -> None:
    assert Reconciler().look(0.0)
    assert house.due("alder") == ["invitation"]


def test_a_cancelled_run_is_stopped(house: House) -> None:
    house.start()
    Run.objects.update(state=Run.State.CANCELLED)
    Reconciler().look(0.0)
    assert house.due("alder") == ["cancel"]


def test_the_evidence_of_a_run_is_verified_again_now_and_then(house: House) -> None:
    looking = Reconciler()
    looking.look(0.0)
    house.play("invitation", "manifest")
    house.add_consent("cedar", "withdraw")
    looking.look(RUN_SECONDS / 2)
    assert house.due("alder") == ["start"]
    looking.look(RUN_SECONDS)
    assert house.due("alder") == ["cancel"]


def test_a_sealed_result_is_brought_to_the_gate_again(house: House, reminded: list[str]) -> None:
    house.seal()
    reminded.clear()
    looking = Reconciler()
    looking.look(0.0)
    assert reminded == []  # the first hint may still be on its way
    looking.look(REMIND_SECONDS)
    looking.look(REMIND_SECONDS + 1)
    assert reminded == [house.run.identifier]
    looking.look(2 * REMIND_SECONDS)
    assert len(reminded) == 2


def test_shares_that_nobody_opened_are_opened(house: House, reminded: list[str]) -> None:
    house.seal()
    opening.open_result(house.run.identifier)
    house.play("checkpoint")
    house.deliver("alder", "permit")
    reminded.clear()
    looking = Reconciler()
    looking.look(0.0)
    looking.look(REMIND_SECONDS)
    assert reminded == []
    house.play("permit")
    reminded.clear()
    looking.look(2 * REMIND_SECONDS)
    looking.look(3 * REMIND_SECONDS)
    assert reminded == [house.run.identifier]


def test_checks_that_nobody_counted_are_counted(house: House, reminded: list[str]) -> None:
    house.open()
    reminded.clear()
    looking = Reconciler()
    looking.look(0.0)
    looking.look(REMIND_SECONDS)
    assert reminded == []  # with the output checkers
    house.check_output("m-olga")
    looking.look(2 * REMIND_SECONDS)
    looking.look(3 * REMIND_SECONDS)
    assert reminded == [house.run.identifier]


def test_a_permit_whose_checkpoint_was_never_published_gets_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.seal()
    with monkeypatch.context() as dying:
        dying.setattr(opening.checkpoints, "publish_if_awaited", lambda: False)
        opening.open_result(house.run.identifier)
    assert house.due("alder") == []
    Reconciler().look(0.0)
    assert house.due("alder") == ["checkpoint"]


def test_a_process_looks_only_now_and_then(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []

    def look(self: Any, now: float) -> bool:
        looked.append(now)
        return True

    monkeypatch.setattr(Reconciler, "look", look)
    looking = Reconciler()
    step = reconciliation.EVERY_SECONDS
    assert all(looking.now_and_then(now) for now in (0.0, step / 2, step))
    assert looked == [0.0, step]


def test_nothing_is_under_way_when_all_is_said(house: House) -> None:
    house.open()
    for checker in ("m-olga", "m-otto"):
        house.check_output(checker)
    opening.decide(house.run.identifier)
    assert Reconciler().look(0.0)
    house.play("checkpoint")
    assert house.release.state == Release.State.VISIBLE
    assert not Reconciler().look(0.0)
