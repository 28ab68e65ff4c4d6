"""What this site takes in without a decision: rosters, entries of the log, letters.

Each function takes an open transaction, verifies and keeps, and returns the messages that answer.
What was learnt stays learnt: nothing here depends on whether a run is going on.
"""

from __future__ import annotations

import base64
from contextlib import suppress

from governance.errors import GovernanceError
from governance.evidence import Evidence
from governance.roster import Roster
from governance.statements.envelope import Envelope
from workers.party import dossier, letters, log_copy, trust, verification, witness
from workers.party.home import SiteHome
from workers.party.steps import Desk
from workers.party.store import Transaction
from workers.transport.control import Message


def rosters(desk: Desk, message: Message) -> list[Message]:
    """Follow the chain of rosters. *Raises* Refusal roster_unverified."""
    chain = [Envelope.parse(value) for value in message["rosters"]]
    trust.remember(desk.home, desk.transaction, chain)
    return []


def entries(desk: Desk, message: Message) -> list[Message]:
    """Add entries to this site's copy of the log, and the decisions that came with them.

    *Raises* Refusal entries_missing, checkpoint_inconsistent.
    """
    leaves = [base64.b64decode(leaf) for leaf in message["leaves"]]
    held = log_copy.hold(desk.transaction, message["first"], leaves, site=desk.site)
    known = tuple(map(Roster.parse, trust.remembered(desk.transaction)))
    if known:
        statements = [Envelope.parse(value) for value in message["statements"]]
        dossier.keep(desk.transaction, statements, known, site=desk.site, source="portal")
    return [{"type": "entries_held", "size": held}]


def letter(desk: Desk, message: Message) -> list[Message]:
    """Take a letter of another site's agent. *Raises* Refusal letter_unverified."""
    letters.read(desk.home, desk.transaction, message, now=desk.now)
    return [{"type": "letter_read", "number": message["number"]}]


def after_a_fault(home: SiteHome, kind: str, message: Message) -> list[Message]:
    """Return what else the portal is told when a lesson was refused, so that it does not stall.

    A letter that cannot be believed is done with. Entries that do not fit are sent anew from
    where this site's copy is vouched for: behind the largest tree that it has cosigned.
    """
    if kind == "letter":
        return [{"type": "letter_read", "number": message["number"]}]
    if kind != "entries":
        return []
    with home.store.transaction() as transaction:
        return [{"type": "entries_held", "size": take_back(transaction)}]


def take_back(transaction: Transaction) -> int:
    """Forget the entries that no tree cosigned here covers; return how many are left."""
    cosigned = witness.latest(transaction)
    kept = 0 if cosigned is None else cosigned.size
    if log_copy.size(transaction) > kept:
        log_copy.drop_after(transaction, kept)
    return log_copy.size(transaction)


def from_invitation(home: SiteHome, transaction: Transaction, message: Message) -> None:
    """Keep the rosters and decisions of an invitation, whatever comes of the invitation itself."""
    with suppress(GovernanceError):  # its faults are those of the invitation, and told there
        verification.learn(home, transaction, Evidence.parse(message["evidence"]))
