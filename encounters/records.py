"""Access records: who did what. Written in the transaction of the act, once."""

from typing import Any

from django.conf import settings
from django.db import models, router, transaction
from django.db.models import Q
from django.utils import timezone

from encounters import chain


class Verb(models.TextChoices):
    """What somebody did."""

    ENCOUNTER_CREATED = "encounter created"
    ENCOUNTER_VIEWED = "encounter viewed"
    ENCOUNTER_REVIEWED = "encounter reviewed"
    LINK_CREATED = "link created"
    LINK_SENT = "link sent"
    LINK_NOT_SENT = "link not sent"
    LINK_REVOKED = "link withdrawn"
    LINK_OPENED = "link opened"
    BIRTH_DATE_WRONG = "wrong date of birth"
    CONSENT_GIVEN = "consent given"
    DESCRIBED = "description written"
    UPLOAD_STARTED = "upload started"
    UPLOAD_REFUSED = "upload refused"
    UPLOAD_COMPLETED = "upload completed"
    UPLOAD_ABORTED = "upload aborted"
    UPLOAD_ABANDONED = "upload abandoned"
    SUBMITTED = "videos submitted"
    VIDEO_PLAYED = "video played"
    VIDEO_DELETED = "video deleted"
    VIDEO_RESTORED = "video restored"
    CONSENT_WITHDRAWN = "consent withdrawn"
    RETENTION_CHANGED = "retention changed"
    HOLD_PLACED = "legal hold placed"
    HOLD_RELEASED = "legal hold released"
    ERASED = "erased"
    ERASURE_RETRIED = "erasure tried again"
    SECONDS_WATCHED = "seconds watched"
    CONVERSION_RETRIED = "conversion tried again"
    OPENED_WITH_REASON = "opened with a reason"
    RECORDS_VIEWED = "access records viewed"
    RECORDS_EXPORTED = "access records exported"
    CUSTODY_EXPORTED = "chain of custody exported"
    SIGNED_IN = "signed in"
    SIGNED_OUT = "signed out"
    SIGN_IN_FAILED = "sign-in failed"
    SESSIONS_ENDED = "signed out everywhere"
    PASSWORD_CHANGED = "password changed"  # noqa: S105 - an act, not a password
    EMAIL_VERIFIED = "e-mail address verified"
    SECOND_FACTOR_ADDED = "second factor added"
    SECOND_FACTOR_REMOVED = "second factor removed"
    STAFF_INVITED = "member of staff invited"
    STAFF_CHANGED = "member of staff changed"
    TEAM_CHANGED = "team changed"
    TEXTS_CHANGED = "texts changed"


SEEING = frozenset({Verb.ENCOUNTER_VIEWED, Verb.VIDEO_PLAYED, Verb.OPENED_WITH_REASON})
"""Acts by which somebody comes to know what is in an encounter."""


class AccessRecord(models.Model):
    """Who did what to which object, when, from where and why. Written once, never changed.

    The database refuses to change or remove one (`append_only`), and each is chained to the one before.
    """

    number = models.PositiveBigIntegerField(unique=True, editable=False)
    """1, 2, 3, … over all records, without a gap."""
    at = models.DateTimeField(editable=False)
    verb = models.CharField(max_length=40, choices=Verb)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    invitation = models.ForeignKey(
        "encounters.Invitation", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    encounter = models.ForeignKey(
        "encounters.Encounter", on_delete=models.PROTECT, null=True, blank=True, related_name="access_records"
    )
    video = models.ForeignKey(
        "encounters.Video", on_delete=models.PROTECT, null=True, blank=True, related_name="access_records"
    )
    address = models.GenericIPAddressField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    seconds = models.PositiveIntegerField(null=True, blank=True)
    """Of the film, for `SECONDS_WATCHED`."""
    previous = models.CharField(max_length=64, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)

    class Meta:
        ordering = ["number"]
        indexes = [models.Index(fields=["encounter", "at"], name="access_by_encounter")]
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(invitation__isnull=True), name="access_by_one_person"
            ),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AccessRecordsAreFinal
        using = kwargs.setdefault("using", router.db_for_write(type(self)))
        with transaction.atomic(using=using, savepoint=False):
            self._join_chain(using)
            super().save(*args, **kwargs)

    def _join_chain(self, using: str) -> None:
        chain.take_turns(using)
        last = AccessRecord.objects.using(using).values_list("number", "digest").last()
        number, self.previous = last or (0, chain.BEGINNING)
        self.number = number + 1
        self.at = timezone.now()
        self.digest = chain.digest_of(self)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AccessRecordsAreFinal

    @property
    def who(self) -> str:
        """In words. A patient is not named: whose link it was, the encounter says."""
        if self.user is not None:
            return str(self.user)
        return "The patient" if self.invitation_id else "The portal"


class AccessRecordsAreFinal(Exception):
    """An access record is written once and neither changed nor deleted."""
