"""Who takes part: organisations, their sites, people, the roles people hold and their keys."""

from django.contrib.auth.models import AbstractUser
from django.db import models

from accounts.roles import Role


class Organisation(models.Model):
    """A hospital, a payer, a university: what quorum rules count."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Site(models.Model):
    """An organisation's agent: the portal knows the public half of its identity key only."""

    slug = models.SlugField(unique=True)
    organisation = models.OneToOneField(Organisation, on_delete=models.PROTECT)
    # Raw Ed25519 public key in hex; empty until the site operator enrols the agent.
    identity_key = models.CharField(max_length=64, blank=True)
    # SHA-256 of a one-time enrolment token; emptied when it has been used.
    enrolment_token_digest = models.CharField(max_length=64, blank=True)
    enrolled_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    # What the agent says of its data sets: names, kinds, columns. No counts, no values.
    data_sets = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return self.slug


class User(AbstractUser):
    """A person. `member_id` is what statements and the log call them: opaque, never reused."""

    member_id = models.SlugField(unique=True)
    organisation = models.ForeignKey(
        Organisation, on_delete=models.PROTECT, related_name="people", null=True
    )

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Membership(models.Model):
    """One role that one person holds, in their organisation."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=24, choices=Role.choices)
    granted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "role"], name="one_row_per_role")]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_role_display()}"


class SigningKey(models.Model):
    """A person's public key: a passkey, or an Ed25519 key for automation.

    It counts only once a roster version that sites accept lists it.
    """

    class Kind(models.TextChoices):
        ED25519 = "ed25519", "Ed25519 key"
        PASSKEY = "webauthn", "Passkey"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="signing_keys")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    key_id = models.CharField(max_length=400, unique=True)
    # The roster's JSON form of the key (governance.roster.Key).
    document = models.JSONField()
    name = models.CharField(max_length=80)
    sign_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.user}: {self.name}"
