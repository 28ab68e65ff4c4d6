"""The roster: who may decide what, with which keys, by which rules; and what portal and sites are.

A roster is a statement signed by a quorum: the first version by its own, each later one by that
of its predecessor. A site pins the *fingerprint* of the first version it was shown (the digest of
its payload, read aloud as 16 groups of 4 hex digits) and follows the chain from there, so the
portal can neither add a member nor drop a site.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.signed_note import KeyType, NoteError, VerifierKey
from governance.errors import QuorumError, RosterError, StatementError
from governance.quorum import Author, Rule, check_quorum
from governance.reasons import sentence
from governance.roster_entries import (
    QUORUMS,
    SCHEMA,
    Member,
    Organisation,
    Portal,
    RosterSite,
    Rules,
)
from governance.statements.envelope import Envelope, Kind, verify
from governance.statements.keys import RelyingParty
from studies.documents import DocumentError, parse_moment, read

__all__ = [
    "FORKING_SITES",
    "SCHEMA",
    "Member",
    "Organisation",
    "Portal",
    "Roster",
    "RosterSite",
    "Rules",
    "digest_of_fingerprint",
    "fingerprint",
    "verify_chain",
]

FORKING_SITES = 1
"""How many witnesses may side with a portal that shows two histories: t in 2k > n + t."""


@dataclass(frozen=True)
class Roster:
    """One version of the roster. `verify_chain` gives one that a pinned fingerprint vouches for."""

    version: int
    previous: str | None
    issued_at: str
    portal: Portal
    organisations: tuple[Organisation, ...]
    members: tuple[Member, ...]
    sites: tuple[RosterSite, ...]
    rules: Rules
    digest: str

    @classmethod
    def parse(cls, envelope: Envelope) -> Roster:
        """Return the roster in `envelope`, its signatures unverified.

        *Raises* RosterError (roster_malformed) when it has a fault: a name twice, a key twice, an
        organisation that is not listed, a rule that its members or sites could never meet.
        """
        if envelope.kind is not Kind.ROSTER:
            raise _malformed(f"expected a roster, came a statement of kind {envelope.kind.value}")
        try:
            roster = _parse(read(envelope.body, SCHEMA), envelope.digest)
            parse_moment(roster.issued_at)
        except (DocumentError, StatementError) as error:
            raise _malformed(str(error)) from None
        _check(roster)
        return roster

    @property
    def fingerprint(self) -> str:
        """The digest as people read it to one another: 16 groups of 4 hex digits."""
        return fingerprint(self.digest)

    @property
    def relying_party(self) -> RelyingParty:
        """The portal as passkeys know it."""
        return RelyingParty(self.portal.rp_id, self.portal.origins)

    @property
    def log_key(self) -> VerifierKey:
        """The key that the portal's log signs checkpoints with."""
        return VerifierKey.parse(self.portal.log_key)

    def member(self, identifier: str) -> Member | None:
        """Return the member called `identifier`, or None."""
        return next((member for member in self.members if member.id == identifier), None)

    def author(self, identifier: str) -> Author:
        """Return the author of a study as far as counting its reviews goes."""
        member = self.member(identifier)
        excluded = member is not None and self.rules.author_organisation_excluded
        return Author(identifier, member.organisation if member and excluded else "")

    def member_for(self, keyid: str) -> Member | None:
        """Return the member whose key is called `keyid`, or None."""
        return next(
            (member for member in self.members if any(key.id == keyid for key in member.keys)),
            None,
        )

    def site(self, identifier: str) -> RosterSite | None:
        """Return the site called `identifier`, or None."""
        return next((site for site in self.sites if site.id == identifier), None)

    def witnesses(self) -> tuple[VerifierKey, ...]:
        """Return the sites as the log's witnesses."""
        return tuple(site.witness for site in self.sites)

    def signers(self, envelope: Envelope) -> tuple[Member, ...]:
        """Return the members whose valid signature `envelope` carries.

        Signatures that do not verify, or are by keys the roster does not list, count for nothing.
        """
        found: dict[str, Member] = {}
        for signature in envelope.signatures:
            member = self.member_for(signature.keyid)
            if member is not None and self._verifies(envelope, member, signature.keyid):
                found[member.id] = member
        return tuple(found.values())

    def _verifies(self, envelope: Envelope, member: Member, keyid: str) -> bool:
        key = next(key for key in member.keys if key.id == keyid)
        try:
            verify(envelope, key, self.relying_party)
        except StatementError:
            return False
        return True


