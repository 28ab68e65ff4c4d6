"""Whether it may happen: roster, computation classes, signed decisions, runs and releases.

Every signed decision keeps its DSSE envelope word for word: the row is an index to the evidence.
"""

from django.conf import settings
from django.db import models

from accounts.models import Organisation, Site
from studies.models import Study, StudyVersion


class RosterVersion(models.Model):
    """One version of the roster, signed by the quorum of its predecessor."""

    version = models.PositiveIntegerField(unique=True)
    digest = models.CharField(max_length=64, unique=True)
    envelope = models.JSONField()
    published_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"roster {self.version}"


class ComputationClass(models.Model):
    """A versioned, parameterised analysis, as approved: the declaration's canonical bytes."""

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        REVOKED = "revoked", "Revoked"

    name = models.SlugField()
    version = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    document = models.BinaryField()
    digest = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.PROPOSED)
    state_since = models.DateTimeField(auto_now_add=True)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)

    class Meta:
        verbose_name_plural = "computation classes"
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="one_document_per_class")
        ]

    def __str__(self) -> str:
        return f"{self.title} (version {self.version})"


class SignedDecision(models.Model):
    """What every signed decision of a person has: its envelope, its signer, its meaning."""

    envelope = models.JSONField()
    digest = models.CharField(max_length=64, unique=True)
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    decision = models.CharField(max_length=16)
    comment = models.TextField(blank=True)
    signed_at = models.DateTimeField(auto_now_add=True)
    # The audit entry that recorded it.
    log_index = models.PositiveBigIntegerField()

    class Meta:
        abstract = True


class ClassApproval(SignedDecision):
    """decision: approve, reject, revoke. An approval that runs out is given anew."""

    computation_class = models.ForeignKey(
        ComputationClass, on_delete=models.PROTECT, related_name="approvals"
    )
    valid_until = models.DateTimeField()


class StudyApproval(SignedDecision):
    """decision: approve, return, reject. An approval that runs out is given anew."""

    version = models.ForeignKey(StudyVersion, on_delete=models.PROTECT, related_name="approvals")
    valid_until = models.DateTimeField()


class Consent(SignedDecision):
    """decision: consent, decline, withdraw. The newest for a version and site holds."""

    version = models.ForeignKey(StudyVersion, on_delete=models.PROTECT, related_name="consents")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="consents")
    valid_until = models.DateTimeField()


class Agreement(SignedDecision):
    """decision: sign, end. The newest for an organisation and a contract holds."""

    organisation = models.ForeignKey(
        Organisation, on_delete=models.PROTECT, related_name="agreements"
    )
    agreement_digest = models.CharField(max_length=64, db_index=True)
    valid_until = models.DateTimeField()


class SitePolicy(models.Model):
    """Which policy is in force at a site, in its own signed words; empty where unpublished."""

    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="policy")
    envelope = models.JSONField()
    digest = models.CharField(max_length=64)
    published = models.BooleanField(default=False)
    text = models.TextField(blank=True)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"policy of {self.site}"


class Run(models.Model):
    """A session as the portal's users see it."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    # What the protocol calls it, for example "run-03b1c6aa".
    identifier = models.SlugField(unique=True)
    version = models.ForeignKey(StudyVersion, on_delete=models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    state_since = models.DateTimeField(auto_now_add=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    requested_at = models.DateTimeField(auto_now_add=True)
    # Why it failed: a code from governance.reasons and a sentence for people.
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)
    # The site that refused or was lost, where one did.
    reason_site = models.SlugField(blank=True)
    # The audit entry that recorded the request.
    log_index = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "number"], name="runs_are_numbered"),
            models.UniqueConstraint(
                fields=["version"],
                condition=models.Q(state__in=["pending", "running"]),
                name="one_active_run_per_version",
            ),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def study(self) -> Study:
        """Return the study this run belongs to."""
        return self.version.study


class Release(models.Model):
    """The way of one sealed result from shares at the sites to a page of the PI."""

    class State(models.TextChoices):
        SEALED = "sealed", "Sealed at the sites"
        OPENING = "opening", "Opening permitted"
        OPENED = "opened", "Opened at the gate, being checked"
        DECIDED = "decided", "Decided, waiting for cosignatures"
        VISIBLE = "visible", "Visible to the investigator"
        WITHHELD = "withheld", "Withheld"

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="release")
    state = models.CharField(max_length=12, choices=State.choices, default=State.SEALED)
    state_since = models.DateTimeField(auto_now_add=True)
    # The opening permit's canonical bytes and the log entry that holds its digest.
    permit = models.BinaryField(null=True)
    permit_log_index = models.PositiveBigIntegerField(null=True)
    # The noised integers, drawn once: a retry yields these same bytes. Sealed until VISIBLE.
    noised = models.JSONField(null=True)
    # What the PI reads: post-processing of `noised` only.
    result = models.JSONField(null=True)
    result_digest = models.CharField(max_length=64, blank=True)
    # Goes into the digest and is shown to nobody: 32 random bytes in hex.
    salt = models.CharField(max_length=64, blank=True)
    decision_log_index = models.PositiveBigIntegerField(null=True)
    withheld_reason = models.TextField(blank=True)
    # The sites whose own policy has a steward let the share go, while one has not.
    awaiting = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return f"release of {self.run}"


class SiteRelease(SignedDecision):
    """decision: release, refuse. A steward's word on their site's share, carried to the site."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="site_releases")
    site = models.ForeignKey(Site, on_delete=models.PROTECT)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["release", "site"], name="one_word_of_a_site")
        ]


class OutputCheck(SignedDecision):
    """decision: pass, withhold. Two different checkers, never the PI."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="checks")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["release", "signer"], name="one_check_per_signer")
        ]


class Notification(models.Model):
    """What a person should know or do, shown in the portal and sent by e-mail."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications"
    )
    text = models.CharField(max_length=300)
    link = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.text
