"""A worker takes a waiting job."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from tests.conftest import at_once, make_job
from transcoding import jobs
from transcoding.models import FINAL, AttemptOutcome, Runner, Status, TranscodeAttempt

pytestmark = pytest.mark.django_db


def test_the_attempt_is_counted_and_the_lease_runs_before_any_work(settings):
    job = make_job()

    attempt = jobs.claim(job.pk, host="worker-1")

    job.refresh_from_db()
    assert (attempt.number, attempt.host, attempt.runner) == (1, "worker-1", Runner.LOCAL)
    assert attempt.outcome == AttemptOutcome.RUNNING
    assert (job.status, job.attempt, job.progress) == (Status.RUNNING, 1, 0.0)
    left = job.lease_expires_at - timezone.now()
    assert timedelta(0) < left <= timedelta(seconds=settings.LEASE_SECONDS)
    assert job.started_at


def test_the_next_attempt_has_the_next_number():
    job = make_job(attempt=1)

    assert jobs.claim(job.pk, host="worker-1").number == 2


def test_the_id_may_be_text():
    assert jobs.claim(str(make_job().pk), host="worker-1") is not None


@pytest.mark.parametrize("status", sorted({*FINAL, Status.RUNNING}))
def test_a_job_that_does_not_wait_cannot_be_claimed(status):
    job = make_job(status)

    assert jobs.claim(job.pk, host="worker-1") is None
    job.refresh_from_db()
    assert (job.status, job.attempt) == (status, 0)
    assert not TranscodeAttempt.objects.exists()


def test_a_job_that_pauses_cannot_be_claimed_yet():
    job = make_job(available_at=timezone.now() + timedelta(seconds=30))

    assert jobs.claim(job.pk, host="worker-1") is None


def test_a_job_that_is_not_there_cannot_be_claimed():
    assert jobs.claim(uuid.uuid4(), host="worker-1") is None


def test_the_limit_of_attempts_holds_in_the_database():
    job = make_job(attempt=3, attempt_limit=3)

    with pytest.raises(IntegrityError):
        jobs.claim(job.pk, host="worker-1")


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_at_once_one_gets_it():
    job = make_job()

    claims = at_once(*[lambda: jobs.claim(job.pk, host="worker")] * 4)

    assert [claim.number for claim in claims if claim] == [1]
    assert claims.count(None) == 3
    job.refresh_from_db()
    assert job.attempt == 1
    assert TranscodeAttempt.objects.count() == 1