def fingerprint(digest: str) -> str:
    """Return `digest` as people read it to one another: 16 groups of 4 hex digits."""
    return " ".join(digest[start : start + 4] for start in range(0, 64, 4))


def digest_of_fingerprint(written: str) -> str:
    """Return the digest that a person typed, with or without spaces, in either case.

    *Raises* RosterError when it is not 64 hex digits.
    """
    digest = re.sub(r"[\s:-]", "", written).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise _unverified("expected a fingerprint of 64 hex digits")
    return digest


def verify_chain(envelopes: Sequence[Envelope], *, pinned: str) -> Roster:
    """Return the newest roster of the chain `envelopes`, oldest first, that starts at `pinned`.

    *Security*: trust starts from `pinned`, a fingerprint that people compared, and passes from
    version to version only by the older version's own quorum of reviewers and chairs.
    *Raises* RosterError (roster_unverified) when the first is not the one pinned, a signature
    quorum is missing, or a version does not follow its predecessor.
    """
    if not envelopes:
        raise _unverified("no roster came with it")
    rosters = [Roster.parse(envelope) for envelope in envelopes]
    expected = digest_of_fingerprint(pinned)
    if rosters[0].digest != expected:
        raise _unverified(
            f"expected one that starts with the fingerprint {fingerprint(expected)}, came "
            f"{rosters[0].fingerprint}"
        )
    judges = [rosters[0], *rosters]
    for judge, roster, envelope in zip(judges, rosters, envelopes, strict=False):
        if roster is not judge:
            _check_follows(judge, roster)
        try:
            check_quorum(judge.signers(envelope), judge.rules.roster, author=None)
        except QuorumError as error:
            raise _unverified(f"version {roster.version}: {error}") from None
    return rosters[-1]


def _check_follows(predecessor: Roster, roster: Roster) -> None:
    if roster.version != predecessor.version + 1 or roster.previous != predecessor.digest:
        raise _unverified(f"version {roster.version} does not follow version {predecessor.version}")


def _parse(value: dict[str, Any], digest: str) -> Roster:
    return Roster(
        version=value["version"],
        previous=value["previous"],
        issued_at=value["issued_at"],
        portal=Portal(**{**value["portal"], "origins": tuple(value["portal"]["origins"])}),
        organisations=tuple(
            Organisation(**organisation) for organisation in value["organisations"]
        ),
        members=tuple(map(Member.from_json, value["members"])),
        sites=tuple(RosterSite(**site) for site in value["sites"]),
        rules=Rules.from_json(value["rules"]),
        digest=digest,
    )


def _check(roster: Roster) -> None:
    if (roster.version == 1) != (roster.previous is None):
        raise _malformed("expected a predecessor's digest in every version but the first")
    organisations = [organisation.id for organisation in roster.organisations]
    for field, names in (
        ("organisations", organisations),
        ("members", [member.id for member in roster.members]),
        ("keys", [key.id for member in roster.members for key in member.keys]),
        ("sites", [site.id for site in roster.sites]),
        ("identity keys", [site.identity_key for site in roster.sites]),
    ):
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise _malformed(f"{field}: expected each once, came twice: {', '.join(repeated)}")
    members = [(member.id, member.organisation) for member in roster.members]
    sites = [(site.id, site.organisation) for site in roster.sites]
    for name, organisation in (*members, *sites):
        if organisation not in organisations:
            raise _malformed(f"{name}: expected an organisation that the roster lists")
    _check_rules(roster)


def _check_rules(roster: Roster) -> None:
    for name in QUORUMS:
        rule: Rule = getattr(roster.rules, name)
        try:
            check_quorum(roster.members, rule, author=None)
        except QuorumError as error:
            raise _malformed(f"rules.{name} can never be met: {error}") from None
    needed, sites = roster.rules.cosignatures, len(roster.sites)
    if not (sites + FORKING_SITES) < 2 * needed <= 2 * sites:
        raise _malformed(
            f"rules.cosignatures: expected k with 2k > n + {FORKING_SITES} and k <= n for "
            f"n = {sites} sites, came {needed}"
        )
    try:
        named = roster.log_key
    except NoteError as error:
        raise _malformed(f"portal.log_key: {error}") from None
    if named.name != roster.portal.log_origin or named.type is not KeyType.LOG:
        raise _malformed("portal.log_key: expected the key of the log named log_origin")


def _malformed(problem: str) -> RosterError:
    return RosterError("roster_malformed", sentence("roster_malformed", problem=problem))


def _unverified(problem: str) -> RosterError:
    return RosterError("roster_unverified", sentence("roster_unverified", problem=problem))
