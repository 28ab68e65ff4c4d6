"""People, sites, a roster and studies in the database, each reached through the real actions.

The people, keys and sites are those of `tests.factories.evidence`; what they sign here is signed
now, since the portal looks at the clock.

    house = Consortium's people and sites, roster published, Kaplan-Meier approved
    study = house.study_in_review()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.utils import timezone

from accounts import actions as accounts
from accounts.models import Organisation, Site, User
from governance import actions, statement_requests
from governance.models import Agreement, ComputationClass, Release, Run
from governance.statement_requests import StatementRequest
from governance.statements.envelope import add_ed25519
from studies.actions import create_study
from studies.documents import format_moment
from studies.models import Study
from tests.factories.evidence import SITES, STEWARDS, Consortium
from tests.factories.sealed_session import SealedSession

PI, REVIEWERS, SPARE_REVIEWER = "m-ines", ("m-ruth", "m-carl"), "m-rosa"
CHECKERS = ("m-olga", "m-otto")


def organisation(site: str = "alder") -> Organisation:
    """Return the hospital that runs `site`, made if need be."""
    slug = f"{site}-hospital"
    found = Organisation.objects.filter(slug=slug).first()
    return found or accounts.create_organisation(slug=slug, name=slug.title(), by=None)


def person(name: str, roles: list[str], *, site: str = "alder", member: str = "") -> User:
    """Return a new person with `roles` in the hospital that runs `site`."""
    return accounts.create_person(
        username=name,
        first_name=name.title(),
        last_name=site.title(),
        email=f"{name}@{site}.example",
        organisation=organisation(site),
        roles=roles,
        password=None,
        by=None,
        member_id=member or f"m-{name}",
    )


@dataclass
class House:
    """A portal ready for its first study, and a way to every state of one."""

    consortium: Consortium = field(default_factory=Consortium)
    people: dict[str, User] = field(default_factory=dict)

    @cached_property
    def pi(self) -> User:
        """The investigator of every study made here."""
        return self.people[PI]

    def sign(self, request: StatementRequest, member: str) -> dict[str, Any]:
        """Return what the portal asked for, signed by `member`."""
        return add_ed25519(request.envelope, self.consortium.person(member).private_key).to_json()

    def plan(self, **changes: Any) -> dict[str, Any]:
        """Return the fields of a plan that an author chooses, with `changes`."""
        plan = self.consortium.plan_json(
            expires_at=format_moment(timezone.now() + timedelta(days=60))
        )
        for name in ("type", "study", "version", "author"):
            del plan[name]
        return {**plan, **changes}

    def draft(self, **changes: Any) -> Study:
        """Return a new draft."""
        return create_study(plan=self.plan(**changes), by=self.pi)

    def study_in_review(self, **changes: Any) -> Study:
        """Return a study that waits for its reviews."""
        study = self.draft(**changes)
        actions.submit_study(study=study, by=self.pi)
        return study

    def review(self, study: Study, member: str, decision: str = "approve") -> None:
        """Have `member` review the study."""
        by = self.people[member]
        asked = statement_requests.request_review(study=study, decision=decision, by=by)
        actions.review_study(study=study, envelope=self.sign(asked, member), by=by)

    def approved_study(self, **changes: Any) -> Study:
        """Return a study that a quorum has approved."""
        study = self.study_in_review(**changes)
        for member in REVIEWERS:
            self.review(study, member)
        return study

    def consent(self, study: Study, site: str, decision: str = "consent") -> None:
        """Have the steward of `site` decide about the study."""
        by = self.people[STEWARDS[site]]
        asked = statement_requests.request_consent(
            study=study, site=Site.objects.get(slug=site), decision=decision, by=by
        )
        actions.sign_consent(study=study, envelope=self.sign(asked, STEWARDS[site]), by=by)

    def ready_study(self, **changes: Any) -> Study:
        """Return a study that every site has consented to."""
        study = self.approved_study(**changes)
        for site in SITES:
            self.consent(study, site)
        return study

    def run(self, **changes: Any) -> Run:
        """Return a run that the coordinator has not looked at yet."""
        return actions.start_run(study=self.ready_study(**changes), by=self.pi)

    def sign_agreement(self, site: str, decision: str = "sign") -> Agreement:
        """Have the steward of `site` sign the roster's agreement for their organisation."""
        by = self.people[STEWARDS[site]]
        asked = statement_requests.request_agreement(decision=decision, by=by)
        return actions.sign_agreement(envelope=self.sign(asked, by.member_id), by=by)

    def opened_release(self, result: Mapping[str, Any] | None = None) -> Release:
        """Return a release as the gate leaves it for the checkers; no site has computed it."""
        run = self.run()
        Run.objects.filter(pk=run.pk).update(state=Run.State.SUCCEEDED)
        return Release.objects.create(
            run=run,
            state=Release.State.OPENED,
            noised=[41, 7],
            result=dict(result or {"persons": 48}),
            result_digest="5a" * 32,
        )

    def awaiting_release(self, *sites: str) -> Release:
        """Return a release whose permit is out, and whose shares at `sites` wait for a steward."""
        run = self.run()
        Run.objects.filter(pk=run.pk).update(state=Run.State.SUCCEEDED)
        return Release.objects.create(
            run=run,
            state=Release.State.OPENING,
            permit=SealedSession().permit(),
            awaiting=sorted(sites),
        )

    def class_decision(
        self, computation_class: ComputationClass, member: str, decision: str
    ) -> None:
        """Have `member` decide about a class."""
        by = self.people[member]
        asked = statement_requests.request_class_decision(
            computation_class=computation_class, decision=decision, by=by
        )
        actions.sign_class_decision(
            computation_class=computation_class, envelope=self.sign(asked, member), by=by
        )


def build_house(*, class_approved: bool = True, consortium: Consortium | None = None) -> House:
    """Return the house: people, enrolled sites, published roster, Kaplan-Meier approved."""
    house = House(consortium or Consortium())
    for site in SITES:
        made, _ = accounts.create_site(organisation=organisation(site), slug=site, by=None)
        key = house.consortium.site_key(site).public_key().public_bytes_raw().hex()
        Site.objects.filter(pk=made.pk).update(identity_key=key, enrolled_at=timezone.now())
    for member in house.consortium.people:
        house.people[member.id] = person(
            member.id.removeprefix("m-"),
            list(member.roles),
            site=member.organisation.removesuffix("-hospital"),
            member=member.id,
        )
    actions.publish_roster(envelope=house.consortium.roster_envelope.to_json(), by=None)
    if class_approved:
        proposed = actions.propose_class(name="kaplan-meier", version=1, by=house.people["m-pete"])
        for reviewer in REVIEWERS:
            house.class_decision(proposed, reviewer, "approve")
    return house
