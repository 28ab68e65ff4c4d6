"""What a data steward does at the site itself: read a plan, see its own cohort, sign or withdraw.

The plan is rendered here, from the very bytes whose digest is signed, so that a portal that shows
one plan and asks for a signature on another achieves nothing. The exact size of the cohort is for
the steward's eyes: whether it is too small is decided here, before consent, for at run time a
refusal that depends on data would be a leak (and leaving a small site out would raise the
sensitivity from one person to that many).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from governance import render
from governance.render import Fact
from governance.roster import Member, Roster
from governance.site_policy import in_words
from governance.statements.decisions import Consent
from governance.statements.envelope import Envelope, sign_ed25519
from governance.statements.keys import Key
from studies.documents import DocumentError, format_moment
from studies.plan import StudyPlan
from workers.analyses import registry
from workers.analyses.errors import AnalysisError
from workers.analyses.site_report import SiteReport
from workers.party import data_access, data_sets, dossier, endings, ledger, trust
from workers.party.errors import HomeError, PartyError
from workers.party.home import SiteHome
from workers.party.store import record
from workers.party.verification import circumstances


class StewardError(PartyError):
    """A steward's request cannot be carried out; the message says what to do instead."""


@dataclass(frozen=True)
class Wish:
    """What a steward wants to sign: a decision on a plan, for so many days."""

    plan: StudyPlan
    decision: str
    days: int | None
    comment: str


def read_plan(path: Path) -> StudyPlan:
    """Return the plan in a file, which holds its canonical bytes. *Raises* StewardError."""
    try:
        return StudyPlan.parse(path.read_bytes().removesuffix(b"\n"))
    except OSError as error:
        raise StewardError(f"{path} cannot be read: {error.strerror}") from None
    except DocumentError as error:
        raise StewardError(f"{path} is not a study plan: {error}") from None


def cohort_report(home: SiteHome, plan: StudyPlan) -> SiteReport:
    """Return how many persons of this site a study would count; for the steward's eyes only.

    *Raises* PartyError when the data set is not registered or does not fit the plan.
    """
    data = data_access.load(data_sets.locate(home, plan.data_set))
    analysis = registry.get(plan.declaration.identifier)
    try:
        return analysis.site_report(data, plan.cohort.to_json(), plan.parameters)
    except AnalysisError as error:
        raise StewardError(
            f"the data set {plan.data_set} does not fit this plan: {error}"
        ) from None


def facts(home: SiteHome, plan: StudyPlan, *, now: datetime) -> list[Fact]:
    """Return the plan in plain words, and what it would mean for this site."""
    return [*render.of_plan(plan), *_facts_of_site(home, plan, now=now)]


def objection_to_consent(
    home: SiteHome, plan: StudyPlan, roster: Roster, counted: int, *, now: datetime
) -> str:
    """Return why nobody may consent here with so many persons, or an empty text.

    The class's own floor comes first, whatever this site's policy says.
    """
    needed = plan.declaration.minimum_cohort
    if counted < needed:
        return f"this site would count {counted} persons and the class asks for at least {needed}"
    with home.store.reading() as transaction:
        asked = circumstances(transaction, plan, _kind_of(home, plan), now=now)
    decision = home.policy.consent(plan, roster, asked, counted=counted)
    if decision.allowed:
        return ""
    return f"this site would count {counted} persons, and its policy: {in_words(decision)}"


def objection_to_run(home: SiteHome, plan: StudyPlan, roster: Roster, *, now: datetime) -> str:
    """Return why this site's policy would refuse a run of `plan` consented to here, or nothing."""
    with home.store.reading() as transaction:
        asked = circumstances(transaction, plan, _kind_of(home, plan), now=now)
    decision = home.policy.execute(plan, roster, asked, signed_here=True)
    return "" if decision.allowed else in_words(decision)


def _kind_of(home: SiteHome, plan: StudyPlan) -> str:
    found = data_sets.registered(home, plan.data_set)
    return "" if found is None else str(found["kind"])


