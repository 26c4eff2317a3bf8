"""What becomes of videos at their end: erasures to be done, holds that forbid them, proofs that they were."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from encounters.encryption import EncryptedCharField


class Why(models.TextChoices):
    """Why something is erased."""

    WITHDRAWN = "withdrawn", "consent withdrawn"
    DELETED = "deleted", "deleted by staff"
    EXPIRED = "expired", "kept as long as it had to be"
    LEFTOVER = "leftover", "appeared after the erasure"


_AWAY = "The store does not answer."
TROUBLE = {
    "worker_at_work": "A conversion of it is being stopped. What it may still store is removed after that.",
    "StillThere": "The store lists what it said it had removed. Does the bucket lock its objects?",
    "AccessDenied": (
        "The store does not let us: the portal's role lacks a permission to list or delete versions, "
        "or the bucket locks its objects."
    ),
    "EndpointConnectionError": _AWAY,
    "ConnectTimeoutError": _AWAY,
    "ReadTimeoutError": _AWAY,
    "ConnectionClosedError": _AWAY,
}
"""What the commonest codes mean, for an admin."""


class LegalHold(models.Model):
    """While one of these is not released, nothing of its encounter is erased, whoever asks for it."""

    encounter = models.ForeignKey("encounters.Encounter", on_delete=models.PROTECT, related_name="holds")
    reason = EncryptedCharField(max_length=500, blank=True)
    """In the words of who placed it; gone once the encounter is erased."""
    placed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    placed_at = models.DateTimeField(default=timezone.now)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-placed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["encounter"], condition=Q(released_at__isnull=True), name="hold_placed_once"
            ),
            models.CheckConstraint(
                condition=Q(released_at__isnull=True, released_by__isnull=True)
                | Q(released_at__isnull=False, released_by__isnull=False),
                name="hold_released_by_somebody",
            ),
        ]


def a_hold() -> Exists:
    """Whether a legal hold is on the encounter of a row."""
    return Exists(LegalHold.objects.filter(encounter=OuterRef("encounter"), released_at__isnull=True))


class ErasureQuerySet(models.QuerySet["Erasure"]):
    def open(self) -> "ErasureQuerySet":
        return self.filter(done_at__isnull=True)

    def held(self) -> "ErasureQuerySet":
        return self.filter(a_hold())

    def not_held(self) -> "ErasureQuerySet":
        return self.filter(~a_hold())

    def with_encounter(self) -> "ErasureQuerySet":
        return self.select_related("encounter", "requested_by")

    def due(self) -> "ErasureQuerySet":
        """Those to be done now: asked for, past the time in which that may be undone, and not held."""
        now = timezone.now()
        return self.open().not_held().filter(not_before__lte=now, next_try_at__lte=now)

    def to_close(self) -> "ErasureQuerySet":
        """Withdrawn ones of which something may still be reached by an address that was signed before."""
        return self.open().filter(why=Why.WITHDRAWN, closed_at__isnull=True)

    def in_trouble(self) -> "ErasureQuerySet":
        return self.open().not_held().exclude(trouble="")


class Erasure(models.Model):
    """One thing to erase: a video, or all of an encounter. Done by a scheduled task, however often it takes.

    Every step can be done twice: whoever is killed in between leaves it to the next run.
    """

    encounter = models.ForeignKey("encounters.Encounter", on_delete=models.PROTECT, related_name="erasures")
    video = models.OneToOneField(
        "encounters.Video", on_delete=models.PROTECT, null=True, blank=True, related_name="erasure"
    )
    """None: all that there is of the encounter."""
    why = models.CharField(max_length=20, choices=Why)
    requested_at = models.DateTimeField(default=timezone.now)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    """None: the patient, or the portal itself."""
    not_before = models.DateTimeField(default=timezone.now)
    """Until then it can be undone."""
    closed_at = models.DateTimeField(null=True, blank=True)
    """When nothing could be reached any more by addresses that were signed before."""
    begun_at = models.DateTimeField(null=True, blank=True)
    """From then on it cannot be undone."""
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    trouble = models.CharField(max_length=60, blank=True)
    """Why the last try did not end it: the store's code; empty if nothing was wrong."""
    found = models.JSONField(default=dict, blank=True)
    """What was seen in the store so far: `{"<key> <version>": bytes}`; emptied into the proof."""
    done_at = models.DateTimeField(null=True, blank=True)

    objects = ErasureQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at", "-pk"]
        indexes = [
            models.Index(
                fields=["next_try_at"], condition=Q(done_at__isnull=True), name="erasure_open_by_next_try"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["encounter"], condition=Q(video__isnull=True), name="erasure_of_encounter_once"
            ),
            models.CheckConstraint(
                condition=Q(done_at__isnull=True) | Q(begun_at__isnull=False),
                name="erasure_begun_before_done",
            ),
        ]

    @property
    def explanation(self) -> str:
        """What is in its way, for a person; empty if nothing is."""
        if not self.trouble:
            return ""
        return TROUBLE.get(self.trouble, "The store did not do what it was asked.")

    @property
    def can_be_undone(self) -> bool:
        return self.why == Why.DELETED and self.begun_at is None and self.not_before > timezone.now()


class ProofsAreFinal(Exception):
    """A proof of erasure is written once and neither changed nor deleted."""


class ErasureProof(models.Model):
    """That something was erased, and that the store was asked afterwards. Names no patient and no file.

    The database refuses to change or remove one (`append_only`). Its digest stands in the access record
    that was written with it, and so in the chain.
    """

    encounter = models.ForeignKey("encounters.Encounter", on_delete=models.PROTECT, related_name="proofs")
    video = models.ForeignKey(
        "encounters.Video", on_delete=models.PROTECT, null=True, blank=True, related_name="proofs"
    )
    why = models.CharField(max_length=20, choices=Why)
    requested_at = models.DateTimeField()
    begun_at = models.DateTimeField()
    verified_at = models.DateTimeField()
    """When the store was listed for the last time, and had nothing left."""
    contents = models.JSONField()
    """`{"videos": [{"video", "original": {"sha256", "size"}, "made": [{"kind", "sha256", "size"}]}],
    "removed": {"versions", "delete_markers", "uploads", "bytes"}}`"""
    digest = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-verified_at", "-pk"]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ProofsAreFinal
        self.digest = digest_of(self)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise ProofsAreFinal


def digest_of(proof: ErasureProof) -> str:
    """64 hexadecimal digits over all that the proof says."""
    said = [
        proof.encounter_id,
        str(proof.video_id) if proof.video_id else None,
        proof.why,
        *(_written(moment) for moment in (proof.requested_at, proof.begun_at, proof.verified_at)),
        proof.contents,
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
