"""Plans, rosters and statements in plain words: what a person reads before they sign.

`quorate-sign`, the site agent and the portal's pages show the same facts, made here from the very
bytes that will be signed. Texts that come from others are shown with every unprintable character
escaped, so that none can forge a line, reverse its direction or move the cursor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from textwrap import wrap
from typing import Any

from governance.evidence import Verified
from governance.roster import Roster, fingerprint
from governance.schemas import PAYLOADS
from governance.statements.decisions import (
    Agreement,
    ClassApproval,
    Consent,
    Decision,
    LastingDecision,
    OutputCheck,
    SiteRelease,
    StudyApproval,
)
from governance.statements.envelope import Envelope, Kind, signer_keys
from governance.statements.keys import Key
from studies.plan import PURPOSES, StudyPlan

# An indented fingerprint fits on one line.
_WIDTH = 81


@dataclass(frozen=True)
class Fact:
    """One line: a label and what it says."""

    label: str
    text: str


def of_plan(plan: StudyPlan) -> list[Fact]:
    """Return what `plan` asks, costs and reveals."""
    declaration = plan.declaration
    each = plan.charge_micro_epsilon
    persons = (
        "One person is at one site only."
        if plan.max_sites_per_person == 1
        else f"One person may be at {plan.max_sites_per_person} sites; the noise grows with it."
    )
    return [
        Fact("Study", f"{plan.study}, version {plan.version}"),
        Fact("Title", plan.title),
        Fact("Purpose", plan.purpose),
        Fact("Kind of purpose", PURPOSES[plan.purpose_category]),
        Fact("In short", plan.lay_summary),
        Fact("Author", plan.author),
        Fact("Computation class", f"{declaration.title} ({declaration.identifier})"),
        Fact("What is computed", declaration.card.what_is_computed),
        Fact("Parameters", _compact(plan.parameters)),
        Fact("Who is counted", "; ".join(plan.cohort.in_words())),
        Fact("Data set", plan.data_set),
        Fact("Sites", ", ".join(plan.sites)),
        Fact("Mode", _MODES[plan.mode]),
        Fact("Who learns what", declaration.card.who_learns_what),
        Fact("Noise", declaration.card.noise),
        Fact("Small numbers", declaration.card.suppression),
        Fact(
            "Privacy cost",
            f"epsilon {plan.to_json()['privacy']['epsilon']} for each opening "
            f"({', '.join(plan.openings)}): a run costs each site epsilon {in_epsilon(each)}, "
            f"all {plan.max_runs} of its runs {in_epsilon(each * plan.max_runs)}. {persons}",
        ),
        Fact("Recipient", "the release gate of the portal"),
        Fact("Expires", plan.expires_at),
        Fact("Study digest", fingerprint(plan.digest)),
    ]


def in_epsilon(micro_epsilon: int) -> Decimal:
    """Return micro-epsilon in epsilon, without zeros at the end."""
    value = Decimal(micro_epsilon).scaleb(-6).normalize()
    return value.quantize(Decimal(1)) if value == value.to_integral() else value


def of_roster(roster: Roster) -> list[Fact]:
    """Return who may decide what under `roster`."""
    rules = roster.rules
    members = [
        Fact(
            f"Member {member.id}",
            f"{member.name} of {member.organisation}; "
            f"roles: {', '.join(sorted(member.roles)) or 'none'}; "
            f"keys: {', '.join(key.id for key in member.keys) or 'none'}",
        )
        for member in roster.members
    ]
    sites = [
        Fact(f"Site {site.id}", f"of {site.organisation}; identity key {_of_key(site.key)}")
        for site in roster.sites
    ]
    return [
        Fact("Roster", f"version {roster.version} of {roster.issued_at}"),
        Fact("Follows", fingerprint(roster.previous) if roster.previous else "none: the first"),
        Fact("Portal", f"{roster.portal.name}, {', '.join(roster.portal.origins)}"),
        Fact("Log", roster.portal.log_key),
        *members,
        *sites,
        Fact("A study needs", str(rules.study_approvals)),
        Fact("A class needs", str(rules.class_approvals)),
        Fact("A roster needs", str(rules.roster)),
        Fact("Cosignatures", f"{rules.cosignatures} of {len(roster.sites)} sites"),
        Fact("Decisions hold", f"at most {rules.max_validity_days} days"),
        Fact("Authors' own organisations", _AUTHORS[rules.author_organisation_excluded]),
        Fact("Signed offline only", ", ".join(sorted(rules.offline_signatures)) or "nothing"),
        Fact(
            "Agreement",
            f"{rules.agreement.title}, {fingerprint(rules.agreement.digest)}"
            if rules.agreement
            else "none is asked for",
        ),
        Fact("Fingerprint", roster.fingerprint),
    ]


def of_verified(verified: Verified) -> list[Fact]:
    """Return why a study may run: who has agreed to it, by which roster, until when."""
    roster, plan = verified.roster, verified.plan
    return [
        Fact("Roster", f"version {roster.version}, {roster.fingerprint}"),
        Fact("Study plan", f"{plan.study}, version {plan.version}, {fingerprint(plan.digest)}"),
        Fact("Class approved by", _names(verified.class_approvals, roster)),
        Fact("Study approved by", _names(verified.study_approvals, roster)),
        *(
            [Fact("Agreement signed by", _names(verified.agreements, roster))]
            if verified.agreements
            else []
        ),
        Fact("Consented", _names(verified.consents, roster)),
    ]


def of_statement(envelope: Envelope) -> list[Fact]:
    """Return what `envelope` states and whose keys it says signed it, nothing of it verified.

    *Raises* StatementError or RosterError when its payload is malformed.
    """
    signed = Fact("Signed by", ", ".join(signer_keys(envelope)) or "nobody yet")
    if envelope.kind is Kind.ROSTER:
        return [*of_roster(Roster.parse(envelope)), signed]
    payload = PAYLOADS[envelope.kind].of(envelope)
    if isinstance(payload, Decision):
        return [*_of_decision(payload), signed]
    fields = [
        Fact(name.replace("_", " ").capitalize(), _compact(value))
        for name, value in payload.to_json().items()
        if name != "type"
    ]
    return [Fact("Statement", envelope.kind.value), *fields, signed]


def as_text(facts: Iterable[Fact]) -> str:
    """Return `facts` as lines for a terminal, wrapped, ending in a newline."""
    lines = []
    for fact in facts:
        lines.append(f"{printable(fact.label)}:")
        written = wrap(printable(fact.text), _WIDTH - 2, break_on_hyphens=False) or ["(none)"]
        lines += [f"  {line}" for line in written]
    return "\n".join(lines) + "\n"


def printable(written: str) -> str:
    """Return `written` with every character escaped that a terminal would not print."""
    return "".join(
        character if character.isprintable() else f"\\u{{{ord(character):x}}}"
        for character in written
    )


_SUBJECTS = (
    "class_digest",
    "study_digest",
    "agreement_digest",
    "manifest_digest",
    "result_digest",
)

_AUTHORS: Mapping[bool, str] = {
    True: "never count among a study's reviewers",
    False: "count among a study's reviewers, their author never",
}

_MODES: Mapping[str, str] = {
    "study": "a study: the result carries noise",
    "rehearsal": "a rehearsal on synthetic or public data: noise may be off",
}

_SENTENCES: Mapping[type, str] = {
    ClassApproval: "{member} of {organisation}: {decision} computation class {class}/{version}.",
    StudyApproval: "{member} of {organisation}: {decision} study {study}, version {study_version}.",
    Consent: "{member} of {organisation}: {decision} for site {site} to study {study}.",
    Agreement: "{member} for {organisation}: {decision} the agreement “{title}”.",
    SiteRelease: "{member} of {organisation}: {decision} the share of {site} in run {run}.",
    OutputCheck: "{member} of {organisation}: {decision} the result of run {run} of {study}.",
}


def _names(decisions: Iterable[LastingDecision], roster: Roster) -> str:
    """Return who decided, by name, for whom and until when."""
    named = []
    for decision in decisions:
        member = roster.member(decision.member)
        name = member.name if member is not None else decision.member
        whom = decision.site if isinstance(decision, Consent) else decision.organisation
        named.append(f"{name} ({decision.member}) for {whom}, until {decision.valid_until}")
    return "; ".join(named)


def _of_key(key: Key) -> str:
    return fingerprint(key.id.removeprefix("ed25519:"))


def _of_decision(payload: Decision) -> list[Fact]:
    value = payload.to_json()
    digests = [
        Fact(name.replace("_", " ").capitalize(), fingerprint(value[name]))
        for name in _SUBJECTS
        if name in value
    ]
    until = f" until {value['valid_until']}" if "valid_until" in value else ""
    return [
        Fact("Decision", _SENTENCES[type(payload)].format(**value)),
        *digests,
        Fact("Holds", f"from {payload.issued_at}{until}"),
        Fact("Comment", payload.comment),
    ]


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
