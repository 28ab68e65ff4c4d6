"""THE release gate: what leaves, and when anyone may see it. Nothing leaves by another way.

    sealed ── check_may_open, permit_opening ──> opening     the permit's digest is in the log
    opening ── record_opening ──> opened                     noised numbers stored once
    opened ── decide_release ──> decided or withheld         disclosure rules, output checkers
    decided ── make_visible ──> visible                      the decision is cosigned

The coordinator calls these functions and brings what only it has: the session's manifest and
certificates, the opened numbers, the news that a checkpoint is cosigned. Each function locks the
release, and does nothing when its step has been taken before.

*Security*: the gate can refuse, it cannot force. Every site verifies the permit, the evidence and
the log by itself before it gives up its share, so a portal that skips this file gains nothing.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import rfc8785
from django.db import transaction
from django.utils import timezone

from audit import log
from governance import dispatch, notifications
from governance.certificates import SealedSession, check_certificates
from governance.errors import StatementError, refusal
from governance.evidence import Verified, check_may_run
from governance.evidence_store import evidence_for
from governance.models import Release, Run
from governance.permit import build_permit
from governance.queries import current_roster
from governance.reasons import sentence
from governance.roster import Roster
from governance.standing import check_signed
from governance.statements.decisions import OutputCheck
from governance.statements.envelope import Envelope
from governance.states import Actor, Machine, transition
from studies.plan import StudyPlan

GATE = "gate"
"""The actor of what the release gate logs."""


def check_may_open(run: Run, session: SealedSession, *, now: datetime) -> Verified:
    """Return what permits opening the sealed result of `run` at `now`.

    Class approved and not revoked, plan approved by quorum, every consent given, nothing expired
    (`governance.evidence`); the session was about this plan and seals for the gate's own key; all
    parties certify the same session.

    *Raises* Refusal with the first reason that applies.
    """
    evidence = evidence_for(run.version)
    verified = check_may_run(evidence, pinned_roster=evidence.rosters[0].digest, now=now)
    manifest, plan = session.manifest, verified.plan
    if (manifest.study_digest, manifest.run) != (plan.digest, run.identifier):
        raise refusal("manifest_mismatch", problem="it names another study plan or run")
    if manifest.class_digest != verified.declaration.digest:
        raise refusal("manifest_mismatch", problem="it names another computation class")
    if tuple(party.site for party in manifest.parties) != plan.sites:
        raise refusal("manifest_mismatch", problem="its parties are not the plan's sites")
    if manifest.noise != ("off" if plan.is_rehearsal else "distributed"):
        raise refusal("manifest_mismatch", problem="only a rehearsal runs without noise")
    if manifest.recipient.public_key != verified.roster.portal.gate_key:
        raise refusal("manifest_mismatch", problem="its recipient is not the release gate")
    certified = check_certificates(session, verified.roster)
    cells = verified.declaration.opened_cells(plan.parameters)
    if any(certificate.output.cells != cells for certificate in certified.values()):
        raise refusal("certificate_mismatch", problem=f"the class asks for {cells} numbers")
    return verified


@transaction.atomic
def permit_opening(run: Run, session: SealedSession, *, now: datetime) -> Release:
    """Log the opening permit for the sealed result of `run` and return the release, opening.

    The permit names the session and every certificate by digest. From here the sites may commit
    their budgets; nothing is refunded after.

    *Raises* Refusal.
    """
    release = _locked(run)
    if release.state != Release.State.SEALED:
        return release
    verified = check_may_open(run, session, now=now)
    permit = build_permit(
        plan=verified.plan,
        manifest=session.manifest,
        certificates={site: envelope.digest for site, envelope in session.certificates.items()},
        now=now,
    )
    digest = sha256(permit).hexdigest()
    event = _move(release, Release.State.OPENING)
    release.permit = permit
    release.permit_log_index = _record(release, event, {"permit_digest": digest})
    release.save()
    return release


@transaction.atomic
def record_opening(run: Run, *, noised: Sequence[int], result: Mapping[str, Any]) -> Release:
    """Store the opened, noised numbers and what was made of them; return the release, opened.

    Once: when they are stored already, what came is dropped, so that a retry yields the same
    bytes. `result` is post-processing of `noised` alone, its small numbers suppressed.
    """
    release = _locked(run)
    if release.state != Release.State.OPENING:
        return release
    release.noised = list(noised)
    release.result = dict(result)
    release.salt = secrets.token_hex(32)
    release.result_digest = result_digest(noised, result, salt=release.salt)
    event = _move(release, Release.State.OPENED)
    _record(release, event, {"result_digest": release.result_digest})
    release.save()
    notifications.result_opened(release)
    return release


@transaction.atomic
def decide_release(run: Run) -> Release:
    """Decide about the opened result as far as its checks allow; return the release.

    Decided when as many different output checkers as the class asks for have passed it, never the
    investigator; withheld as soon as one withholds it. A withheld result has cost its budget.
    """
    release = _locked(run)
    if release.state != Release.State.OPENED:
        return release
    plan = StudyPlan.parse(bytes(run.version.plan))
    verdicts = _verdicts(release, plan, current_roster())
    if "withhold" in verdicts.values():
        checker = min(member for member, verdict in verdicts.items() if verdict == "withhold")
        return _withhold(release, "output_withheld", sentence("output_withheld", member=checker))
    if len(verdicts) < plan.declaration.output_checks:
        return release
    event, logged = _move(release, Release.State.DECIDED), {"result_digest": release.result_digest}
    release.decision_log_index = _record(release, event, logged)
    release.save()
    dispatch.hint(dispatch.AGENTS)
    return release


@transaction.atomic
def note_awaiting(run: Run, site: str, *, awaiting: bool) -> None:
    """Note whether the share of `site` waits for a steward of its own, and tell its stewards."""
    release = _locked(run)
    known = site in release.awaiting
    if known == awaiting:
        return
    others = [name for name in release.awaiting if name != site]
    release.awaiting = sorted([*others, site]) if awaiting else others
    release.save(update_fields=["awaiting"])
    if awaiting:
        notifications.share_awaits_release(release, site)


@transaction.atomic
def make_visible(release: Release) -> None:
    """Show the decided result to the investigator: a cosigned checkpoint covers the decision."""
    release = _locked(release.run)
    if release.state != Release.State.DECIDED:
        return
    _move(release, Release.State.VISIBLE)
    release.save()
    notifications.result_visible(release)


@transaction.atomic
def withhold(run: Run, *, code: str, reason: str, site: str = "") -> Release:
    """Close the release for good, with the reason shown to everyone concerned."""
    release = _locked(run)
    if release.state in (Release.State.SEALED, Release.State.OPENING):
        return _withhold(release, code, reason, site=site)
    return release


def result_digest(noised: Sequence[int], result: Mapping[str, Any], *, salt: str) -> str:
    """Return the digest that checkers sign and the log records: SHA-256 of RFC 8785 bytes.

    The opened numbers are written as decimal strings: RFC 8785 has no 64-bit integers.

    *Security*: many may see the digest who may not see the result, or not its small numbers;
    without the secret `salt` they could try every number that it may be.
    """
    numbers = [str(number) for number in noised]
    document: dict[str, Any] = {"noised": numbers, "result": dict(result), "salt": salt}
    return sha256(rfc8785.dumps(document)).hexdigest()


def _verdicts(release: Release, plan: StudyPlan, roster: Roster) -> dict[str, str]:
    """Return each checker's verdict on exactly this result, as far as its signature counts now."""
    verdicts = {}
    for check in release.checks.order_by("pk"):
        try:
            signed = check_signed(Envelope.parse(check.envelope), OutputCheck, roster)
        except StatementError:
            continue
        about = (signed.decision.run, signed.decision.result_digest)
        if about != (release.run.identifier, release.result_digest):
            continue
        if "checker" in signed.member.roles and signed.member.id != plan.author:
            verdicts[signed.member.id] = signed.decision.decision
    return verdicts


def _withhold(release: Release, code: str, reason: str, *, site: str = "") -> Release:
    release.withheld_reason = reason
    event = _move(release, Release.State.WITHHELD)
    _record(release, event, {"reason": code, **({"site": site} if site else {})})
    release.save()
    notifications.result_withheld(release)
    return release


def _locked(run: Run) -> Release:
    related = ("run__version__study", "run__version__study__author")
    return Release.objects.select_for_update(of=("self",)).select_related(*related).get(run=run)


def _move(release: Release, target: str) -> str:
    """Move the release by its table; return the event that records it, empty where none does."""
    row = transition(Machine.RELEASE, release.state, target, Actor.SYSTEM)
    release.state, release.state_since = target, timezone.now()
    dispatch.hint(dispatch.study_group(release.run.study.identifier))
    return row.event


def _record(release: Release, event: str, data: Mapping[str, Any]) -> int:
    """Log `event` about the release; return the entry's index."""
    entry = log.append(
        event,
        actor=GATE,
        subject=f"run:{release.run.identifier}",
        study=release.run.study.identifier,
        data=data,
    )
    return entry.index
