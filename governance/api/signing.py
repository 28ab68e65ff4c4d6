"""What every endpoint for signed statements has in common."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.api import read
from governance.serializers import AskSerializer
from governance.statement_requests import signed_by_passkey


def asked(request: Request, *decisions: str) -> dict[str, str]:
    """Return the decision and comment that a statement is asked for; raises ValidationError."""
    sent = read(AskSerializer, request)
    if sent["decision"] not in decisions:
        problem = f"Expected one of {', '.join(decisions)}, got {sent['decision']!r}."
        raise ValidationError({"decision": [problem]})
    return {"decision": sent["decision"], "comment": sent["comment"]}


def sent_envelope(request: Request) -> dict[str, Any]:
    """Return the envelope in the body, put together if a passkey signed what we asked for.

    *Raises* DRF's ValidationError; StatementError when its parts cannot be read.
    """
    body = request.data if isinstance(request.data, dict) else {}
    if isinstance(body.get("envelope"), dict):
        envelope: dict[str, Any] = body["envelope"]
        return envelope
    if isinstance(body.get("unsigned"), dict) and isinstance(body.get("credential"), dict):
        return signed_by_passkey(body["unsigned"], body["credential"])
    problem = "Expected the signed envelope, or `unsigned` with the passkey's `credential`."
    raise ValidationError({"envelope": [problem]})
