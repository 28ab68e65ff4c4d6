"""When something breaks at a site: one public code, a journal without values, nothing half done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from studies.documents import format_moment
from tests.factories.evidence import NOW, STEWARDS, Consortium
from tests.workers.party.consortium_site import Attempt
from tests.workers.party.conversation import accepted, nothing_given_away, refused, sealed
from tests.workers.party.lying_portal import lying_portal
from tests.workers.party.session_threads import Peers, computing
from workers.party import attempts, computation, data_access, stewardship, trust
from workers.party.computation import Connect, Session, SessionChannel
from workers.party.home import SiteHome
from workers.party.lease import STALE_SECONDS
from workers.party.watch import Watch
from workers.transport.errors import ChannelLost

SECRET = "31.7mg"
ONLY_PREPARED = Peers(leave_after_preparing=True).connect
"""A channel to peers that make triples and go: the computation breaks before it shares inputs."""


def journal_of(home: SiteHome) -> str:
    with home.store.reading() as transaction:
        rows = transaction.execute("SELECT event, detail FROM journal ORDER BY number").fetchall()
    return "\n".join(f"{row['event']}: {row['detail']}" for row in rows)


async def failed(home: SiteHome, attempt: Attempt, connect: Connect) -> str:
    """Start an attempt whose computation breaks; return the code that the portal is told."""

    def compute(run: str, number: int) -> None:
        computation.compute(home, run, number, clock=lambda: NOW, connect=connect)

    async with lying_portal(home, compute) as portal:
        acceptance = await accepted(portal, attempt)
        await portal.say(attempt.start_message(acceptance["envelope"]))
        message = await portal.hear_type("failure")
    return str(message["code"])


async def test_a_cell_that_does_not_parse_is_told_to_nobody_outside(
    home: SiteHome, consortium: Consortium
) -> None:
    records = home.path / "lung.csv"
    records.write_text(records.read_text() + f"60,{SECRET},1,2\n")
    code = await failed(
        home, Attempt(consortium, consortium.plan()), Peers(leave_after_preparing=True).connect
    )
    assert code == "aborted"
    assert "lung.csv, row 62, column time: expected a number" in journal_of(home)
    assert SECRET not in journal_of(home)
    assert nothing_given_away(home)


async def test_an_error_of_a_library_leaves_only_its_place_in_the_journal(
    home: SiteHome, consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: object) -> object:
        raise ValueError(f"could not convert {SECRET!r}")

    monkeypatch.setattr(data_access, "load", load)
    code = await failed(
        home, Attempt(consortium, consortium.plan()), Peers(leave_after_preparing=True).connect
    )
    assert code == "aborted"
    assert "ValueError at test_failures.py:" in journal_of(home)
    assert SECRET not in journal_of(home)


async def test_parties_that_never_come_are_a_lost_site_while_no_data_are_loaded(
    home: SiteHome, consortium: Consortium
) -> None:
    @contextmanager
    def nobody(_: Session) -> Iterator[SessionChannel]:
        raise ChannelLost("nobody came")
        yield

    assert await failed(home, Attempt(consortium, consortium.plan()), nobody) == "site_lost"
    assert nothing_given_away(home)


async def test_three_stopped_computations_need_renewed_consent(
    home: SiteHome, consortium: Consortium
) -> None:
    plan = consortium.plan()
    (home.path / "lung.csv").write_text("pid,time,status,sex\n1,x,1,1\n")
    for number in (1, 2, 3):
        attempt = Attempt(consortium, plan, number=number, session=f"0{number}" * 16)
        assert await failed(home, attempt, ONLY_PREPARED) == "aborted"
    async with lying_portal(home, lambda *_: None) as portal:
        fourth = Attempt(consortium, plan, number=4, session="04" * 16)
        refused(await portal.ask(fourth.invitation()), "renewed_consent_needed")
        renewed = [
            consortium.consent(
                site,
                plan,
                issued_at=format_moment(NOW),
                valid_until=format_moment(NOW + timedelta(days=20)),
            )
            for site in plan.sites
        ]
        fifth = Attempt(consortium, plan, number=5, session="05" * 16)
        answer = await portal.ask(fifth.invitation(consents=tuple(renewed)))
        assert answer["type"] == "key_offer"


async def test_a_withdrawal_at_the_site_stops_a_sealed_result(
    home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(home, computing(home, Peers())) as portal:
        await sealed(portal, attempt)
        key = consortium.person(STEWARDS["alder"]).private_key
        wish = stewardship.Wish(attempt.plan, "withdraw", None, "patients asked")
        stewardship.decide(home, wish, key, now=NOW)
        heard = {(await portal.hear())["type"], (await portal.hear())["type"]}
        assert heard == {"consent", "failure"}
    assert nothing_given_away(home)


def test_a_stranger_s_key_signs_no_consent(home: SiteHome, consortium: Consortium) -> None:
    attempt = Attempt(consortium, consortium.plan())
    with home.store.transaction() as transaction:
        trust.remember(home, transaction, [consortium.roster_envelope])
    wish = stewardship.Wish(attempt.plan, "consent", None, "")
    for member, problem in (("m-ben", "not a data steward"), ("m-ines", "not a data steward")):
        with pytest.raises(stewardship.StewardError, match=problem):
            stewardship.decide(home, wish, consortium.person(member).private_key, now=NOW)


def test_a_cohort_too_small_is_refused_to_the_steward_before_consent(
    home: SiteHome, consortium: Consortium
) -> None:
    with home.store.transaction() as transaction:
        trust.remember(home, transaction, [consortium.roster_envelope])
    cohort = {"include": [{"kind": "column", "column": "pid", "at_most": 3}], "exclude": []}
    wish = stewardship.Wish(consortium.plan(cohort=cohort), "consent", None, "")
    key = consortium.person(STEWARDS["alder"]).private_key
    with pytest.raises(stewardship.StewardError, match="would count 4 persons"):
        stewardship.decide(home, wish, key, now=NOW)


def test_a_worker_that_dies_is_noticed_by_its_silence(
    home: SiteHome, consortium: Consortium
) -> None:
    """kill -9 during a computation: the row stays `computing`, and its number stands still."""
    manifest = Attempt(consortium, consortium.plan())
    manifest.manifest_message(manifest.offer_of("alder"))
    assert manifest.manifest is not None
    with home.store.transaction() as transaction:
        attempts.offer(transaction, "run-1", 1, private_key=b"secret")
        attempts.accept(transaction, "run-1", 1, manifest=manifest.manifest.canonical())
        attempts.queue(transaction, "run-1", 1)
        held = attempts.take(transaction, "run-1", 1)
        attempts.renew(transaction, held, inputs_loaded=1, step="computing")
    seconds = 0.0
    watch = Watch(home, monotonic=lambda: seconds, hint=lambda *_: None)
    assert not watch.busy
    assert '"step":"computing"' in watch.look(now=NOW)[0]
    seconds = STALE_SECONDS - 0.1
    assert watch.look(now=NOW) == []
    seconds = STALE_SECONDS + 0.1
    assert '"code":"aborted"' in watch.look(now=NOW)[0]
    assert not watch.busy


def test_an_attempt_that_nobody_takes_ends_at_its_deadline(
    home: SiteHome, consortium: Consortium
) -> None:
    manifest = Attempt(consortium, consortium.plan())
    manifest.manifest_message(manifest.offer_of("alder"))
    assert manifest.manifest is not None
    with home.store.transaction() as transaction:
        attempts.offer(transaction, "run-1", 1, private_key=b"secret")
        attempts.accept(transaction, "run-1", 1, manifest=manifest.manifest.canonical())
        attempts.queue(transaction, "run-1", 1)
    hints: list[str] = []
    seconds = 0.0
    watch = Watch(home, monotonic=lambda: seconds, hint=lambda run, _: hints.append(run))
    watch.look(now=NOW)
    seconds = 11
    watch.look(now=NOW)
    assert hints == ["run-1"], "a hint that was lost is given again"
    assert '"code":"deadline_passed"' in watch.look(now=NOW + timedelta(hours=1))[0]
