"""An output checker's verdict on a noised result."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from audit import log
from governance import dispatch, policies
from governance.models import OutputCheck, Release
from governance.queries import current_roster
from governance.signed import read_signed
from governance.statement_requests import output_check_fields
from governance.statements.decisions import OutputCheck as Verdict

_CHECKERS = frozenset({"checker"})


@transaction.atomic
def sign_output_check(*, release: Release, envelope: Mapping[str, Any], by: User) -> OutputCheck:
    """Return the stored verdict; the release gate decides once enough are in.

    *Raises* StatementError, NotPermittedError, ActionRefusedError.
    """
    locked = Release.objects.select_for_update().get(pk=release.pk)
    policies.check_can_check_output(locked, by)
    signed = read_signed(
        Verdict,
        envelope,
        expected=output_check_fields(locked),
        roles=_CHECKERS,
        roster=current_roster(),
        by=by,
        now=timezone.now(),
    )
    run = locked.run
    entry = log.append(
        "release.check_signed",
        actor=by.member_id,
        subject=f"run:{run.identifier}",
        study=run.study.identifier,
        data=signed.logged,
    )
    stored = OutputCheck.objects.create(release=locked, log_index=entry.index, **signed.row)
    dispatch.decide(run.identifier)
    dispatch.hint(dispatch.study_group(run.study.identifier))
    return stored
