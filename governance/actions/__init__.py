"""Every step of a study's way that people take: one transaction each, logged in it.

Two entries belong to a signed decision that completes something: the signature, and the move that
follows from it by rule.
"""

from governance.actions.agreements import sign_agreement
from governance.actions.classes import propose_class, sign_class_decision
from governance.actions.consents import sign_consent
from governance.actions.output_checks import sign_output_check
from governance.actions.rosters import publish_roster
from governance.actions.runs import cancel_run, start_run
from governance.actions.site_policies import record_site_policy
from governance.actions.site_releases import sign_site_release
from governance.actions.studies import (
    amend_study,
    expire_study,
    review_study,
    submit_study,
    withdraw_study,
)

__all__ = [
    "amend_study",
    "cancel_run",
    "expire_study",
    "propose_class",
    "publish_roster",
    "record_site_policy",
    "review_study",
    "sign_agreement",
    "sign_class_decision",
    "sign_consent",
    "sign_output_check",
    "sign_site_release",
    "start_run",
    "submit_study",
    "withdraw_study",
]
