"""The Lambda runner: calling the function, and taking what it reports."""

import logging
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from transcoding import erasing, jobs
from transcoding.aws.reports import SOURCE_ETAG, WINDOW, Answer, News, Report
from transcoding.engine.contracts import Extras, TranscodeResult
from transcoding.engine.keys import is_source, result_key
from transcoding.models import Runner, SeenNonce, Status, TranscodeAttempt, TranscodeJob
from transcoding.signals import object_arrived
from transcoding.store import object_store

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient

logger = logging.getLogger(__name__)

_ACCEPTED = 202
REFUSED = Answer(accepted=False)


@cache
def _client() -> "LambdaClient":
    return boto3.session.Session().client(
        "lambda",
        region_name=settings.LAMBDA_REGION,
        endpoint_url=settings.LAMBDA_ENDPOINT,
        aws_access_key_id=settings.S3_ACCESS_KEY,
        aws_secret_access_key=settings.S3_SECRET_KEY,
        config=Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 3}),
    )


def dispatch(job_id: str) -> str:
    """Call the function for one job, if it still waits; says what became of it. The light queue's task."""
    attempt = jobs.claim(
        job_id, host="lambda", runner=Runner.LAMBDA, lease_seconds=settings.LAMBDA_LEASE_SECONDS
    )
    if attempt is None:
        return "nothing to do"
    request = jobs.request_for(attempt.job).to_json().encode()
    try:
        answer = _client().invoke(
            FunctionName=settings.LAMBDA_FUNCTION, InvocationType="Event", Payload=request
        )
    except (ClientError, BotoCoreError) as error:
        jobs.record_fault(attempt, f"The function could not be called: {_code(error)}")
        return "fault"
    if answer["StatusCode"] != _ACCEPTED:
        jobs.record_fault(attempt, f"The function answered the call with {answer['StatusCode']}.")
        return "fault"
    return "called"


def _code(error: Exception) -> str:
    """What went wrong, without the address that botocore puts into its words."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return type(error).__name__


def take(report: Report) -> Answer:
    """Do what a report says, once. Said twice, it gets the same answer and changes nothing."""
    if not is_source(report.source_key):
        return REFUSED
    if report.news == News.BEGIN and not report.job:
        return _begin_for_event(report)
    attempt = _attempt(report)
    if attempt is None:
        return _result_of_event(report) if report.news == News.RESULT and not report.job else REFUSED
    match report.news:
        case News.BEGIN | News.WORKING:
            return Answer(accepted=jobs.heartbeat(attempt, report.progress))
        case News.RESULT:
            accepted = _file(attempt, report.result) or _is_current(attempt)
        case News.FAULT:
            accepted = jobs.record_fault(attempt, report.detail)
    if not accepted:
        erasing.let_go(attempt)
    return Answer(accepted=accepted)


def _attempt(report: Report) -> TranscodeAttempt | None:
    if not report.job:
        return None
    named = TranscodeAttempt.objects.select_related("job").filter(
        job=UUID(report.job), number=report.attempt, runner=Runner.LAMBDA, job__source_key=report.source_key
    )
    return named.first()


def _begin_for_event(report: Report) -> Answer:
    job = _job_for(report)
    attempt = jobs.claim(job.pk, host=report.host, runner=Runner.LAMBDA) if job else None
    if attempt is None:
        return REFUSED
    return Answer(accepted=True, request=jobs.request_for(attempt.job))


def _result_of_event(report: Report) -> Answer:
    """A function that could not ask us before, or that found the work done already."""
    job = _job_for(report)
    if job is None or report.result is None:
        return REFUSED
    return Answer(accepted=file_unannounced(job, report.result))


def _job_for(report: Report) -> TranscodeJob | None:
    """The job of this source. Where there is none, whoever listens may adopt the object."""
    of_source = TranscodeJob.objects.filter(source_key=report.source_key)
    if not of_source.exists():
        object_arrived.send(
            sender=TranscodeJob,
            source_key=report.source_key,
            size=report.source_size,
            etag=report.source_etag,
        )
    return of_source.first()


def file_unannounced(job: TranscodeJob, result: TranscodeResult) -> bool:
    """File a result for a job that still waits, as an attempt of its own."""
    with transaction.atomic():
        attempt = jobs.claim(job.pk, host="lambda", runner=Runner.LAMBDA)
        return attempt is not None and _file(attempt, result)


def _file(attempt: TranscodeAttempt, result: TranscodeResult | None) -> bool:
    if result is None:
        return False
    if jobs.record_result(attempt, result):
        return True
    match result.extras:
        case Extras.DONE:
            return jobs.record_extras(attempt, result)
        case Extras.PENDING:
            return jobs.record_replaced(attempt, result)
        case Extras.NONE:
            return jobs.record_not_replaced(attempt, result)


def _is_current(attempt: TranscodeAttempt) -> bool:
    """Whether the job is as this attempt left it: a report that came twice is no mistake."""
    done = (Status.RUNNING, Status.SUCCEEDED, Status.FAILED)
    return TranscodeJob.objects.filter(
        pk=attempt.job_id, attempt=attempt.number, status__in=done, barred_at__isnull=True
    ).exists()


def result_of_source(job: TranscodeJob) -> TranscodeResult | None:
    """The finished result of this very version of the source, for a job of which nobody has told us yet.

    Raises `StoreError`.
    """
    if job.attempt:
        return None
    store = object_store()
    filed, source = store.describe(result_key(job.source_key)), store.describe(job.source_key)
    if not filed or not source or filed.metadata.get(SOURCE_ETAG) != source.etag:
        return None
    try:
        result = TranscodeResult.from_json(store.read(result_key(job.source_key)))
    except (ValueError, KeyError, TypeError):
        return None
    return None if result.extras == Extras.PENDING else result


def is_new(nonce: str) -> bool:
    """Take a nonce. False: it was taken before."""
    try:
        with transaction.atomic():
            SeenNonce.objects.create(nonce=nonce)
    except IntegrityError:
        return False
    return True


def forget_nonces() -> None:
    """Those whose signature holds no longer; twice the window, as clocks differ to either side."""
    SeenNonce.objects.filter(at__lt=timezone.now() - timedelta(seconds=2 * WINDOW + 60)).delete()
