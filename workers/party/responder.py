"""What this site answers to the portal: one frame in, the frames that answer it out.

No socket here, and no event loop. A message that was answered before is answered with the stored
frame, byte for byte, so that either side may die at any moment and simply ask again. A refusal is
final for its attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from governance import reasons
from governance.errors import GovernanceError, refusal
from governance.render import Fact
from workers.party import attempts, endings, explanations, lessons, log_copy, steps, trust, witness
from workers.party.data_sets import signed_register
from workers.party.errors import PartyError
from workers.party.home import SiteHome
from workers.party.release_gate import AwaitingRelease
from workers.party.store import Transaction, record
from workers.transport.control import VERSION, Message, Sender, format_message, hello_bytes

Clock = Callable[[], datetime]
Enqueue = Callable[[str, int], None]
_STEPS: Mapping[str, Callable[[steps.Desk, Message], Message]] = {
    "invitation": steps.invitation,
    "manifest": steps.manifest,
    "start": steps.start,
    "permit": steps.permit,
}
_LESSONS: Mapping[str, Callable[[steps.Desk, Message], list[Message]]] = {
    "rosters": lessons.rosters,
    "entries": lessons.entries,
    "letter": lessons.letter,
}


class Responder:
    """The site's side of the control connection.

    `enqueue` puts a hint on the site's own broker that an attempt waits; the store is the truth.
    """

    def __init__(self, home: SiteHome, *, clock: Clock, enqueue: Enqueue) -> None:
        self._home = home
        self._clock = clock
        self._enqueue = enqueue

    def hello(self, challenge: Message) -> str:
        """Return the frame that proves to the portal which site this is."""
        configuration = self._home.configuration
        signed = hello_bytes(
            portal=configuration.portal_url, nonce=challenge["nonce"], site=configuration.site
        )
        with self._home.store.reading() as transaction:
            seen = witness.latest(transaction)
            held = log_copy.size(transaction)
        return _frame(
            {
                "type": "hello",
                "version": VERSION,
                "site": configuration.site,
                "register": signed_register(self._home).to_json(),
                "checkpoint": None if seen is None else {"size": seen.size, "root": seen.root},
                "entries": held,
                "signature": self._home.identity.sign(signed).hex(),
            }
        )

    def answer(self, message: Message) -> list[str]:
        """Return the frames that answer a message of the portal."""
        kind = message["type"]
        if kind in _STEPS:
            return [self._decide(kind, message)]
        if kind == "checkpoint":
            return self._cosign(message)
        if kind in _LESSONS:
            return self._learn(kind, message)
        if kind == "cancel":
            self._cancel(message)
        elif kind == "error":
            self._note("error from the portal", f"{message['code']}: {message['sentence']}")
        return []

    def _decide(self, kind: str, message: Message) -> str:
        run, number, now = message["run"], message["attempt"], self._clock()
        with self._home.store.transaction() as transaction:
            stored = _stored(transaction, kind, run, number)
            if stored is not None:
                return stored
            if kind == "invitation":
                endings.supersede(transaction, run, number, now=now)
                lessons.from_invitation(self._home, transaction, message)
            transaction.execute("SAVEPOINT decision")
            desk, refused = steps.Desk(self._home, transaction, now), False
            try:
                answer = _STEPS[kind](desk, message)
                frame = attempts.store_answer(transaction, run, number, kind, _frame(answer))
                record(transaction, at=now, event=f"{kind} accepted", run=run, attempt=number)
            except AwaitingRelease:
                transaction.execute("ROLLBACK TO decision")
                frame = self._wait_for_release(transaction, run, number, now=now)
            except (GovernanceError, PartyError) as error:
                transaction.execute("ROLLBACK TO decision")
                refused = True
                desk.account.say(Fact("Refused", str(error)))
                frame = endings.refuse(
                    transaction, run, number, self._as_refusal(error), now=now, detail=str(error)
                )
            explanations.keep(
                transaction, run, number, kind, desk.account, accepted=not refused, at=now
            )
        if kind == "start" and not _is_refusal(frame):
            self.hint(run, number)
        if kind == "permit":
            self._home.store.forget_erased()
        return frame

    def hint(self, run: str, attempt: int) -> None:
        """Tell the site's worker that an attempt waits; a lost hint is given again."""
        try:
            self._enqueue(run, attempt)
        except OSError as error:
            self._note("the site's broker cannot be reached", type(error).__name__)

    def _as_refusal(self, error: GovernanceError | PartyError) -> GovernanceError:
        """What the portal is told: of this site's own troubles, only that it has some."""
        if isinstance(error, GovernanceError):
            return error
        return refusal(
            "policy_refuses",
            site=self._home.configuration.site,
            problem="something at the site needs its operator first; its journal says what",
        )

    def _cosign(self, message: Message) -> list[str]:
        try:
            with self._home.store.reading() as transaction:
                roster = trust.newest(self._home, transaction)
            size, line = witness.cosign(
                self._home,
                roster,
                note=message["note"],
                old_size=message["old_size"],
                proof=message["proof"],
                now=self._clock(),
            )
        except GovernanceError as error:
            self._note("checkpoint refused", error.sentence)
            with self._home.store.transaction() as transaction:
                held = lessons.take_back(transaction)
            answer = _frame(endings.refusal_message("", 0, error))
            return [answer, _frame({"type": "entries_held", "size": held})]
        return [_frame({"type": "cosignature", "size": size, "line": line})]

    def _wait_for_release(
        self, transaction: Transaction, run: str, number: int, *, now: datetime
    ) -> str:
        """Return that the share waits for a steward; not an answer, for the portal asks again."""
        if attempts.wait_for_release(transaction, run, number):
            record(transaction, at=now, event="share awaits release", run=run, attempt=number)
        return _frame(
            {"type": "progress", "run": run, "attempt": number, "step": attempts.AWAITING_RELEASE}
        )

    def _learn(self, kind: str, message: Message) -> list[str]:
        """Take in what the portal or another site tells, and stop what it stops."""
        now = self._clock()
        try:
            with self._home.store.transaction() as transaction:
                answers = _LESSONS[kind](steps.Desk(self._home, transaction, now), message)
        except GovernanceError as error:
            self._note(f"{kind} refused", error.sentence)
            said = {"type": "error", "code": error.code, "sentence": error.sentence[:1000]}
            answers = [said, *lessons.after_a_fault(self._home, kind, message)]
        with self._home.store.transaction() as transaction:
            stopped = steps.reconsider(steps.Desk(self._home, transaction, now))
        if stopped:
            self._home.store.forget_erased()
        return [*map(_frame, answers), *stopped]

    def _cancel(self, message: Message) -> None:
        code = message["reason"] if message["reason"] in reasons.REASONS else "cancelled"
        with self._home.store.transaction() as transaction:
            found = attempts.find(transaction, message["run"], message["attempt"])
            if found is not None and not found.final:
                endings.stop(transaction, found, reason=code, now=self._clock())
        self._home.store.forget_erased()

    def _note(self, event: str, detail: str) -> None:
        with self._home.store.transaction() as transaction:
            record(transaction, at=self._clock(), event=event, detail=detail)


def _stored(transaction: Transaction, kind: str, run: str, attempt: int) -> str | None:
    """Return what was answered before; of a started attempt, how it stands now."""
    end = attempts.stored_answer(transaction, run, attempt, endings.END)
    answered = attempts.stored_answer(transaction, run, attempt, kind)
    if kind == "start" and answered is not None:
        return endings.status_frame(transaction, attempts.get(transaction, run, attempt))
    return answered if answered is not None else end


def _is_refusal(frame: str) -> bool:
    return '"type":"refusal"' in frame


def _frame(message: Message) -> str:
    return format_message(message, sender=Sender.AGENT)
