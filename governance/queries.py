"""What the portal knows of a study's way: roster, reviews (blinded), consents, who acts next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import ActionRefusedError
from accounts.models import Organisation, Site, User
from governance.errors import Refusal
from governance.evidence import check_agreed, check_consented
from governance.models import Agreement, Consent, Release, RosterVersion, Run, StudyApproval
from governance.policies import BLINDED
from governance.quorum import Outcome, Review, review_outcome
from governance.roster import Roster, verify_chain
from governance.standing import newest_by_member, sort_out
from governance.statements.decisions import Consent as ConsentDecision
from governance.statements.decisions import StudyApproval as ReviewDecision
from governance.statements.envelope import Envelope
from studies.actions import plan_of
from studies.models import Study, StudyVersion

_RUN_ONCE = [Study.State.APPROVED, Study.State.READY, Study.State.EXPIRED]


@dataclass(frozen=True)
class SiteConsent:
    """How one site of a plan stands: `reason` says why its consent does not count."""

    site: Site
    given: bool
    code: str = ""
    reason: str = ""
    newest: Consent | None = field(default=None, compare=False)


def roster_chain() -> tuple[Envelope, ...]:
    """Return every published roster, oldest first."""
    rows = RosterVersion.objects.order_by("version")
    return read_envelopes(rows.values_list("envelope", flat=True))


def current_roster() -> Roster:
    """Return the newest roster, its whole chain verified.

    *Raises* ActionRefusedError before the first one is published.
    """
    chain = roster_chain()
    if not chain:
        raise ActionRefusedError(
            "no_roster",
            "No roster has been published yet, so nobody can sign. The portal operator publishes"
            " the first one when the committee has signed it.",
        )
    return verify_chain(chain, pinned=chain[0].digest)


def read_envelopes(stored: Iterable[Any]) -> tuple[Envelope, ...]:
    """Return stored envelopes as they were received, oldest first as they come."""
    return tuple(Envelope.parse(envelope) for envelope in stored)


def review_outcome_of(version: StudyVersion, roster: Roster, now: datetime) -> Outcome:
    """Return what the reviews of `version` amount to, counted as every site will count them."""
    stored = version.approvals.order_by("pk").values_list("envelope", flat=True)
    signed, _ = sort_out(read_envelopes(stored), ReviewDecision, roster, now)
    reviews = [
        Review(item.member, item.decision.decision)
        for item in newest_by_member(signed)
        if item.decision.decision != "revoke"
    ]
    author = roster.author(version.study.author.member_id)
    return review_outcome(reviews, roster.rules.study_approvals, author=author)


def reviews_shown_to(user: User, version: StudyVersion) -> "QuerySet[StudyApproval]":
    """Return the reviews of `version` that the person may read: until a decision, only their own.

    How many are in is no secret.
    """
    reviews = version.approvals.select_related("signer__organisation").order_by("pk")
    blinded = version.study.state in BLINDED and version == version.study.current
    return reviews.filter(signer=user) if blinded else reviews


def consents_of(version: StudyVersion, *, now: datetime | None = None) -> list[SiteConsent]:
    """Return how each site of the plan stands, in the plan's order, by the sites' own rules."""
    plan, roster = plan_of(version), current_roster()
    rows = list(version.consents.select_related("site", "signer__organisation").order_by("pk"))
    envelopes = read_envelopes(row.envelope for row in rows)
    sites = {site.slug: site for site in version.sites.select_related("organisation")}
    found = []
    for slug in plan.sites:
        newest = next((row for row in reversed(rows) if row.site.slug == slug), None)
        try:
            check_consented(envelopes, plan, slug, roster=roster, now=now or timezone.now())
        except Refusal as refusal:
            found.append(SiteConsent(sites[slug], False, refusal.code, refusal.sentence, newest))
        else:
            found.append(SiteConsent(sites[slug], True, newest=newest))
    return found


@dataclass(frozen=True)
class OrganisationAgreement:
    """How one organisation with a site stands to the agreement: `reason` says what is missing."""

    organisation: Organisation
    signed: bool
    reason: str = ""
    newest: Agreement | None = field(default=None, compare=False)


def agreements(*, now: datetime | None = None) -> list[OrganisationAgreement]:
    """Return how each organisation with a site of the roster stands, by the sites' own rules."""
    roster = current_roster()
    required = roster.rules.agreement
    if required is None:
        return []
    rows = list(
        Agreement.objects.filter(agreement_digest=required.digest)
        .select_related("signer", "organisation")
        .order_by("pk")
    )
    envelopes = read_envelopes(row.envelope for row in rows)
    organisations = {row.slug: row for row in Organisation.objects.all()}
    found = []
    for site in roster.sites:
        organisation = organisations[site.organisation]
        newest = next((row for row in reversed(rows) if row.organisation == organisation), None)
        reason = ""
        try:
            check_agreed(envelopes, site.id, roster=roster, now=now or timezone.now())
        except Refusal as refusal:
            reason = refusal.sentence
        found.append(OrganisationAgreement(organisation, not reason, reason, newest))
    return found


def newest_consent(study: Study, site: Site) -> ConsentDecision | None:
    """Return what `site` has decided last about the current version, or None."""
    row = study.current.consents.filter(site=site).order_by("-pk").first()
    return None if row is None else ConsentDecision.of(Envelope.parse(row.envelope))


def declines_of(studies: Sequence[Study]) -> dict[int, list[Consent]]:
    """Return what sites have declined and stand by, by the study's key, the oldest first.

    Only of studies that wait for consent. *Cost* as `newest_runs`.
    """
    current = [study.current.pk for study in studies if study.state == Study.State.APPROVED]
    rows = Consent.objects.filter(version__in=current).select_related("version", "site")
    newest = {(row.version_id, row.site_id): row for row in rows.order_by("pk")}
    found: dict[int, list[Consent]] = {}
    for row in sorted(newest.values(), key=lambda row: row.pk):
        if row.decision == "decline":
            found.setdefault(row.version.study_id, []).append(row)
    return found


def releases_of(study: Study) -> "QuerySet[Release]":
    """Return the releases of the study's runs, newest first."""
    return Release.objects.filter(run__version__study=study).order_by("-pk")


def newest_runs(studies: Sequence[Study]) -> dict[int, Run]:
    """Return the newest run of each study's current version, by the study's key; none is left out.

    *Cost* one query for all, releases included, where the studies' versions are prefetched.
    """
    current = [study.current.pk for study in studies if study.state in _RUN_ONCE]
    runs = Run.objects.filter(version__in=current).select_related("version", "release")
    return {run.version.study_id: run for run in runs.order_by("pk")}
