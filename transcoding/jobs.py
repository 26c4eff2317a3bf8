"""What can happen to a job. Each verb is one compare-and-set, so that two callers never both win.

Every state has an owner and an exit: *queued* is owned by the queue and, if its task is lost, by the
sweep; *running* by the attempt that holds the lease and, once that runs out, by the sweep.
"""

import logging
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from transcoding import queue
from transcoding.engine.contracts import (
    FailureCode,
    Limits,
    Outcome,
    OutputKind,
    TranscodeRequest,
    TranscodeResult,
)
from transcoding.errors import PortalError
from transcoding.models import (
    AttemptOutcome,
    Rendition,
    Runner,
    Status,
    TranscodeAttempt,
    TranscodeJob,
    lease,
)
from transcoding.signals import job_finished

logger = logging.getLogger(__name__)


class NotRetryable(PortalError):
    code = "not_retryable"
    message = "Only a conversion that failed can be tried again, and only if its video was stored."
    status = 409


def request_for(job: TranscodeJob) -> TranscodeRequest:
    return TranscodeRequest(
        job=str(job.pk),
        attempt=job.attempt,
        source_key=job.source_key,
        mp4_key_style=settings.MP4_KEY_STYLE,
        limits=Limits(
            source_bytes=settings.UPLOAD_MAX_BYTES,
            duration=settings.VIDEO_MAX_SECONDS,
            long_side=settings.VIDEO_LONG_SIDE,
            seconds=settings.FFMPEG_TIMEOUT,
        ),
    )


@transaction.atomic
def enqueue(*, source_key: str) -> TranscodeJob:
    """Queue a conversion, in the caller's transaction if there is one."""
    job = TranscodeJob.objects.create(source_key=source_key, attempt_limit=settings.MAX_ATTEMPTS)
    queue.ring(job)
    return job


@transaction.atomic
def refuse(*, source_key: str, code: FailureCode) -> TranscodeJob:
    """File what was refused before it was stored, so that the admin sees it among the others."""
    now = timezone.now()
    job = TranscodeJob.objects.create(
        source_key=source_key,
        attempt_limit=0,
        status=Status.FAILED,
        failure_code=code,
        failure_detail="Refused before the upload began; nothing was stored.",
        finished_at=now,
    )
    logger.info("job refused", extra={"job": str(job.pk), "code": code})
    return job


@transaction.atomic
def claim(job_id: UUID | str, *, host: str, runner: Runner = Runner.LOCAL) -> TranscodeAttempt | None:
    """Take the lease of a waiting job and count the attempt, before any work. None: nothing to do."""
    job = TranscodeJob.objects.filter(pk=job_id).first()
    if job is None or job.status != Status.QUEUED or job.available_at > timezone.now():
        return None
    moved = job.move(
        Status.QUEUED,
        to=Status.RUNNING,
        runner=runner,
        attempt=job.attempt + 1,
        lease_expires_at=lease(settings.LEASE_SECONDS),
        progress=0.0,
        started_at=timezone.now(),
    )
    if not moved:
        return None
    return TranscodeAttempt.objects.create(job=job, number=job.attempt, runner=runner, host=host)


def heartbeat(attempt: TranscodeAttempt, progress: float) -> bool:
    """Renew the lease and note the progress. False: the job is no longer this attempt's."""
    running = TranscodeJob.objects.filter(pk=attempt.job_id, status=Status.RUNNING, attempt=attempt.number)
    renewed = running.update(
        lease_expires_at=lease(settings.LEASE_SECONDS), progress=min(max(progress, 0.0), 1.0)
    )
    return bool(renewed)


