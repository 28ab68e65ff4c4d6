"""What a site knows by itself: its copy of the log, its dossier, letters of other sites.

The portal lies by leaving out; each time the site knows better, and says what was left out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from governance.statements.envelope import Envelope
from studies.documents import format_moment
from tests.factories.evidence import NOW, SITES, Consortium, signing_key
from tests.workers.party.consortium_site import Attempt, Log
from tests.workers.party.conversation import accepted, cosigned, offered, refused, sealed
from tests.workers.party.lying_portal import LyingPortal, lying_portal
from tests.workers.party.session_threads import Peers, computing
from workers.party import dossier, log_copy
from workers.party.home import SiteHome
from workers.transport import letter as sealed_letter
from workers.transport.control import Message

STUDY = "st-7f3a90c1"
LATER = format_moment(NOW - timedelta(hours=1))


def log_of(attempt: Attempt, *events: str, **changes: Any) -> Log:
    """Return a log in which the study of `attempt` went its way, through `events`."""
    log = Log(attempt.consortium)
    for event in events:
        data = {"study_digest": attempt.plan.digest, **changes}
        log.append(event, STUDY, **data)
    return log


OPEN = ("study.created", "study.submitted", "study.approved", "study.ready")


def written(
    consortium: Consortium, sender: str, *statements: Envelope, to: str = "alder", **changes: Any
) -> dict[str, Any]:
    """Return the letter of `sender`, addressed `to`, as the portal delivers it to alder."""
    envelope = consortium.letter(sender, to, *statements, **changes)
    ciphertext = sealed_letter.encrypt(
        json.dumps(envelope.to_json()).encode(),
        sender=sender,
        recipient="alder",
        recipient_key=consortium.site_key("alder").public_key().public_bytes_raw(),
    )
    return {
        "type": "letter",
        "number": 1,
        "sender": sender,
        "ciphertext": base64.b64encode(ciphertext).decode(),
    }


async def introduced(portal: LyingPortal, consortium: Consortium) -> None:
    """Give the site its roster, without which it can believe nobody."""
    await portal.say({"type": "rosters", "rosters": [consortium.roster_envelope.to_json()]})


async def told(portal: LyingPortal, log: Log, *statements: Envelope) -> None:
    """Send the log's entries, and wait until the site has taken them in."""
    await portal.say(log.entries_message(0, *statements))
    await portal.heard_entries()


def withdrawal(attempt: Attempt, site: str = "birch") -> Envelope:
    """Return the withdrawal of a site's consent."""
    return attempt.consortium.consent(site, attempt.plan, decision="withdraw", issued_at=LATER)


