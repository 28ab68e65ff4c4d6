"""A steward's word on their site's share of a result: signed in the portal, carried to the site."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Site, User
from audit import log
from governance import dispatch, policies
from governance.models import Release, SiteRelease
from governance.queries import current_roster
from governance.signed import read_signed
from governance.statement_requests import site_release_fields
from governance.statements.decisions import SiteRelease as Word

_STEWARDS = frozenset({"steward"})


@transaction.atomic
def sign_site_release(
    *, release: Release, site: Site, envelope: Mapping[str, Any], by: User
) -> SiteRelease:
    """Return the stored word; the site's agent verifies it and acts on it.

    *Raises* StatementError, NotPermittedError, ActionRefusedError.
    """
    locked = Release.objects.select_for_update().get(pk=release.pk)
    policies.check_can_release_share(locked, site, by)
    signed = read_signed(
        Word,
        envelope,
        expected=site_release_fields(locked, site),
        roles=_STEWARDS,
        roster=current_roster(),
        by=by,
        now=timezone.now(),
    )
    study = locked.run.study
    entry = log.append(
        "release.share_signed",
        actor=by.member_id,
        subject=f"run:{locked.run.identifier}",
        study=study.identifier,
        data={"site": site.slug, **signed.logged},
    )
    stored = SiteRelease.objects.create(
        release=locked, site=site, log_index=entry.index, **signed.row
    )
    dispatch.hint(dispatch.AGENTS)
    dispatch.hint(dispatch.study_group(study.identifier))
    return stored
