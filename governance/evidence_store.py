"""Collect from the database what shows that a study may run: envelopes word for word."""

from governance.evidence import Evidence
from governance.models import Agreement, ClassApproval, ComputationClass, RosterVersion
from governance.queries import current_roster, read_envelopes, roster_chain
from governance.statements.envelope import Envelope
from studies.actions import plan_of
from studies.models import StudyVersion


def evidence_for(version: StudyVersion) -> Evidence:
    """Return the evidence for `version`, complete or not; `governance.evidence` judges it."""
    reference = plan_of(version).class_reference
    computation_class = ComputationClass.objects.filter(digest=reference.digest).first()
    class_approvals = ClassApproval.objects.filter(computation_class=computation_class)
    return Evidence(
        rosters=roster_chain(),
        plan=bytes(version.plan),
        class_document=bytes(computation_class.document) if computation_class else b"",
        class_approvals=read_envelopes(
            class_approvals.order_by("pk").values_list("envelope", flat=True)
        ),
        study_approvals=read_envelopes(
            version.approvals.order_by("pk").values_list("envelope", flat=True)
        ),
        agreements=_agreements(),
        consents=read_envelopes(version.consents.order_by("pk").values_list("envelope", flat=True)),
    )


def _agreements() -> tuple[Envelope, ...]:
    """Return every signature under the agreement that the roster in force asks for."""
    required = current_roster().rules.agreement if RosterVersion.objects.exists() else None
    if required is None:
        return ()
    rows = Agreement.objects.filter(agreement_digest=required.digest).order_by("pk")
    return read_envelopes(rows.values_list("envelope", flat=True))
