"""Every change of a draft: one transaction, one log entry.

Only drafts are written here. From submission on a study moves by `governance.actions`.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.errors import ActionRefusedError, InvalidFieldsError, NotPermittedError
from accounts.models import Site, User
from accounts.permissions import check_permission
from audit import log
from studies import catalogue
from studies.models import Study, StudyVersion
from studies.plan import StudyPlan
from studies.queries import shown_version

# What an author need not say, for there is one choice so far.
_DEFAULTS: Mapping[str, Any] = {
    "mode": "study",
    "privacy": {"currency": "micro-epsilon"},
    "openings": [{"name": "result"}],
    "recipient": "gate",
}
_OURS = ("type", "study", "version", "author")


@transaction.atomic
def create_study(*, plan: Mapping[str, Any], by: User, copied_from: Study | None = None) -> Study:
    """Return a new draft whose first version is `plan`.

    `plan` has the fields of `studies.plan` that an author chooses; the portal adds the study's
    identifier, the version, the author and the class digest.

    *Raises* NotPermittedError; studies.plan.PlanError with every problem of the plan.
    """
    check_permission(by, "study.propose")
    identifier = f"st-{secrets.token_hex(4)}"
    built = build_plan(plan, study=identifier, version=1, by=by)
    study = Study.objects.create(identifier=identifier, title=built.title, author=by)
    add_version(study, built)
    origin = {"copied_from": copied_from.identifier} if copied_from else {}
    _log("study.created", study, built, by, origin)
    return study


@transaction.atomic
def save_draft(*, study: Study, plan: Mapping[str, Any], by: User) -> StudyVersion:
    """Return the draft's version, with `plan` in place of the plan it had.

    *Raises* NotPermittedError for anyone but the author; ActionRefusedError once it has been
    submitted; studies.plan.PlanError.
    """
    study = Study.objects.select_for_update().get(pk=study.pk)
    check_can_edit(study, by)
    version = study.current
    built = build_plan(plan, study=study.identifier, version=version.number, by=by)
    if not study.versions.filter(submitted_at__isnull=False).exists():
        study.title = built.title
        study.save(update_fields=["title"])
    version.plan, version.digest = built.canonical(), built.digest
    version.save(update_fields=["plan", "digest"])
    version.sites.set(_sites(built))
    _log("study.amended", study, built, by, {"version": built.version})
    return version


def duplicate_study(*, study: Study, by: User) -> Study:
    """Return a new draft of one's own with the plan of `study`, which one may see."""
    shown = plan_of(shown_version(study, by)).to_json()
    plan = {name: value for name, value in shown.items() if name not in _OURS}
    plan["title"] = f"Copy of {plan['title']}"[:200]
    return create_study(plan=plan, by=by, copied_from=study)


def check_can_edit(study: Study, by: User) -> None:
    """Raise unless `by` may replace the plan of `study` now."""
    check_permission(by, "study.propose")
    if study.author_id != by.pk:
        raise NotPermittedError("not_author", "Only its author may change a study.")
    if study.state != Study.State.DRAFT:
        raise ActionRefusedError(
            "not_a_draft",
            f"This study is {study.get_state_display().lower()}: its plan can no longer be"
            " replaced. Amend the study to make a new version.",
        )


def plan_of(version: StudyVersion) -> StudyPlan:
    """Return the plan of `version`, read from its canonical bytes."""
    return StudyPlan.parse(bytes(version.plan))


def build_plan(fields: Mapping[str, Any], *, study: str, version: int, by: User) -> StudyPlan:
    """Return the plan that an author's `fields` make, with what the portal adds.

    *Raises* studies.plan.PlanError with every problem.
    """
    chosen = {name: value for name, value in fields.items() if name not in _OURS}
    whole = {**_DEFAULTS, **chosen}
    if isinstance(whole["privacy"], Mapping):
        whole["privacy"] = {**_DEFAULTS["privacy"], **whole["privacy"]}
    if isinstance(whole.get("class"), Mapping):
        whole["class"] = _with_digest(whole["class"])
    return StudyPlan.build(
        {**whole, "type": "study-plan", "study": study, "version": version, "author": by.member_id}
    )


def add_version(study: Study, plan: StudyPlan) -> StudyVersion:
    """Return the new version of `study` that holds `plan`, indexed by its sites.

    *Raises* InvalidFieldsError for a site that the portal does not know.
    """
    sites = _sites(plan)
    version = StudyVersion.objects.create(
        study=study, number=plan.version, plan=plan.canonical(), digest=plan.digest
    )
    version.sites.set(sites)
    return version


def _with_digest(named: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the class reference with the digest of our catalogue, unless it names one."""
    try:
        digest = catalogue.get(named["name"], named["version"]).digest
    except KeyError:
        return named  # the plan's parser says what is wrong
    return {"digest": digest, **named}


def _sites(plan: StudyPlan) -> list[Site]:
    found = list(Site.objects.filter(slug__in=plan.sites))
    unknown = sorted(set(plan.sites) - {site.slug for site in found})
    if unknown:
        raise InvalidFieldsError({"sites": f"There is no site called {', '.join(unknown)}."})
    return found


def _log(event: str, study: Study, plan: StudyPlan, by: User, data: dict[str, Any]) -> None:
    log.append(
        event,
        actor=by.member_id,
        subject=f"study:{study.identifier}",
        study=study.identifier,
        data={"study_digest": plan.digest, **data},
    )
