"""What this site decides about an attempt, one function for each message of the portal.

Each takes an open transaction, verifies, writes, and returns the message that answers; or raises
a Refusal, and the caller undoes what was written. So the state of the attempt, the ledger and the
answer change together or not at all.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from governance.errors import GovernanceError, refusal
from governance.evidence import Evidence
from governance.render import Fact
from governance.roster import fingerprint
from governance.statements.envelope import Envelope, sign_ed25519
from governance.statements.payloads import Payload
from governance.statements.run_statements import (
    KeyOffer,
    RunAcceptance,
    RunManifest,
    SeenCheckpoint,
)
from studies.documents import format_moment, parse_moment
from workers.party import (
    attempts,
    dossier,
    endings,
    ledger,
    opening,
    release_gate,
    verification,
    witness,
)
from workers.party.attempts import Attempt
from workers.party.errors import PartyError
from workers.party.explanations import Account
from workers.party.home import SiteHome
from workers.party.store import Transaction
from workers.party.verification import Study
from workers.transport.control import Message


@dataclass(frozen=True)
class Desk:
    """Where a decision is made: the site, one open transaction, the moment; and its account."""

    home: SiteHome
    transaction: Transaction
    now: datetime
    account: Account = field(default_factory=Account)

    @property
    def site(self) -> str:
        """This site's name."""
        return self.home.configuration.site

    def sign(self, payload: Payload) -> Envelope:
        """Return `payload` signed by the site's identity."""
        return sign_ed25519(payload.KIND, payload.to_json(), self.home.identity)

    def study_of(self, attempt: Attempt) -> Study:
        """Verify once more, at this moment, the evidence under which the attempt began."""
        evidence = Evidence.parse(json.loads(attempt.evidence))
        return self.check_study(evidence)

    def check_study(self, evidence: Evidence) -> Study:
        """Verify `evidence` by what this site knows."""
        return verification.check_study(
            self.home, self.transaction, evidence, now=self.now, account=self.account
        )


def invitation(desk: Desk, message: Message) -> Message:
    """Verify the study, make a key for this attempt only, and offer it."""
    run, number = message["run"], message["attempt"]
    if attempts.newest(desk.transaction, run) > number:
        raise refusal("attempt_superseded")
    evidence = Evidence.parse(message["evidence"])
    study = desk.check_study(evidence)
    plan = study.plan
    ledger.check_can_reserve(
        desk.transaction,
        site=desk.site,
        data_set=plan.data_set,
        run=run,
        study_digest=plan.digest,
        amount=plan.charge_micro_epsilon,
        max_runs=plan.max_runs,
    )
    desk.account.say(
        Fact("Privacy cost", f"{plan.charge_micro_epsilon} micro-epsilon, covered by the ledger")
    )
    private_key = X25519PrivateKey.generate()
    seen = witness.latest(desk.transaction)
    offer = desk.sign(
        KeyOffer(
            site=desk.site,
            study_digest=plan.digest,
            run=run,
            attempt=number,
            session=message["session"],
            public_key=private_key.public_key().public_bytes_raw().hex(),
            data_set=study.data_set,
            checkpoint=None if seen is None else SeenCheckpoint(seen.size, seen.root),
            stops=dossier.stops(desk.transaction, study.subjects),
            policy_digest=desk.home.policy.digest,
            issued_at=format_moment(desk.now),
        )
    )
    attempts.offer(
        desk.transaction,
        run,
        number,
        session=message["session"],
        study_digest=plan.digest,
        consent_digest=study.consent_digest,
        evidence=json.dumps(message["evidence"]),
        offer=json.dumps(offer.to_json()),
        private_key=private_key.private_bytes_raw(),
    )
    return _reply("key_offer", run, number, envelope=offer.to_json())


