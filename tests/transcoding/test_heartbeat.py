"""A worker says that it lives, and how far it is."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.conftest import make_job
from transcoding import jobs
from transcoding.models import Status, TranscodeJob

pytestmark = pytest.mark.django_db


@pytest.fixture
def attempt():
    return jobs.claim(make_job().pk, host="worker-1")


def test_it_renews_the_lease_and_notes_the_progress(attempt, settings):
    TranscodeJob.objects.update(lease_expires_at=timezone.now())

    assert jobs.heartbeat(attempt, 0.42) is True

    job = TranscodeJob.objects.get()
    assert (job.percent, job.status) == (42, Status.RUNNING)
    assert job.lease_expires_at > timezone.now() + timedelta(seconds=settings.LEASE_SECONDS - 5)


@pytest.mark.parametrize(("told", "noted"), [(-0.5, 0.0), (1.7, 1.0)])
def test_progress_stays_a_fraction(attempt, told, noted):
    jobs.heartbeat(attempt, told)

    assert TranscodeJob.objects.get().progress == noted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (4.0, "a few seconds left"),
        (61.0, "about a minute left"),
        (130.0, "about 2 minutes left"),
        (7200.0, "about 2 hours left"),
    ],
)
def test_the_time_left_is_said_in_plain_words(attempt, seconds, words):
    jobs.heartbeat(attempt, 0.5, seconds)

    assert TranscodeJob.objects.get().time_left == words


def test_another_attempt_begins_without_the_estimate_of_the_last(attempt):
    jobs.heartbeat(attempt, 0.5, 61.0)
    attempt.job.move(Status.RUNNING, to=Status.QUEUED, lease_expires_at=None)

    jobs.claim(attempt.job_id, host="worker-2")

    assert TranscodeJob.objects.get().seconds_left is None


@pytest.mark.parametrize("status", [Status.QUEUED, Status.CANCELLED])
def test_it_says_no_once_the_job_is_another_s(attempt, status):
    final = timezone.now() if status == Status.CANCELLED else None
    attempt.job.move(Status.RUNNING, to=status, lease_expires_at=None, finished_at=final)

    assert jobs.heartbeat(attempt, 0.5) is False
    assert TranscodeJob.objects.get().progress == 0.0


def test_an_earlier_attempt_renews_nothing_for_a_later_one(attempt):
    jobs.record_loss(attempt)
    later = jobs.claim(attempt.job_id, host="worker-2")

    assert jobs.heartbeat(attempt, 0.9) is False
    assert TranscodeJob.objects.get().progress == 0.0
    assert jobs.heartbeat(later, 0.1) is True
