"""Publish a roster: its predecessor's quorum signed it, the portal only hands it out."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.actions import actor_name
from accounts.errors import ActionRefusedError
from accounts.models import User
from accounts.permissions import check_permission
from audit import log
from governance.models import RosterVersion
from governance.queries import roster_chain
from governance.roster import verify_chain
from governance.statements.envelope import Envelope


@transaction.atomic
def publish_roster(*, envelope: Mapping[str, Any], by: User | None) -> RosterVersion:
    """Return the published roster; `by` is None at the server's console.

    *Raises* RosterError unless it continues the chain and the quorum that must sign it has;
    ActionRefusedError when this version is published already.
    """
    if by is not None:
        check_permission(by, "roster.publish")
    read = Envelope.parse(envelope)
    if RosterVersion.objects.filter(digest=read.digest).exists():
        raise ActionRefusedError("roster_published", "This roster is published already.")
    chain = (*roster_chain(), read)
    roster = verify_chain(chain, pinned=chain[0].digest)
    published = RosterVersion.objects.create(
        version=roster.version, digest=roster.digest, envelope=read.to_json()
    )
    log.append(
        "roster.published",
        actor=actor_name(by),
        subject=f"roster:{roster.version}",
        data={"roster_digest": roster.digest, "version": roster.version},
    )
    return published