async def test_a_study_that_the_log_shows_open_may_run(
    home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        await told(portal, log_of(attempt, *OPEN))
        await offered(portal, attempt)


@pytest.mark.parametrize(
    ("code", "events"),
    {
        "withdrawn since": ("study_not_open", (*OPEN, "study.withdrawn")),
        "expired since": ("study_not_open", (*OPEN, "study.expired")),
        "never decided": ("study_not_open", OPEN[:2]),
        "rejected": ("study_not_open", (*OPEN[:2], "study.rejected")),
        "being amended": ("study_not_open", (*OPEN, "study.amended")),
        "ready before it was approved": ("record_contradictory", (*OPEN[:2], "study.ready")),
        "created twice": ("record_contradictory", ("study.created", "study.created")),
    }.values(),
)
async def test_the_log_speaks_against_the_portal(
    code: str, events: tuple[str, ...], home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        await told(portal, log_of(attempt, *events))
        refused(await portal.ask(attempt.invitation()), code)


async def test_a_version_that_was_amended_since_is_not_run(
    home: SiteHome, consortium: Consortium
) -> None:
    """Its approvals are genuine and still hold: the portal shows the older version's."""
    attempt = Attempt(consortium, consortium.plan())
    log = log_of(attempt, *OPEN, "study.amended")
    newer = consortium.plan(version=2).digest
    log.append("study.submitted", STUDY, study_digest=newer)
    log.append("study.approved", STUDY, study_digest=newer)
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        await told(portal, log)
        refused(await portal.ask(attempt.invitation()), "plan_superseded")


HIDDEN: dict[str, Callable[[Attempt], tuple[str, dict[str, Any], Envelope]]] = {
    "a withdrawal of birch": lambda a: (
        "consent.withdrawn",
        {"study_digest": a.plan.digest, "site": "birch"},
        withdrawal(a),
    ),
    "a reviewer's revocation": lambda a: (
        "study.review_signed",
        {"study_digest": a.plan.digest, "decision": "revoke"},
        a.consortium.review("m-ruth", a.plan, decision="revoke", issued_at=LATER),
    ),
    "a revocation of the class": lambda a: (
        "class.approval_signed",
        {"class_digest": a.plan.declaration.digest, "decision": "revoke"},
        a.consortium.class_decision("m-ruth", decision="revoke", issued_at=LATER),
    ),
}


@pytest.mark.parametrize("what", HIDDEN)
async def test_what_was_logged_cannot_be_left_out(
    what: str, home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    event, data, statement = HIDDEN[what](attempt)
    log = log_of(attempt, *OPEN)
    study = "" if event.startswith("class.") else STUDY
    log.append(event, study, statement_digest=statement.digest, **data)
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        await told(portal, log)
        refused(await portal.ask(attempt.invitation()), "record_withheld")
        # The right digest with the wrong signature is not the decision either.
        forged = Envelope(statement.kind, statement.body, withdrawal(attempt).signatures)
        lists = {"class.": "class_approvals", "study.": "study_approvals", "consen": "consents"}
        name = lists[event[:6]]
        second = Attempt(consortium, attempt.plan, run="run-2", session="5f" * 16)
        genuine = getattr(consortium.evidence(attempt.plan), name)
        spoilt = second.invitation(**{name: (*genuine, forged)})
        if what != "a withdrawal of birch":
            refused(await portal.ask(spoilt), "record_withheld")


async def test_a_withdrawal_that_comes_with_the_log_stops_what_is_under_way(
    home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    log = log_of(attempt, *OPEN)
    stop = withdrawal(attempt)
    data = {"study_digest": attempt.plan.digest, "statement_digest": stop.digest, "site": "birch"}
    log.append("consent.withdrawn", STUDY, **data)
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        await accepted(portal, attempt)
        await portal.say(log.entries_message(0, stop))
        refused(await portal.hear(), "consent_withdrawn")


async def test_a_letter_brings_what_the_portal_hides(
    home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        await portal.say(written(consortium, "birch", withdrawal(attempt)))
        await portal.hear_type("letter_read")
        refused(await portal.ask(attempt.invitation()), "consent_withdrawn")


async def test_a_letter_stops_a_sealed_result_from_being_opened(
    home: SiteHome, consortium: Consortium
) -> None:
    attempt, log = Attempt(consortium, consortium.plan()), Log(consortium)
    async with lying_portal(home, computing(home, Peers())) as portal:
        portal.log = log
        certificates = attempt.certificates(await sealed(portal, attempt))
        await portal.say(written(consortium, "birch", withdrawal(attempt)))
        await portal.hear_type("letter_read")
        refused(await portal.hear(), "consent_withdrawn")
        refused(await portal.ask(attempt.permit_message(log, certificates)), "consent_withdrawn")


def another_sender(consortium: Consortium, stop: Envelope) -> Message:
    return {**written(consortium, "birch", stop), "sender": "cedar"}


def strangers_key(consortium: Consortium, stop: Envelope) -> Message:
    stranger = Consortium()
    object.__setattr__(stranger, "site_key", lambda site: signing_key(f"stranger {site}"))
    genuine = consortium.site_key("alder").public_key().public_bytes_raw()
    envelope = stranger.letter("birch", "alder", stop)
    ciphertext = sealed_letter.encrypt(
        json.dumps(envelope.to_json()).encode(),
        sender="birch",
        recipient="alder",
        recipient_key=genuine,
    )
    sent = base64.b64encode(ciphertext).decode()
    return {"type": "letter", "number": 1, "sender": "birch", "ciphertext": sent}


FALSE_LETTERS: dict[str, Callable[[Consortium, Envelope], Message]] = {
    "of birch, said to be of cedar": another_sender,
    "signed by a stranger's key": strangers_key,
    "of a site that the roster does not list": lambda c, s: {
        **written(c, "birch", s),
        "sender": "dogwood",
    },
    "for another site": lambda c, s: written(c, "birch", s, to="cedar"),
    "altered on the way": lambda c, s: {
        **(sent := written(c, "birch", s)),
        "ciphertext": sent["ciphertext"][:-8] + "AAAAAAA=",
    },
}


@pytest.mark.parametrize("lie", FALSE_LETTERS)
async def test_a_letter_that_is_not_what_it_says_changes_nothing(
    lie: str, home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        answer = await portal.ask(FALSE_LETTERS[lie](consortium, withdrawal(attempt)))
        assert (answer["type"], answer["code"]) == ("error", "letter_unverified")
        await portal.hear_type("letter_read")
        await offered(portal, attempt)


async def test_an_older_letter_is_not_read_again(home: SiteHome, consortium: Consortium) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        await portal.say(written(consortium, "birch", number=2))
        await portal.hear_type("letter_read")
        await portal.say(written(consortium, "birch", withdrawal(attempt), number=1))
        await portal.hear_type("letter_read")
        await offered(portal, attempt)


async def test_a_roster_comes_by_letter_too(home: SiteHome, consortium: Consortium) -> None:
    """The second roster drops a reviewer; the portal shows the first one only, birch both."""
    payload = consortium.roster_payload()
    members = [
        {**member, "roles": []} if member["id"] == "m-ruth" else member
        for member in payload["members"]
    ]
    second = consortium.sign_by(
        consortium.roster_envelope.kind,
        {**payload, "version": 2, "previous": consortium.pinned, "members": members},
        ("m-carl", "m-rosa", "m-ruth"),
    )
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        await portal.say(written(consortium, "birch", roster=2, rosters=(second,)))
        await portal.hear_type("letter_read")
        refused(await portal.ask(attempt.invitation()), "class_quorum_missing")


async def test_what_stops_a_study_is_written_to_every_other_site(
    home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    stop = consortium.review("m-ruth", attempt.plan, decision="revoke", issued_at=LATER)
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        genuine = consortium.evidence(attempt.plan).study_approvals
        refused(
            await portal.ask(attempt.invitation(study_approvals=(*genuine, stop))), "study_revoked"
        )
        # The portal cannot take back what it has shown once.
        second = Attempt(consortium, attempt.plan, run="run-2", session="5f" * 16)
        refused(await portal.ask(second.invitation()), "study_revoked")
        for site in ("birch", "cedar"):
            letter = await portal.letter_with_news(consortium, site)
            assert [envelope.digest for envelope in letter.statements] == [stop.digest]
            assert (letter.sender, letter.recipient) == ("alder", site)


async def test_a_stop_that_another_party_knows_and_this_site_does_not_is_noticed(
    home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    known = attempt.offer_of("birch", stops=("ab" * 32,))
    async with lying_portal(home, lambda *_: None) as portal:
        own = await offered(portal, attempt)
        offers = {"birch": known, "cedar": attempt.offer_of("cedar")}
        refused(await portal.ask(attempt.manifest_message(own, offers)), "stop_withheld")


async def test_a_key_offer_names_the_stops_that_this_site_knows(
    home: SiteHome, consortium: Consortium
) -> None:
    """A site declined first and consented later: the portal must show the others both."""
    attempt = Attempt(consortium, consortium.plan())
    decline = consortium.consent("birch", attempt.plan, decision="decline")
    consents = consortium.evidence(attempt.plan).consents
    renewed = consortium.consent("birch", attempt.plan, issued_at=LATER)
    async with lying_portal(home, lambda *_: None) as portal:
        offer = await portal.ask(attempt.invitation(consents=(*consents, decline, renewed)))
        assert Envelope.parse(offer["envelope"]).payload["stops"] == [decline.digest]


async def test_a_tree_is_cosigned_only_over_entries_that_are_held(
    home: SiteHome, consortium: Consortium
) -> None:
    log = Log(consortium)
    log.append("person.created")
    async with lying_portal(home, lambda *_: None) as portal:
        await introduced(portal, consortium)
        refused(await portal.ask(log.checkpoint_message(0)), "entries_missing")
        other = Log(consortium)
        other.append("person.created", number=2)
        await told(portal, other)
        # Its entries are others: it forgets them, and takes those of the signed tree.
        refused(await portal.ask(log.checkpoint_message(0)), "checkpoint_inconsistent")
        portal.log = log
        await cosigned(portal, log, 0)
    with home.store.reading() as transaction:
        assert log_copy.size(transaction) == 1
        assert log_copy.entry(transaction, 0) == log.entries[0]


@pytest.mark.parametrize("gap", ["a gap", "a broken chain", "no entry"])
async def test_entries_must_follow_one_another(
    gap: str, home: SiteHome, consortium: Consortium
) -> None:
    log = Log(consortium)
    for number in range(4):
        log.append("person.created", number=number)
    message = log.entries_message()
    if gap == "a gap":
        message["leaves"] = message["leaves"][1:]
        message["first"] = 1
    elif gap == "a broken chain":
        del message["leaves"][2]
    else:
        message["leaves"][3] = base64.b64encode(b"{}").decode()
    async with lying_portal(home, lambda *_: None) as portal:
        answer = await portal.ask(message)
        code = "entries_missing" if gap == "a gap" else "checkpoint_inconsistent"
        assert (answer["type"], answer["code"]) == ("error", code)
    with home.store.reading() as transaction:
        assert log_copy.size(transaction) == 0


def test_only_decisions_with_a_good_signature_are_kept(
    home: SiteHome, consortium: Consortium
) -> None:
    plan = consortium.plan()
    genuine = consortium.consent("birch", plan)
    forged = Envelope(genuine.kind, genuine.body, consortium.consent("cedar", plan).signatures)
    with home.store.transaction() as transaction:
        rosters = (consortium.roster,)
        kept = dossier.keep(
            transaction, [forged, consortium.register("birch")], rosters, site="alder", source="x"
        )
        assert kept == []
        assert dossier.keep(transaction, [genuine], rosters, site="alder", source="x") == [genuine]
        assert dossier.keep(transaction, [genuine], rosters, site="alder", source="x") == []
        assert dossier.about(transaction, [plan.digest]) == [genuine]
        assert dossier.stops(transaction, [plan.digest]) == ()


def test_letters_of_one_size_class_look_alike(consortium: Consortium) -> None:
    stop = consortium.consent("birch", consortium.plan(), decision="withdraw")
    sizes = {
        len(written(consortium, sender, *statements)["ciphertext"])
        for sender in SITES
        for statements in ((), (stop,))
    }
    assert len(sizes) == 1
