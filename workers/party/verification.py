"""What this site checks before it offers a key, signs a manifest and puts a run in its queue.

The portal is trusted for delivery only. Everything it sends is checked here against what the
site has pinned (the roster's first version), what it has said itself (register, policy, consents,
key offer) and what others have signed. A check returns what it has verified or raises a Refusal
with one code and one sentence; it changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from governance import render
from governance.errors import GovernanceError, refusal
from governance.evidence import Evidence, Verified, check_consented, check_may_run
from governance.record import check_record
from governance.roster import Roster
from governance.site_policy import Circumstances, in_words
from governance.standing import CLOCK_SKEW, goes_ahead
from governance.statements.decisions import Consent
from governance.statements.envelope import Envelope, verify
from governance.statements.keys import Key
from governance.statements.run_statements import (
    KeyOffer,
    OfferedDataSet,
    RunAcceptance,
    RunManifest,
)
from studies.documents import parse_moment
from studies.plan import StudyPlan
from workers.party import attempts, dossier, ledger, log_copy, trust, witness
from workers.party.attempts import Attempt
from workers.party.data_set_check import check_data_set
from workers.party.data_sets import OPEN_KINDS
from workers.party.explanations import Account
from workers.party.home import SiteHome
from workers.party.rehearsed_arithmetic import cost_of
from workers.party.store import Transaction


@dataclass(frozen=True)
class Study:
    """A study that this site may take part in: what was verified, and the data set it will use.

    `subjects` are the digests of what decides on it: plan, class and agreement.
    """

    verified: Verified
    data_set: OfferedDataSet
    consent_digest: str
    subjects: tuple[str, ...]

    @property
    def plan(self) -> StudyPlan:
        """The verified plan."""
        return self.verified.plan


def check_study(
    home: SiteHome,
    transaction: Transaction,
    evidence: Evidence,
    *,
    now: datetime,
    account: Account | None = None,
) -> Study:
    """Return the study of `evidence`, once committee, consents, policy and data set allow it.

    Everything this site knows is added to what the portal sent: decisions signed here, those of
    its dossier, and what its copy of the log records. So a decision to stop, once known here,
    holds whatever the portal makes of it. A plan whose numbers could wrap is refused here, long
    before any data is read. `account` is told what has been found, step by step.
    *Raises* Refusal.
    """
    say = (account if account is not None else Account()).say
    site = home.configuration.site
    rosters = learn(home, transaction, evidence)
    local = local_consents(transaction)
    subjects = subjects_of(evidence, rosters[-1])
    known = dossier.about(transaction, subjects)
    chain = trust.remembered(transaction)
    evidence = dossier.added_to(replace(evidence, rosters=chain), [*known, *local])
    verified = check_may_run(evidence, pinned_roster=str(home.configuration.pinned_roster), now=now)
    plan = verified.plan
    say(*render.of_verified(verified))
    if site not in plan.sites:
        raise refusal("site_not_in_plan", site=site)
    logged = log_copy.record_of(transaction, plan.study, subjects)
    check_record(logged, plan, about=subjects, known=dossier.known_digests(evidence, rosters))
    held = log_copy.size(transaction)
    say(
        render.Fact(
            "Log",
            f"{held} entries held; of this study {len(logged.decisions)} decisions, all of them "
            f"known here; its state: {logged.state or 'not recorded yet'}",
        )
    )
    cost_of(plan)
    own_consent = check_consented(evidence.consents, plan, site, roster=verified.roster, now=now)
    _check_not_stopped_here(local, plan, own_consent)
    data_set = check_data_set(home, verified, site=site)
    say(render.Fact("Data set", f"{data_set.name}, {data_set.kind}"))
    signed_here = own_consent.digest in {envelope.digest for envelope in local}
    policy = home.policy
    decision = policy.execute(
        plan,
        verified.roster,
        circumstances(transaction, plan, data_set.kind, now=now),
        signed_here=signed_here,
    )
    if not decision.allowed:
        raise refusal("policy_refuses", site=site, problem=in_words(decision))
    say(
        render.Fact(
            "This site's policy", f"permits it: {in_words(decision)}; version {policy.digest}"
        )
    )
    stopped = attempts.aborts_since_consent(transaction, consent_digest=own_consent.digest)
    if stopped >= attempts.ABORTS_BEFORE_RENEWAL:
        raise refusal("renewed_consent_needed")
    return Study(verified, data_set, own_consent.digest, subjects)


def circumstances(
    transaction: Transaction, plan: StudyPlan, data_set_kind: str, *, now: datetime
) -> Circumstances:
    """Return what this site's policy may ask besides the plan."""
    held = ledger.balance(transaction, plan.data_set)
    return Circumstances(
        at=now,
        data_set_kind=data_set_kind,
        spent=0 if held is None else held.committed + held.reserved,
        cap=0 if held is None else held.cap,
    )


