"""The roles and the permissions each one carries. Data, no logic."""

from collections.abc import Mapping

from django.db.models import TextChoices


class Role(TextChoices):
    PI = "pi", "Principal investigator"
    REVIEWER = "reviewer", "Committee reviewer"
    CHAIR = "chair", "Committee chair"
    STEWARD = "steward", "Data steward"
    CHECKER = "checker", "Output checker"
    AUDITOR = "auditor", "Auditor"
    PORTAL_OPERATOR = "portal_operator", "Portal operator"


# Every permission that a view may declare, with what it lets a person do.
# "Own" and "of this site" are narrowed by governance.policies, on the object.
PERMISSIONS: Mapping[str, str] = {
    "home": "See one's own home page, account and keys.",
    "class.view": "Read computation classes and their cards.",
    "class.propose": "Enter a class of the catalogue for approval.",
    "class.approve": "Sign an approval or rejection of a computation class.",
    "study.view": "Read studies that one takes part in.",
    "study.propose": "Draft, amend, submit and withdraw one's own studies.",
    "study.review": "Sign a review of a submitted study.",
    "consent.sign": "Give, decline or withdraw consent for one's own site.",
    "run.start": "Start or cancel a run of one's own approved study.",
    "output.check": "Sign an output check; see the noised result before release.",
    "audit.view": "Browse, export and verify the audit log.",
    "people.manage": "Invite people, grant roles, deactivate accounts, enrol sites.",
    "roster.view": "Read the roster.",
    "roster.publish": "Publish a roster version that its predecessor's quorum signed.",
}

_EVERYONE = frozenset({"home", "class.view", "roster.view", "study.view"})

ROLE_PERMISSIONS: Mapping[str, frozenset[str]] = {
    Role.PI: _EVERYONE | {"study.propose", "run.start"},
    Role.REVIEWER: _EVERYONE | {"study.review", "class.approve"},
    Role.CHAIR: _EVERYONE | {"study.review", "class.approve"},
    Role.STEWARD: _EVERYONE | {"consent.sign"},
    Role.CHECKER: _EVERYONE | {"output.check"},
    Role.AUDITOR: _EVERYONE | {"audit.view"},
    Role.PORTAL_OPERATOR: frozenset({"home", "class.view", "roster.view"})
    | {"people.manage", "class.propose", "roster.publish"},
}