@transaction.atomic
def record_result(attempt: TranscodeAttempt, result: TranscodeResult) -> bool:
    """File what the engine said, once. False: the job is no longer this attempt's, and nothing changed."""
    job = attempt.job
    succeeded = result.outcome == Outcome.SUCCEEDED
    moved = job.move_attempt(
        attempt.number,
        to=Status.SUCCEEDED if succeeded else Status.FAILED,
        lease_expires_at=None,
        **({"progress": 1.0} if succeeded else {}),
        facts=result.facts,
        plan={"video": result.video, "audio": result.audio, "reasons": list(result.reasons)},
        failure_code=result.code or "",
        failure_detail=result.detail,
        source_sha256=result.source_sha256,
        finished_at=timezone.now(),
    )
    if not moved:
        return False
    attempt.close(
        AttemptOutcome.SUCCEEDED if succeeded else AttemptOutcome.FAILED,
        detail=result.detail,
        ffmpeg_version=result.ffmpeg_version,
        ffmpeg_arguments=list(result.ffmpeg_arguments),
        log_tail=result.log_tail,
        cpu_seconds=result.cpu_seconds,
        peak_memory=result.peak_memory,
        bytes_in=result.source_size,
        bytes_out=sum(output.size for output in result.outputs),
    )
    _replace_renditions(job, result)
    _finished(job)
    return True


def _replace_renditions(job: TranscodeJob, result: TranscodeResult) -> None:
    job.renditions.all().delete()
    Rendition.objects.bulk_create(
        Rendition(
            job=job,
            kind=output.kind,
            object_key=output.key,
            content_type=output.content_type,
            size=output.size,
            sha256=output.sha256,
            width=output.width,
            height=output.height,
            duration=output.duration,
        )
        for output in result.outputs
    )


def record_fault(attempt: TranscodeAttempt, detail: str) -> bool:
    """A fault that another try could cure: back to the queue after a pause, or failed after the last."""
    return _end_attempt(attempt, AttemptOutcome.FAULT, detail)


def record_loss(attempt: TranscodeAttempt) -> bool:
    """The worker was not heard of in time: another one shall try."""
    return _end_attempt(attempt, AttemptOutcome.LOST, "The worker stopped without a word.")


@transaction.atomic
def _end_attempt(attempt: TranscodeAttempt, outcome: AttemptOutcome, detail: str) -> bool:
    job = attempt.job
    if attempt.number < job.attempt_limit:
        pause = settings.RETRY_PAUSE_SECONDS * 4 ** (attempt.number - 1)
        wait = timedelta(seconds=pause if outcome == AttemptOutcome.FAULT else 0)
        moved = job.move_attempt(
            attempt.number,
            to=Status.QUEUED,
            lease_expires_at=None,
            progress=0.0,
            available_at=timezone.now() + wait,
        )
        if moved and not wait:
            queue.ring(job)
    else:
        moved = job.move_attempt(
            attempt.number,
            to=Status.FAILED,
            lease_expires_at=None,
            failure_code=FailureCode.WORKER_LOST,
            failure_detail=detail,
            finished_at=timezone.now(),
        )
        if moved:
            _finished(job)
    if moved:
        attempt.close(outcome, detail=detail)
    return moved


@transaction.atomic
def retry(job: TranscodeJob) -> None:
    """Queue a failed or cancelled job again, with as many attempts as a new one has.

    Raises `NotRetryable`, also for what was refused before anything was stored.
    """
    moved = job.is_retryable and job.move(
        Status.FAILED,
        Status.CANCELLED,
        to=Status.QUEUED,
        failure_code="",
        failure_detail="",
        progress=0.0,
        finished_at=None,
        attempt_limit=job.attempt + settings.MAX_ATTEMPTS,
        available_at=timezone.now(),
    )
    if not moved:
        raise NotRetryable
    queue.ring(job)
    logger.info("job retried", extra={"job": str(job.pk)})


def _finished(job: TranscodeJob) -> None:
    logger.info(
        "job finished",
        extra={"job": str(job.pk), "status": job.status, "code": job.failure_code, "attempt": job.attempt},
    )
    job_finished.send(sender=TranscodeJob, job=job)


def mp4_of(job: TranscodeJob) -> Rendition | None:
    return job.renditions.filter(kind=OutputKind.MP4).first()
