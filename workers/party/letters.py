"""Letters between this site's agent and the others': what stops a study, past the portal.

Every site writes to every other over the control connection, sealed for the recipient's identity
(`workers.transport.letter`): the decisions to stop that it knows of, the rosters that the other
may lack, and up to which letter it has read. A letter goes out when there is news, on a new
connection, and once a minute, so that silence says that something is in the way.

What has not been acknowledged is in every further letter, until it is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.errors import GovernanceError, refusal
from governance.roster import Roster
from governance.statements.envelope import Envelope, sign_ed25519, verify
from governance.statements.letters import Letter
from studies.documents import format_moment
from workers.party import dossier, trust
from workers.party.home import SiteHome
from workers.party.store import Transaction, record
from workers.transport import letter as sealed
from workers.transport.control import Message, Sender, format_message

LETTER_SECONDS = 60.0
_MOST_STATEMENTS = 100


@dataclass(frozen=True)
class _News:
    """What would make a letter worth sending: newest decision due, roster known, letter heeded.

    A letter is heeded that had decisions or rosters in it: that it came is worth saying at once.
    """

    decision: int
    roster: int
    heeded: int


class Postman:
    """Remembers, for one connection, what was written to whom and when.

    `monotonic` is the agent's own clock in seconds.
    """

    def __init__(self, home: SiteHome, *, monotonic: Callable[[], float]) -> None:
        self._home = home
        self._monotonic = monotonic
        self._written: dict[str, tuple[_News, float]] = {}

    def look(self, *, now: datetime) -> list[str]:
        """Return the frames with the letters that are due now."""
        with self._home.store.reading() as transaction:
            chain = trust.remembered(transaction)
            if not chain:
                return []
            roster = Roster.parse(chain[-1])
            own = self._home.configuration.site
            others = [site.id for site in roster.sites if site.id != own]
            news = {other: _news(transaction, other, roster) for other in others}
        moment = self._monotonic()
        frames = []
        for other, found in news.items():
            before, since = self._written.get(other, (None, moment))
            if found == before and moment - since < LETTER_SECONDS:
                continue
            self._written[other] = (found, moment)
            frames.append(self._write(other, chain, roster, now=now))
        return frames

    def _write(
        self, recipient: str, chain: tuple[Envelope, ...], roster: Roster, *, now: datetime
    ) -> str:
        site = self._home.configuration.site
        with self._home.store.transaction() as transaction:
            number, received, known = _next_number(transaction, recipient)
            letter = Letter(
                sender=site,
                recipient=recipient,
                number=number,
                received=received,
                roster=roster.version,
                rosters=chain[max(known, 1) :],
                statements=_due(transaction, recipient, number),
                issued_at=format_moment(now),
            )
        envelope = sign_ed25519(letter.KIND, letter.to_json(), self._home.identity)
        listed = roster.site(recipient)
        assert listed is not None
        ciphertext = sealed.encrypt(
            json.dumps(envelope.to_json()).encode(),
            sender=site,
            recipient=recipient,
            recipient_key=bytes.fromhex(listed.identity_key),
        )
        return format_message(
            {
                "type": "letter",
                "recipient": recipient,
                "ciphertext": base64.b64encode(ciphertext).decode(),
            },
            sender=Sender.AGENT,
        )


def read(
    home: SiteHome, transaction: Transaction, message: Message, *, now: datetime
) -> list[Envelope]:
    """Take a letter, and return the decisions in it that are new here.

    One that was read before, or is older than the newest that was read, changes nothing.
    *Raises* Refusal letter_unverified.
    """
    sender = message["sender"]
    letter = _opened(home, transaction, sender, base64.b64decode(message["ciphertext"]))
    row = transaction.execute(
        "SELECT received FROM correspondents WHERE site = ?", (sender,)
    ).fetchone()
    if row is not None and letter.number <= row["received"]:
        return []
    before = letter.roster - len(letter.rosters)
    chain = (*trust.remembered(transaction)[:before], *letter.rosters)
    if letter.rosters and len(chain) == letter.roster:
        trust.remember(home, transaction, chain)
    rosters = tuple(map(Roster.parse, trust.remembered(transaction)))
    new = dossier.keep(
        transaction,
        letter.statements,
        rosters,
        site=home.configuration.site,
        source=f"letter of {sender}",
    )
    transaction.execute(
        "INSERT INTO correspondents (site, received, heeded, roster) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (site) DO UPDATE SET received = ?2, heeded = max(heeded, ?3), roster = ?4",
        (
            sender,
            letter.number,
            letter.number if letter.statements or letter.rosters else 0,
            letter.roster,
        ),
    )
    transaction.execute(
        "UPDATE letters_due SET arrived = 1 WHERE recipient = ? AND number BETWEEN 1 AND ?",
        (sender, letter.received),
    )
    for envelope in new:
        detail = f"{envelope.kind.value} {envelope.digest} in a letter of {sender}"
        record(transaction, at=now, event="decision learnt", detail=detail)
    return new


def _opened(home: SiteHome, transaction: Transaction, sender: str, ciphertext: bytes) -> Letter:
    """Return the letter that `sender` wrote to this site. *Raises* Refusal letter_unverified."""
    site = home.configuration.site
    listed = trust.newest(home, transaction).site(sender)
    try:
        if listed is None:
            raise ValueError(f"the roster lists no site {sender}")
        body = sealed.decrypt(ciphertext, sender=sender, recipient=site, identity=home.identity)
        envelope = Envelope.parse(json.loads(body))
        verify(envelope, listed.key)
        letter = Letter.of(envelope)
    except (GovernanceError, ValueError) as error:
        problem = getattr(error, "sentence", str(error)).rstrip(".")
        raise refusal("letter_unverified", site=sender, problem=problem) from None
    if (letter.sender, letter.recipient) != (sender, site):
        problem = f"it is from {letter.sender} to {letter.recipient}"
        raise refusal("letter_unverified", site=sender, problem=problem)
    return letter


def _news(transaction: Transaction, recipient: str, roster: Roster) -> _News:
    newest = transaction.execute(
        "SELECT coalesce(max(rowid), 0) FROM letters_due WHERE recipient = ? AND NOT arrived",
        (recipient,),
    ).fetchone()[0]
    row = transaction.execute(
        "SELECT heeded FROM correspondents WHERE site = ?", (recipient,)
    ).fetchone()
    return _News(int(newest), roster.version, 0 if row is None else int(row["heeded"]))


def _next_number(transaction: Transaction, recipient: str) -> tuple[int, int, int]:
    """Return the number of the next letter, that of the newest one read, the roster known there."""
    row = transaction.execute(
        "INSERT INTO correspondents (site, sent) VALUES (?, 1) ON CONFLICT (site)"
        " DO UPDATE SET sent = sent + 1 RETURNING sent, received, roster",
        (recipient,),
    ).fetchone()
    return int(row["sent"]), int(row["received"]), int(row["roster"])


def _due(transaction: Transaction, recipient: str, number: int) -> tuple[Envelope, ...]:
    """Return the decisions that `recipient` has not acknowledged, the oldest first."""
    rows: list[Any] = transaction.execute(
        "SELECT letters_due.rowid, number, envelope FROM letters_due JOIN statements"
        " USING (digest) WHERE recipient = ? AND NOT arrived ORDER BY letters_due.rowid LIMIT ?",
        (recipient, _MOST_STATEMENTS),
    ).fetchall()
    transaction.executemany(
        "UPDATE letters_due SET number = ? WHERE rowid = ? AND number = 0",
        [(number, row["rowid"]) for row in rows],
    )
    return tuple(Envelope.parse(json.loads(row["envelope"])) for row in rows)
