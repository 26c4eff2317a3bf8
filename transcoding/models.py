"""Conversions: what is waiting, running and done. Names no patient."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext

from transcoding.engine.contracts import FailureCode, OutputKind
from transcoding.engine.messages import explain
from transcoding.words import clock, time_left


class Runner(models.TextChoices):
    LOCAL = "local", "Worker"
    LAMBDA = "lambda", "Lambda"

    @property
    def where(self) -> str:
        """As the end of a sentence: *convert …*."""
        return "on a worker" if self == Runner.LOCAL else "in Lambda"


class Status(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Extras(models.TextChoices):
    """Where the work is that follows once a video can be watched: storyboard, decode check of a copy."""

    NONE = "", "none yet"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    LOST = "lost"
    """No attempt is left; the video can be watched all the same."""


SETTLED = frozenset({Extras.DONE, Extras.LOST})
FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
AT_WORK = Q(status=Status.RUNNING) | Q(extras=Extras.RUNNING)
"""A worker holds the lease."""
BEYOND_THE_FUNCTION = frozenset({FailureCode.TIMED_OUT, FailureCode.TOO_LARGE})
"""Failures of the function that may be due to its own time and disk: a worker has more of both."""
FAILURE_CODES = [(code.value, code.value) for code in FailureCode]


class JobQuerySet(models.QuerySet["TranscodeJob"]):
    def expired(self) -> "JobQuerySet":
        """Jobs that are worked on, and whose worker has not been heard of in time."""
        return self.filter(lease_expires_at__lt=timezone.now())

    def due(self) -> "JobQuerySet":
        """Jobs that wait for a worker, be it for their extras alone."""
        waiting = Q(status=Status.QUEUED) | Q(extras=Extras.WAITING)
        return self.filter(waiting, available_at__lte=timezone.now())


class TranscodeJob(models.Model):
    """One original to convert. The row owns attempts and lease; the task queue is only a doorbell."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    source_key = models.CharField(max_length=200, unique=True)
    runner = models.CharField(max_length=10, choices=Runner, default=Runner.LOCAL)
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    extras = models.CharField(max_length=10, choices=Extras, default=Extras.NONE, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    """Number of the last attempt; 0 before the first."""
    attempt_limit = models.PositiveIntegerField()
    """No attempt begins beyond this number; a person's retry raises it."""
    available_at = models.DateTimeField(default=timezone.now)
    """No attempt begins before; later than now after a fault, so that a dead store can come back."""
    rung_at = models.DateTimeField(default=timezone.now)
    """When the doorbell was last rung: a task put into the queue."""
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    progress = models.FloatField(default=0.0)
    seconds_left = models.FloatField(null=True, blank=True)
    """By its pace of late, as of the last heartbeat; None while that cannot be told."""
    facts = models.JSONField(default=dict, blank=True)
    plan = models.JSONField(default=dict, blank=True)
    """`{"video": copy|encode, "audio": copy|encode|none, "reasons": ["code: words", …]}`"""
    failure_code = models.CharField(max_length=30, blank=True, choices=FAILURE_CODES)
    failure_detail = models.TextField(blank=True)
    source_sha256 = models.CharField(max_length=64, blank=True)
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    barred_at = models.DateTimeField(null=True, blank=True)
    """Since when nothing may be made of it any more, because its objects are to be erased."""
    erased_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at", "id"]
        indexes = [
            models.Index(fields=["status", "available_at"], name="job_by_status"),
            models.Index(fields=["-queued_at", "id"], name="job_newest_first"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="job_status_known"),
            models.CheckConstraint(condition=Q(runner__in=Runner.values), name="job_runner_known"),
            models.CheckConstraint(
                condition=Q(progress__gte=0) & Q(progress__lte=1), name="job_progress_is_a_fraction"
            ),
            models.CheckConstraint(
                condition=Q(status=Status.FAILED, failure_code__in=[code.value for code in FailureCode])
                | (~Q(status=Status.FAILED) & Q(failure_code="")),
                name="job_failure_code_iff_failed",
            ),
            models.CheckConstraint(
                condition=(AT_WORK & Q(lease_expires_at__isnull=False))
                | (~AT_WORK & Q(lease_expires_at__isnull=True)),
                name="job_lease_iff_at_work",
            ),
            models.CheckConstraint(
                condition=Q(extras=Extras.NONE) | Q(status=Status.SUCCEEDED, extras__in=Extras.values),
                name="job_extras_only_of_succeeded",
            ),
            models.CheckConstraint(
                condition=Q(status__in=FINAL, finished_at__isnull=False)
                | (~Q(status__in=FINAL) & Q(finished_at__isnull=True)),
                name="job_finished_iff_final",
            ),
            models.CheckConstraint(
                condition=Q(attempt__lte=F("attempt_limit")), name="job_attempts_within_limit"
            ),
            models.CheckConstraint(
                condition=Q(barred_at__isnull=True)
                | (Q(status__in=FINAL) & ~AT_WORK & ~Q(extras=Extras.WAITING)),
                name="job_barred_is_at_rest",
            ),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True) | Q(barred_at__isnull=False),
                name="job_erased_only_when_barred",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.status}"

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def is_retryable(self) -> bool:
        """Failed or cancelled, and there is something in the store to try again with."""
        ended = self.status in {Status.FAILED, Status.CANCELLED}
        return ended and self.attempt_limit > 0 and self.barred_at is None

    @property
    def is_repeatable(self) -> bool:
        """Succeeded, and nobody is at work on it: it can be converted again, while its film stays."""
        return self.status == Status.SUCCEEDED and self.extras in SETTLED and self.barred_at is None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.is_final and self.extras not in {Extras.RUNNING, Extras.WAITING}

    @property
    def was_complete(self) -> bool:
        """Whether some attempt made everything, extras too: what is made now is made again."""
        return any(attempt.outcome == AttemptOutcome.SUCCEEDED for attempt in self.attempts.all())

    @property
    def last_try_failed(self) -> bool:
        """Whether what was complete before could not be made again."""
        tries = sorted(self.attempts.all(), key=lambda attempt: attempt.number)
        return self.was_complete and tries[-1].outcome != AttemptOutcome.SUCCEEDED

    @property
    def runner_now(self) -> Runner:
        return Runner(self.runner)

    @property
    def short_id(self) -> str:
        return str(self.id)[:8]

    @property
    def folder(self) -> str:
        """Where source and outputs lie: the first part of their keys."""
        return self.source_key.partition("/")[0]

    @property
    def explanation(self) -> str:
        """What the failure means, for a person, in their language; empty if there is none."""
        if self.is_beyond_function:  # no fault of the video's, and no reason to ask for a shorter one
            return gettext(explain(FailureCode.WORKER_LOST))
        return gettext(explain(FailureCode(self.failure_code))) if self.failure_code else ""

    @property
    def is_beyond_function(self) -> bool:
        """Whether it failed in Lambda alone, by what may be the function's own limits."""
        return self.runner == Runner.LAMBDA and self.failure_code in BEYOND_THE_FUNCTION

    @property
    def percent(self) -> int:
        return int(self.progress * 100)

    @property
    def time_left(self) -> str:
        """In plain words; empty while it cannot be told."""
        return time_left(self.seconds_left) if self.seconds_left is not None else ""

    @property
    def seconds(self) -> float | None:
        """Wall clock from the last attempt's start to its end, or until now."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    def move(self, *sources: Status, to: Status, **changes: Any) -> bool:
        """Move only if the row still has one of the source statuses; say whether it did."""
        return self._change(Q(status__in=sources), status=to, **changes)

    def move_attempt(self, number: int, *, to: Status, **changes: Any) -> bool:
        """Move a running job, if this attempt is still the one that runs it."""
        return self._change(Q(status=Status.RUNNING, attempt=number), status=to, **changes)

    def move_extras(self, number: int, *, to: Extras, **changes: Any) -> bool:
        """Move the extras of a job, if this attempt is still the one that makes them."""
        return self._change(Q(extras=Extras.RUNNING, attempt=number), extras=to, **changes)

    def take_extras(self, **changes: Any) -> bool:
        """Have waiting extras made, if nobody else was first."""
        return self._change(Q(extras=Extras.WAITING), extras=Extras.RUNNING, **changes)

    def repeat(self, **changes: Any) -> bool:
        """Have what succeeded made once more, if nobody is at work on it."""
        return self._change(Q(status=Status.SUCCEEDED, extras__in=SETTLED), extras=Extras.WAITING, **changes)

    def _change(self, condition: Q, **changes: Any) -> bool:
        """Nothing changes a job that is barred."""
        moved = type(self).objects.filter(condition, pk=self.pk, barred_at__isnull=True).update(**changes)
        if moved:
            self.refresh_from_db()
        return bool(moved)


class AttemptOutcome(models.TextChoices):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FAULT = "fault"
    LOST = "lost"
    CANCELLED = "cancelled"


class TranscodeAttempt(models.Model):
    """One try at a job. Written when it begins, closed once, never changed after."""

    job = models.ForeignKey(TranscodeJob, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveIntegerField()
    runner = models.CharField(max_length=10, choices=Runner)
    host = models.CharField(max_length=100)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=AttemptOutcome, default=AttemptOutcome.RUNNING)
    detail = models.TextField(blank=True)
    ffmpeg_version = models.CharField(max_length=100, blank=True)
    ffmpeg_arguments = models.JSONField(default=list, blank=True)
    log_tail = models.TextField(blank=True)
    cpu_seconds = models.FloatField(null=True, blank=True)
    peak_memory = models.BigIntegerField(null=True, blank=True)
    bytes_in = models.BigIntegerField(null=True, blank=True)
    bytes_out = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["job", "number"]
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="attempt_number_unique_in_job"),
            models.CheckConstraint(
                condition=Q(outcome=AttemptOutcome.RUNNING, ended_at__isnull=True)
                | (~Q(outcome=AttemptOutcome.RUNNING) & Q(ended_at__isnull=False)),
                name="attempt_ended_iff_not_running",
            ),
        ]

    def note(self, **changes: Any) -> None:
        """Put down what is known of it already, unless it has ended."""
        type(self).objects.filter(pk=self.pk, outcome=AttemptOutcome.RUNNING).update(**changes)

    def close(self, outcome: AttemptOutcome, **changes: Any) -> bool:
        """End this attempt, unless it has ended."""
        return bool(
            type(self)
            .objects.filter(pk=self.pk, outcome=AttemptOutcome.RUNNING)
            .update(outcome=outcome, ended_at=timezone.now(), **changes)
        )


class Rendition(models.Model):
    """One object that a conversion made, in the bucket beside its original."""

    job = models.ForeignKey(TranscodeJob, on_delete=models.PROTECT, related_name="renditions")
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in OutputKind])
    object_key = models.CharField(max_length=220)
    content_type = models.CharField(max_length=100)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    duration = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["job", "kind"]
        constraints = [models.UniqueConstraint(fields=["job", "kind"], name="rendition_kind_unique_in_job")]

    @property
    def clock(self) -> str:
        """The duration as minutes and seconds: `1:05`."""
        return clock(self.duration or 0)


class SeenNonce(models.Model):
    """A signed report that has been taken: it counts once. Kept while its signature would hold."""

    nonce = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)


def rendition(renditions: Iterable[Rendition], kind: OutputKind) -> Rendition | None:
    """The one of this kind; for a prefetched list."""
    return next((found for found in renditions if found.kind == kind), None)


def lease(seconds: int) -> Any:
    """When a lease that starts now runs out."""
    return timezone.now() + timedelta(seconds=seconds)
