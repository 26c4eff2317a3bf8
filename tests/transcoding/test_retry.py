"""An admin has a conversion tried again."""

import pytest

from tests.conftest import at_once, make_job, tasks_waiting
from transcoding import jobs
from transcoding.engine.contracts import FailureCode
from transcoding.models import Status, TranscodeJob

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_it_waits_again_with_as_many_attempts_as_a_new_one(status, settings):
    job = make_job(status, attempt=3, failure_detail="x" if status == Status.FAILED else "")

    jobs.retry(job)

    job.refresh_from_db()
    assert (job.status, job.failure_code, job.failure_detail) == (Status.QUEUED, "", "")
    assert (job.attempt, job.attempt_limit) == (3, 3 + settings.MAX_ATTEMPTS)
    assert (job.finished_at, job.progress) == (None, 0.0)
    assert tasks_waiting() == [(str(job.pk),)]
    assert jobs.claim(job.pk, host="worker-1").number == 4


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.SUCCEEDED])
def test_only_what_failed_or_was_stopped_can_be_tried_again(status):
    job = make_job(status)

    with pytest.raises(jobs.NotRetryable):
        jobs.retry(job)
    assert TranscodeJob.objects.get().status == status
    assert tasks_waiting() == []


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_are_one():
    make_job(Status.FAILED)
    mine, yours = TranscodeJob.objects.get(), TranscodeJob.objects.get()

    answers = at_once(lambda: jobs.retry(mine), lambda: jobs.retry(yours))

    assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", "NotRetryable"]
    assert len(tasks_waiting()) == 1


def test_what_was_refused_before_it_was_stored_cannot_be_tried_again():
    job = jobs.refuse(source_key="e5fa44f2b31/empty.mov", code=FailureCode.EMPTY)

    with pytest.raises(jobs.NotRetryable):
        jobs.retry(job)

    job.refresh_from_db()
    assert job.failure_code == FailureCode.EMPTY
