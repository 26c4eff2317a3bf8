"""The sweep: what is stuck finds its way on. Runs every minute, and may run twice at once."""

import logging
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import F, Q
from django.utils import timezone

from transcoding import jobs, queue
from transcoding.engine.contracts import Extras, TranscodeResult
from transcoding.engine.keys import result_key
from transcoding.engine.store import NoSuchObject, StoreError
from transcoding.models import TranscodeAttempt, TranscodeJob
from transcoding.store import object_store

logger = logging.getLogger(__name__)

RING_AGAIN_AFTER = timedelta(seconds=60)


def sweep() -> dict[str, int]:
    """Mend what lost its worker or its task; says how many of each."""
    found = {"recovered": 0, "requeued": 0, "rung": 0}
    for job in TranscodeJob.objects.expired():
        if outcome := _mend(job):
            found[outcome] += 1
    found["rung"] = _ring_forgotten()
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
        return False
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


def _ring_forgotten() -> int:
    """Ring again for waiting jobs whose task is in the queue no more.

    A cluster that dies takes the tasks it had fetched with it. A job that was rung for before
    the oldest task that still waits was fetched by somebody; if it waits all the same, ringing twice
    does no harm: only one can claim it. The same bell wakes jobs whose pause after a fault is over.
    """
    now = timezone.now()
    horizon = queue.oldest_waiting() or now
    forgotten = Q(rung_at__lt=min(horizon, now - RING_AGAIN_AFTER))
    paused = Q(available_at__gt=F("rung_at"))
    count = 0
    for job in TranscodeJob.objects.due().filter(forgotten | paused):
        if TranscodeJob.objects.filter(pk=job.pk, rung_at=job.rung_at).update(rung_at=now):
            queue.ring(job)
            count += 1
    return count
