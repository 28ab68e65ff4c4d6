"""Genuine evidence: three hospitals, their people and keys, and every decision that a run needs.

Keys are derived from names, so every test sees the same digests. A test that wants a lie starts
from something genuine and spoils one thing::

    consortium = Consortium()
    plan = consortium.plan()
    evidence = consortium.evidence(plan)
    check_may_run(evidence, pinned_roster=consortium.pinned, now=NOW)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from audit import canonical
from audit.signed_note import KeyType, VerifierKey
from governance.evidence import Evidence
from governance.roster import Roster
from governance.statements.decisions import (
    Agreement,
    ClassApproval,
    Consent,
    Decision,
    OutputCheck,
    SiteRelease,
    StudyApproval,
)
from governance.statements.envelope import Envelope, Kind, add_ed25519, sign_ed25519, unsigned
from governance.statements.keys import Key
from governance.statements.letters import Letter
from governance.statements.registers import (
    DataSetRegister,
    RegisteredDataSet,
    SitePolicyStatement,
)
from governance.statements.run_statements import RunManifest
from studies import catalogue
from studies.documents import format_moment
from studies.plan import StudyPlan

NOW = datetime(2026, 11, 22, 23, 41, 37, tzinfo=UTC)
"""The moment at which tests look at the evidence."""

SIGNED_AT = NOW - timedelta(days=1)
VALID_UNTIL = SIGNED_AT + timedelta(days=30)
SITES = ("alder", "birch", "cedar")
AGREEMENT = {"title": "Data use agreement 2026", "digest": "a9" * 32}
"""A contract that a consortium's `rules` may ask for."""
LOG_ORIGIN = "portal.test/quorate-log"

KAPLAN_MEIER_PARAMETERS: Mapping[str, Any] = {
    "time": "time",
    "event": "status",
    "group": "sex",
    "groups": [{"value": "1", "label": "Male"}, {"value": "2", "label": "Female"}],
    "bin_width": 90,
    "bins": 12,
    "unit": "days",
}