def manifest(desk: Desk, message: Message) -> Message:
    """Verify the manifest, reserve the budget, countersign."""
    run, number = message["run"], message["attempt"]
    attempt = _attempt(desk, message, "offered")
    study = desk.study_of(attempt)
    body = base64.b64decode(message["manifest"])
    found = verification.check_manifest(
        desk.home,
        desk.transaction,
        attempt,
        study,
        body=body,
        key_offers=_envelopes(message["key_offers"]),
        now=desk.now,
    )
    desk.account.say(
        Fact("Manifest", f"{fingerprint(found.digest)}: the plan, and every key its site's own")
    )
    ledger.reserve(
        desk.transaction,
        site=desk.site,
        data_set=study.plan.data_set,
        run=run,
        attempt=number,
        study_digest=study.plan.digest,
        amount=study.plan.charge_micro_epsilon,
        max_runs=study.plan.max_runs,
    )
    acceptance = desk.sign(
        RunAcceptance(
            site=desk.site, manifest_digest=found.digest, issued_at=format_moment(desk.now)
        )
    )
    party = found.party_of(desk.site)
    attempts.accept(
        desk.transaction,
        run,
        number,
        manifest=body,
        manifest_digest=found.digest,
        party=None if party is None else party.party,
    )
    return _reply("acceptance", run, number, envelope=acceptance.to_json())


def start(desk: Desk, message: Message) -> Message:
    """Verify that every party has accepted the same manifest, and queue the attempt."""
    attempt = _attempt(desk, message, "accepted")
    study = desk.study_of(attempt)
    found = RunManifest.parse(attempt.manifest or b"")
    if parse_moment(found.deadline) <= desk.now:
        raise refusal("deadline_passed", moment=found.deadline)
    verification.check_acceptances(study.verified.roster, found, _envelopes(message["acceptances"]))
    attempts.queue(desk.transaction, attempt.run, attempt.attempt)
    return _reply("progress", attempt.run, attempt.attempt, step="queued")


def permit(desk: Desk, message: Message) -> Message:
    """Verify the permit, commit the ledger, give up the output share, erase it here.

    Where this site's policy has a release gate, a data steward has to let the share go first.
    *Raises* AwaitingRelease until one has.
    """
    attempt = _attempt(desk, message, "sealed")
    study = desk.study_of(attempt)
    opening.check_permit(desk.transaction, attempt, study, message, site=desk.site)
    desk.account.say(Fact("Permit", f"log entry {message['index']}, held here and cosigned"))
    release_gate.check_released(
        desk.home, desk.transaction, attempt, study, message["release"], now=desk.now
    )
    ciphertext = opening.give_up_share(desk.transaction, attempt, site=desk.site)
    attempts.finish(desk.transaction, attempt.run, attempt.attempt, "opened", reason="")
    return _reply("shares", attempt.run, attempt.attempt, ciphertext=ciphertext)


def reconsider(desk: Desk) -> list[str]:
    """Stop every attempt under way that what is known by now does not permit any more.

    Return the frames that say so.
    """
    frames = []
    for attempt in attempts.unfinished(desk.transaction):
        try:
            desk.study_of(attempt)
        except GovernanceError as error:
            frames.append(
                endings.refuse(
                    desk.transaction,
                    attempt.run,
                    attempt.attempt,
                    error,
                    now=desk.now,
                    detail=error.sentence,
                )
            )
        except PartyError:
            continue  # the site's own trouble, such as a policy being edited; its next step says so
    return frames


def _attempt(desk: Desk, message: Message, state: str) -> Attempt:
    found = attempts.find(desk.transaction, message["run"], message["attempt"])
    if found is None or found.state != state:
        raise refusal("attempt_unknown", site=desk.site)
    return found


def _envelopes(values: Mapping[str, Any]) -> dict[str, Envelope]:
    return {site: Envelope.parse(value) for site, value in values.items()}


def _reply(kind: str, run: str, attempt: int, **fields: Any) -> Message:
    return {"type": kind, "run": run, "attempt": attempt, **fields}