def learn(home: SiteHome, transaction: Transaction, evidence: Evidence) -> tuple[Roster, ...]:
    """Keep the rosters and decisions that came with `evidence`, and return all rosters known.

    What was learnt stays even where the study is then refused: a decision that the portal showed
    once, it cannot take back.
    *Raises* Refusal roster_unverified.
    """
    site = home.configuration.site
    chain = trust.remember(home, transaction, evidence.rosters)
    rosters = tuple(map(Roster.parse, chain))
    dossier.keep(transaction, dossier.decisions_in(evidence), rosters, site=site, source="portal")
    return rosters


def subjects_of(evidence: Evidence, roster: Roster) -> tuple[str, ...]:
    """Return the digests of what decides on the study of `evidence`: plan, class, agreement."""
    required = roster.rules.agreement
    documents = (evidence.plan, evidence.class_document)
    digests = tuple(hashlib.sha256(document).hexdigest() for document in documents)
    return digests if required is None else (*digests, required.digest)


def check_manifest(
    home: SiteHome,
    transaction: Transaction,
    attempt: Attempt,
    study: Study,
    *,
    body: bytes,
    key_offers: Mapping[str, Envelope],
    now: datetime,
) -> RunManifest:
    """Return the manifest in `body`, once it is for `study` and for this very attempt.

    The site's own key offer must stand in it unchanged, every other one must be signed by the
    identity that the roster gives that site.
    *Raises* Refusal manifest_mismatch, run_key_mismatch, rehearsal_on_confidential_data,
    deadline_passed, stop_withheld, checkpoint_inconsistent.
    """
    site = home.configuration.site
    manifest = _parse_manifest(body)
    _check_manifest_of(attempt, study, manifest, now=now)
    if manifest.noise == "off" and study.data_set.kind not in OPEN_KINDS:
        raise refusal("rehearsal_on_confidential_data", site=site, name=study.data_set.name)
    own_offer = Envelope.parse(json.loads(attempt.offer))
    own_key = KeyOffer.of(own_offer).public_key
    for party in manifest.parties:
        if party.site == site:
            if (party.key_offer, party.public_key) != (own_offer.digest, own_key):
                raise refusal("run_key_mismatch", site=site)
            continue
        envelope = key_offers.get(party.site)
        if envelope is None or envelope.digest != party.key_offer:
            raise refusal("run_key_mismatch", site=party.site)
        offer = _check_offer(envelope, study.verified.roster, attempt, study, site=party.site)
        if offer.public_key != party.public_key:
            raise refusal("run_key_mismatch", site=party.site)
        if not set(offer.stops) <= set(dossier.stops(transaction, study.subjects)):
            raise refusal("stop_withheld", site=party.site)
        seen = offer.checkpoint
        witness.check_same_history(
            transaction,
            None if seen is None else witness.Head(seen.size, seen.root),
            site=site,
            source=f"the key offer of {party.site}",
        )
    return manifest