def signing_key(name: str) -> Ed25519PrivateKey:
    """Return the Ed25519 key that belongs to `name`."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def agreement_key(name: str) -> X25519PrivateKey:
    """Return the X25519 key that belongs to `name`."""
    return X25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


@dataclass(frozen=True)
class Person:
    """A member of the roster together with their private key."""

    id: str
    name: str
    organisation: str
    roles: tuple[str, ...]
    passkeys: tuple[Key, ...] = ()

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """The key this person signs with."""
        return signing_key(f"person {self.id}")

    @property
    def key(self) -> Key:
        """The public half, as the roster lists it."""
        return Key.ed25519(self.private_key.public_key().public_bytes_raw())

    def to_json(self) -> dict[str, Any]:
        """Return the member as the roster writes it."""
        return {
            "id": self.id,
            "name": self.name,
            "organisation": self.organisation,
            "roles": list(self.roles),
            "keys": [key.to_json() for key in (self.key, *self.passkeys)],
        }


PEOPLE = (
    Person("m-ines", "Ines Alder", "alder-hospital", ("pi",)),
    Person("m-rosa", "Rosa Alder", "alder-hospital", ("reviewer",)),
    Person("m-ruth", "Ruth Birch", "birch-hospital", ("reviewer",)),
    Person("m-carl", "Carl Cedar", "cedar-hospital", ("chair",)),
    Person("m-ada", "Ada Alder", "alder-hospital", ("steward",)),
    Person("m-ben", "Ben Birch", "birch-hospital", ("steward",)),
    Person("m-cleo", "Cleo Cedar", "cedar-hospital", ("steward",)),
    Person("m-olga", "Olga Birch", "birch-hospital", ("checker",)),
    Person("m-otto", "Otto Cedar", "cedar-hospital", ("checker",)),
    Person("m-aude", "Aude Cedar", "cedar-hospital", ("auditor",)),
    Person("m-pete", "Pete Alder", "alder-hospital", ("portal_operator",)),
)
STEWARDS = {"alder": "m-ada", "birch": "m-ben", "cedar": "m-cleo"}
REVIEWERS = ("m-ruth", "m-carl")


@dataclass(frozen=True)
class Consortium:
    """Three hospitals with one roster. Every method returns something genuinely signed."""

    people: tuple[Person, ...] = PEOPLE
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    rules: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def person(self, member: str) -> Person:
        """Return the person called `member`."""
        return next(person for person in self.people if person.id == member)

    def site_key(self, site: str) -> Ed25519PrivateKey:
        """Return the identity key of `site`."""
        return signing_key(f"site {site}")

    @property
    def log_key(self) -> Ed25519PrivateKey:
        """The key that the portal's log signs with."""
        return signing_key("log")

    @property
    def gate_key(self) -> X25519PrivateKey:
        """The release gate's key."""
        return agreement_key("gate")

    def roster_payload(self) -> dict[str, Any]:
        """Return the first roster's payload, with this consortium's `changes`."""
        organisations = [f"{site}-hospital" for site in SITES]
        quorum = {"approvals": 2, "organisations": 2}
        log_key = VerifierKey.of(LOG_ORIGIN, KeyType.LOG, self.log_key)
        return {
            "type": "roster",
            "version": 1,
            "previous": None,
            "issued_at": format_moment(SIGNED_AT),
            "portal": {
                "name": "Quorate test portal",
                "rp_id": "localhost",
                "origins": ["http://localhost:8000"],
                "log_origin": LOG_ORIGIN,
                "log_key": log_key.encode(),
                "gate_key": self.gate_key.public_key().public_bytes_raw().hex(),
            },
            "organisations": [{"id": name, "name": name.title()} for name in organisations],
            "members": [person.to_json() for person in self.people],
            "sites": [
                {
                    "id": site,
                    "organisation": f"{site}-hospital",
                    "identity_key": self.site_key(site).public_key().public_bytes_raw().hex(),
                }
                for site in SITES
            ],
            "rules": {
                "study_approvals": quorum,
                "class_approvals": quorum,
                "roster": quorum,
                "cosignatures": 3,
                "max_validity_days": 30,
                "author_organisation_excluded": False,
                "offline_signatures": [],
                "agreement": None,
                **self.rules,
            },
            **self.changes,
        }

    @property
    def roster_envelope(self) -> Envelope:
        """The first roster, signed by two reviewers of two organisations."""
        return self.sign_by(Kind.ROSTER, self.roster_payload(), REVIEWERS)

    @property
    def roster(self) -> Roster:
        """The first roster."""
        return Roster.parse(self.roster_envelope)

    @property
    def pinned(self) -> str:
        """The fingerprint that sites pin."""
        return self.roster_envelope.digest

    def sign_by(self, kind: Kind, payload: Mapping[str, Any], members: Sequence[str]) -> Envelope:
        """Return `payload` signed by the keys of `members`."""
        envelope = unsigned(kind, payload)
        for member in members:
            envelope = add_ed25519(envelope, self.person(member).private_key)
        return envelope

    def plan_json(self, **changes: Any) -> dict[str, Any]:
        """Return the JSON of a valid Kaplan-Meier plan, with `changes`."""
        declaration = catalogue.get("kaplan-meier", 1)
        return {
            "type": "study-plan",
            "study": "st-7f3a90c1",
            "version": 1,
            "title": "Survival in advanced lung cancer by sex",
            "purpose": "To compare survival of men and women across three hospitals.",
            "purpose_category": "clinical_trial",
            "lay_summary": "Do women and men with lung cancer live equally long?",
            "author": "m-ines",
            "class": {"name": "kaplan-meier", "version": 1, "digest": declaration.digest},
            "parameters": dict(KAPLAN_MEIER_PARAMETERS),
            "cohort": {"include": [], "exclude": []},
            "data_set": "lung",
            "sites": list(SITES),
            "mode": "study",
            "privacy": {"currency": "micro-epsilon", "epsilon": "2"},
            "max_sites_per_person": 1,
            "openings": [{"name": "result"}],
            "recipient": "gate",
            "expires_at": format_moment(NOW + timedelta(days=60)),
            "max_runs": 3,
            **changes,
        }

    def plan(self, **changes: Any) -> StudyPlan:
        """Return a valid Kaplan-Meier plan, with `changes`."""
        return StudyPlan.build(self.plan_json(**changes))

    def class_decision(self, member: str, **changes: Any) -> Envelope:
        """Return the approval of Kaplan-Meier by `member`, with `changes`."""
        declaration = catalogue.get("kaplan-meier", 1)
        fields = {
            "class_name": declaration.name,
            "version": declaration.version,
            "class_digest": declaration.digest,
            "decision": "approve",
            **self._signer(member),
            **changes,
        }
        return self._signed(ClassApproval(**fields), member)

    def review(self, member: str, plan: StudyPlan, **changes: Any) -> Envelope:
        """Return the approval of `plan` by `member`, with `changes`."""
        fields = {
            "study": plan.study,
            "study_version": plan.version,
            "study_digest": plan.digest,
            "decision": "approve",
            **self._signer(member),
            **changes,
        }
        return self._signed(StudyApproval(**fields), member)

    def consent(
        self, site: str, plan: StudyPlan, *, signer: str | None = None, **changes: Any
    ) -> Envelope:
        """Return the consent of `site` to `plan`, signed by its steward, with `changes`."""
        member = signer or STEWARDS[site]
        fields = {
            "study": plan.study,
            "study_digest": plan.digest,
            "site": site,
            "decision": "consent",
            **self._signer(member),
            **changes,
        }
        return self._signed(Consent(**fields), member)

    def agreement(self, site: str, *, signer: str | None = None, **changes: Any) -> Envelope:
        """Return the signature of the organisation of `site` under AGREEMENT, with `changes`."""
        member = signer or STEWARDS[site]
        fields = {
            "title": AGREEMENT["title"],
            "agreement_digest": AGREEMENT["digest"],
            "decision": "sign",
            **self._signer(member),
            **changes,
        }
        return self._signed(Agreement(**fields), member)

    def site_release(
        self, site: str, manifest: RunManifest, *, signer: str | None = None, **changes: Any
    ) -> Envelope:
        """Return the word of the steward of `site` on the share of `manifest`, with `changes`."""
        member = signer or STEWARDS[site]
        fields = {
            "study": manifest.study,
            "run": manifest.run,
            "site": site,
            "manifest_digest": manifest.digest,
            "decision": "release",
            **self._signer(member),
            **changes,
        }
        del fields["valid_until"]
        return self._signed(SiteRelease(**fields), member)

    def letter(
        self, sender: str, recipient: str, *statements: Envelope, **changes: Any
    ) -> Envelope:
        """Return the first letter of one site's agent to another's, with `changes`."""
        fields = {
            "sender": sender,
            "recipient": recipient,
            "number": 1,
            "received": 0,
            "roster": 1,
            "rosters": (),
            "statements": statements,
            "issued_at": format_moment(NOW),
            **changes,
        }
        letter = Letter(**fields)
        return sign_ed25519(letter.KIND, letter.to_json(), self.site_key(sender))

    def output_check(self, member: str, **changes: Any) -> Envelope:
        """Return an output check by `member`; `changes` must name study, run and result_digest."""
        fields = {"decision": "pass", **self._signer(member), **changes}
        del fields["valid_until"]
        return self._signed(OutputCheck(**fields), member)

    def evidence(self, plan: StudyPlan | None = None, **changes: Any) -> Evidence:
        """Return complete and genuine evidence for `plan`, with `changes`."""
        plan = plan or self.plan()
        fields: dict[str, Any] = {
            "rosters": (self.roster_envelope,),
            "plan": plan.canonical(),
            "class_document": canonical.dumps(plan.declaration.to_json()),
            "class_approvals": tuple(self.class_decision(member) for member in REVIEWERS),
            "study_approvals": tuple(self.review(member, plan) for member in REVIEWERS),
            "agreements": (),
            "consents": tuple(self.consent(site, plan) for site in plan.sites),
        }
        return Evidence(**{**fields, **changes})

    def register(self, site: str, **changes: Any) -> Envelope:
        """Return the data-set register of `site`: the data set ``lung``, with `changes` to it."""
        fields: dict[str, Any] = {
            "name": "lung",
            "kind": "public",
            "format": "csv",
            "columns": ("inst", "time", "status", "age", "sex"),
            "currency": "micro-epsilon",
            "budget_micro_epsilon": 10_000_000,
        }
        data_set = RegisteredDataSet(**{**fields, **changes})
        register = DataSetRegister(site, 1, (data_set,), format_moment(SIGNED_AT))
        return sign_ed25519(register.KIND, register.to_json(), self.site_key(site))

    def policy(self, site: str, text: str, *, published: bool = True, **changes: Any) -> Envelope:
        """Return what `site` says of its policy `text`, with `changes`."""
        fields = {
            "site": site,
            "policy_digest": hashlib.sha256(text.encode()).hexdigest(),
            "published": published,
            "policy": text if published else "",
            "issued_at": format_moment(SIGNED_AT),
            **changes,
        }
        statement = SitePolicyStatement(**fields)
        return sign_ed25519(statement.KIND, statement.to_json(), self.site_key(site))

    def _signer(self, member: str) -> dict[str, str]:
        return {
            "member": member,
            "organisation": self.person(member).organisation,
            "issued_at": format_moment(SIGNED_AT),
            "valid_until": format_moment(VALID_UNTIL),
            "comment": "",
        }

    def _signed(self, statement: Decision, member: str) -> Envelope:
        return self.sign_by(statement.KIND, statement.to_json(), [member])
