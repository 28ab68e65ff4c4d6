"""The portal is the liar: genuine evidence, one lie, the exact refusal, and nothing given away.

Each lie is told over a real websocket to a real agent. After every one of them the ledger has
committed nothing and holds nothing, and no output share has left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from governance.statements.envelope import Envelope
from governance.statements.keys import to_base64
from governance.statements.result_statements import ResultCertificate
from governance.statements.run_statements import KeyOffer, ManifestParty, Recipient, SeenCheckpoint
from studies.documents import format_moment
from tests.factories.evidence import (
    KAPLAN_MEIER_PARAMETERS,
    NOW,
    REVIEWERS,
    SITES,
    Consortium,
)
from tests.workers.party.consortium_site import Attempt, Log, make_home
from tests.workers.party.conversation import (
    accepted,
    cosigned,
    nothing_given_away,
    offered,
    refused,
    sealed,
)
from tests.workers.party.lying_portal import lying_portal
from tests.workers.party.session_threads import Peers, computing
from workers.party import attempts
from workers.party.home import SiteHome
from workers.party.policy import Choices
from workers.transport.control import Message

BLEEDING = {"kind": "any_record", "domain": "condition_occurrence", "concepts": [192671]}
PAST = format_moment(NOW - timedelta(seconds=1))


Lie = Callable[[Consortium], Message]


def invited(plan: dict[str, Any] | None = None, **evidence: Callable[[Consortium], Any]) -> Lie:
    """Return an invitation with a lie in the plan or in parts of the evidence."""

    def build(consortium: Consortium) -> Message:
        parts = {name: make(consortium) for name, make in evidence.items()}
        attempt = Attempt(consortium, consortium.plan(**(plan or {})))
        return attempt.invitation(**parts)

    return build


def altered_by_one_byte(consortium: Consortium) -> Message:
    invitation = Attempt(consortium, consortium.plan()).invitation()
    plan = consortium.plan().canonical().replace(b"three hospitals", b"three hospitalz")
    return {**invitation, "evidence": {**invitation["evidence"], "plan": to_base64(plan)}}


LIES_OF_INVITATIONS: dict[str, tuple[str, Lie]] = {
    "one approval is no quorum": (
        "study_quorum_missing",
        invited(study_approvals=lambda c: (c.review("m-ruth", c.plan()),)),
    ),
    "the class was never approved": ("class_quorum_missing", invited(class_approvals=lambda _: ())),
    "the committee revoked the class": (
        "class_revoked",
        invited(
            class_approvals=lambda c: tuple(
                c.class_decision(member, decision="revoke") for member in REVIEWERS
            )
        ),
    ),
    "the approvals have expired": (
        "study_approval_expired",
        invited(
            study_approvals=lambda c: tuple(
                c.review(member, c.plan(), valid_until=PAST) for member in REVIEWERS
            )
        ),
    ),
    "this very site has not consented": (
        "consent_missing",
        invited(consents=lambda c: tuple(c.consent(s, c.plan()) for s in SITES if s != "alder")),
    ),
    "another steward consents for this site": (
        "consent_missing",
        invited(
            consents=lambda c: tuple(
                c.consent(site, c.plan(), signer="m-ben" if site == "alder" else None)
                for site in SITES
            )
        ),
    ),
    "another site has withdrawn": (
        "consent_withdrawn",
        invited(
            consents=lambda c: (
                *(c.consent(site, c.plan()) for site in SITES),
                c.consent("birch", c.plan(), decision="withdraw", issued_at=format_moment(NOW)),
            )
        ),
    ),
    "the plan is altered by one byte": ("plan_digest_mismatch", altered_by_one_byte),
    "the plan has expired": ("plan_expired", invited({"expires_at": PAST})),
    "the roster is not the pinned one": (
        "roster_unverified",
        invited(
            rosters=lambda c: (
                replace(c, changes={"issued_at": format_moment(NOW)}).roster_envelope,
            )
        ),
    ),
    "the data set is not registered here": ("data_set_unknown", invited({"data_set": "kidney"})),
    "a parameter names a column that is not registered": (
        "column_unknown",
        invited({"parameters": {**KAPLAN_MEIER_PARAMETERS, "group": "arm"}}),
    ),
    "the cohort asks for records of a plain table": (
        "data_set_unknown",
        invited({"cohort": {"include": [], "exclude": [BLEEDING]}}),
    ),
    "a rehearsal on confidential data": (
        "rehearsal_on_confidential_data",
        invited({"mode": "rehearsal"}),
    ),
}


@pytest.mark.parametrize("lie", LIES_OF_INVITATIONS)
async def test_a_lie_in_the_invitation(lie: str, home: SiteHome, consortium: Consortium) -> None:
    code, build = LIES_OF_INVITATIONS[lie]
    async with lying_portal(home, computing(home, Peers())) as portal:
        refused(await portal.ask(build(consortium)), code)
        # The refusal is final: the truth, told afterwards, gets the same answer.
        refused(await portal.ask(Attempt(consortium, consortium.plan()).invitation()), code)
    assert nothing_given_away(home)


async def test_a_budget_that_does_not_cover_the_run(tmp_path: Path, consortium: Consortium) -> None:
    home = make_home(tmp_path / "poor", consortium, budget="1.9")
    async with lying_portal(home, computing(home, Peers())) as portal:
        answer = await portal.ask(Attempt(consortium, consortium.plan()).invitation())
        refused(answer, "budget_exhausted")
        assert "1900000 are left" in answer["sentence"]
    assert nothing_given_away(home)


@pytest.mark.parametrize(
    ("choices", "plan"),
    [
        (Choices(maximum_epsilon="1.999999"), {}),
        (Choices(classes=("cohort-count/1",)), {}),
        (Choices(maximum_epsilon="2"), {"openings": [{"name": "first"}, {"name": "second"}]}),
    ],
    ids=["epsilon", "class", "epsilon of all openings"],
)
async def test_a_study_against_this_site_s_own_policy(
    choices: Choices, plan: dict[str, Any], home: SiteHome, consortium: Consortium
) -> None:
    home.write_policy(choices.to_cedar())
    async with lying_portal(home, computing(home, Peers())) as portal:
        answer = await portal.ask(Attempt(consortium, consortium.plan(**plan)).invitation())
        refused(answer, "policy_refuses")
    assert nothing_given_away(home)


async def test_more_runs_than_the_plan_allows(home: SiteHome, consortium: Consortium) -> None:
    plan, log = consortium.plan(max_runs=1), Log(consortium)
    first = Attempt(consortium, plan)
    second = Attempt(consortium, plan, run="run-2", session="5f" * 16)
    async with lying_portal(home, computing(home, Peers())) as portal:
        portal.log = log
        own = await sealed(portal, first)
        message = first.permit_message(log, first.certificates(own))
        assert (await portal.ask(message))["type"] == "shares"
        refused(await portal.ask(second.invitation()), "plan_runs_exhausted")
        # A run is opened once, whatever the portal calls its next attempt.
        third = Attempt(consortium, plan, number=2, session="60" * 16)
        refused(await portal.ask(third.invitation()), "plan_runs_exhausted")


async def test_an_older_attempt_is_not_opened_beside_a_newer_one(
    home: SiteHome, consortium: Consortium
) -> None:
    """Told backwards, attempts would each be sealed, and each opened: one run, two noises."""
    plan, log = consortium.plan(max_runs=1), Log(consortium)
    newer = Attempt(consortium, plan, number=2, session="5f" * 16)
    older = Attempt(consortium, plan, number=1)
    async with lying_portal(home, computing(home, Peers())) as portal:
        portal.log = log
        own = await sealed(portal, newer)
        refused(await portal.ask(older.invitation()), "attempt_superseded")
        message = newer.permit_message(log, newer.certificates(own))
        assert (await portal.ask(message))["type"] == "shares"


@pytest.mark.parametrize("stripped", [(), None], ids=["unsigned", "hidden"])
async def test_a_withdrawal_signed_here_holds_whatever_the_portal_makes_of_it(
    stripped: tuple[()] | None, home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    withdrawal = consortium.consent(
        "alder", attempt.plan, decision="withdraw", issued_at=format_moment(NOW)
    )
    keep_local_consent(home, attempt, withdrawal, "withdraw")
    consents = consortium.evidence(attempt.plan).consents
    if stripped is not None:
        # The same statement, and so the same digest, without what makes it count.
        consents += (replace(withdrawal, signatures=stripped),)
    async with lying_portal(home, computing(home, Peers())) as portal:
        assert (await portal.hear())["type"] == "consent"
        refused(await portal.ask(attempt.invitation(consents=consents)), "consent_withdrawn")
    assert nothing_given_away(home)


async def test_a_withdrawal_signed_here_stops_a_consent_that_a_fast_clock_has_dated_ahead(
    home: SiteHome, consortium: Consortium
) -> None:
    plan = consortium.plan()
    ahead = consortium.consent("alder", plan, issued_at=format_moment(NOW + timedelta(minutes=3)))
    others = tuple(consortium.consent(site, plan) for site in SITES if site != "alder")
    attempt = Attempt(consortium, plan)
    withdrawal = consortium.consent(
        "alder", plan, decision="withdraw", issued_at=format_moment(NOW)
    )
    keep_local_consent(home, attempt, withdrawal, "withdraw")
    async with lying_portal(home, computing(home, Peers())) as portal:
        assert (await portal.hear())["type"] == "consent"
        invitation = attempt.invitation(consents=(ahead, *others))
        refused(await portal.ask(invitation), "consent_withdrawn")
    assert nothing_given_away(home)


async def test_a_policy_may_count_consents_signed_here_only(
    home: SiteHome, consortium: Consortium
) -> None:
    home.write_policy(Choices(require_local_consent=True).to_cedar())
    plan = consortium.plan()
    async with lying_portal(home, computing(home, Peers())) as portal:
        refused(await portal.ask(Attempt(consortium, plan).invitation()), "policy_refuses")
        again = Attempt(consortium, plan, number=2, session="61" * 16)
        keep_local_consent(home, again, consortium.consent("alder", plan), "consent")
        await portal.say(again.invitation())
        kinds = {(await portal.hear())["type"], (await portal.hear())["type"]}
        assert kinds == {"consent", "key_offer"}


def keep_local_consent(home: SiteHome, attempt: Attempt, envelope: Envelope, decision: str) -> None:
    """Write down what a steward signed at the site."""
    with home.store.transaction() as transaction:
        transaction.execute(
            "INSERT INTO consents (study_digest, decision, envelope) VALUES (?, ?, ?)",
            (attempt.plan.digest, decision, json.dumps(envelope.to_json())),
        )


ManifestLie = Callable[[Attempt, Envelope], Message]


def with_another_key(attempt: Attempt, own: Envelope) -> Message:
    attempt.manifest_message(own)
    assert attempt.manifest is not None
    stranger = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    mine, *others = attempt.manifest.parties
    parties = (ManifestParty(0, "alder", stranger, mine.key_offer), *others)
    return attempt.manifest_message(own, parties=parties)


def with_forged_offer(attempt: Attempt, own: Envelope) -> Message:
    forged = attempt.sign("cedar", KeyOffer.of(attempt.offer_of("birch")))
    return attempt.manifest_message(own, {"birch": forged, "cedar": attempt.offer_of("cedar")})


def with_old_offer(attempt: Attempt, own: Envelope) -> Message:
    replayed = attempt.offer_of("birch", attempt=7)
    return attempt.manifest_message(own, {"birch": replayed, "cedar": attempt.offer_of("cedar")})


def with_another_history(attempt: Attempt, own: Envelope) -> Message:
    forked = attempt.offer_of("birch", checkpoint=SeenCheckpoint(1, "ee" * 32))
    return attempt.manifest_message(own, {"birch": forked, "cedar": attempt.offer_of("cedar")})


def changed(**changes: Any) -> ManifestLie:
    return lambda attempt, own: attempt.manifest_message(own, **changes)


LIES_OF_MANIFESTS: dict[str, tuple[str, ManifestLie]] = {
    "another key stands in for the site's own": ("run_key_mismatch", with_another_key),
    "a peer's offer is signed by someone else": ("run_key_mismatch", with_forged_offer),
    "a peer's offer is of another attempt": ("run_key_mismatch", with_old_offer),
    "a peer has seen another history": ("checkpoint_inconsistent", with_another_history),
    "it is for another plan": ("manifest_mismatch", changed(study_digest="12" * 32)),
    "it is for another class": ("manifest_mismatch", changed(class_digest="12" * 32)),
    "it is for another run": ("manifest_mismatch", changed(run="run-9")),
    "it is for another session": ("manifest_mismatch", changed(session="12" * 16)),
    "it names another roster": ("manifest_mismatch", changed(roster_digest="12" * 32)),
    "noise is off in a study": ("manifest_mismatch", changed(noise="off")),
    "another key receives the result": (
        "manifest_mismatch",
        changed(recipient=Recipient("gate", "12" * 32)),
    ),
    "its deadline has passed": ("deadline_passed", changed(deadline=PAST)),
}


@pytest.mark.parametrize("lie", LIES_OF_MANIFESTS)
async def test_a_lie_in_the_manifest(lie: str, home: SiteHome, consortium: Consortium) -> None:
    code, build = LIES_OF_MANIFESTS[lie]
    attempt, log = Attempt(consortium, consortium.plan()), Log(consortium)
    log.append("study.created")
    async with lying_portal(home, computing(home, Peers())) as portal:
        portal.log = log
        await portal.say({"type": "rosters", "rosters": [consortium.roster_envelope.to_json()]})
        await cosigned(portal, log, 0)
        own = await offered(portal, attempt)
        refused(await portal.ask(build(attempt, own)), code)
        refused(await portal.ask(attempt.manifest_message(own)), code)
    assert nothing_given_away(home)


async def test_a_start_before_all_have_accepted(home: SiteHome, consortium: Consortium) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(home, computing(home, Peers())) as portal:
        acceptance = await accepted(portal, attempt)
        other = attempt.acceptance_of("birch", digest="12" * 32)
        message = attempt.start_message(acceptance["envelope"], birch=other)
        refused(await portal.ask(message), "acceptance_missing")
    assert nothing_given_away(home)


async def test_a_manifest_for_an_attempt_that_was_never_offered(
    home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    message = attempt.manifest_message(attempt.offer_of("alder"))
    async with lying_portal(home, computing(home, Peers())) as portal:
        refused(await portal.ask(message), "attempt_unknown")


PermitLie = Callable[[Attempt, Log, dict[str, Envelope]], Message]


def with_changed_certificate(
    attempt: Attempt, log: Log, certificates: dict[str, Envelope]
) -> Message:
    birch = ResultCertificate.of(certificates["birch"])
    traffic = birch.transcript["alder"]
    altered = type(traffic)(traffic.sent, hashlib.sha256(b"altered on the way").hexdigest())
    transcript = {**birch.transcript, "alder": altered}
    signed = attempt.sign("birch", replace(birch, transcript=transcript))
    return attempt.permit_message(log, {**certificates, "birch": signed})


LIES_OF_PERMITS: dict[str, tuple[str, PermitLie]] = {
    "the log has another permit": (
        "permit_not_logged",
        lambda a, log, c: a.permit_message(log, c, logged=b"another permit"),
    ),
    "the proof leads elsewhere": (
        "permit_not_logged",
        lambda a, log, c: {**a.permit_message(log, c), "proof": [to_base64(bytes(32))]},
    ),
    "the permit is for another manifest": (
        "permit_mismatch",
        lambda a, log, c: a.permit_message(log, c, permit=a.permit(c, nonce="13" * 32)),
    ),
    "the permit names another recipient": (
        "permit_mismatch",
        lambda a, log, c: a.permit_message(
            log, c, permit=a.permit(c, recipient=Recipient("gate", "12" * 32))
        ),
    ),
    "the checkpoint lacks a cosignature": (
        "checkpoint_not_cosigned",
        lambda a, log, c: a.permit_message(log, c, cosigners=("alder", "birch")),
    ),
    "the parties' accounts do not agree": ("certificate_mismatch", with_changed_certificate),
    "a party's certificate is left out": (
        "certificate_missing",
        lambda a, log, c: {
            **(message := a.permit_message(log, c)),
            "certificates": {
                site: item for site, item in message["certificates"].items() if site != "cedar"
            },
        },
    ),
}


@pytest.mark.parametrize("lie", LIES_OF_PERMITS)
async def test_a_lie_in_the_permit(lie: str, home: SiteHome, consortium: Consortium) -> None:
    code, build = LIES_OF_PERMITS[lie]
    attempt, log = Attempt(consortium, consortium.plan()), Log(consortium)
    log.append("study.created")
    async with lying_portal(home, computing(home, Peers())) as portal:
        portal.log = log
        certificates = attempt.certificates(await sealed(portal, attempt))
        refused(await portal.ask(build(attempt, log, certificates)), code)
        refused(await portal.ask(attempt.permit_message(log, certificates)), code)
    assert nothing_given_away(home)


async def test_a_permit_before_the_result_is_sealed(home: SiteHome, consortium: Consortium) -> None:
    attempt, log = Attempt(consortium, consortium.plan()), Log(consortium)
    async with lying_portal(home, lambda *_: None) as portal:
        portal.log = log
        acceptance = await accepted(portal, attempt)
        await portal.say(attempt.start_message(acceptance["envelope"]))
        certificates = {site: attempt.offer_of("birch") for site in SITES}
        await portal.say(attempt.permit_message(log, certificates))
        assert (await portal.hear_type("failure"))["code"] == "aborted"
    assert nothing_given_away(home)


async def test_a_log_that_goes_back_or_forks_is_not_cosigned(
    home: SiteHome, consortium: Consortium
) -> None:
    log, fork = Log(consortium), Log(consortium)
    for number in range(3):
        log.append("study.created", number=number)
        fork.append("study.created", number=number)
    async with lying_portal(home, lambda *_: None) as portal:
        portal.log = log
        await portal.say({"type": "rosters", "rosters": [consortium.roster_envelope.to_json()]})
        await cosigned(portal, log, 0)
        log.append("study.approved")
        await cosigned(portal, log, 3)

        fork.append("study.rejected")
        refused(await portal.ask(fork.checkpoint_message(3)), "checkpoint_inconsistent")
        fork.append("study.forgotten")
        refused(await portal.ask(fork.checkpoint_message(4)), "checkpoint_inconsistent")

        shorter = replace(log, entries=log.entries[:2])
        refused(await portal.ask(shorter.checkpoint_message(0)), "checkpoint_inconsistent")

        stranger = replace(consortium, changes={})
        note = Log(stranger, log.entries).note().text
        unsigned = {**log.checkpoint_message(4), "note": f"{note}\n— someone AAAAAAAA\n"}
        refused(await portal.ask(unsigned), "checkpoint_unsigned")


async def test_a_newer_roster_is_never_forgotten(home: SiteHome, consortium: Consortium) -> None:
    """The second roster drops a reviewer; the portal then shows the first one only."""
    first = consortium.roster_envelope
    payload = consortium.roster_payload()
    members = [
        {**member, "roles": []} if member["id"] == "m-ruth" else member
        for member in payload["members"]
    ]
    newer = {**payload, "version": 2, "previous": first.digest, "members": members}
    second = consortium.sign_by(first.kind, newer, REVIEWERS)
    async with lying_portal(home, lambda *_: None) as portal:
        chain = [first.to_json(), second.to_json()]
        await portal.say({"type": "rosters", "rosters": chain})
        invitation = Attempt(consortium, consortium.plan()).invitation()
        refused(await portal.ask(invitation), "class_quorum_missing")


async def test_what_is_not_a_message_closes_the_connection(
    home: SiteHome, consortium: Consortium
) -> None:
    async with lying_portal(home, lambda *_: None) as portal:
        assert portal.socket is not None
        await portal.socket.send('{"type": "permit"}')
        await portal.socket.wait_closed()
        assert portal.socket.close_code == 4400
        with home.store.reading() as transaction:
            assert attempts.unfinished(transaction) == []