def check_acceptances(
    roster: Roster, manifest: RunManifest, acceptances: Mapping[str, Envelope]
) -> None:
    """Check that every party has signed this manifest. *Raises* Refusal acceptance_missing."""
    for party in manifest.parties:
        envelope = acceptances.get(party.site)
        try:
            if envelope is None:
                raise refusal("acceptance_missing", site=party.site)
            verify(envelope, site_key(roster, party.site))
            accepted = RunAcceptance.of(envelope)
        except GovernanceError:
            raise refusal("acceptance_missing", site=party.site) from None
        if (accepted.site, accepted.manifest_digest) != (party.site, manifest.digest):
            raise refusal("acceptance_missing", site=party.site)


def local_consents(transaction: Transaction) -> list[Envelope]:
    """Return the consents and withdrawals that were signed at this site, oldest first."""
    rows = transaction.execute("SELECT envelope FROM consents ORDER BY number")
    return [Envelope.parse(json.loads(row["envelope"])) for row in rows]


def site_key(roster: Roster, site: str) -> Key:
    """Return the identity key that the roster gives a site. *Raises* Refusal roster_unverified."""
    entry = roster.site(site)
    if entry is None:
        raise refusal("roster_unverified", problem=f"it has no site {site}")
    return entry.key


def _check_not_stopped_here(local: Sequence[Envelope], plan: StudyPlan, own: Consent) -> None:
    """Check that `own` is not a consent from before what was signed here last.

    A clock that runs ahead may have dated the consent later than the withdrawal that followed it.
    """
    decided = [Consent.of(envelope) for envelope in local]
    for last in [decision for decision in decided if decision.study_digest == plan.digest][-1:]:
        surely_later = parse_moment(last.issued_at) + CLOCK_SKEW
        if not goes_ahead(last) and parse_moment(own.issued_at) <= surely_later:
            raise refusal("consent_withdrawn", site=own.site)


def _parse_manifest(body: bytes) -> RunManifest:
    try:
        return RunManifest.parse(body)
    except GovernanceError as error:
        raise _mismatch(error.sentence.rstrip(".")) from None


def _check_manifest_of(
    attempt: Attempt, study: Study, manifest: RunManifest, *, now: datetime
) -> None:
    """Check all that the manifest repeats, so that its digest binds it."""
    plan, roster = study.plan, study.verified.roster
    expected = {
        "study": (plan.study, manifest.study),
        "study_digest": (plan.digest, manifest.study_digest),
        "class_digest": (study.verified.declaration.digest, manifest.class_digest),
        "run": (attempt.run, manifest.run),
        "attempt": (attempt.attempt, manifest.attempt),
        "session": (attempt.session, manifest.session),
        "profile": (study.verified.declaration.profile, manifest.profile),
        "parties": (tuple(plan.sites), tuple(party.site for party in manifest.parties)),
        "recipient": (("gate", roster.portal.gate_key), _recipient(manifest)),
        "roster_digest": (roster.digest, manifest.roster_digest),
    }
    for field, (verified, came) in expected.items():
        if verified != came:
            raise _mismatch(f"its {field} is not that of what was verified")
    if (manifest.noise == "off") is not plan.is_rehearsal:
        raise _mismatch("noise is off in rehearsals, and in them only")
    if parse_moment(manifest.deadline) <= now:
        raise refusal("deadline_passed", moment=manifest.deadline)


def _recipient(manifest: RunManifest) -> tuple[str, str]:
    return manifest.recipient.name, manifest.recipient.public_key


def _check_offer(
    envelope: Envelope, roster: Roster, attempt: Attempt, study: Study, *, site: str
) -> KeyOffer:
    try:
        verify(envelope, site_key(roster, site))
        offer = KeyOffer.of(envelope)
    except GovernanceError:
        raise refusal("run_key_mismatch", site=site) from None
    expected = (site, study.plan.digest, attempt.run, attempt.attempt, attempt.session)
    came = (offer.site, offer.study_digest, offer.run, offer.attempt, offer.session)
    if came != expected:
        raise refusal("run_key_mismatch", site=site)
    return offer


def _mismatch(problem: str) -> GovernanceError:
    return refusal("manifest_mismatch", problem=problem)
