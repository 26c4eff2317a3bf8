"""Encounters, invitations and videos: whose they are and what state they are in.

What a person reads ("waiting for the patient", "converting 42 %") is derived, never stored: each
derived state is a property and a `Q`, and a test shows that the two agree.
"""

import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from encounters.consent_models import Consent, ConsentWording, Purpose, Relation
from encounters.disposal import Erasure, ErasureProof, LegalHold
from encounters.encryption import EncryptedCharField, EncryptedTextField
from encounters.keys import token_hash
from encounters.message_models import FAILURES, Channel, MessageText
from encounters.patients import Patient, SearchTerm
from encounters.records import SEEING, AccessRecord, AccessRecordsAreFinal, Verb
from encounters.viewings import Viewing
from transcoding.engine.contracts import OutputKind
from transcoding.models import Rendition, Status, TranscodeJob, rendition

# Parts of the models, in files of their own.
__all__ = ["SEEING", "AccessRecord", "AccessRecordsAreFinal", "Verb"]
__all__ += ["Channel", "Consent", "ConsentWording", "MessageText", "Purpose", "Relation"]
__all__ += ["Erasure", "ErasureProof", "LegalHold"]
__all__ += ["Patient", "SearchTerm", "Viewing"]
REFERENCE_BYTES = 8
REFERENCE_START = re.compile(r"[0-9a-f]{4,}$")
ABOUT_TO_ARRIVE = 64 * 1024**2
"""Bytes that are left when a card begins to look often whether its video is there: 5 s at 100 Mbit/s."""
SENDER_GONE = timedelta(minutes=3)
"""Without a request of the sender's, after which it looks no more often than before."""
MAX_WRONG_BIRTH_DATES = 5
LOCK_TIME = timedelta(minutes=15)
REASON_HOLDS = timedelta(hours=1)
"""How long an admin may look at an encounter after stating why."""
SILENCE = timedelta(minutes=10)
"""The slowest line that we know carries a part in less."""


def new_reference() -> str:
    return secrets.token_hex(REFERENCE_BYTES)


class EncounterState(models.TextChoices):
    DRAFT = "draft", "Not yet sent"
    WAITING = "waiting", "Waiting for the patient"
    ARRIVED = "arrived", "Videos arrived"
    REVIEWED = "reviewed", "Reviewed"
    CLOSED = "closed", "Closed"
    WITHDRAWN = "withdrawn", "Consent withdrawn"


class EncounterQuerySet(models.QuerySet["Encounter"]):
    def visible_to(self, user: Any) -> "EncounterQuerySet":
        """Clinicians see their teams' encounters; nobody else sees any."""
        if not user.is_authenticated or user.is_admin:
            return self.none()
        return self.filter(team__in=user.teams.all(), erased_at__isnull=True)

    def readable_by(self, user: Any) -> "EncounterQuerySet":
        """Those of the user's teams; for an admin, those that they opened lately by stating a reason."""
        if not user.is_authenticated or not user.is_admin:
            return self.visible_to(user)
        opened = AccessRecord.objects.filter(
            verb=Verb.OPENED_WITH_REASON,
            user=user,
            encounter=OuterRef("pk"),
            at__gt=timezone.now() - REASON_HOLDS,
        )
        return self.filter(Exists(opened), erased_at__isnull=True)

    def found_by(self, text: str, teams: Iterable[int]) -> "EncounterQuerySet":
        """Those of these teams' patients by name or record number, or with a reference that begins so."""
        start = text.strip().lower()
        found = Q(patient__in=Patient.objects.found_by(text, teams))
        return self.filter(found | Q(reference__startswith=start) if REFERENCE_START.match(start) else found)

    def in_state(self, state: EncounterState) -> "EncounterQuerySet":
        return self.annotate(
            has_invitation=Exists(Invitation.objects.filter(encounter=OuterRef("pk"))),
            has_video=Exists(Video.objects.received().filter(encounter=OuterRef("pk"))),
        ).filter(ENCOUNTER_STATES[state])

    def for_research(self) -> "EncounterQuerySet":
        """Those whose videos may be used for research and teaching."""
        agreed = Consent.objects.standing().filter(encounter=OuterRef("pk"), purpose=Purpose.RESEARCH)
        return self.filter(Exists(agreed))

    def with_counts(self) -> "EncounterQuerySet":
        """Adds what `Encounter.state` and the worklist need, so that a page of rows costs one query."""
        return self.select_related("patient", "created_by").annotate(
            has_invitation=Exists(Invitation.objects.filter(encounter=OuterRef("pk"))),
            has_video=Exists(Video.objects.received().filter(encounter=OuterRef("pk"))),
            video_count=models.Count(
                "videos", filter=Q(videos__received_at__isnull=False, videos__removed_at__isnull=True)
            ),
            last_received_at=models.Max("videos__received_at", filter=Q(videos__removed_at__isnull=True)),
        )


