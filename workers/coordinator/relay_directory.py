"""Who may meet at the relay: the sites of an attempt that is computing, and no others."""

from channels.db import database_sync_to_async

from workers.coordinator import attempts
from workers.coordinator.models import Attempt
from workers.coordinator.relay import Member, SessionMembers


async def members_of(session: str) -> SessionMembers | None:
    """Return the sites that may join `session`, each with its party number and identity key."""
    members: SessionMembers | None = await database_sync_to_async(_members_of)(session)
    return members


async def on_lost(session: str, sites: tuple[str, ...]) -> None:
    """End the attempt of `session`: these sites were lost."""
    await database_sync_to_async(attempts.lose)(session, sites)


def _members_of(session: str) -> SessionMembers | None:
    attempt = Attempt.objects.filter(session=session, state=Attempt.State.COMPUTING).first()
    if attempt is None:
        return None
    return {
        party.site.slug: Member(party.party, bytes.fromhex(party.site.identity_key))
        for party in attempt.parties.select_related("site")
    }
