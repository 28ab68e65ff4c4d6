"""Becoming known to the portal: a one-time token, and proof of the site's identity key.

One outbound HTTPS request to the one host that the site talks to; the environment's proxy and the
site's private authority are honoured. Enrolment makes the key known, nothing more: others believe
it once the committee's quorum has put it into the roster.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from workers.party.errors import PartyError
from workers.party.home import SiteHome
from workers.transport.control import enrolment_bytes

TIMEOUT_SECONDS = 20
_MAX_ANSWER_BYTES = 1 << 16


class PortalError(PartyError):
    """The portal cannot be reached, or it declined; the message says what it said."""


class _OneHost(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: whoever holds the portal must not send us about our own network."""

    def redirect_request(self, *_arguments: object) -> None:
        """Return no request to go on with, so that the redirect is an error."""


def enrol(home: SiteHome, token: str) -> None:
    """Make the site's identity key known to the portal. *Raises* PortalError."""
    site = home.configuration.site
    proof = home.identity.sign(enrolment_bytes(site=site, token=token)).hex()
    body = {"token": token, "identity_key": home.identity_public_hex, "proof": proof}
    request(home, f"/api/v1/sites/{site}/enrolment", body)


def request(home: SiteHome, path: str, body: dict[str, str] | None = None) -> dict[str, str]:
    """Ask the portal for `path`, or post `body` to it; return the answer's headers.

    *Raises* PortalError.
    """
    url = home.configuration.portal_url + path
    context = home.ssl_context()
    handlers: list[urllib.request.BaseHandler] = [_OneHost()]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(  # noqa: S310 the configuration allows http and https only
        url, data=data, headers={"Content-Type": "application/json", "Accept": "application/json"}
    )
    try:
        opener = urllib.request.build_opener(*handlers)
        with opener.open(asked, timeout=TIMEOUT_SECONDS) as answer:
            return dict(answer.headers)
    except urllib.error.HTTPError as error:
        said = error.read(_MAX_ANSWER_BYTES)
        raise PortalError(f"{url} answered {error.code}: {_sentence(said)}") from None
    except (OSError, ValueError) as error:
        raise PortalError(f"{url} cannot be reached: {error}") from None


def _sentence(answer: bytes) -> str:
    """Return what an error answer says to people, on one line and printable."""
    try:
        found = json.loads(answer)
        said = found.get("detail") or found.get("sentence") or found.get("message") or ""
    except (ValueError, AttributeError):
        said = ""
    return "".join(c if c.isprintable() else " " for c in str(said))[:300] or "no reason given"
