"""What a site says of its policy: kept, and its digest logged when it changes."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Site
from audit import log
from governance.errors import malformed
from governance.models import SitePolicy
from governance.queries import current_roster
from governance.statements.envelope import Envelope, verify
from governance.statements.registers import SitePolicyStatement


@transaction.atomic
def record_site_policy(*, site: Site, envelope: Mapping[str, Any]) -> SitePolicy:
    """Return the stored policy of `site`, as its agent signed it.

    It decides nothing here: the site asks its own file.

    *Raises* StatementError.
    """
    signed = Envelope.parse(envelope)
    statement = SitePolicyStatement.of(signed)
    listed = current_roster().site(site.slug)
    if listed is None or statement.site != site.slug:
        raise malformed(f"expected a statement of {site.slug}, which the roster lists")
    verify(signed, listed.key)
    before = SitePolicy.objects.select_for_update().filter(site=site).first()
    changed = before is None or before.digest != statement.policy_digest
    stored, _ = SitePolicy.objects.update_or_create(
        site=site,
        defaults={
            "envelope": signed.to_json(),
            "digest": statement.policy_digest,
            "published": statement.published,
            "text": statement.policy,
            **({"since": timezone.now()} if changed else {}),
        },
    )
    if changed:
        log.append(
            "site.policy_changed",
            actor=f"site:{site.slug}",
            subject=f"site:{site.slug}",
            data={"policy_digest": statement.policy_digest},
        )
    return stored
