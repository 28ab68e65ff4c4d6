"""Stretches of an honest conversation between portal and agent, and what a refusal must leave."""

from __future__ import annotations

from governance.statements.envelope import Envelope
from tests.workers.party.consortium_site import Attempt, Log
from tests.workers.party.lying_portal import LyingPortal
from workers.party import ledger
from workers.party.home import SiteHome
from workers.transport.control import Message


async def offered(portal: LyingPortal, attempt: Attempt) -> Envelope:
    """Invite the site and return its key offer."""
    offer = await portal.ask(attempt.invitation())
    assert offer["type"] == "key_offer", offer
    return Envelope.parse(offer["envelope"])


async def accepted(portal: LyingPortal, attempt: Attempt) -> Message:
    """Carry an attempt to the site's acceptance and return the message."""
    own = await offered(portal, attempt)
    acceptance = await portal.ask(attempt.manifest_message(own))
    assert acceptance["type"] == "acceptance", acceptance
    return acceptance


async def sealed(portal: LyingPortal, attempt: Attempt) -> Envelope:
    """Carry an attempt to its certificate and return it."""
    acceptance = await accepted(portal, attempt)
    await portal.say(attempt.start_message(acceptance["envelope"]))
    certificate = await portal.hear_type("certificate")
    return Envelope.parse(certificate["envelope"])


async def cosigned(portal: LyingPortal, log: Log, old_size: int) -> Message:
    """Have the site cosign the newest checkpoint."""
    answer = await portal.ask(log.checkpoint_message(old_size))
    assert answer["type"] == "cosignature", answer
    return answer


def nothing_given_away(home: SiteHome) -> bool:
    """Whether the site has spent nothing, holds nothing in reserve and has kept no secret."""
    with home.store.reading() as transaction:
        balance = ledger.balance(transaction, "lung")
        rows = transaction.execute(
            "SELECT count(*) FROM attempts"
            " WHERE private_key IS NOT NULL OR output_share IS NOT NULL"
        ).fetchone()
        shares = transaction.execute(
            "SELECT count(*) FROM answers WHERE request = 'permit'"
        ).fetchone()
    assert balance is not None
    return (balance.committed, balance.reserved, rows[0], shares[0]) == (0, 0, 0, 0)


def refused(answer: Message, code: str) -> None:
    """Assert that an answer is exactly this refusal."""
    assert (answer["type"], answer.get("code")) == ("refusal", code), answer
