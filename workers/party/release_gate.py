"""The site's own release gate: where its policy asks for one, a steward lets each share go.

The permit is in the log and verified; what is asked here is the site's last word. A steward says
it at the site (`site-agent release`) or signs it in the portal's pages, which only carry it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.errors import GovernanceError, refusal
from governance.evidence import Evidence
from governance.roster import Roster
from governance.site_policy import in_words
from governance.standing import check_signed
from governance.statements.decisions import SiteRelease
from governance.statements.envelope import Envelope, sign_ed25519
from studies.documents import format_moment
from studies.plan import StudyPlan
from workers.party import attempts
from workers.party.attempts import Attempt
from workers.party.errors import PartyError
from workers.party.home import SiteHome
from workers.party.stewardship import StewardError, steward_of
from workers.party.store import Transaction, record
from workers.party.verification import Study, circumstances


class AwaitingRelease(PartyError):  # noqa: N818 - it is no error: somebody has to decide
    """The share stays here until a data steward of this site says that it may go."""


def check_released(
    home: SiteHome,
    transaction: Transaction,
    attempt: Attempt,
    study: Study,
    offered: Mapping[str, Any] | None,
    *,
    now: datetime,
) -> None:
    """Check that this site lets its share of `attempt` go.

    `offered` is a steward's word that the portal brings, if it has one.
    *Raises* AwaitingRelease while nobody has decided; Refusal release_refused, policy_refuses.
    """
    site, plan = home.configuration.site, study.plan
    asked = circumstances(transaction, plan, study.data_set.kind, now=now)
    gate = home.policy.release(plan, study.verified.roster, asked)
    if gate.at_once:
        return
    if not gate.by_steward:
        raise refusal("policy_refuses", site=site, problem=in_words(gate.decision))
    word = said(transaction, attempt)
    if word is None and offered is not None:
        word = Envelope.parse(offered)
    decision = None if word is None else _verified(word, attempt, study.verified.roster, site)
    if decision is None or decision.member == plan.author:
        raise AwaitingRelease(f"a data steward of {site} has to release the share of {attempt.run}")
    if decision.decision != "release":
        raise refusal("release_refused", site=site, member=decision.member)


def release(
    home: SiteHome, run: str, decision: str, key: Ed25519PrivateKey, comment: str, *, now: datetime
) -> SiteRelease:
    """Sign, as a steward of this site, whether the share of `run` that waits may go; keep it.

    The agent gives the share up, or refuses, when the portal asks again.
    *Raises* StewardError when the key is not a steward's, or nothing of the run waits.
    """
    member, _ = steward_of(home, key)
    with home.store.transaction() as transaction:
        waiting = [found for found in awaiting(transaction) if found.run == run]
        if not waiting:
            raise StewardError(f"no share of {run} waits at this site: see site-agent release")
        attempt = waiting[-1]
        evidence = Evidence.parse(json.loads(attempt.evidence))
        plan = StudyPlan.parse(evidence.plan)
        if member.id == plan.author:
            raise StewardError("nobody releases a share for their own study: ask another steward")
        word = SiteRelease(
            study=plan.study,
            run=run,
            site=home.configuration.site,
            manifest_digest=attempt.manifest_digest,
            decision=decision,
            member=member.id,
            organisation=member.organisation,
            issued_at=format_moment(now),
            comment=comment,
        )
        envelope = sign_ed25519(word.KIND, word.to_json(), key)
        transaction.execute(
            "INSERT OR REPLACE INTO releases VALUES (?, ?, ?)",
            (run, attempt.attempt, json.dumps(envelope.to_json())),
        )
        attempts.release_decided(transaction, run, attempt.attempt)
        detail = f"{member.id}: {decision}"
        record(
            transaction,
            at=now,
            event="steward's word on the share",
            run=run,
            attempt=attempt.attempt,
            detail=detail,
        )
    return word


def awaiting(transaction: Transaction) -> list[Attempt]:
    """Return the attempts whose share waits for a steward of this site."""
    return [
        found
        for found in attempts.unfinished(transaction)
        if found.step == attempts.AWAITING_RELEASE
    ]


def said(transaction: Transaction, attempt: Attempt) -> Envelope | None:
    """Return what a steward signed at this site about giving up the share of `attempt`."""
    row = transaction.execute(
        "SELECT envelope FROM releases WHERE run = ? AND attempt = ?",
        (attempt.run, attempt.attempt),
    ).fetchone()
    return None if row is None else Envelope.parse(json.loads(row["envelope"]))


def _verified(
    envelope: Envelope, attempt: Attempt, roster: Roster, site: str
) -> SiteRelease | None:
    """Return the word in `envelope` if a steward of this site signed it about this session."""
    try:
        signed = check_signed(envelope, SiteRelease, roster)
    except GovernanceError:
        return None
    word, listed = signed.decision, roster.site(site)
    of_this_site = listed is not None and signed.member.organisation == listed.organisation
    about = (word.site, word.run, word.manifest_digest)
    if about != (site, attempt.run, attempt.manifest_digest):
        return None
    return word if of_this_site and "steward" in signed.member.roles else None