_CONSENTING = Q(withdrawn_at__isnull=True)
_OPEN = _CONSENTING & Q(closed_at__isnull=True)
_UNREVIEWED = _OPEN & Q(reviewed_at__isnull=True)
ENCOUNTER_STATES = {
    EncounterState.WITHDRAWN: ~_CONSENTING,
    EncounterState.CLOSED: _CONSENTING & Q(closed_at__isnull=False),
    EncounterState.REVIEWED: _OPEN & Q(reviewed_at__isnull=False),
    EncounterState.ARRIVED: _UNREVIEWED & Q(has_video=True),
    EncounterState.WAITING: _UNREVIEWED & Q(has_video=False, has_invitation=True),
    EncounterState.DRAFT: _UNREVIEWED & Q(has_video=False, has_invitation=False),
}


class Encounter(models.Model):
    """One question to one patient, and the videos that answer it."""

    reference = models.CharField(max_length=32, unique=True, default=new_reference, editable=False)
    """The prefix of the object keys, and the only name that leaves the database."""
    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="encounters")
    patient: "models.ForeignKey[Patient | None, Patient]" = models.ForeignKey(  # type: ignore[misc]
        Patient, on_delete=models.PROTECT, null=True, related_name="encounters"
    )
    """None once it is erased, when nobody sees it any more."""
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="encounters"
    )
    what_to_film = EncryptedTextField(max_length=2000)
    description = EncryptedTextField("what the video shows", max_length=4000, blank=True)
    """In the patient's own words."""
    opened_at = models.DateTimeField(default=timezone.now)
    submitted_at = models.DateTimeField(null=True, blank=True)
    notified_at = models.DateTimeField(null=True, blank=True)
    """When the clinician was last told that videos are ready."""
    reviewed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    retain_until = models.DateField(null=True, blank=True)
    """The last day on which it is kept. None: as long as its team keeps such."""
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    """When consent was withdrawn: nothing is shown or taken any more, and all of it is erased."""
    erased_at = models.DateTimeField(null=True, blank=True)

    objects = EncounterQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-pk"]
        indexes = [models.Index(fields=["team", "-opened_at"], name="encounter_newest_in_team")]
        constraints = [
            models.CheckConstraint(
                condition=Q(patient__isnull=False) | Q(erased_at__isnull=False),
                name="encounter_has_a_patient_unless_erased",
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def state(self) -> EncounterState:
        if self.withdrawn_at:
            return EncounterState.WITHDRAWN
        if self.closed_at:
            return EncounterState.CLOSED
        if self.reviewed_at:
            return EncounterState.REVIEWED
        if self._has("has_video"):
            return EncounterState.ARRIVED
        return EncounterState.WAITING if self._has("has_invitation") else EncounterState.DRAFT

    def _has(self, what: str) -> bool:
        """From the annotation of `with_counts()` if there, else from the database."""
        if what in self.__dict__:
            return bool(self.__dict__[what])
        return self.invitations.exists() if what == "has_invitation" else self.videos.received().exists()

    @property
    def consented(self) -> bool:
        """To diagnosis: the one without which nothing is taken."""
        return self.consents.standing().filter(purpose=Purpose.DIAGNOSIS).exists()


class InvitationState(models.TextChoices):
    OPEN = "open", "Open"
    LOCKED = "locked", "Locked after wrong dates of birth"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Withdrawn"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def usable(self) -> "InvitationQuerySet":
        """Those that still let their patient in."""
        return self.filter(
            revoked_at__isnull=True,
            expires_at__gt=timezone.now(),
            encounter__closed_at__isnull=True,
            encounter__withdrawn_at__isnull=True,
            encounter__erased_at__isnull=True,
        )


class Invitation(models.Model):
    """A link for one encounter. The token itself is never stored, only its SHA-256."""

    encounter = models.ForeignKey(Encounter, on_delete=models.PROTECT, related_name="invitations")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    channel = models.CharField(max_length=10, choices=Channel)
    language = models.CharField(max_length=10, default="en-gb")
    """In which the patient is written to, and greeted."""
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="invitations"
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    """When a message that brings it was taken for delivery."""
    failure = models.CharField(max_length=20, blank=True)
    """Why it could not be sent: a code of `encounters.messages`."""
    revoked_at = models.DateTimeField(null=True, blank=True)
    first_used_at = models.DateTimeField(null=True, blank=True)
    failed_attempts = models.PositiveIntegerField(default=0)
    locked_until = models.DateTimeField(null=True, blank=True)
    locks = models.PositiveIntegerField(default=0)
    """How often it was locked: each lock is longer than the one before."""
    known_failed_attempts = models.PositiveIntegerField(default=0)
    known_locked_until = models.DateTimeField(null=True, blank=True)
    known_locks = models.PositiveIntegerField(default=0)
    """The same three for browsers that gave the right date before."""

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__gt=models.F("created_at")), name="invitation_expires_after_it_began"
            ),
            models.CheckConstraint(
                condition=Q(sent_at__isnull=True) | Q(failure=""), name="invitation_sent_or_failed"
            ),
        ]

    @property
    def state(self) -> InvitationState:
        if self.revoked_at:
            return InvitationState.REVOKED
        if self.expires_at <= timezone.now():
            return InvitationState.EXPIRED
        if self.is_locked:
            return InvitationState.LOCKED
        return InvitationState.OPEN

    @property
    def failure_in_words(self) -> str:
        """Why its message could not be sent, for staff; empty if it could."""
        return FAILURES.get(self.failure, "It could not be sent.") if self.failure else ""

    @property
    def language_name(self) -> str:
        return dict(settings.LANGUAGES).get(self.language, self.language)

    @property
    def is_message(self) -> bool:
        return self.channel != Channel.SCREEN

    @property
    def is_locked(self) -> bool:
        return self.locked_until is not None and self.locked_until > timezone.now()

    @staticmethod
    def was_withdrawn(token: str) -> bool:
        """Whether this was a link of an encounter for which consent was withdrawn since."""
        known = Invitation.objects.filter(token_hash=token_hash(token))
        return known.filter(encounter__withdrawn_at__isnull=False).exists()

    @staticmethod
    def for_token(token: str) -> "Invitation | None":
        usable = InvitationQuerySet(Invitation).usable()
        return usable.select_related("encounter__patient").filter(token_hash=token_hash(token)).first()