def steward_of(home: SiteHome, key: Ed25519PrivateKey) -> tuple[Member, Roster]:
    """Return the member whose key it is, if they are a steward of this site's organisation.

    *Raises* StewardError otherwise; Refusal when the site has verified no roster yet.
    """
    with home.store.reading() as transaction:
        roster = trust.newest(home, transaction)
    identifier = Key.ed25519(key.public_key().public_bytes_raw()).id
    member, site = roster.member_for(identifier), roster.site(home.configuration.site)
    if member is None:
        raise StewardError(f"no member of roster {roster.version} has the key {identifier}")
    if site is None or member.organisation != site.organisation or "steward" not in member.roles:
        raise StewardError(f"{member.name} is not a data steward of {home.configuration.site}")
    return member, roster


def decide(home: SiteHome, wish: Wish, key: Ed25519PrivateKey, *, now: datetime) -> Envelope:
    """Sign a decision on a plan, keep it, and stop what a withdrawal stops.

    The agent sends it to the portal; at this site it counts from now on, whatever the portal does.
    *Raises* StewardError for someone else's key, the author's own consent, or a cohort too small
    to consent with.
    """
    member, roster = steward_of(home, key)
    plan, site = wish.plan, home.configuration.site
    if site not in plan.sites:
        raise StewardError(f"{site} is not among the sites of this plan")
    if wish.decision == "consent":
        if member.id == plan.author:
            raise StewardError("nobody consents to their own study: ask another data steward")
        counted = cohort_report(home, plan).counted
        if objection := objection_to_consent(home, plan, roster, counted, now=now):
            raise StewardError(f"{objection}: decline, or ask for a wider cohort")
    days = min(wish.days or roster.rules.max_validity_days, roster.rules.max_validity_days)
    statement = Consent(
        study=plan.study,
        study_digest=plan.digest,
        site=site,
        decision=wish.decision,
        member=member.id,
        organisation=member.organisation,
        issued_at=format_moment(now),
        valid_until=format_moment(now + timedelta(days=days)),
        comment=wish.comment,
    )
    envelope = sign_ed25519(Consent.KIND, statement.to_json(), key)
    with home.store.transaction() as transaction:
        transaction.execute(
            "INSERT INTO consents (study_digest, decision, envelope) VALUES (?, ?, ?)",
            (plan.digest, wish.decision, json.dumps(envelope.to_json())),
        )
        detail = f"{member.id}: {wish.decision} {plan.study} version {plan.version}"
        record(transaction, at=now, event="steward's decision", detail=detail)
        rosters = tuple(map(Roster.parse, trust.remembered(transaction)))
        dossier.keep(transaction, [envelope], rosters, site=site, source="signed here")
        if wish.decision != "consent":
            endings.stop_study(transaction, plan.digest, reason="consent_withdrawn", now=now)
    home.store.forget_erased()
    return envelope


def read_key(path: Path) -> Ed25519PrivateKey:
    """Return a person's signing key. *Raises* StewardError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise StewardError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise StewardError(f"{path} is not an unencrypted PEM private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StewardError(f"{path} is not an Ed25519 key: make one with quorate-sign keygen")
    return key


def _facts_of_site(home: SiteHome, plan: StudyPlan, *, now: datetime) -> list[Fact]:
    with home.store.reading() as transaction:
        chain = trust.remembered(transaction)
        balance = ledger.balance(transaction, plan.data_set)
    roster = Roster.parse(chain[-1]) if chain else None
    kind = _kind_of(home, plan)
    facts = [Fact("This site's data set", kind or "not registered")]
    if roster is not None:
        objection = objection_to_run(home, plan, roster, now=now)
        facts.append(Fact("This site's policy", objection or "permits it"))
    if balance is not None:
        facts.append(
            Fact(
                "Budget left",
                f"epsilon {render.in_epsilon(balance.left)} of {render.in_epsilon(balance.cap)}; "
                f"a run costs {render.in_epsilon(plan.charge_micro_epsilon)}",
            )
        )
    try:
        report = cohort_report(home, plan)
    except HomeError:
        return facts
    except PartyError as error:
        return [*facts, Fact("Cohort at this site", str(error))]
    persons = (
        f"{report.in_cohort} persons, {report.counted} counted, {report.left_out} left out, "
        f"{report.clipped} clipped"
    )
    if roster is not None:
        objection = objection_to_consent(home, plan, roster, report.counted, now=now)
        persons += f": {'DO NOT CONSENT, ' + objection if objection else 'enough'}"
    return [*facts, Fact("Cohort at this site (for the steward only)", persons)]
