"""The sweep: what is stuck finds its way on. Runs every minute, and may run twice at once."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError
from django.db.models import F, Q
from django.utils import timezone

from transcoding import jobs, queue, remote
from transcoding.engine.contracts import Extras, TranscodeResult
from transcoding.engine.keys import result_key
from transcoding.engine.store import NoSuchObject, StoreError
from transcoding.models import Runner, TranscodeAttempt, TranscodeJob
from transcoding.store import object_store

logger = logging.getLogger(__name__)

RING_AGAIN_AFTER = timedelta(seconds=60)


def sweep() -> dict[str, int]:
    """Mend what lost its worker or its task; says how many of each."""
    found = {"recovered": 0, "requeued": 0, "rung": 0}
    for job in TranscodeJob.objects.expired():
        if outcome := _mend(job):
            found[outcome] += 1
    found["recovered"] += _file_unannounced()
    found["rung"] = sum(_ring_forgotten(runner) for runner in Runner)
    remote.forget_nonces()
    if any(found.values()):
        logger.info("swept", extra=found)
    return found


def _mend(job: TranscodeJob) -> str | None:
    """A job whose worker fell silent: take its result if it had written one, else let another try."""
    attempt = TranscodeAttempt.objects.select_related("job").get(job=job, number=job.attempt)
    result = _result_left_behind(job)
    if result is not None and _filed(attempt, result):
        return "recovered"
    return "requeued" if jobs.record_loss(attempt) else None


def _filed(attempt: TranscodeAttempt, result: TranscodeResult) -> bool:
    """File the result; one that contradicts itself must not hold up the jobs after it."""
    try:
        return _file(attempt, result)
    except DatabaseError:
        logger.exception("result not filed", extra={"job": str(attempt.job_id)})
        return False


def _file(attempt: TranscodeAttempt, result: TranscodeResult) -> bool:
    """A video that can be watched is filed at once; extras that it still lacks wait for another worker."""
    if result.extras == Extras.DONE:
        return jobs.record_result(attempt, result) or jobs.record_extras(attempt, result)
    if not jobs.record_result(attempt, result):
        jobs.record_replaced(attempt, result)  # what is in the store is told as it is
        return jobs.record_not_replaced(attempt, result)
    if result.extras == Extras.PENDING:
        jobs.record_loss(attempt)
    return True


def _result_left_behind(job: TranscodeJob) -> TranscodeResult | None:
    """The result file of this very attempt, if the worker died between writing it and telling us."""
    try:
        result = TranscodeResult.from_json(object_store().read(result_key(job.source_key)))
    except (NoSuchObject, ValueError, KeyError, TypeError):
        return None
    except StoreError as error:
        logger.warning("no result file read: store %s", error.code)
        return None
    return result if (result.job, result.attempt) == (str(job.pk), job.attempt) else None


def _file_unannounced() -> int:
    """Take the results of events whose report never reached us: the function had to decide alone."""
    waiting = TranscodeJob.objects.due().filter(runner=Runner.LAMBDA, rung_at__lt=_ripe(RING_AGAIN_AFTER))
    return sum(_file_unannounced_of(job) for job in waiting)


def _file_unannounced_of(job: TranscodeJob) -> bool:
    try:
        result = remote.result_of_source(job)
        return result is not None and remote.file_unannounced(job, result)
    except (StoreError, DatabaseError) as error:
        logger.warning("no result taken", extra={"job": str(job.pk), "error": type(error).__name__})
        return False


def _ripe(age: timedelta) -> datetime:
    return timezone.now() - age


def _ring_forgotten(runner: Runner) -> int:
    """Ring again for waiting jobs whose task is in the queue no more.

    A cluster that dies takes the tasks it had fetched with it. A job that was rung for before
    the oldest task that still waits was fetched by somebody; if it waits all the same, ringing twice
    does no harm: only one can claim it. The same bell wakes jobs whose pause after a fault is over.
    """
    now = timezone.now()
    horizon = queue.oldest_waiting(runner) or now
    forgotten = Q(rung_at__lt=min(horizon, now - RING_AGAIN_AFTER))
    paused = Q(available_at__gt=F("rung_at"))
    patience = now - timedelta(seconds=settings.LAMBDA_EVENT_SECONDS)
    count = 0
    for job in TranscodeJob.objects.due().filter(forgotten | paused, runner=runner):
        if jobs.waits_for_event(job) and job.rung_at > patience:
            continue
        if TranscodeJob.objects.filter(pk=job.pk, rung_at=job.rung_at).update(rung_at=now):
            queue.ring(job)
            count += 1
    return count
