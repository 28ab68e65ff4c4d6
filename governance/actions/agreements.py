"""An organisation's signature under the contract that the roster asks for."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Organisation, User
from audit import log
from governance import dispatch, policies
from governance.models import Agreement, Run
from governance.queries import current_roster
from governance.signed import read_signed
from governance.statement_requests import agreement_fields
from governance.statements.decisions import Agreement as AgreementDecision
from studies.documents import parse_moment

_STEWARDS = frozenset({"steward"})
_EVENTS = {"sign": "agreement.signed", "end": "agreement.ended"}


@transaction.atomic
def sign_agreement(*, envelope: Mapping[str, Any], by: User) -> Agreement:
    """Return the stored signature of the person's organisation, or its end.

    Runs under way with a site whose organisation has ended the agreement are looked at again.

    *Raises* StatementError, NotPermittedError, ActionRefusedError.
    """
    roster = current_roster()
    signed = read_signed(
        AgreementDecision,
        envelope,
        expected=agreement_fields(roster),
        roles=_STEWARDS,
        roster=roster,
        by=by,
        now=timezone.now(),
    )
    organisation = Organisation.objects.select_for_update().get(slug=signed.decision.organisation)
    policies.check_can_sign_agreement(organisation, signed.decision.decision, by)
    entry = log.append(
        _EVENTS[signed.decision.decision],
        actor=by.member_id,
        subject=f"organisation:{organisation.slug}",
        data={
            "agreement_digest": signed.decision.agreement_digest,
            "organisation": organisation.slug,
            **signed.logged,
        },
    )
    stored = Agreement.objects.create(
        organisation=organisation,
        agreement_digest=signed.decision.agreement_digest,
        valid_until=parse_moment(signed.decision.valid_until),
        log_index=entry.index,
        **signed.row,
    )
    active = Run.objects.filter(state__in=policies.ACTIVE_RUNS)
    for run in active.filter(version__sites__organisation=organisation):
        dispatch.advance(run.identifier)
    return stored
