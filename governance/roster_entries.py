"""What a roster lists, and the JSON Schema of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.signed_note import KeyType, VerifierKey
from governance.quorum import Rule
from governance.statements import keys
from governance.statements.envelope import Kind
from governance.statements.keys import Key
from studies.documents import (
    DIGEST,
    IDENTIFIER,
    KEY_HEX,
    MOMENT,
    POSITIVE,
    Schema,
    array,
    document,
    one_of,
    record,
    text,
)

ROLES = ("pi", "reviewer", "chair", "steward", "checker", "auditor", "portal_operator")

QUORUMS = ("study_approvals", "class_approvals", "roster")
OFFLINE_KINDS = (Kind.CLASS_APPROVAL, Kind.STUDY_APPROVAL, Kind.CONSENT, Kind.AGREEMENT)
"""What `offline_signatures` may name: decisions that a browser's page could show wrongly."""

_RULE = record({"approvals": POSITIVE, "organisations": POSITIVE})
SCHEMA: Schema = document(
    Kind.ROSTER.value,
    "Members, keys, sites and quorum rules",
    {
        "version": POSITIVE,
        "previous": {"oneOf": [{"type": "null"}, DIGEST]},
        "issued_at": MOMENT,
        "portal": record(
            {
                "name": text(200, 1),
                "rp_id": text(253, 1),
                "origins": array(text(300, 1), 1, 20, unique=True),
                "log_origin": text(200, 1),
                "log_key": text(300, 1),
                "gate_key": KEY_HEX,
            }
        ),
        "organisations": array(record({"id": IDENTIFIER, "name": text(200, 1)}), 1, 500),
        "members": array(
            record(
                {
                    "id": IDENTIFIER,
                    "name": text(200, 1),
                    "organisation": IDENTIFIER,
                    "roles": array(one_of(*ROLES), maximum=len(ROLES), unique=True),
                    "keys": array(keys.SCHEMA, maximum=20),
                }
            ),
            1,
            5000,
        ),
        "sites": array(
            record({"id": IDENTIFIER, "organisation": IDENTIFIER, "identity_key": KEY_HEX}), 2, 500
        ),
        "rules": record(
            {
                "study_approvals": _RULE,
                "class_approvals": _RULE,
                "roster": _RULE,
                "cosignatures": POSITIVE,
                "max_validity_days": {"type": "integer", "minimum": 1, "maximum": 366},
                "author_organisation_excluded": {"type": "boolean"},
                "offline_signatures": array(
                    one_of(*OFFLINE_KINDS), maximum=len(OFFLINE_KINDS), unique=True
                ),
                "agreement": {
                    "oneOf": [{"type": "null"}, record({"title": text(200, 1), "digest": DIGEST})]
                },
            }
        ),
    },
)


@dataclass(frozen=True)
class Organisation:
    """What quorum rules count."""

    id: str
    name: str


@dataclass(frozen=True)
class Member:
    """A person who may decide: `roles` says what, `keys` are theirs alone."""

    id: str
    name: str
    organisation: str
    roles: frozenset[str]
    keys: tuple[Key, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Member:
        """Return the member that the roster writes as `value`."""
        return cls(
            id=value["id"],
            name=value["name"],
            organisation=value["organisation"],
            roles=frozenset(value["roles"]),
            keys=tuple(Key.parse(key) for key in value["keys"]),
        )


@dataclass(frozen=True)
class RosterSite:
    """A site and the Ed25519 identity key, in hex, that it signs and witnesses with."""

    id: str
    organisation: str
    identity_key: str

    @property
    def key(self) -> Key:
        """The identity key as a key that statements name."""
        return Key.ed25519(bytes.fromhex(self.identity_key))

    @property
    def witness(self) -> VerifierKey:
        """The identity key as the log's witness, named like the site."""
        return VerifierKey(self.id, KeyType.COSIGNATURE, bytes.fromhex(self.identity_key))


@dataclass(frozen=True)
class Portal:
    """The portal: where passkeys sign, which log it keeps, and the release gate's key."""

    name: str
    rp_id: str
    origins: tuple[str, ...]
    log_origin: str
    log_key: str
    gate_key: str


@dataclass(frozen=True)
class RequiredAgreement:
    """The contract that every site's organisation must have signed: its name, its file's digest."""

    title: str
    digest: str


@dataclass(frozen=True)
class Rules:
    """The quorums, and the longest that a decision may hold.

    With `author_organisation_excluded` nobody of a study's author's own organisation is counted
    as its reviewer. Decisions of the kinds in `offline_signatures` count only when an Ed25519 key
    signed them, which no web page can use. Under an `agreement` no site takes part in a study
    whose organisation has not signed that contract.
    """

    study_approvals: Rule
    class_approvals: Rule
    roster: Rule
    cosignatures: int
    max_validity_days: int
    author_organisation_excluded: bool
    offline_signatures: frozenset[Kind]
    agreement: RequiredAgreement | None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rules:
        """Return the rules that the roster writes as `value`."""
        agreement = value["agreement"]
        parsed = {
            **{name: Rule(**value[name]) for name in QUORUMS},
            "offline_signatures": frozenset(map(Kind, value["offline_signatures"])),
            "agreement": None if agreement is None else RequiredAgreement(**agreement),
        }
        return cls(**{**value, **parsed})
