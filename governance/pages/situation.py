"""Where a study stands, in one heading and one sentence: what the top of its page says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from governance.models import Consent, Release, Run
from governance.policies import ACTIVE_RUNS
from governance.queries import consents_of, current_roster, declines_of, newest_runs
from governance.states import OWNER, Machine
from studies.actions import plan_of
from studies.models import Study

STEPS = ("Draft", "Review", "Consent", "Run", "Release")
_DRAFT, _REVIEW, _CONSENT, _RUN, _RELEASE = range(len(STEPS))


@dataclass(frozen=True)
class Step:
    """One step of the lifecycle bar; `mark` is done, now, stopped or empty."""

    label: str
    mark: str


@dataclass(frozen=True)
class Headline:
    """The state of what moved last, study, run or release, and who acts next.

    `declined` names the sites without which the plan cannot run, so its author must change it.
    """

    state: str
    label: str
    owner: str
    since: datetime
    declined: tuple[str, ...] = ()


@dataclass(frozen=True)
class Situation:
    """How a study stands; `tone` is good, warn, bad or empty, as for alerts."""

    headline: Headline
    sentence: str
    tone: str
    steps: tuple[Step, ...]


def headline_of(study: Study) -> Headline:
    """Return how the study stands in a word."""
    return headlines_of([study])[0]


def headlines_of(studies: Sequence[Study]) -> list[Headline]:
    """Return how each study stands. *Cost* as `governance.queries.newest_runs`."""
    runs, declines = newest_runs(studies), declines_of(studies)
    return [
        _headline(study, *_leading(study, runs.get(study.pk)), declines.get(study.pk, []))
        for study in studies
    ]


def situation_of(study: Study) -> Situation:
    """Return how the study stands, run and release included."""
    run, release = _leading(study, newest_runs([study]).get(study.pk))
    headline = _headline(study, run, release, declines_of([study]).get(study.pk, []))
    if release is not None:
        return _released(study, release, headline)
    if run is not None:
        return _run(run, headline)
    return Situation(
        headline=headline,
        sentence=_sentence(study),
        tone=_TONES.get(Study.State(study.state), ""),
        steps=_steps(*_place_of(study)),
    )


def run_in_a_sentence(run: Run, release: Release | None) -> str:
    """Return how the run, or its release once there is one, stands."""
    if release is not None:
        return _sentence_of_release(release)
    sentences = {
        Run.State.PENDING: "The sites check the evidence again, each for itself, and agree to run.",
        Run.State.RUNNING: "The sites compute together. Nobody sees another site's data.",
        Run.State.SUCCEEDED: "The result is sealed: it exists only as shares at the sites.",
        Run.State.FAILED: run.reason or "The run failed.",
        Run.State.CANCELLED: run.reason or "The run was cancelled.",
    }
    return sentences[Run.State(run.state)]


def _leading(study: Study, run: Run | None) -> tuple[Run | None, Release | None]:
    """Return the run, and its release, that speak for the study; None where it does itself.

    Of a study that is ready, the newest run always does. One that has lost a consent or expired
    since is spoken for only by what is still under way.
    """
    release: Release | None = getattr(run, "release", None)
    if run is None or study.state == Study.State.READY:
        return run, release
    under_way = run.state in ACTIVE_RUNS or (release and OWNER[Machine.RELEASE, release.state])
    return (run, release) if under_way else (None, None)


def _headline(
    study: Study, run: Run | None, release: Release | None, declines: Sequence[Consent]
) -> Headline:
    if release is not None:
        label, owner = release.get_state_display(), OWNER[Machine.RELEASE, release.state]
        return Headline(release.state, label, owner, release.state_since)
    if run is not None:
        label, owner = f"Run {run.get_state_display().lower()}", OWNER[Machine.RUN, run.state]
        return Headline(run.state, label, owner, run.state_since)
    if declines:
        owner, since = OWNER[Machine.CONSENT, "decline"], declines[-1].signed_at
        sites = tuple(row.site.slug for row in declines)
        return Headline(study.state, study.get_state_display(), owner, since, sites)
    owner = OWNER[Machine.STUDY, study.state]
    return Headline(study.state, study.get_state_display(), owner, study.state_since)


def _run(run: Run, headline: Headline) -> Situation:
    failed = run.state in (Run.State.FAILED, Run.State.CANCELLED)
    return Situation(
        headline=headline,
        sentence=run_in_a_sentence(run, None),
        tone="bad" if failed else "",
        steps=_steps(_RUN, "stopped" if failed else "now"),
    )


def _sentence_of_release(release: Release) -> str:
    needed = plan_of(release.run.version).declaration.output_checks
    checks = release.checks.count()
    sentences = {
        Release.State.SEALED: "The result is sealed: it exists only as shares at the sites."
        " The release gate checks whether it may be opened.",
        Release.State.OPENING: "The opening permit is in the audit log. Each site verifies it"
        " before it sends its share.",
        Release.State.OPENED: f"The noised result is open to the output checkers only: {checks}"
        f" of {needed} checks are in.",
        Release.State.DECIDED: "The result has passed. It is shown as soon as the sites have"
        " cosigned the log entry of this decision.",
        Release.State.VISIBLE: "The result is released. The investigator can read it.",
        Release.State.WITHHELD: release.withheld_reason
        or "The result stays closed. It has cost its privacy budget all the same.",
    }
    return sentences[Release.State(release.state)]


def _released(study: Study, release: Release, headline: Headline) -> Situation:
    state = Release.State(release.state)
    withheld = state == Release.State.WITHHELD
    over = {Release.State.VISIBLE: "good", Release.State.WITHHELD: "bad"}
    mark = "stopped" if withheld else "done" if state == Release.State.VISIBLE else "now"
    return Situation(
        headline=headline,
        sentence=_sentence_of_release(release),
        tone=over.get(state, ""),
        steps=_steps(_RELEASE, mark),
    )


def _sentence(study: Study) -> str:
    match study.state:
        case Study.State.DRAFT:
            if study.current.number > 1:
                return (
                    "Its author is changing the plan. Until the new version is submitted, others"
                    " see the last one that was."
                )
            return "Only its author sees this draft. Once submitted, this version never changes."
        case Study.State.IN_REVIEW:
            return f"{_reviews(study)} Reviewers do not see each other's before all are in."
        case Study.State.CONFLICTED:
            return f"The reviewers disagree, so one more review decides. {_reviews(study)}"
        case Study.State.RETURNED:
            return "The committee asks for changes. Its comments stand with the reviews below."
        case Study.State.REJECTED:
            return "The committee has rejected the study for good. Its reasons stand below."
        case Study.State.APPROVED:
            return _consents(study)
        case Study.State.READY:
            return "Approved, and every site has consented. The investigator may start a run."
        case Study.State.WITHDRAWN:
            return "Its author has ended the study. Nothing of it can run."
    return "The time of this plan is over. Its author can make a new study from a copy."


def _reviews(study: Study) -> str:
    needed = current_roster().rules.study_approvals
    received = study.current.approvals.count()
    return (
        f"{received} of {needed.approvals} reviews are in, from {needed.organisations} or more"
        " organisations."
    )


def _consents(study: Study) -> str:
    consents = consents_of(study.current)
    declined = [each.site.slug for each in consents if each.code == "consent_declined"]
    missing = [each.site.slug for each in consents if not each.given]
    waiting = [site for site in missing if site not in declined]
    found = f"{len(consents) - len(missing)} of {len(consents)} sites have consented."
    if waiting:
        found += f" Still missing: {', '.join(waiting)}."
    if declined:
        found += f" Declined: {', '.join(declined)}; with it the plan cannot run, so amend it."
    return found


_TONES = {
    Study.State.RETURNED: "warn",
    Study.State.CONFLICTED: "warn",
    Study.State.REJECTED: "bad",
    Study.State.WITHDRAWN: "bad",
    Study.State.EXPIRED: "bad",
}
_PLACES = {
    Study.State.DRAFT: (_DRAFT, "now"),
    Study.State.IN_REVIEW: (_REVIEW, "now"),
    Study.State.CONFLICTED: (_REVIEW, "now"),
    Study.State.RETURNED: (_REVIEW, "stopped"),
    Study.State.REJECTED: (_REVIEW, "stopped"),
    Study.State.APPROVED: (_CONSENT, "now"),
    Study.State.READY: (_RUN, "now"),
}


def _place_of(study: Study) -> tuple[int, str]:
    """Return the step a study has come to, also where it ended before its time."""
    if study.state in _PLACES:
        return _PLACES[Study.State(study.state)]
    version = study.current
    if version.runs.exists():
        return _RUN, "stopped"
    if version.consents.exists() or study.state == Study.State.EXPIRED:
        return _CONSENT, "stopped"
    return (_REVIEW if version.submitted_at else _DRAFT), "stopped"


def _steps(reached: int, mark: str) -> tuple[Step, ...]:
    return tuple(
        Step(label, "done" if number < reached else mark if number == reached else "")
        for number, label in enumerate(STEPS)
    )
