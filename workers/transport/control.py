"""The messages of the agent protocol, version 1: their schemas, a strict parser, its formatter.

Both ends of the control connection (`workers.party.agent` and the portal's consumer) read and
write through this module, so that neither can drift from docs/protocols/agent.md. A message is
one text frame of canonical JSON (RFC 8785) of at most 1 MiB, an object with a `type`:

    {"attempt":1,"run":"4f0c...","step":"computing","type":"progress"}

Statements (DSSE envelopes) and evidence are checked here in shape only; what they say is
verified by `governance`. Signatures never cover a message, only what it carries: a message is
a hint, and the truth is a row on either side.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

import jsonschema
import rfc8785

VERSION = 1
PATH = "/agent/v1/control"
MAX_MESSAGE_BYTES = 1 << 20
MAX_CIPHERTEXT_BYTES = 700 << 10
MAX_LETTER_BYTES = 500 << 10

CLOSE_MALFORMED = 4400
CLOSE_NOT_AUTHENTICATED = 4401
CLOSE_VERSION = 4406
CLOSE_PARTY_LOST = 4408
CLOSE_REPLACED = 4409

Message = dict[str, Any]


class Sender(StrEnum):
    """The end of the connection that a message comes from."""

    PORTAL = "portal"
    AGENT = "agent"


class ControlError(ValueError):
    """A frame is not a message of this protocol; the connection closes with 4400."""


def _text(pattern: str, max_length: int) -> dict[str, Any]:
    # In Python's `re` a final `$` would also let one newline pass.
    strict = pattern.removesuffix("$") + r"$(?!\n)"
    return {"type": "string", "pattern": strict, "maxLength": max_length}


def _base64(max_bytes: int) -> dict[str, Any]:
    return _text(r"^[A-Za-z0-9+/]*={0,2}$", 4 * -(-max_bytes // 3))


def _closed(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_SENTENCE = {"type": "string", "minLength": 1, "maxLength": 1000}
_CODE = _text(r"^[a-z][a-z_]*$", 64)
_SITE = _text(r"^[a-z0-9][a-z0-9_-]*$", 64)
_RUN = _text(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", 64)
_ATTEMPT = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
_SIZE = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
_DIGEST = _text(r"^[0-9a-f]{64}$", 64)
_SIGNATURE = _text(r"^[0-9a-f]{128}$", 128)
_SESSION = _text(r"^[0-9a-f]{32}$", 32)
_PROOF = {"type": "array", "items": _base64(32), "maxItems": 64}
_NOTE = {"type": "string", "minLength": 1, "maxLength": 16 << 10}
_BYTES = _base64(512 << 10)
_ENVELOPE = _closed(
    {
        "payloadType": _text(r"^application/vnd\.quorate\.[a-z-]+\.v1\+json$", 128),
        "payload": _BYTES,
        "signatures": {"type": "array", "items": {"type": "object"}, "maxItems": 64},
    }
)
_ENVELOPES = {"type": "array", "items": _ENVELOPE, "maxItems": 256}
_BY_SITE = {
    "type": "object",
    "propertyNames": _SITE,
    "additionalProperties": _ENVELOPE,
    "minProperties": 1,
    "maxProperties": 64,
}
_EVIDENCE = _closed(
    {
        "rosters": _ENVELOPES,
        "plan": _BYTES,
        "class_document": _BYTES,
        "class_approvals": _ENVELOPES,
        "study_approvals": _ENVELOPES,
        "agreements": _ENVELOPES,
        "consents": _ENVELOPES,
    }
)
_LETTER = _base64(MAX_LETTER_BYTES)
_LEAF = _base64(65_535)
_ATTEMPT_KEY = {"run": _RUN, "attempt": _ATTEMPT}
_ERROR = {"code": _CODE, "sentence": _SENTENCE}

_FIELDS: dict[Sender, dict[str, dict[str, Any]]] = {
    Sender.PORTAL: {
        "challenge": {
            "version": {"type": "integer", "minimum": 1},
            "nonce": _DIGEST,
            "portal": _text(r"^https?://[^\s/]+$", 256),
        },
        "welcome": {
            "site": _SITE,
            "heartbeat_seconds": {"type": "integer", "minimum": 1, "maximum": 3600},
        },
        "heartbeat": {},
        "rosters": {"rosters": {**_ENVELOPES, "minItems": 1}},
        "entries": {
            "first": _SIZE,
            "leaves": {"type": "array", "items": _LEAF, "minItems": 1, "maxItems": 2000},
            "statements": _ENVELOPES,
        },
        "letter": {"number": _SIZE, "sender": _SITE, "ciphertext": _LETTER},
        "invitation": {**_ATTEMPT_KEY, "session": _SESSION, "evidence": _EVIDENCE},
        "manifest": {**_ATTEMPT_KEY, "manifest": _BYTES, "key_offers": _BY_SITE},
        "start": {**_ATTEMPT_KEY, "acceptances": _BY_SITE},
        "cancel": {**_ATTEMPT_KEY, "reason": _CODE},
        "checkpoint": {"note": _NOTE, "old_size": _SIZE, "proof": _PROOF},
        "permit": {
            **_ATTEMPT_KEY,
            "permit": _BYTES,
            "certificates": _BY_SITE,
            "leaf": _BYTES,
            "index": _SIZE,
            "proof": _PROOF,
            "note": _NOTE,
            "release": {"anyOf": [_ENVELOPE, {"type": "null"}]},
        },
        "error": _ERROR,
    },
    Sender.AGENT: {
        "hello": {
            "version": {"type": "integer", "minimum": 1},
            "site": _SITE,
            "register": _ENVELOPE,
            "checkpoint": {"anyOf": [_closed({"size": _SIZE, "root": _DIGEST}), {"type": "null"}]},
            "entries": _SIZE,
            "signature": _SIGNATURE,
        },
        "heartbeat": {},
        "key_offer": {**_ATTEMPT_KEY, "envelope": _ENVELOPE},
        "acceptance": {**_ATTEMPT_KEY, "envelope": _ENVELOPE},
        "progress": {
            **_ATTEMPT_KEY,
            "step": {"enum": ["queued", "connecting", "computing", "sealed", "awaiting_release"]},
        },
        "certificate": {**_ATTEMPT_KEY, "envelope": _ENVELOPE},
        # A refused checkpoint belongs to no run: run "" and attempt 0.
        "refusal": {
            "run": {"anyOf": [_RUN, {"const": ""}]},
            "attempt": {**_ATTEMPT, "minimum": 0},
            **_ERROR,
        },
        "failure": {
            **_ATTEMPT_KEY,
            "code": {"enum": ["aborted", "site_lost", "deadline_passed"]},
        },
        "cosignature": {"size": _SIZE, "line": _text(r"^— [^\s+]+ [A-Za-z0-9+/]+={0,2}$", 1024)},
        "shares": {**_ATTEMPT_KEY, "ciphertext": _base64(MAX_CIPHERTEXT_BYTES)},
        "consent": {"envelope": _ENVELOPE},
        "policy": {"envelope": _ENVELOPE},
        "entries_held": {"size": _SIZE},
        "letter": {"recipient": _SITE, "ciphertext": _LETTER},
        "letter_read": {"number": _SIZE},
        "error": _ERROR,
    },
}

SCHEMAS: Mapping[Sender, Mapping[str, dict[str, Any]]] = {
    sender: {
        kind: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"{kind} (from the {sender.value})",
            **_closed({"type": {"const": kind}, **fields}),
        }
        for kind, fields in kinds.items()
    }
    for sender, kinds in _FIELDS.items()
}
"""One JSON Schema a message, by who sends it."""


def parse_message(frame: str | bytes, *, sender: Sender) -> Message:
    """Return the message in `frame`, which came from `sender`.

    *Raises* ControlError when the frame is binary, longer than 1 MiB, not canonical JSON, of a
    type that `sender` does not send, or with a field missing, unknown or malformed. The error
    names the place and never repeats a value.
    """
    if not isinstance(frame, str):
        raise ControlError("expected a text frame, got a binary one")
    data = frame.encode("utf-8", errors="replace")
    if len(data) > MAX_MESSAGE_BYTES:
        raise ControlError(f"expected at most {MAX_MESSAGE_BYTES} bytes, got {len(data)}")
    try:
        message = json.loads(frame)
        canonical = rfc8785.dumps(message)
    except (ValueError, RecursionError) as error:
        raise ControlError(f"expected canonical JSON, got {type(error).__name__}") from None
    if canonical != data:
        raise ControlError("expected canonical JSON (RFC 8785), got another spelling")
    check_message(message, sender=sender)
    result: Message = message
    return result


def format_message(message: Mapping[str, Any], *, sender: Sender) -> str:
    """Return the one text frame that `parse_message` reads back as `message`.

    *Raises* ControlError when it is not a message that `sender` may send.
    """
    check_message(message, sender=sender)
    data = rfc8785.dumps(dict(message))
    if len(data) > MAX_MESSAGE_BYTES:
        raise ControlError(f"expected at most {MAX_MESSAGE_BYTES} bytes, got {len(data)}")
    return data.decode()


def check_message(message: object, *, sender: Sender) -> None:
    """Check that `message` is one that `sender` may send.

    *Raises* ControlError naming the field that is wrong.
    """
    kind = message.get("type") if isinstance(message, Mapping) else None
    if not isinstance(kind, str) or kind not in SCHEMAS[sender]:
        allowed = ", ".join(SCHEMAS[sender])
        raise ControlError(f"expected from the {sender.value} a message of type {allowed}")
    error = next(_validator(sender, kind).iter_errors(message), None)
    if error is not None:
        raise ControlError(
            f"{kind} {error.json_path}: does not satisfy {error.validator} of the schema"
        )


def hello_bytes(*, portal: str, nonce: str, site: str) -> bytes:
    """Return what a site's identity signs to answer a challenge."""
    return f"quorate/agent-hello/v1\n{portal}\n{nonce}\n{site}\n".encode()


def enrolment_bytes(*, site: str, token: str) -> bytes:
    """Return what a site's identity signs to prove, at enrolment, that it holds its key."""
    return f"quorate/site-enrolment/v1\n{site}\n{token}\n".encode()


@cache
def _validator(sender: Sender, kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(SCHEMAS[sender][kind])
