"""A fault that another try could cure."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.conftest import at_once, make_job, tasks_waiting
from transcoding import jobs
from transcoding.models import AttemptOutcome, Status, TranscodeAttempt, TranscodeJob

pytestmark = pytest.mark.django_db


def claimed(**fields):
    return jobs.claim(make_job(**fields).pk, host="worker-1")


@pytest.mark.parametrize(("before", "seconds"), [(0, 15), (1, 60)])
def test_the_job_waits_again_after_a_pause_that_grows(settings, before, seconds):
    settings.RETRY_PAUSE_SECONDS = 15
    attempt = claimed(attempt=before)

    assert jobs.record_fault(attempt, "EndpointConnectionError") is True

    job = TranscodeJob.objects.get()
    pause = job.available_at - timezone.now()
    assert (job.status, job.progress, job.lease_expires_at) == (Status.QUEUED, 0.0, None)
    assert timedelta(seconds=seconds - 5) < pause <= timedelta(seconds=seconds)
    assert jobs.claim(job.pk, host="worker-2") is None
    assert tasks_waiting() == []


def test_the_attempt_keeps_what_was_wrong():
    attempt = claimed()

    jobs.record_fault(attempt, "EndpointConnectionError")

    closed = TranscodeAttempt.objects.get()
    assert (closed.outcome, closed.detail) == (AttemptOutcome.FAULT, "EndpointConnectionError")
    assert closed.ended_at


def test_after_the_last_attempt_it_fails_as_worker_lost():
    attempt = claimed(attempt=2)

    assert jobs.record_fault(attempt, "DiskFull") is True

    job = TranscodeJob.objects.get()
    assert (job.status, job.failure_code, job.failure_detail) == (Status.FAILED, "worker_lost", "DiskFull")
    assert job.finished_at
    assert "You do not need to send it again" in job.explanation


def test_a_worker_that_fell_silent_is_followed_at_once():
    attempt = claimed()

    assert jobs.record_loss(attempt) is True

    job = TranscodeJob.objects.get()
    assert tasks_waiting() == [(str(job.pk),)]
    assert jobs.claim(job.pk, host="worker-2").number == 2


def test_an_attempt_that_lost_the_job_changes_nothing():
    attempt = claimed()
    jobs.record_loss(attempt)
    jobs.claim(attempt.job_id, host="worker-2")

    assert jobs.record_fault(attempt, "SystemExit") is False
    job = TranscodeJob.objects.get()
    assert (job.status, job.attempt) == (Status.RUNNING, 2)
    assert TranscodeAttempt.objects.get(number=1).outcome == AttemptOutcome.LOST


@pytest.mark.django_db(transaction=True)
def test_of_two_that_end_an_attempt_at_once_one_does():
    claimed()
    mine, yours = (TranscodeAttempt.objects.select_related("job").get() for _ in range(2))

    ended = at_once(lambda: jobs.record_loss(mine), lambda: jobs.record_loss(yours))

    assert sorted(ended) == [False, True]
    assert len(tasks_waiting()) == 1
