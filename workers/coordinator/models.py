"""How a run is carried out: its attempts, and what each party has said in them."""

from django.db import models

from accounts.models import Site
from governance.models import Run


class Attempt(models.Model):
    """One execution of the protocol: fresh keys, fresh randomness, dead once it fails."""

    class State(models.TextChoices):
        OFFERING = "offering", "Waiting for key offers"
        ACCEPTING = "accepting", "Waiting for acceptances"
        COMPUTING = "computing", "Computing"
        SEALED = "sealed", "Sealed at the sites"
        OPENING = "opening", "Waiting for output shares"
        OPENED = "opened", "Opened"
        FAILED = "failed", "Failed"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    # 16 random bytes in hex: names the relay session and every frame of it.
    session = models.CharField(max_length=32, unique=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OFFERING)
    manifest = models.BinaryField(null=True)
    manifest_digest = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    deadline_at = models.DateTimeField()
    computing_since = models.DateTimeField(null=True)
    sealed_at = models.DateTimeField(null=True)
    # The size of the cosigned checkpoint under which the sites are asked for their shares.
    permit_checkpoint = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="attempts_are_numbered")
        ]

    def __str__(self) -> str:
        return f"{self.run}, attempt {self.number}"


class AttemptParty(models.Model):
    """One site's part in one attempt: each envelope as the site signed it."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="parties")
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    # The party's number in the session, from 0 in the order of the plan's sites.
    party = models.PositiveSmallIntegerField()
    key_offer = models.JSONField(null=True)
    acceptance = models.JSONField(null=True)
    progress = models.CharField(max_length=80, blank=True)
    certificate = models.JSONField(null=True)
    # The output share, encrypted for the recipient: the portal's web process cannot read it.
    sealed_share = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["attempt", "site"], name="one_party_per_site"),
            models.UniqueConstraint(fields=["attempt", "party"], name="parties_are_numbered"),
        ]

    def __str__(self) -> str:
        return f"{self.site} in {self.attempt}"


class Witness(models.Model):
    """What a site says it has witnessed of the log: from here the next consistency proof starts.

    The site's own store is the truth; this row follows its `hello` and its cosignatures.
    """

    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="witness")
    size = models.PositiveBigIntegerField(default=0)
    root = models.CharField(max_length=64, blank=True)
    # How many entries of the log its copy has.
    entries = models.PositiveBigIntegerField(default=0)
    # Why it would not cosign the newest checkpoint; empty when it has.
    refusal = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.site} has witnessed {self.size} entries"


class Letter(models.Model):
    """A sealed letter from one site's agent to another's, kept until it has been read."""

    sender = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="letters_sent")
    recipient = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="letters")
    ciphertext = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"letter {self.pk} from {self.sender} to {self.recipient}"