class VideoState(models.TextChoices):
    REMOVED = "removed", "Removed"
    DELETED = "deleted", "Deleted"
    ERASED = "erased", "Erased"
    UPLOADING = "uploading", "Uploading"
    WAITING = "waiting", "Waiting to be converted"
    CONVERTING = "converting", "Converting"
    READY = "ready", "Ready"
    FAILED = "failed", "Could not be read"
    CANCELLED = "cancelled", "Conversion stopped"


_STATE_OF_JOB = {
    Status.QUEUED: VideoState.WAITING,
    Status.RUNNING: VideoState.CONVERTING,
    Status.SUCCEEDED: VideoState.READY,
    Status.FAILED: VideoState.FAILED,
    Status.CANCELLED: VideoState.CANCELLED,
}
_KEPT = Q(removed_at__isnull=True)
_UNERASED = Q(erased_at__isnull=True)
VIDEO_STATES = {
    VideoState.REMOVED: ~_KEPT & _UNERASED & Q(received_at__isnull=True),
    VideoState.DELETED: ~_KEPT & _UNERASED & Q(received_at__isnull=False),
    VideoState.ERASED: ~_UNERASED,
    VideoState.UPLOADING: _KEPT & Q(received_at__isnull=True),
} | {
    state: _KEPT & Q(received_at__isnull=False, job__status=status) for status, state in _STATE_OF_JOB.items()
}
FINAL_VIDEO_STATES = frozenset(VideoState) - {
    VideoState.UPLOADING,
    VideoState.WAITING,
    VideoState.CONVERTING,
}


