"""A draft of the next roster: what the portal knows now, for the committee to read and sign."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from accounts.models import Organisation, Site, User
from governance.models import RosterVersion
from governance.queries import current_roster, roster_chain
from governance.roster import FORKING_SITES, Roster
from governance.statements.envelope import Envelope, Kind, unsigned
from studies.documents import format_moment

_QUORUM = {"approvals": 2, "organisations": 2}
_MAX_VALIDITY_DAYS = 30


def draft_roster(
    *, portal: Mapping[str, Any] | None = None, now: datetime | None = None
) -> Envelope:
    """Return an unsigned roster that follows the one in force, or the first one.

    People with open accounts, their roles and keys, organisations and enrolled sites are those of
    the portal; the rules stay as they are. `portal` holds the portal's own names and keys; it may
    be left out once a roster has them. A first roster asks for two members of two organisations.

    *Security*: it has no authority. Members of the committee compare it with what they know before
    they sign; `quorate-sign show` renders it.
    *Raises* ActionRefusedError without `portal` before the first roster; RosterError when what the
    portal knows makes no roster, for example too few reviewers.
    """
    sites = _sites()
    first = not RosterVersion.objects.exists()
    before = _first(len(sites)) if first and portal else _following(len(sites))
    payload = {
        **before,
        **({"portal": dict(portal)} if portal else {}),
        "issued_at": format_moment(now or timezone.now()),
        "organisations": [
            {"id": row.slug, "name": row.name} for row in Organisation.objects.order_by("slug")
        ],
        "members": _members(),
        "sites": sites,
    }
    envelope = unsigned(Kind.ROSTER, payload)
    Roster.parse(envelope)
    return envelope


def _first(sites: int) -> dict[str, Any]:
    return {
        "type": Kind.ROSTER.value,
        "version": 1,
        "previous": None,
        "rules": {
            "study_approvals": _QUORUM,
            "class_approvals": _QUORUM,
            "roster": _QUORUM,
            "cosignatures": _cosignatures(sites),
            "max_validity_days": _MAX_VALIDITY_DAYS,
            "author_organisation_excluded": False,
            "offline_signatures": [],
            "agreement": None,
        },
    }


def _following(sites: int) -> dict[str, Any]:
    roster, payload = current_roster(), roster_chain()[-1].payload
    kept = roster.rules.cosignatures
    enough = min(max(kept, _cosignatures(sites)), max(sites, 1))
    return {
        **payload,
        "version": roster.version + 1,
        "previous": roster.digest,
        "rules": {**payload["rules"], "cosignatures": enough},
    }


def _cosignatures(sites: int) -> int:
    """Return the smallest k with 2k > n + t."""
    return (sites + FORKING_SITES) // 2 + 1


def _sites() -> list[dict[str, str]]:
    enrolled = Site.objects.exclude(identity_key="").select_related("organisation")
    return [
        {
            "id": site.slug,
            "organisation": site.organisation.slug,
            "identity_key": site.identity_key,
        }
        for site in enrolled.order_by("slug")
    ]


def _members() -> list[dict[str, Any]]:
    people = User.objects.filter(is_active=True, organisation__isnull=False)
    return [
        {
            "id": person.member_id,
            "name": str(person),
            "organisation": person.organisation.slug,
            "roles": sorted(row.role for row in person.memberships.all()),
            "keys": [key.document for key in person.signing_keys.all()],
        }
        for person in people.select_related("organisation")
        .prefetch_related("memberships", "signing_keys")
        .order_by("member_id")
        if person.organisation is not None
    ]
