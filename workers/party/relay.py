"""How a computation of this site reaches the others: through the portal's relay, outbound only."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from studies.documents import parse_moment
from workers.party.computation import Session
from workers.transport.authentication import authorization
from workers.transport.websocket import RelayChannel

PATH = "/relay/v1/"


def now() -> datetime:
    """Return the moment, by the machine's clock."""
    return datetime.now(UTC)


def connect(session: Session) -> RelayChannel:
    """Return the channel of a session; it dials when it is entered, and until the deadline."""
    home, manifest = session.home, session.manifest
    identity = home.identity

    def credential() -> str:
        return authorization(
            identity.sign,
            session=manifest.session,
            site=session.site,
            issued_at=int(now().timestamp()),
            nonce=secrets.token_hex(16),
        )

    left = (parse_moment(manifest.deadline) - now()).total_seconds()
    return RelayChannel(
        home.websocket_url(PATH + manifest.session),
        authorization=credential,
        secrets=session.secrets(),
        ssl_context=home.ssl_context(),
        deadline_seconds=max(left, 1.0),
    )