class VideoQuerySet(models.QuerySet["Video"]):
    def visible_to(self, user: Any) -> "VideoQuerySet":
        return self.filter(encounter__in=EncounterQuerySet(Encounter).visible_to(user))

    def readable_by(self, user: Any) -> "VideoQuerySet":
        return self.filter(encounter__in=EncounterQuerySet(Encounter).readable_by(user))

    def kept(self) -> "VideoQuerySet":
        return self.filter(removed_at__isnull=True)

    def received(self) -> "VideoQuerySet":
        return self.kept().filter(received_at__isnull=False)

    def shown(self) -> "VideoQuerySet":
        """All but what was stopped while it was sent: also what was deleted after, which may be undone."""
        return self.filter(Q(removed_at__isnull=True) | Q(received_at__isnull=False))

    def unfinished(self) -> "VideoQuerySet":
        return self.kept().filter(received_at__isnull=True)

    def with_seen(self) -> "VideoQuerySet":
        """Adds `seen`: whether a clinician has watched it, or reviewed the encounter after it came."""
        played = AccessRecord.objects.filter(verb=Verb.VIDEO_PLAYED, video=OuterRef("pk"))
        reviewed = Q(encounter__reviewed_at__gte=models.F("received_at"))
        return self.annotate(seen=Exists(played) | models.ExpressionWrapper(reviewed, models.BooleanField()))

    def in_state(self, state: VideoState) -> "VideoQuerySet":
        return self.filter(VIDEO_STATES[state])

    def with_job(self) -> "VideoQuerySet":
        """With all that its card shows; adds `nearly_sent`: whether its last parts are under way."""
        late = (OuterRef("size") - 1 - ABOUT_TO_ARRIVE) / OuterRef("part_size")
        last = UploadPart.objects.filter(video=OuterRef("pk"), number__gt=late)
        related = self.select_related("job", "encounter__patient", "erasure__requested_by")
        return related.prefetch_related("job__renditions").annotate(nearly_sent=Exists(last))


