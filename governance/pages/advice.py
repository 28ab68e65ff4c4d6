"""What an investigator can do about a run that did not finish, for each kind of reason."""

from collections.abc import Mapping

_AGAIN = "Start another run. Nothing has been charged for this one."
_STEWARD = "Ask the site's data steward to decide again, then start another run."
_COMMITTEE = "Ask the governance committee to renew its decision, then start another run."
_AMEND = "Amend the plan so that it fits, or ask the site what it would allow."
_AUDITOR = "Do not start another run yet. Tell an auditor: the log and the sites must agree first."

ADVICE: Mapping[str, str] = {
    "site_lost": (
        "Ask the site's operator whether its agent is up; "
        f"or its journal (site-agent journal) says why. {_AGAIN}"
    ),
    "deadline_passed": f"Ask the sites' operators whether their agents are up. {_AGAIN}",
    "aborted": _AGAIN,
    "cancelled": _AGAIN,
    "consent_missing": _STEWARD,
    "consent_declined": _STEWARD,
    "consent_withdrawn": _STEWARD,
    "consent_expired": _STEWARD,
    "renewed_consent_needed": _STEWARD,
    "class_quorum_missing": _COMMITTEE,
    "class_approval_expired": _COMMITTEE,
    "study_quorum_missing": _COMMITTEE,
    "study_approval_expired": _COMMITTEE,
    "class_revoked": "Amend the plan to use a class that the committee approves of.",
    "plan_expired": "Amend the plan with a later last day.",
    "policy_refuses": _AMEND,
    "data_set_unknown": "Ask the site's operator to register the data set, or amend the plan.",
    "column_unknown": "Amend the plan so that it names columns that every site has registered.",
    "rehearsal_on_confidential_data": _AMEND,
    "budget_exhausted": "Amend the plan with a smaller epsilon, or leave the site out.",
    "checkpoint_inconsistent": _AUDITOR,
    "checkpoint_unsigned": _AUDITOR,
    "permit_not_logged": _AUDITOR,
    "roster_unverified": _AUDITOR,
}
"""What to do, by the codes of `governance.reasons`."""


def advice_for(code: str) -> str:
    """Return what to do about a run that ended for the reason `code`."""
    return ADVICE.get(code, "Ask the portal operator, who finds the reason's code in the run.")
