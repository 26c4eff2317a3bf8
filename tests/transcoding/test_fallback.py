"""What the function has no time or disk for: a worker's, or an admin's, and never the patient's fault."""

import pytest

from tests.conftest import make_job, tasks_waiting
from tests.transcoding.test_extras import done, fall_silent, ready
from transcoding import jobs, remote
from transcoding.aws.reports import News, Report
from transcoding.engine.contracts import FailureCode, Outcome, TranscodeResult
from transcoding.models import AttemptOutcome, Extras, Runner, Status, TranscodeAttempt, TranscodeJob
from transcoding.sweep import sweep

pytestmark = pytest.mark.django_db
BEYOND = [FailureCode.TIMED_OUT, FailureCode.TOO_LARGE]


@pytest.fixture(autouse=True)
def _both_runners(settings):
    settings.LAMBDA_FUNCTION = "transcode"
    settings.LAMBDA_FALLBACK = "local"


@pytest.fixture
def attempt():
    return jobs.claim(make_job(runner=Runner.LAMBDA).pk, host="lambda", runner=Runner.LAMBDA)


def fails(attempt, code):
    """Whether the report was taken."""
    result = TranscodeResult(
        job=str(attempt.job_id), attempt=attempt.number, outcome=Outcome.FAILED, code=code, detail="over"
    )
    report = Report(
        news=News.RESULT,
        source_key=attempt.job.source_key,
        source_etag="e",
        source_size=1,
        job=str(attempt.job_id),
        attempt=attempt.number,
        result=result,
    )
    return remote.take(report).accepted


@pytest.mark.parametrize("code", BEYOND)
def test_a_worker_takes_over_and_the_patient_hears_of_no_failure(attempt, code, settings):
    assert fails(attempt, code)

    job = TranscodeJob.objects.get()
    assert (job.status, job.runner, job.failure_code) == (Status.QUEUED, Runner.LOCAL, "")
    assert job.attempt_limit == 1 + settings.MAX_ATTEMPTS
    assert tasks_waiting() == [(str(job.pk),)]
    tried = TranscodeAttempt.objects.get()
    assert (tried.outcome, tried.detail) == (AttemptOutcome.FAILED, f"{code}: over")

    second = jobs.claim(job.pk, host="worker-1")
    assert jobs.record_result(second, ready(second))
    assert jobs.record_extras(second, done(second))
    assert TranscodeJob.objects.get().status == Status.SUCCEEDED


def test_it_is_handed_over_once(attempt):
    fails(attempt, FailureCode.TIMED_OUT)
    second = jobs.claim(attempt.job_id, host="worker-1")
    result = TranscodeResult(
        job=str(second.job_id), attempt=second.number, outcome=Outcome.FAILED, code=FailureCode.TIMED_OUT
    )
    assert jobs.record_result(second, result)
    job = TranscodeJob.objects.get()
    assert (job.status, job.failure_code) == (Status.FAILED, FailureCode.TIMED_OUT)
    assert "Please send a shorter one" in job.explanation  # now it is true

    jobs.retry(job, Runner.LAMBDA)
    third = jobs.claim(job.pk, host="lambda", runner=Runner.LAMBDA)
    assert fails(third, FailureCode.TIMED_OUT)

    assert TranscodeJob.objects.get().status == Status.FAILED


def test_a_function_that_never_comes_to_an_end_is_made_up_for_too(attempt, store):
    TranscodeJob.objects.update(attempt_limit=1)
    attempt.job.refresh_from_db()
    fall_silent()

    sweep()

    job = TranscodeJob.objects.get()
    assert (job.status, job.runner) == (Status.QUEUED, Runner.LOCAL)
    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.LOST


def test_what_is_wrong_with_the_video_stays_wrong(attempt):
    fails(attempt, FailureCode.DAMAGED)
    assert TranscodeJob.objects.get().failure_code == FailureCode.DAMAGED


def test_a_film_that_is_there_is_not_made_by_anybody_else(attempt):
    jobs.record_result(attempt, ready(attempt))
    jobs.record_extras(attempt, done(attempt))
    jobs.retry(attempt.job, Runner.LAMBDA)
    second = jobs.claim(attempt.job_id, host="lambda", runner=Runner.LAMBDA)

    assert fails(second, FailureCode.TIMED_OUT)

    job = TranscodeJob.objects.get()
    assert (job.status, job.extras, job.runner) == (Status.SUCCEEDED, Extras.DONE, Runner.LAMBDA)


@pytest.mark.parametrize("code", BEYOND)
def test_without_workers_the_admin_is_shown_the_way_and_the_patient_told_nothing_wrong(
    attempt, code, settings, admin_client
):
    settings.LAMBDA_FALLBACK = "none"
    assert fails(attempt, code)

    job = TranscodeJob.objects.get()
    assert (job.status, job.failure_code) == (Status.FAILED, code)
    assert "You do not need to send it again" in job.explanation
    assert "shorter" not in job.explanation
    page = admin_client.get(f"/conversions/{job.pk}/").content.decode()
    assert f"<code>{code}</code>" in page
    assert "try again on a worker" in page

    admin_client.post(f"/conversions/{job.pk}/retry/", {"runner": "local"})

    job.refresh_from_db()
    assert (job.status, job.runner) == (Status.QUEUED, Runner.LOCAL)
