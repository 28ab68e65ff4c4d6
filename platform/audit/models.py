"""Rows of the audit log. Nothing outside this app imports them: `audit.log` is the door.

A row is inserted once. Updating and deleting are refused here, so that a mistake in the code is
caught early, and by triggers in the database (`audit.append_only`), so that other clients are
stopped too. Neither stops the owner of the database: that is what checkpoints are for, which
others hold.
"""

from typing import Any, NoReturn

from django.db import models


class AppendOnlyError(TypeError):
    """Someone tried to change or delete a row of the audit log."""


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """Reads and single inserts; no way to change or delete rows in bulk."""

    def update(self, **kwargs: Any) -> NoReturn:
        _refuse()

    def delete(self) -> NoReturn:
        _refuse()

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def update_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()


class AppendOnly(models.Model):
    """A row that is inserted once and never changed or deleted."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            _refuse()
        # A given primary key would otherwise make Django try an update first.
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()


class Entry(AppendOnly):
    """One entry. `leaf` is what is hashed; the other columns repeat it, for searching."""

    # 0, 1, 2, ... without gaps; the database refuses any other next index.
    index = models.PositiveBigIntegerField(primary_key=True)
    leaf = models.BinaryField()
    leaf_hash = models.CharField(max_length=64)
    chain_hash = models.CharField(max_length=64, unique=True)
    event = models.CharField(max_length=40, db_index=True)
    actor = models.CharField(max_length=512, db_index=True)
    subject = models.CharField(max_length=512, db_index=True)
    study = models.CharField(max_length=512, blank=True, db_index=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["index"]
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return f"entry {self.index}: {self.event}"


class Checkpoint(AppendOnly):
    """A tree head that the log has signed; each is larger than all before it."""

    size = models.PositiveBigIntegerField(primary_key=True)
    root = models.CharField(max_length=64)
    # The checkpoint with the log's signature, as published.
    note = models.TextField()

    class Meta:
        ordering = ["size"]

    def __str__(self) -> str:
        return f"checkpoint at size {self.size}"


class Cosignature(AppendOnly):
    """One witness's statement about one checkpoint, at one time."""

    checkpoint = models.ForeignKey(
        Checkpoint, on_delete=models.PROTECT, related_name="cosignatures"
    )
    witness = models.CharField(max_length=512)
    # The signature line without its newline; it holds the key id, the time and the signature.
    line = models.TextField()
    timestamp = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["checkpoint", "witness", "timestamp"]
        constraints = [
            models.UniqueConstraint(
                fields=["checkpoint", "line"], name="one_row_per_cosignature_line"
            )
        ]

    def __str__(self) -> str:
        return f"{self.witness} on {self.checkpoint}"


def _refuse() -> NoReturn:
    raise AppendOnlyError("the audit log is append-only: record what happened as a new entry")
