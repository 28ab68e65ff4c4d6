"""What is asked: a study and the versions of its plan."""

from django.conf import settings
from django.db import models

from accounts.models import Site


class Study(models.Model):
    """The enterprise. Its state moves by `governance.states` only."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        IN_REVIEW = "in_review", "In review"
        CONFLICTED = "conflicted", "Reviewers disagree"
        RETURNED = "returned", "Returned for changes"
        REJECTED = "rejected", "Rejected"
        APPROVED = "approved", "Approved, waiting for consent"
        READY = "ready", "Ready to run"
        WITHDRAWN = "withdrawn", "Withdrawn"
        EXPIRED = "expired", "Expired"

    # What plans, statements and the log call it, for example "st-7f3a90c1".
    identifier = models.SlugField(unique=True)
    # That of the newest submitted plan: a later draft's title is for its author alone.
    title = models.CharField(max_length=200)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="studies"
    )
    state = models.CharField(max_length=16, choices=State.choices, default=State.DRAFT)
    state_since = models.DateTimeField(auto_now_add=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.title

    @property
    def current(self) -> "StudyVersion":
        """Return the newest version of the plan. *Cost* a query, unless versions are prefetched."""
        return max(self.versions.all(), key=lambda version: version.number)


class StudyVersion(models.Model):
    """One version of the plan: the exact canonical bytes that everyone signs, and their digest.

    A submitted version is never changed: amending a study makes a new one and voids its approvals.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    plan = models.BinaryField()
    digest = models.CharField(max_length=64, unique=True)
    # An index to the plan's sites, for questions like "which studies concern this site".
    sites = models.ManyToManyField(Site, related_name="study_versions")
    created_at = models.DateTimeField(auto_now_add=True)
    # Until then the author may still replace the plan; from then on nobody may.
    submitted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="one_plan_per_version")
        ]

    def __str__(self) -> str:
        return f"{self.study}, version {self.number}"
