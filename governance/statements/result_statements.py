"""The statements that end a run: what sites certify, and the leave to open the result.

Sites sign certificates with their identity keys. The opening permit carries no signature: it has
force once its digest is in the log under a cosigned checkpoint (`governance.permit`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

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
    document,
    record,
)

_OUTPUT_COMMITMENT = b"quorate/output-share/v1"


def _by_site(item: Schema) -> Schema:
    return {
        "type": "object",
        "patternProperties": {IDENTIFIER["pattern"]: item},
        "additionalProperties": False,
    }


@dataclass(frozen=True)
class Traffic:
    """SHA-256 over the frames exchanged with one peer, in each direction."""

    sent: str
    received: str


@dataclass(frozen=True)
class Output:
    """How many cells the output has, and the commitment to this party's share of them."""

    cells: int
    commitment: str


@dataclass(frozen=True)
class ResultCertificate(Payload):
    """A site's account of a finished session: its transcript and a commitment to its share."""

    KIND = Kind.RESULT_CERTIFICATE
    SCHEMA = document(
        KIND.value,
        "A site's account of a finished session",
        {
            "site": IDENTIFIER,
            "party": COUNT,
            "manifest_digest": DIGEST,
            "transcript": _by_site(record({"sent": DIGEST, "received": DIGEST})),
            "output": record({"cells": POSITIVE, "commitment": DIGEST}),
            "issued_at": MOMENT,
        },
    )

    site: str
    party: int
    manifest_digest: str
    transcript: Mapping[str, Traffic]
    output: Output
    issued_at: str

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the certificate with the fields of `value`."""
        transcript = {site: Traffic(**seen) for site, seen in value["transcript"].items()}
        output = Output(**value["output"])
        return super().from_json({**value, "transcript": transcript, "output": output})


@dataclass(frozen=True)
class OpeningPermit(Payload):
    """The release gate's leave to open one sealed result. See `governance.permit`."""

    KIND = Kind.OPENING_PERMIT
    SCHEMA = document(
        KIND.value,
        "The leave to open one sealed result",
        {
            "study": IDENTIFIER,
            "study_digest": DIGEST,
            "run": IDENTIFIER,
            "attempt": POSITIVE,
            "manifest_digest": DIGEST,
            "certificates": _by_site(DIGEST),
            "recipient_public_key": KEY_HEX,
            "charge": record({"micro_epsilon": COUNT}),
            "issued_at": MOMENT,
        },
    )

    study: str
    study_digest: str
    run: str
    attempt: int
    manifest_digest: str
    certificates: Mapping[str, str]
    recipient_public_key: str
    charge: Mapping[str, int]
    issued_at: str


def output_commitment(*, manifest_digest: str, party: int, salt: bytes, share: bytes) -> str:
    """Return the commitment of `party` to its output share, in hex.

    SHA-256("quorate/output-share/v1" || manifest digest || party || salt || share), where the
    party is one byte and the salt 32 fresh random bytes.

    *Security*: hiding by the salt, binding by SHA-256.
    """
    if len(salt) != 32:
        raise ValueError(f"expected a salt of 32 bytes, got {len(salt)}")
    prefix = _OUTPUT_COMMITMENT + bytes.fromhex(manifest_digest) + bytes([party])
    return hashlib.sha256(prefix + salt + share).hexdigest()
