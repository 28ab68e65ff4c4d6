"""The statements that begin a run: what sites offer and agree to, and what the portal proposes.

Sites sign key offers and acceptances with their identity keys. The manifest carries no signature:
it has force once every site has accepted its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from governance.errors import malformed
from governance.statements.envelope import Kind
from governance.statements.payloads import Payload
from studies.documents import (
    COUNT,
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
)

SESSION: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}


@dataclass(frozen=True)
class OfferedDataSet:
    """The data set a site will use, as its own signed register describes it."""

    name: str
    kind: str
    register_digest: str


@dataclass(frozen=True)
class SeenCheckpoint:
    """The newest checkpoint a site has cosigned: tree size and root in hex."""

    size: int
    root: str


@dataclass(frozen=True)
class KeyOffer(Payload):
    """A site's X25519 key for one attempt, with its data set and the newest checkpoint it saw.

    `stops` has the digests of all decisions to stop that it knows of about the study, its class
    and its agreement: a party that lacks one has been kept from it. `policy_digest` is that of the
    site's own policy, by which it has permitted the run.
    """

    KIND = Kind.KEY_OFFER
    SCHEMA = document(
        KIND.value,
        "A site's key for one attempt of a run",
        {
            "site": IDENTIFIER,
            "study_digest": DIGEST,
            "run": IDENTIFIER,
            "attempt": POSITIVE,
            "session": SESSION,
            "public_key": KEY_HEX,
            "data_set": record(
                {
                    "name": IDENTIFIER,
                    "kind": one_of("synthetic", "public", "confidential"),
                    "register_digest": DIGEST,
                }
            ),
            "checkpoint": {"oneOf": [{"type": "null"}, record({"size": COUNT, "root": DIGEST})]},
            "stops": array(DIGEST, maximum=1000, unique=True),
            "policy_digest": DIGEST,
            "issued_at": MOMENT,
        },
    )

    site: str
    study_digest: str
    run: str
    attempt: int
    session: str
    public_key: str
    data_set: OfferedDataSet
    checkpoint: SeenCheckpoint | None
    stops: tuple[str, ...]
    policy_digest: str
    issued_at: str

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the key offer with the fields of `value`."""
        seen = value["checkpoint"]
        nested = {
            "data_set": OfferedDataSet(**value["data_set"]),
            "checkpoint": None if seen is None else SeenCheckpoint(**seen),
            "stops": tuple(value["stops"]),
        }
        return super().from_json({**value, **nested})


@dataclass(frozen=True)
class ManifestParty:
    """One party of a session: its number, its site, the key it offered, and that offer's digest."""

    party: int
    site: str
    public_key: str
    key_offer: str


@dataclass(frozen=True)
class Recipient:
    """Who reconstructs the output, and the X25519 key that output shares are encrypted for."""

    name: str
    public_key: str


@dataclass(frozen=True)
class RunManifest(Payload):
    """What the parties agree to run. `noise` may be ``off`` in a rehearsal only."""

    KIND = Kind.RUN_MANIFEST
    SCHEMA = document(
        KIND.value,
        "What the parties agree to run",
        {
            "study": IDENTIFIER,
            "study_digest": DIGEST,
            "class_digest": DIGEST,
            "run": IDENTIFIER,
            "attempt": POSITIVE,
            "session": SESSION,
            "profile": one_of("additive"),
            "noise": one_of("distributed", "off"),
            "nonce": KEY_HEX,
            "parties": array(
                record(
                    {
                        "party": COUNT,
                        "site": IDENTIFIER,
                        "public_key": KEY_HEX,
                        "key_offer": DIGEST,
                    }
                ),
                2,
                20,
            ),
            "recipient": record({"name": one_of("gate"), "public_key": KEY_HEX}),
            "roster_digest": DIGEST,
            "deadline": MOMENT,
        },
    )

    study: str
    study_digest: str
    class_digest: str
    run: str
    attempt: int
    session: str
    profile: str
    noise: str
    nonce: str
    parties: tuple[ManifestParty, ...]
    recipient: Recipient
    roster_digest: str
    deadline: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if [party.party for party in self.parties] != list(range(len(self.parties))):
            raise malformed("parties: expected them numbered from 0 in order")
        for field in ("site", "public_key", "key_offer"):
            if len({getattr(party, field) for party in self.parties}) != len(self.parties):
                raise malformed(f"parties: expected each to have its own {field}")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the manifest with the fields of `value`."""
        nested = {
            "parties": tuple(ManifestParty(**party) for party in value["parties"]),
            "recipient": Recipient(**value["recipient"]),
        }
        return super().from_json({**value, **nested})

    def party_of(self, site: str) -> ManifestParty | None:
        """Return the party that `site` is, or None."""
        return next((party for party in self.parties if party.site == site), None)


@dataclass(frozen=True)
class RunAcceptance(Payload):
    """A site's agreement to a manifest, by digest."""

    KIND = Kind.RUN_ACCEPTANCE
    SCHEMA = document(
        KIND.value,
        "A site's agreement to a run manifest",
        {"site": IDENTIFIER, "manifest_digest": DIGEST, "issued_at": MOMENT},
    )

    site: str
    manifest_digest: str
    issued_at: str