class Video(models.Model):
    """One file that a patient sends, from the first announced byte to the erased object."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    encounter = models.ForeignKey(Encounter, on_delete=models.PROTECT, related_name="videos")
    original_name = EncryptedCharField(max_length=255)
    """Private: shown to staff and to the patient who sent it; never in a key, a log or an argument."""
    announced_type = models.CharField(max_length=100, blank=True)
    size = models.BigIntegerField()
    """As announced, in bytes; completion checks that the store has exactly this many."""
    fingerprint = models.CharField(max_length=64)
    """Of size, first and last MiB, modification time: tells a file offered again from another one."""
    source_key = models.CharField(max_length=200, unique=True)
    upload_id = models.CharField(max_length=400, blank=True)
    """The store's name for the multipart upload; empty before it is begun."""
    part_size = models.PositiveIntegerField()
    sender = models.CharField(max_length=32, blank=True)
    """Which browser sends it: a random word that the browser made up, and nothing else of it."""
    active_at = models.DateTimeField(default=timezone.now)
    """When it was last announced, or one of its parts signed."""
    created_at = models.DateTimeField(default=timezone.now)
    received_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    """When it was stopped while it was sent, or deleted after: from then on it is shown to nobody."""
    erased_at = models.DateTimeField(null=True, blank=True)
    """When the store was seen to have nothing left of it."""
    job = models.OneToOneField(
        TranscodeJob, on_delete=models.PROTECT, null=True, blank=True, related_name="video"
    )

    objects = VideoQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "pk"]
        indexes = [
            models.Index(fields=["encounter", "received_at"], name="video_received_in_encounter"),
            models.Index(
                fields=["active_at"],
                condition=Q(received_at__isnull=True, removed_at__isnull=True),
                name="video_open_by_activity",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(received_at__isnull=True, job__isnull=True)
                | Q(received_at__isnull=False, job__isnull=False),
                name="video_job_iff_received",
            ),
            models.CheckConstraint(condition=Q(size__gte=0), name="video_size_not_negative"),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True) | Q(removed_at__isnull=False),
                name="video_erased_only_when_removed",
            ),
            models.UniqueConstraint(
                fields=["encounter", "fingerprint", "size"],
                condition=Q(removed_at__isnull=True, received_at__isnull=True),
                name="video_upload_open_once",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def state(self) -> VideoState:
        if self.erased_at:
            return VideoState.ERASED
        if self.removed_at:
            return VideoState.DELETED if self.received_at else VideoState.REMOVED
        if self.job is None:
            return VideoState.UPLOADING
        return _STATE_OF_JOB[Status(self.job.status)]

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_VIDEO_STATES

    @property
    def is_interrupted(self) -> bool:
        """Whether the patient's phone fell silent in the middle of it."""
        return self.state == VideoState.UPLOADING and self.active_at < timezone.now() - SILENCE

    @property
    def continues_until(self) -> datetime:
        """For so long an interrupted upload waits for the rest."""
        return self.created_at + timedelta(days=settings.UPLOAD_RESUME_DAYS)

    @property
    def is_about_to_arrive(self) -> bool:
        """Whether its last parts are on their way, so that it may be whole soon. Wants `with_job()`."""
        lately = self.active_at > timezone.now() - SENDER_GONE
        return self.state == VideoState.UPLOADING and lately and bool(self.__dict__.get("nearly_sent"))

    @property
    def is_watchable_live(self) -> bool:
        """Whether it can be shown while it waits or converts."""
        under_way = self.state in {VideoState.WAITING, VideoState.CONVERTING}
        return under_way and settings.LIVE_STREAMS > 0

    @property
    def mp4(self) -> Rendition | None:
        return rendition(self.job.renditions.all(), OutputKind.MP4) if self.job else None

    @property
    def explanation(self) -> str:
        """Why it could not be made watchable, in words; empty if it could."""
        return self.job.explanation if self.job else ""

    @property
    def was_refused(self) -> bool:
        """Not even begun: nothing of it was ever stored."""
        return self.job is not None and self.job.attempt_limit == 0

    @property
    def part_count(self) -> int:
        return -(-self.size // self.part_size)

    def size_of_part(self, number: int) -> int:
        """Bytes of this part; all are of one size but the last."""
        return min(self.part_size, self.size - self.part_size * (number - 1))


class UploadPart(models.Model):
    """The checksum that a part was last signed with, and that the store therefore holds it to.

    Not every S3 store lists checksums, though all of them ask for them when the parts are joined.
    """

    video = models.ForeignKey(Video, on_delete=models.PROTECT, related_name="parts")
    number = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=44)
    """Base64 of 32 bytes."""

    class Meta:
        ordering = ["video", "number"]
        constraints = [
            models.UniqueConstraint(fields=["video", "number"], name="part_number_unique_in_video"),
        ]


def expiry(days: int) -> datetime:
    return timezone.now() + timedelta(days=days)
