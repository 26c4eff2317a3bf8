"""What can happen to a job. Each verb is one compare-and-set, so that two callers never both win.

Every state has an owner and an exit: *queued* is owned by the queue and, if its task is lost, by the
sweep; *running* by the attempt that holds the lease and, once that runs out, by the sweep. So it is with the
extras of a job that has succeeded: *running* with a lease, *waiting* with a task in the queue.
"""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from transcoding import queue
from transcoding.engine.contracts import (
    Extras as ExtrasOfResult,
)
from transcoding.engine.contracts import (
    FailureCode,
    Limits,
    Outcome,
    TranscodeRequest,
    TranscodeResult,
)
from transcoding.errors import PortalError
from transcoding.models import (
    BEYOND_THE_FUNCTION,
    AttemptOutcome,
    Extras,
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
    message = (
        "Only a conversion that has ended can be tried again, only if its video was stored, "
        "and only where somebody converts."
    )
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
    """Queue a conversion, in the caller's transaction if there is one.

    Where the bucket's own event wakes the function, nothing is rung: the sweep does, if the event is lost.
    """
    job = TranscodeJob.objects.create(
        source_key=source_key, attempt_limit=settings.MAX_ATTEMPTS, runner=settings.TRANSCODE_RUNNER
    )
    if not waits_for_event(job):
        queue.ring(job)
    return job


def waits_for_event(job: TranscodeJob) -> bool:
    """Whether the bucket's event, and not we, shall begin the first attempt."""
    return job.runner == Runner.LAMBDA and settings.LAMBDA_TRIGGER == "event" and job.attempt == 0


@transaction.atomic
def refuse(*, source_key: str, code: FailureCode, is_stored: bool = False) -> TranscodeJob:
    """File what is not worth converting, so that the admin sees it among the others.

    What was refused before it was stored can never be tried again. What `is_stored` can: should it be
    recognised one day, it is there.
    """
    now = timezone.now()
    detail = "What was stored begins like no video." if is_stored else "Refused before the upload began."
    job = TranscodeJob.objects.create(
        source_key=source_key,
        attempt_limit=settings.MAX_ATTEMPTS if is_stored else 0,
        status=Status.FAILED,
        failure_code=code,
        failure_detail=detail,
        finished_at=now,
    )
    logger.info("job refused", extra={"job": str(job.pk), "code": code})
    return job


@transaction.atomic
def claim(
    job_id: UUID | str, *, host: str, runner: Runner = Runner.LOCAL, lease_seconds: int | None = None
) -> TranscodeAttempt | None:
    """Take the lease of a waiting job and count the attempt, before any work. None: nothing to do.

    `lease_seconds`: until the first heartbeat, if not what the runner's usually have.
    """
    job = TranscodeJob.objects.filter(pk=job_id, runner=runner).first()
    if job is None or job.available_at > timezone.now():
        return None
    claimed: dict[str, Any] = {
        "attempt": job.attempt + 1,
        "lease_expires_at": lease(lease_seconds or _silence(runner)),
    }
    moved = job.move(
        Status.QUEUED,
        to=Status.RUNNING,
        progress=0.0,
        seconds_left=None,
        started_at=timezone.now(),
        **claimed,
    ) or job.take_extras(**claimed)
    if not moved:
        return None
    return TranscodeAttempt.objects.create(job=job, number=job.attempt, runner=runner, host=host)


def _silence(runner: Runner) -> int:
    """Seconds without a heartbeat after which an attempt is given up."""
    return settings.LAMBDA_SILENCE_SECONDS if runner == Runner.LAMBDA else settings.LEASE_SECONDS


def heartbeat(attempt: TranscodeAttempt, progress: float, seconds_left: float | None = None) -> bool:
    """Renew the lease and note how far it is. False: the job is no longer this attempt's."""
    ours = TranscodeJob.objects.filter(pk=attempt.job_id, attempt=attempt.number)
    until, done = lease(_silence(Runner(attempt.runner))), min(max(progress, 0.0), 1.0)
    renewed = ours.filter(status=Status.RUNNING).update(
        lease_expires_at=until, progress=done, seconds_left=seconds_left
    )
    return bool(renewed or ours.filter(extras=Extras.RUNNING).update(lease_expires_at=until))


@transaction.atomic
def record_result(attempt: TranscodeAttempt, result: TranscodeResult) -> bool:
    """File what the engine said, once. False: the job is no longer this attempt's, and nothing changed."""
    job = attempt.job
    if _worker_shall_try(job, result.code):
        return _hand_to_worker(attempt) and attempt.close(AttemptOutcome.FAILED, **_words(result))
    succeeded = result.outcome == Outcome.SUCCEEDED
    more = succeeded and result.extras == ExtrasOfResult.PENDING
    extras = (Extras.RUNNING if more else Extras.DONE) if succeeded else Extras.NONE
    moved = job.move_attempt(
        attempt.number,
        to=Status.SUCCEEDED if succeeded else Status.FAILED,
        extras=extras,
        lease_expires_at=lease(_silence(Runner(attempt.runner))) if more else None,
        **({"progress": 1.0} if succeeded else {}),
        facts=result.facts,
        plan=_plan(result),
        failure_code=result.code or "",
        failure_detail=result.detail if result.code else "",
        source_sha256=result.source_sha256,
        finished_at=timezone.now(),
    )
    if not moved:
        return False
    if more:
        attempt.note(**_account(result))
    else:
        attempt.close(AttemptOutcome.SUCCEEDED if succeeded else AttemptOutcome.FAILED, **_account(result))
    _replace_renditions(job, result)
    _finished(job)
    return True


@transaction.atomic
def record_extras(attempt: TranscodeAttempt, result: TranscodeResult) -> bool:
    """File the extras of a job that has succeeded, once, and the MP4 that took the copy's place if one did.

    False: they are no longer this attempt's to make, and nothing changed.
    """
    job = attempt.job
    moved = job.move_extras(attempt.number, to=Extras.DONE, lease_expires_at=None, plan=_plan(result))
    if not moved:
        return False
    attempt.close(AttemptOutcome.SUCCEEDED, **_account(result))
    _replace_renditions(job, result)
    logger.info(
        "extras made", extra={"job": str(job.pk), "attempt": attempt.number, "swapped": result.swapped}
    )
    return True


@transaction.atomic
def record_replaced(attempt: TranscodeAttempt, result: TranscodeResult) -> bool:
    """Note that film, poster and frame index of a video that could be watched before were made anew.

    Its extras are still this attempt's to make. False: they are not, and nothing changed.
    """
    job = attempt.job
    if result.extras != ExtrasOfResult.PENDING or not job.move_extras(attempt.number, to=Extras.RUNNING):
        return False
    job.renditions.filter(kind__in=[output.kind for output in result.outputs]).delete()
    _add_renditions(job, result)
    return True


@transaction.atomic
def record_not_replaced(attempt: TranscodeAttempt, result: TranscodeResult) -> bool:
    """File that a video that can be watched could not be converted again: it stays as it is.

    False: that was not this attempt's to do, and nothing changed.
    """
    if result.outcome != Outcome.FAILED or not _keep_film(attempt):
        return False
    attempt.close(AttemptOutcome.FAILED, **_words(result))
    return True


def _words(result: TranscodeResult) -> dict[str, Any]:
    """The account of a failure that only its attempt tells, not the job."""
    words = f"{result.code}: {result.detail}" if result.detail else str(result.code)
    return _account(result) | {"detail": words}


def _worker_shall_try(job: TranscodeJob, code: FailureCode | None) -> bool:
    """Whether a worker takes over what the function could not do: once, and if there are workers."""
    return (
        settings.LAMBDA_FALLBACK == Runner.LOCAL
        and job.runner == Runner.LAMBDA
        and code in {*BEYOND_THE_FUNCTION, FailureCode.WORKER_LOST}
        and not job.attempts.filter(runner=Runner.LOCAL).exists()
    )


def _hand_to_worker(attempt: TranscodeAttempt) -> bool:
    job = attempt.job
    moved = job.move_attempt(
        attempt.number,
        to=Status.QUEUED,
        runner=Runner.LOCAL,
        progress=0.0,
        seconds_left=None,
        lease_expires_at=None,
        attempt_limit=job.attempt + settings.MAX_ATTEMPTS,
        available_at=timezone.now(),
    )
    if moved:
        queue.ring(job)
        logger.warning("handed to a worker", extra={"job": str(job.pk), "attempt": attempt.number})
    return moved


def _keep_film(attempt: TranscodeAttempt) -> bool:
    """End the work on a video that can be watched: nothing that was made before is lost."""
    before = attempt.job.was_complete
    to = Extras.DONE if before else Extras.LOST
    kept = attempt.job.move_extras(attempt.number, to=to, lease_expires_at=None)
    if kept:
        extra = {"job": str(attempt.job_id), "attempt": attempt.number}
        logger.warning("not converted again" if before else "extras lost", extra=extra)
    return kept


def _plan(result: TranscodeResult) -> dict[str, Any]:
    return {"video": result.video, "audio": result.audio, "reasons": list(result.reasons)}


def _account(result: TranscodeResult) -> dict[str, Any]:
    """What an attempt keeps of its result."""
    return {
        "detail": result.detail,
        "ffmpeg_version": result.ffmpeg_version,
        "ffmpeg_arguments": list(result.ffmpeg_arguments),
        "log_tail": result.log_tail,
        "cpu_seconds": result.cpu_seconds,
        "peak_memory": result.peak_memory,
        "bytes_in": result.source_size,
        "bytes_out": sum(output.size for output in result.outputs),
    }


def _replace_renditions(job: TranscodeJob, result: TranscodeResult) -> None:
    job.renditions.all().delete()
    _add_renditions(job, result)


def _add_renditions(job: TranscodeJob, result: TranscodeResult) -> None:
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
        again: dict[str, Any] = {
            "lease_expires_at": None,
            "available_at": timezone.now() + wait,
        }
        moved = job.move_attempt(attempt.number, to=Status.QUEUED, progress=0.0, **again) or job.move_extras(
            attempt.number, to=Extras.WAITING, **again
        )
        if moved and not wait:
            queue.ring(job)
    else:
        moved = _give_up(attempt, detail)
    if moved:
        attempt.close(outcome, detail=detail)
    return moved


def _give_up(attempt: TranscodeAttempt, detail: str) -> bool:
    """After the last attempt. What can be watched already stays so, without its extras."""
    job = attempt.job
    if _keep_film(attempt):
        return True
    if _worker_shall_try(job, FailureCode.WORKER_LOST):
        return _hand_to_worker(attempt)
    failed = job.move_attempt(
        attempt.number,
        to=Status.FAILED,
        lease_expires_at=None,
        failure_code=FailureCode.WORKER_LOST,
        failure_detail=detail,
        finished_at=timezone.now(),
    )
    if failed:
        _finished(job)
    return failed


@transaction.atomic
def retry(job: TranscodeJob, runner: Runner | None = None) -> None:
    """Queue a failed or cancelled job again, with as many attempts as a new one has; if told so, elsewhere.

    One that succeeded is converted again where a runner is named. It stays watchable throughout: the new
    film takes the old one's place once it is made, and if it cannot be made, nothing changes.

    Raises `NotRetryable`, also for what was refused before anything was stored.
    """
    fresh: dict[str, Any] = {
        "attempt_limit": job.attempt + settings.MAX_ATTEMPTS,
        "available_at": timezone.now(),
        "runner": _available(runner or Runner(job.runner)),
    }
    if runner and job.is_repeatable:
        moved = job.repeat(**fresh)
    else:
        moved = job.is_retryable and _requeue(job, Status.FAILED, Status.CANCELLED, **fresh)
    if not moved:
        raise NotRetryable
    queue.ring(job)
    logger.info("job retried", extra={"job": str(job.pk), "runner": job.runner})


def _requeue(job: TranscodeJob, *sources: Status, **changes: Any) -> bool:
    """As if it had never been tried, but for its attempts."""
    return job.move(
        *sources,
        to=Status.QUEUED,
        failure_code="",
        failure_detail="",
        progress=0.0,
        finished_at=None,
        lease_expires_at=None,
        **changes,
    )


@transaction.atomic
def hand_over(job: TranscodeJob, runner: Runner) -> None:
    """Have another runner do a job that still waits. Raises `NotRetryable` once it does not."""
    if not job.move(Status.QUEUED, to=Status.QUEUED, runner=_available(runner), available_at=timezone.now()):
        raise NotRetryable
    queue.ring(job)
    logger.info("job handed over", extra={"job": str(job.pk), "runner": runner})


def runners() -> list[Runner]:
    """Those that this portal can use."""
    return [Runner.LOCAL, Runner.LAMBDA] if settings.LAMBDA_FUNCTION else [Runner.LOCAL]


def _available(runner: Runner) -> Runner:
    if runner not in runners():
        raise NotRetryable
    return runner


def _finished(job: TranscodeJob) -> None:
    logger.info(
        "job finished",
        extra={"job": str(job.pk), "status": job.status, "code": job.failure_code, "attempt": job.attempt},
    )
    job_finished.send(sender=TranscodeJob, job=job)
