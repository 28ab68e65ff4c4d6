"""What the agent notices in the store: attempts that moved, workers that died, deadlines passed.

The worker and the agent are two processes that speak through the store alone. Called every 50 ms
while an attempt is under way, `look` returns the frames that the portal has not been told yet on
this connection.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from governance.errors import refusal
from governance.statements.run_statements import RunManifest
from studies.documents import parse_moment
from workers.party import attempts, endings
from workers.party.attempts import Attempt
from workers.party.home import SiteHome
from workers.party.lease import STALE_SECONDS
from workers.party.letters import Postman
from workers.party.policy_statement import PolicyReporter
from workers.party.store import Transaction
from workers.transport.control import Sender, format_message

HINT_AGAIN_SECONDS = 10.0

_Key = tuple[str, int]


class Watch:
    """Remembers, for one connection, what the portal knows and when each worker last moved.

    `monotonic` is the agent's own clock in seconds; `hint` wakes the site's worker again for an
    attempt that nobody has taken yet.
    """

    def __init__(
        self, home: SiteHome, *, monotonic: Callable[[], float], hint: Callable[[str, int], None]
    ) -> None:
        self._home = home
        self._monotonic = monotonic
        self._hint = hint
        self._told: dict[_Key, tuple[str, str]] = {}
        self._moved: dict[_Key, tuple[tuple[str, int], float]] = {}
        self._consents_told = 0
        self._postman = Postman(home, monotonic=monotonic)
        self._reporter = PolicyReporter(home)
        # What ended before this connection is told when the portal asks again.
        with home.store.reading() as transaction:
            self._endings_told, _ = endings.failures_after(transaction, 0)

    @property
    def busy(self) -> bool:
        """Whether an attempt is queued or computing."""
        return bool(self._moved)

    def look(self, *, now: datetime) -> list[str]:
        """Return the frames that tell the portal what is new; stop attempts that are lost."""
        store = self._home.store
        with store.reading() as transaction:
            open_now = attempts.unfinished(transaction)
        running = {_key(found) for found in open_now if found.state in ("queued", "computing")}
        self._forget_moves_of_others(running)
        for found in open_now:
            if (reason := self._loss(found, now)) is not None:
                with store.transaction() as transaction:
                    _end(transaction, found, reason, now=now)
                self._moved.pop(_key(found), None)
        with store.reading() as transaction:
            frames = [
                *self._new_consents(transaction),
                *self._new_steps(transaction),
                *self._new_failures(transaction),
            ]
        return [*frames, *self._reporter.look(now=now), *self._postman.look(now=now)]

    def _new_steps(self, transaction: Transaction) -> list[str]:
        frames = []
        for found in attempts.unfinished(transaction):
            if found.state not in ("queued", "computing", "sealed"):
                continue
            frame = endings.status_frame(transaction, found)
            frame_told, step_told = self._told.get(_key(found), ("", found.step))
            self._told[_key(found)] = (frame, found.step)
            if frame_told != frame:
                frames.append(frame)
            if step_told != found.step and found.certificate:
                frames.append(endings.progress_frame(found))
        return frames

    def _new_failures(self, transaction: Transaction) -> list[str]:
        """Return the failures of this connection: also of attempts that came and went unseen."""
        self._endings_told, frames = endings.failures_after(transaction, self._endings_told)
        return frames

    def _loss(self, found: Attempt, now: datetime) -> str | None:
        """Return why an attempt is over although nobody has said so; None while it is not."""
        if found.state in ("accepted", "queued") and _deadline(found) <= now:
            return "deadline_passed"
        if found.state not in ("queued", "computing"):
            return None
        key, moment = _key(found), self._monotonic()
        seen = (found.lease, found.lease_beats)
        before, since = self._moved.get(key, (None, moment))
        if before != seen:
            self._moved[key] = (seen, moment)
            return None
        if found.state == "computing":
            return "site_lost" if moment - since >= STALE_SECONDS else None
        if moment - since >= HINT_AGAIN_SECONDS:
            self._moved[key] = (seen, moment)
            self._hint(found.run, found.attempt)
        return None

    def _new_consents(self, transaction: Transaction) -> list[str]:
        rows = transaction.execute(
            "SELECT number, envelope FROM consents WHERE number > ? ORDER BY number",
            (self._consents_told,),
        ).fetchall()
        self._consents_told = rows[-1]["number"] if rows else self._consents_told
        messages = [{"type": "consent", "envelope": json.loads(row["envelope"])} for row in rows]
        return [format_message(message, sender=Sender.AGENT) for message in messages]

    def _forget_moves_of_others(self, running: set[_Key]) -> None:
        for key in self._moved.keys() - running:
            del self._moved[key]


def _end(transaction: Transaction, found: Attempt, reason: str, *, now: datetime) -> None:
    """End a lost attempt, unless it has moved on in the meantime."""
    fresh = attempts.get(transaction, found.run, found.attempt)
    if (fresh.state, fresh.lease_beats) != (found.state, found.lease_beats):
        return
    if fresh.state == "accepted":
        error = refusal("deadline_passed", moment=RunManifest.parse(fresh.manifest or b"").deadline)
        endings.refuse(transaction, fresh.run, fresh.attempt, error, now=now, detail=error.sentence)
    else:
        endings.stop(transaction, fresh, reason=reason, now=now)


def _deadline(found: Attempt) -> datetime:
    return parse_moment(RunManifest.parse(found.manifest or b"").deadline)


def _key(found: Attempt) -> _Key:
    return found.run, found.attempt
